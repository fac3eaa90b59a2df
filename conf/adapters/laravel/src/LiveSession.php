<?php
/* What onesession says of a request's session, and what it is told of sign-ins and sign-outs. */

namespace Onesession\Laravel;

use Illuminate\Contracts\Auth\Authenticatable;
use Illuminate\Contracts\Session\Session;
use Illuminate\Http\Request;
use Normalizer;
use Onesession;
use OnesessionRefused;
use Symfony\Component\HttpFoundation\Cookie;
use Throwable;

class LiveSession
{
    /** Where the id of onesession's session is in Laravel's. */
    private const KEY = 'onesession';
    /** Why nobody is live, where a cookie to be remembered by may sign in: what has ended was not ended by anybody. */
    private const REASONS_TO_REMEMBER = ['unauthenticated', 'expired', 'idle'];

    /**
     * $guard: the name of the guard that goes by onesession; null where there is none. $isConsole: whether there is no
     * request of a browser, but a command, or a job.
     */
    public function __construct(
        private readonly Onesession $client,
        private readonly ?string $guard,
        private readonly ?string $nameAttribute,
        private readonly bool $isConsole
    ) {
    }

    /** Of onesession's session; '' where nobody is live, or the web server has not asked. */
    private function id(Request $request): string
    {
        return Onesession::field('SESSION_ID', $request->server->all());
    }

    /** The code why nobody is live; '' where somebody is, or the web server has not asked. */
    public function reason(Request $request): string
    {
        return Onesession::field('SESSION_REASON', $request->server->all());
    }

    /** Whether the web server has asked. */
    public function wasAsked(Request $request): bool
    {
        return $this->id($request) !== '' || $this->reason($request) !== '';
    }

    /**
     * Who is nobody to the web server, or somebody else, is nobody here. The session is a new one for that, and the former
     * stays as it is, for it may be somebody's elsewhere.
     */
    public function look(Request $request, Session $session): void
    {
        $live = $this->id($request);
        $own = $session->get(self::KEY);
        $isSignedIn = $own !== null || ($this->guard !== null && $session->has(Guard::keyOf($this->guard)));
        /* The one before is that of a request which was under way when the person gave the password again. */
        $isOwn = $live !== '' && in_array($live, [$own['id'] ?? '', $own['before'] ?? ''], true);
        if ($this->wasAsked($request) && $isSignedIn && !$isOwn) {
            $session->migrate();
            $session->flush();
            $session->regenerateToken();
        }
    }

    /**
     * A login under the rule. Returns the browser's cookies, and the sessions that it has displaced; without a browser it is
     * none. Throws OnesessionRefused. $more: of POST /api/sessions. $once: as of Onesession::login().
     */
    public function enter(
        Request $request,
        Session $session,
        Authenticatable $user,
        array $more,
        ?string $once = null
    ): array {
        if ($this->isConsole) {
            return ['cookies' => [], 'displaced' => []];
        }
        $browser = $more + $this->client->browser($request->server->all(), $request->cookies->all());
        $account = ['external_id' => (string) $user->getAuthIdentifier()];
        $refused = null;
        foreach (array_unique([$this->nameOf($user), self::ownName($user)]) as $name) {
            try {
                return self::call(function () use ($session, $name, $browser, $account, $once) {
                    $answer = $this->client->login($name, $browser, $account, $once);
                    $cookies = array_map([Cookie::class, 'fromString'], $answer['cookies']);
                    $this->keep($session, $answer['session']['id'], $answer['user']['id']);
                    /* Of one that is answered again the first has taken note. */
                    return ['cookies' => $cookies, 'displaced' => $answer['replayed'] ? [] : $answer['displaced']];
                });
            } catch (OnesessionRefused $refused) {
                /* That name is somebody else's, or there cannot be one like it. */
                if (!in_array($refused->problem['code'] ?? '', ['duplicate', 'bad_request', 'not_found'], true)) {
                    break;
                }
            }
        }
        throw $refused;
    }

    /** By a cookie to be remembered by: whether that may sign in at all. */
    public function mayRemember(Request $request): bool
    {
        return $this->id($request) !== '' || in_array($this->reason($request), self::REASONS_TO_REMEMBER, true);
    }

    public function isLive(Request $request): bool
    {
        return $this->id($request) !== '';
    }

    /** Whether who is remembered is live, so that it needs no login. Throws OnesessionRefused. */
    public function isLiveAs(Request $request, Session $session, Authenticatable $user): bool
    {
        $name = Onesession::field('REMOTE_USER', $request->server->all());
        foreach ($this->accountsOf($user) as $account) {
            if ($account['username'] === $name) {
                $this->keep($session, $this->id($request), $account['id']);
                return true;
            }
        }
        return false;
    }

    /** Before the application's own sign-out, which goes on where onesession does not answer. */
    public function leave(Session $session): void
    {
        $id = $session->pull(self::KEY)['id'] ?? null;
        try {
            if ($id !== null) {
                self::call(fn () => $this->client->leave($id));
            }
        } catch (OnesessionRefused) {
            /* That has been logged; the session ends by itself. */
        }
    }

    /** The new password is saved: the account's sessions end everywhere. Throws OnesessionRefused. */
    public function passwordChanged(Authenticatable $user): void
    {
        foreach ($this->accountsOf($user) as $account) {
            $this->ask('DELETE', '/users/' . rawurlencode($account['username']) . '/sessions?reason=password_changed', 'ended');
        }
    }

    private function accountsOf(Authenticatable $user): array
    {
        $accounts = $this->ask('GET', '/users?external_id=' . rawurlencode((string) $user->getAuthIdentifier()), 'users');
        return is_array($accounts) ? $accounts : throw new OnesessionRefused(503, []);
    }

    /** What the answer has by that name. One without it is not the API's, but a page that stands in its place. */
    private function ask(string $method, string $path, string $name): mixed
    {
        [$status, $answer] = self::call(fn () => $this->client->call($method, $path));
        return $status === 200 && isset($answer[$name]) ? $answer[$name] : throw new OnesessionRefused(503, $answer);
    }

    /** Whatever is thrown, such as that the token's file cannot be read, is no answer. */
    private static function call(callable $calls): mixed
    {
        try {
            return $calls();
        } catch (OnesessionRefused $refused) {
            throw $refused;
        } catch (Throwable $error) {
            report($error);
            throw new OnesessionRefused(503, []);
        }
    }

    private function keep(Session $session, string $id, string|int $account): void
    {
        ['id' => $before, 'of' => $of] = $session->get(self::KEY, ['id' => '', 'of' => null]);
        $session->put(self::KEY, ['id' => $id, 'of' => $account, 'before' => $of === $account ? $before : '']);
    }

    /** A name that no other user of this application can have: see nameOf(). */
    private static function ownName(Authenticatable $user): string
    {
        return 'user-' . $user->getAuthIdentifier();
    }

    /**
     * What onesession calls an account: names there have no @ and no slash. Those like ownName() are for it alone, also with
     * something before it that onesession does not look at, such as spaces and what nobody sees.
     */
    private function nameOf(Authenticatable $user): string
    {
        $name = $this->nameAttribute === null ? '' : (string) $user->{$this->nameAttribute};
        $isLikeOwn = stripos((string) Normalizer::normalize($name, Normalizer::FORM_KC), 'user-') !== false;
        return $name === '' || $isLikeOwn || strpbrk($name, '@/') !== false ? self::ownName($user) : $name;
    }
}
