<?php
/* onesession for PHP: one account, one live session, in front of a site that has its own login. See README.md. */

final class OnesessionRefused extends RuntimeException
{
    /**
     * $status is the HTTP status to answer with, $problem what the API said: "code", "detail", ... With 503 its words are
     * for whoever has set this up, and not for people: they are in PHP's log.
     */
    public function __construct(public readonly int $status, public readonly array $problem)
    {
        $detail = $status === 503 ? null : $problem['detail'] ?? null;
        parent::__construct($detail ?? 'Signing in is not possible right now.');
    }
}

final class Onesession
{
    private const TIMEOUT_S = 5;
    private const PAUSE_US = 50_000;
    private const AT_ONCE_S = 10;
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
     * After session_start(), on every page: who is nobody to the guard, or somebody else, is nobody here, too. True when
     * that was so: the session is a new one then, and the former stays as it is, for it may be somebody's elsewhere.
     */
    public function guard(): bool
    {
        $own = $_SESSION[self::SESSION] ?? null;
        $isSignedIn = $own !== null || isset($_SESSION[$this->userKey]);
        /* The one before is that of a request which was under way when the person gave the password again. */
        if (!$isSignedIn || self::isLetIn($own['id'] ?? '', $own['before'] ?? '')) {
            return false;
        }
        session_abort();
        session_id(session_create_id());
        session_start();
        $_SESSION = [];
        return true;
    }

    /**
     * The application has checked who it is, and changed its session's id: a login under the rule. Sends the cookies, so
     * it comes before any output. Returns the API's answer, with what was displaced. Throws OnesessionRefused: then nobody
     * is signed in here, and the application must not sign the person in. $account: what PUT /api/users takes, of one
     * that is made; by "external_id" an account is known again whose name changes.
     */
    public function signIn(string $name, bool $takeOver = false, array $account = []): array
    {
        try {
            $answer = $this->enter($name, $takeOver, $account);
        } catch (OnesessionRefused $refused) {
            unset($_SESSION[self::SESSION], $_SESSION[$this->userKey]);
            throw $refused;
        }
        ['id' => $before, 'of' => $of] = $_SESSION[self::SESSION] ?? ['id' => '', 'of' => null];
        $_SESSION[self::SESSION] = [
            'id' => $answer['session']['id'],
            'of' => $answer['user']['id'],
            'before' => $of === $answer['user']['id'] ? $before : '',
        ];
        return $answer;
    }

    /** Before the application's own sign-out, which goes on where onesession does not answer. */
    public function signOut(): void
    {
        $id = $_SESSION[self::SESSION]['id'] ?? null;
        unset($_SESSION[self::SESSION]);
        if ($id !== null) {
            $this->leave($id);
        }
    }

    /**
     * When the new password is saved: its sessions end everywhere, and signIn() follows for the browser at hand. Throws
     * OnesessionRefused when onesession has not done it. $externalId: that of signIn().
     */
    public function passwordChanged(string $name, ?string $externalId = null): void
    {
        $this->deleteOf($name, $externalId, '/sessions?reason=password_changed');
    }

    /**
     * When the application has deleted it: so is the account, and its sessions end. Throws as passwordChanged() does.
     */
    public function deleted(string $name, ?string $externalId = null): void
    {
        $this->deleteOf($name, $externalId, '');
    }

    private function deleteOf(string $name, ?string $externalId, string $what): void
    {
        $query = $externalId === null ? '/' . rawurlencode($name) : '?external_id=' . rawurlencode($externalId);
        [$status, $answer] = $this->call('GET', "/users$query");
        if ($externalId === null && $status === 404 && ($answer['code'] ?? '') === 'not_found') {
            return;
        }
        $found = $externalId === null ? [$answer] : $answer['users'] ?? [];
        foreach ($status === 200 ? $found : [] as $account) {
            if ($externalId !== null || ($account['username'] === $name && !$account['is_admin'])) {
                [$status, $answer] = $this->call('DELETE', '/users/' . rawurlencode($account['username']) . $what);
            }
        }
        if ($status !== 200 && $status !== 204) {
            throw new OnesessionRefused(503, $answer);
        }
    }

    /* What is above goes by $_SESSION. An application that keeps its sessions elsewhere has these. */

