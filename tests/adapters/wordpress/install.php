<?php
/* Installs WordPress, with a theme that shows who is signed in, and these people: [[name, address], ...]. */
[, $folder, $people, $password] = $argv;
define('WP_INSTALLING', true);
$_SERVER += ['HTTP_HOST' => '127.0.0.1', 'SERVER_PORT' => 'cli'];
require "$folder/wp-load.php";
require_once ABSPATH . 'wp-admin/includes/upgrade.php';
require_once ABSPATH . 'wp-admin/includes/plugin.php';

wp_install('Shop', 'admin', 'admin@shop.example', true, '', wp_slash($password));
update_option('permalink_structure', '/%postname%/');
switch_theme('plain');
$ids = [];
foreach (json_decode($people) as [$name, $address]) {
    $person = ['user_login' => $name, 'user_email' => $address, 'user_pass' => wp_slash($password), 'role' => 'editor'];
    $made = wp_insert_user($person);
    $ids[$name] = is_wp_error($made) ? exit($made->get_error_message()) : $made;
}
$error = activate_plugin('onesession/onesession.php');
echo is_wp_error($error) ? $error->get_error_message() : json_encode($ids);
