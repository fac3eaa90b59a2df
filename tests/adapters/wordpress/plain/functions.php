<?php
/* An address of this machine's cannot be a mail's sender. */
add_filter('wp_mail_from', fn() => 'shop@shop.example');
/* A plug-in that signs people in without a password, as those do that ask an identity provider; one that sets passwords
   itself, or deletes people; and one that asks for a second factor first: it keeps the cookies back. */
add_action('init', function () {
    if (isset($_GET['signed-in-elsewhere'])) {
        wp_set_auth_cookie(get_user_by('login', $_GET['signed-in-elsewhere'])->ID);
        wp_send_json([]);
    }
    if (isset($_GET['set-password-of'])) {
        wp_set_password('another one', get_user_by('login', $_GET['set-password-of'])->ID);
        wp_send_json([]);
    }
    if (isset($_GET['delete'])) {
        require_once ABSPATH . 'wp-admin/includes/user.php';
        wp_delete_user(get_user_by('login', $_GET['delete'])->ID);
        wp_send_json([]);
    }
});
/* One that calls WordPress's hooks itself, with less than WordPress gives. */
if (isset($_GET['calls-hooks'])) {
    add_action('init', function () {
        $me = wp_get_current_user();
        do_action('profile_update', $me->ID);
        do_action('profile_update', $me, $me);
        do_action('wp_set_password', 'another one', 0, false);
        do_action('wp_set_password', 'another one', $me, $me);
        do_action('wp_set_password', 'another one', [$me->ID]);
        do_action('set_logged_in_cookie', '', null, null, $me->ID, 'logged_in');
        do_action('deleted_user', [$me->ID]);
        do_action('after_password_reset', false, '');
        $results = [
            apply_filters('login_url', '/form', null, null),
            apply_filters('wp_login_errors', null, null),
        ];
        add_filter('authenticate', fn() => false, PHP_INT_MAX);
        do_action('wp_authenticate', '', '');
        $results[] = apply_filters('authenticate', false, null, null);
        do_action('wp_logout', $me->user_login);
        do_action('wp_logout', [$me->ID]);
        if ($_GET['calls-hooks'] === 'sign-out') {
            do_action('wp_logout');
        }
        wp_send_json($results);
    });
}
if (str_contains($_SERVER['HTTP_USER_AGENT'] ?? '', 'second factor')) {
    add_filter('send_auth_cookies', '__return_false', PHP_INT_MAX);
}
/* One that counts wrong passwords. */
add_action('wp_login_failed', fn() => header('Login-Failed: yes'));