    /** Whether the guard was not asked about this request, or has let in one of these sessions of onesession's. */
    public static function isLetIn(string ...$ids): bool
    {
        $live = self::field('SESSION_ID', $_SERVER);
        $wasAsked = $live !== '' || self::field('SESSION_REASON', $_SERVER) !== '';
        return !$wasAsked || ($live !== '' && in_array($live, $ids, true));
    }

    /** signIn(), which keeps nothing: the application keeps the id of the answer's session. */
    public function enter(string $name, bool $takeOver, array $account): array
    {
        $answer = $this->login($name, ['take_over' => $takeOver] + $this->browser($_SERVER, $_COOKIE), $account);
        foreach ($answer['cookies'] as $cookie) {
            header('Set-Cookie: ' . $cookie, false);
        }
        return $answer;
    }

    /** What a login tells of the browser; $server and $cookies are as in $_SERVER and $_COOKIE. */
    public function browser(array $server, array $cookies): array
    {
        /* By HTTP the client is the web server, which says who its own is. */
        $isProxied = !isset($server['SESSION_ID']) && !isset($server['SESSION_REASON'])
            && self::field('SESSION_ID', $server) . self::field('SESSION_REASON', $server) !== '';
        $addresses = explode(',', $isProxied ? $server['HTTP_X_FORWARDED_FOR'] ?? '' : '');
        $https = $isProxied ? $server['HTTP_X_FORWARDED_PROTO'] ?? 'http' : $server['HTTPS'] ?? 'off';
        return [
            'ip' => trim(end($addresses)) ?: $server['REMOTE_ADDR'],
            'user_agent' => $server['HTTP_USER_AGENT'] ?? '',
            'presented' => $this->cookie('', $cookies),
            'device' => $this->cookie('_device', $cookies),
            'secure' => !in_array($https, ['', 'off', 'http'], true),
        ];
    }

    /**
     * enter(), which sends no cookies either. $browser: what browser() says, and what else POST /api/sessions takes, such
     * as "take_over". $once: the same for requests that may come at once, each of which signs in, as by a cookie to be
     * remembered by: those of one address and User-Agent, in the same ten seconds, are one login, as long as that is live.
     * For all but the first, "replayed" of the answer is true.
     */
    public function login(string $name, array $browser, array $account, ?string $once = null): array
    {
        $login = ['user' => $name, 'exact' => true, 'external_id' => $account['external_id'] ?? null] + $browser;
        $same = [$once, $login, intdiv(time(), self::AT_ONCE_S)];
        for ($try = 0; ; $try++) {
            $key = $once === null ? null : hash('sha256', json_encode($same, JSON_INVALID_UTF8_SUBSTITUTE));
            [$status, $answer, $isReplayed] = $this->call('POST', '/sessions', $login, 404, $key);
            if ($status === 404 && ($answer['code'] ?? '') === 'not_found') {
                $new = array_diff_key($account, ['external_id' => true]);
                [$status, $answer] = $this->call('PUT', '/users/' . rawurlencode($name), (object) $new);
                if ($status === 200 || $status === 201) {
                    [$status, $answer, $isReplayed] = $this->call('POST', '/sessions', $login, key: $key);
                }
            }
            if ($status !== 201) {
                /* What the API says of the account is for people; what it says of the token is not. */
                $isOfAccount = in_array($status, [403, 409, 429], true) && isset($answer['code'])
                    && $answer['code'] !== 'insufficient_scope';
                throw new OnesessionRefused($isOfAccount ? $status : 503, $answer);
            }
            if ($once === null || !$isReplayed || $try > 0 || !$this->hasEnded($answer['token'])) {
                return ['replayed' => $isReplayed] + $answer;
            }
            /* Those who find the same ended one are one login again. */
            $same[] = $answer['session']['id'];
        }
    }

    /** Of a login that was answered before. Where that cannot be learnt, the guard says it at the next request. */
    private function hasEnded(?string $token): bool
    {
        try {
            [$status, $answer] = $this->call('POST', '/check', ['token' => $token, 'passive' => true]);
        } catch (OnesessionRefused) {
            return false;
        }
        return $status === 200 && ($answer['live'] ?? null) === false;
    }

