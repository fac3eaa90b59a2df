<?php
/* A PHP site with its own login, behind onesession: one file, for every address. */
require getenv('ONESESSION_PHP');

$accounts = json_decode(getenv('SITE_ACCOUNTS'), true);
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);

session_start(['use_strict_mode' => true]);
$onesession = new Onesession(getenv('ONESESSION_API'), getenv('ONESESSION_TOKEN_FILE'));
$onesession->guard();

if ($path === '/accounts/login/' && $_SERVER['REQUEST_METHOD'] === 'POST') {
    if (!hash_equals($_SESSION['csrf'] ?? '-', $_POST['csrf'] ?? '')) {
        http_response_code(400);
        exit('The form is too old.');
    }
    if (($accounts[$_POST['username']] ?? null) !== $_POST['password']) {
        http_response_code(401);
        exit('Wrong.');
    }
    session_regenerate_id(true);
    $_SESSION['user'] = $_POST['username'];
    try {
        $onesession->signIn($_POST['username'], isset($_POST['take_over']));
    } catch (OnesessionRefused $refused) {
        http_response_code($refused->status);
        header('Site-User: ' . ($_SESSION['user'] ?? ''));
        exit(htmlspecialchars($refused->getMessage()));
    }
    header('Location: /members/', true, 303);
} elseif (in_array($path, ['/accounts/password/', '/accounts/confirm/'], true)) {
    /* With the session as it is. */
    try {
        if ($path === '/accounts/password/') {
            $onesession->passwordChanged($_SESSION['user']);
        }
        $onesession->signIn($_SESSION['user']);
    } catch (OnesessionRefused $refused) {
        http_response_code($refused->status);
        exit(htmlspecialchars($refused->getMessage()));
    }
    header('Location: /members/', true, 303);
} elseif ($path === '/accounts/login/') {
    if (isset($_SESSION['user'])) {
        header('Location: /members/', true, 303);
        exit;
    }
    $_SESSION['csrf'] = bin2hex(random_bytes(16));
    echo '<form method="post"><input type="hidden" name="csrf" value="', $_SESSION['csrf'], '"></form>';
} elseif ($path === '/accounts/delete/') {
    $onesession->deleted($_SESSION['user']);
    session_destroy();
    header('Location: /open/', true, 303);
} elseif ($path === '/accounts/logout/') {
    $onesession->signOut();
    session_destroy();
    header('Location: /open/', true, 303);
} else {
    /* As it was before the site came behind the daemon: it tells nobody. */
    if ($path === '/open/before') {
        $_SESSION['user'] = 'member0';
    }
    header('Content-Type: application/json');
    echo json_encode(['path' => $path, 'user' => $_SESSION['user'] ?? '']);
}
