<?php
// The check for one session an account, as a PHP page would make it: one SELECT, on a persistent connection.
$token = $_COOKIE['onesession'] ?? '';
if (strlen($token) !== 43) {
	http_response_code(401);
	exit;
}
$database = new PDO(getenv('BENCH_DSN'), null, null, [
	PDO::ATTR_PERSISTENT => true,
	PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
]);
$check = $database->prepare(
	"SELECT u.id, u.username, s.id AS session FROM sessions s"
	. " JOIN users u ON u.id = s.user_id"
	. " JOIN logged_in_user l ON l.user_id = s.user_id AND l.session_key = s.session_key"
	. " WHERE s.session_key = decode(?, 'hex') AND s.expires_at > now() AND u.is_active"
);
$check->execute([hash('sha256', $token)]);
$found = $check->fetch(PDO::FETCH_ASSOC);
if ($found === false) {
	http_response_code(401);
	exit;
}
header('Remote-User: ' . $found['username']);
header('Remote-User-Id: ' . $found['id']);
header('Session-Id: ' . $found['session']);