    /** signOut() of the session that has this id. */
    public function leave(string $id): void
    {
        try {
            $this->call('DELETE', "/sessions/$id?reason=logged_out");
        } catch (OnesessionRefused) {
            /* That is in the log; the session ends by itself. */
        }
    }

    /** Why nobody is signed in, one of onesession's codes; empty where the guard was not asked, or has let somebody in. */
    public static function reason(): string
    {
        return self::field('SESSION_REASON', $_SERVER);
    }

    /** By FastCGI it is a parameter, by HTTP a header field. The web server removes the client's own. */
    public static function field(string $name, array $server): string
    {
        return $server[$name] ?? $server["HTTP_$name"] ?? '';
    }

    private function cookie(string $suffix, array $cookies): ?string
    {
        foreach (['__Host-', '__Secure-', ''] as $prefix) {
            $value = $cookies[$prefix . $this->cookieName . $suffix] ?? '';
            /* One with [] in its name is an array, and one that another site of the domain has set can be anything. */
            if (is_string($value) && preg_match('/^[!-~]+$/D', $value)) {
                return $value;
            }
        }
        return null;
    }

    /**
     * [status, answer, whether it was given before]; a POST has a key, so that it is done once where it has to be sent
     * twice, or comes twice. What fails is in PHP's log, but for the status that is the usual one there.
     */
    public function call(
        string $method,
        string $path,
        array|object|null $body = null,
        int $usual = 0,
        ?string $key = null
    ): array {
        $what = "$method $this->api$path";
        [$token, $cause] = $this->read($this->tokenFile);
        if ($token === null) {
            $this->fail($what, "the token's file $this->tokenFile: $cause");
        }
        $fields = [
            'Authorization: Bearer ' . trim($token),
            'Content-Type: application/json',
            'Idempotency-Key: ' . ($key ?? bin2hex(random_bytes(16))),
        ];
        $options = [
            'method' => $method,
            'header' => $fields,
            'ignore_errors' => true,
            'follow_location' => 0,
        ];
        if ($body !== null) {
            $options['content'] = json_encode($body, JSON_THROW_ON_ERROR | JSON_INVALID_UTF8_SUBSTITUTE);
        }
        /* A connection that breaks is tried again at once; one that is silent, for which PHP counts, takes all the time. */
        $deadline = hrtime(true) / 1e9 + self::TIMEOUT_S;
        for ($broken = 0; $broken < 2 && ($left = $deadline - hrtime(true) / 1e9) > 0;) {
            $options['timeout'] = $left;
            [$text, $cause, $head] = $this->read($this->api . $path, stream_context_create(['http' => $options]));
            if ($text !== null && preg_match('#^HTTP/\S+ (\d{3})#', $head[0] ?? '', $found)) {
                $status = (int) $found[1];
                $answer = json_decode($text, true);
                $answer = is_array($answer) ? $answer : [];
                $code = $answer['code'] ?? '';
                if ($code === 'idempotency_key_in_use') {
                    $cause = $code;
                    usleep(self::PAUSE_US);
                    continue;
                }
                if (($status < 200 || $status > 299) && ($status !== $usual || $code === '')) {
                    error_log("onesession: $what: $status " . ($code === '' ? '(not of the API)' : $code));
                }
                return [$status, $answer, preg_grep('/^Idempotent-Replayed: *true/i', $head) !== []];
            }
            $broken++;
        }
        $this->fail($what, "no answer: $cause");
    }

    private function fail(string $what, string $cause): never
    {
        error_log("onesession: $what: $cause");
        throw new OnesessionRefused(503, []);
    }

    /**
     * [text or null, why it is null, the lines of an answer's head]. PHP tells the cause by several warnings, such as of a
     * certificate, of which error_get_last() has the last one only, and that not always.
     */
    private function read(string $file, mixed $context = null): array
    {
        $causes = [];
        set_error_handler(function (int $level, string $text) use (&$causes): bool {
            $causes[] = preg_replace(['/^file_get_contents\([^)]*\): /', '/\s+/'], ['', ' '], $text);
            return true;
        });
        try {
            $text = file_get_contents($file, false, $context);
        } finally {
            restore_error_handler();
        }
        $cause = implode('; ', $causes) ?: 'PHP gives no cause';
        return [$text === false ? null : $text, $cause, $http_response_header ?? []];
    }
}
