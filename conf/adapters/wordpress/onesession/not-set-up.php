<?php
/* What the plug-in does while something of its set-up is missing: it says so to administrators, and nobody signs in. */
defined('ABSPATH') || exit;

(function (): void {
    $missing = array_filter(['ONESESSION_API', 'ONESESSION_TOKEN_FILE'], fn(string $name) => !defined($name));
    $missing = array_map(fn(string $name) => "$name in wp-config.php", $missing);
    if (!is_readable(__DIR__ . '/php/onesession.php')) {
        $missing[] = 'the file ' . __DIR__ . '/php/onesession.php';
    }
    $missing = implode(', ', $missing);

    add_action('admin_notices', function () use ($missing): void {
        $text = __('onesession is not set up, and nobody can sign in. Missing: %s.', 'onesession');
        /* The paths of this machine are for those who can change it. */
        if (current_user_can('activate_plugins')) {
            printf('<div class="notice notice-error"><p>%s</p></div>', esc_html(sprintf($text, $missing)));
        }
    });

    /* Behind the guard nobody is known: whose cookie it is cannot be told. Before it is there, administrators go on. */
    add_action('plugins_loaded', function (): void {
        $names = ['SESSION_ID', 'SESSION_REASON', 'HTTP_SESSION_ID', 'HTTP_SESSION_REASON'];
        if (array_filter($names, fn(string $name) => ($_SERVER[$name] ?? '') !== '')) {
            unset($_COOKIE[AUTH_COOKIE], $_COOKIE[SECURE_AUTH_COOKIE], $_COOKIE[LOGGED_IN_COOKIE]);
        }
    }, PHP_INT_MIN);

    /* wp_signon() alone has this action: programs with a password of their own go on. */
    add_action('wp_authenticate', fn() => add_filter('authenticate', function (mixed $user) use ($missing): mixed {
        if (!$user instanceof WP_User) {
            return $user;
        }
        error_log("onesession: not set up: $missing");
        $text = __('Signing in is not possible right now.', 'onesession');
        return new WP_Error('empty_password', esc_html($text));
    }, PHP_INT_MAX));
    /* Nor does anybody by another plug-in. */
    add_filter('send_auth_cookies', '__return_false', PHP_INT_MAX);
})();
