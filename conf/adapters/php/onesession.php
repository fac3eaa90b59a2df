<?php
/* onesession for PHP: one account, one live session, in front of a site that has its own login. See README.md. */

final class OnesessionRefused extends RuntimeException
{
    /** $status is the HTTP status to answer with, $problem what the API said: "code", "detail", ... */
    public function __construct(public readonly int $status, public readonly array $problem)
    {
        parent::__construct($problem['detail'] ?? 'Signing in is not possible right now.');
    }
}

final class Onesession
{
    private const TIMEOUT_S = 5;
    private const SESSION = 'onesession';

    /**
     * $api: https://shop.example/session/api, as PHP reaches it. $tokenFile: of a token with the scopes sessions and
     * users. $userKey: under which name the application keeps in $_SESSION who is signed in.
     */
    public function __construct(
        private readonly string $api,
        private readonly string $tokenFile,
        private readonly string $userKey = 'user',
        private readonly string $cookieName = 'onesession'
    ) {
    }

    /**
     * After session_start(), on every page: who is nobody to the guard, or somebody else, is signed out here, too. True
     * when that was so: the session is a new one then.
     */
    public function guard(): bool
    {
        $live = self::field('SESSION_ID');
        $wasAsked = $live !== '' || self::field('SESSION_REASON') !== '';
        $own = $_SESSION[self::SESSION] ?? '';
        $isSignedIn = $own !== '' || isset($_SESSION[$this->userKey]);
        if (!$wasAsked || !$isSignedIn || ($live !== '' && $own === $live)) {
            return false;
        }
        self::forget();
        return true;
    }

    /**
     * The application has checked who it is, and changed its session's id: a login under the rule. Sends the cookies, so
     * it comes before any output. Returns the API's answer, with what was displaced. Throws OnesessionRefused: then the
     * application must not sign the person in.
     */
    public function signIn(string $name, bool $takeOver = false, array $account = []): array
    {
        $login = [
            'user' => $name,
            'ip' => $_SERVER['REMOTE_ADDR'],
            'user_agent' => $_SERVER['HTTP_USER_AGENT'] ?? '',
            'presented' => $this->cookie(''),
            'device' => $this->cookie('_device'),
            'secure' => !in_array($_SERVER['HTTPS'] ?? 'off', ['', 'off'], true),
            'take_over' => $takeOver,
        ];
        [$status, $answer] = $this->call('POST', '/sessions', $login);
        if ($status === 404 && ($answer['code'] ?? '') === 'not_found') {
            [$status, $answer] = $this->call('PUT', '/users/' . rawurlencode($name), (object) $account);
            if ($status === 200 || $status === 201) {
                [$status, $answer] = $this->call('POST', '/sessions', $login);
            }
        }
        if ($status !== 201) {
            self::forget();
            throw new OnesessionRefused(in_array($status, [403, 409, 429], true) ? $status : 503, $answer);
        }
        foreach ($answer['cookies'] as $cookie) {
            header('Set-Cookie: ' . $cookie, false);
        }
        $_SESSION[self::SESSION] = $answer['session']['id'];
        return $answer;
    }

    /** Before the application's own sign-out. */
    public function signOut(): void
    {
        $id = $_SESSION[self::SESSION] ?? null;
        unset($_SESSION[self::SESSION]);
        if ($id !== null) {
            $this->call('DELETE', "/sessions/$id?reason=logged_out");
        }
    }

    private static function forget(): void
    {
        $_SESSION = [];
        session_regenerate_id(true);
    }

    /* By FastCGI it is a parameter, by HTTP a header field. The web server removes the client's own. */
    private static function field(string $name): string
    {
        return $_SERVER[$name] ?? $_SERVER["HTTP_$name"] ?? '';
    }

    private function cookie(string $suffix): ?string
    {
        foreach (['__Host-', '__Secure-', ''] as $prefix) {
            if (($_COOKIE[$prefix . $this->cookieName . $suffix] ?? '') !== '') {
                return $_COOKIE[$prefix . $this->cookieName . $suffix];
            }
        }
        return null;
    }

    /** [status, answer]; a POST has a key, so that it is done once where it has to be sent twice. */
    private function call(string $method, string $path, array|object|null $body = null): array
    {
        $fields = [
            'Authorization: Bearer ' . trim((string) file_get_contents($this->tokenFile)),
            'Content-Type: application/json',
            'Idempotency-Key: ' . bin2hex(random_bytes(16)),
        ];
        $options = [
            'method' => $method,
            'header' => $fields,
            'ignore_errors' => true,
            'follow_location' => 0,
            'timeout' => self::TIMEOUT_S,
        ];
        if ($body !== null) {
            $options['content'] = json_encode($body, JSON_THROW_ON_ERROR | JSON_INVALID_UTF8_SUBSTITUTE);
        }
        for ($try = 0; $try < 2; $try++) {
            $text = @file_get_contents($this->api . $path, false, stream_context_create(['http' => $options]));
            if ($text !== false && preg_match('#^HTTP/\S+ (\d{3})#', $http_response_header[0] ?? '', $found)) {
                $answer = $text === '' ? [] : json_decode($text, true);
                return [(int) $found[1], is_array($answer) ? $answer : []];
            }
        }
        error_log("onesession: no answer to $method $path");
        throw new OnesessionRefused(503, []);
    }
}
