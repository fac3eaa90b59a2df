<?php
/* Laravel's guard, whose sign-ins and sign-outs are those of onesession, too. */

namespace Onesession\Laravel;

use Illuminate\Auth\SessionGuard;
use Illuminate\Contracts\Auth\Authenticatable;
use Illuminate\Database\Eloquent\Model;
use OnesessionRefused;

class Guard extends SessionGuard
{
    private LiveSession $live;
    private string $field;

    /** $field: of the sign-in's form, beside which a refusal is shown. */
    public function follow(LiveSession $live, string $field): static
    {
        $this->live = $live;
        $this->field = $field;
        return $this;
    }

    /** Where Laravel's session has who is signed in: as of Laravel's own guard, in whose place this one is. */
    public static function keyOf(string $guard): string
    {
        return "login_{$guard}_" . sha1(SessionGuard::class);
    }

    public function getName()
    {
        return self::keyOf($this->name);
    }

    public function getRecallerName()
    {
        return "remember_{$this->name}_" . sha1(SessionGuard::class);
    }

    /* The session has been looked at when it began, if by our StartSession and not by one of the application's own. */
    public function user()
    {
        if ($this->user === null && !$this->loggedOut) {
            $this->live->look($this->request, $this->session);
        }
        return parent::user();
    }

    /** Throws SignInRefused: then nothing has changed here, and no cookie is sent to be remembered by. */
    public function login(Authenticatable $user, $remember = false)
    {
        $this->enter($user, $this->field, $this->isToTakeOver());
        parent::login($user, $remember);
    }

    public function logout()
    {
        $this->leave();
        parent::logout();
    }

    public function logoutCurrentDevice()
    {
        $this->leave();
        parent::logoutCurrentDevice();
    }

    /**
     * When a new password is saved: the user's sessions end everywhere, and nobody is remembered; the browser at hand gets a
     * new session, and is remembered if it was, if it is that user's. Throws SignInRefused where onesession has not done it.
     */
    public function passwordChanged(Authenticatable $user): void
    {
        $own = $this->user();
        $isOwn = $own !== null && $own->getAuthIdentifier() === $user->getAuthIdentifier();
        $isRemembered = $this->recaller() !== null || $this->getCookieJar()->hasQueued($this->getRecallerName());
        $this->forgetEverywhere($user);
        if ($isOwn && $isRemembered) {
            $this->queueRecallerCookie($user);
        }
        try {
            $this->live->passwordChanged($user);
        } catch (OnesessionRefused $refused) {
            throw SignInRefused::by($refused, 'password');
        }
        if ($isOwn) {
            $this->enter($user, 'password');
        }
    }

    /** Whether it is one of this guard's, and not somebody of the same number in another table. */
    public function knows(Authenticatable $user): bool
    {
        $own = $this->provider->retrieveById($user->getAuthIdentifier());
        if ($own instanceof Model && $user instanceof Model) {
            return $own->getTable() === $user->getTable();
        }
        return $own !== null && $own::class === $user::class;
    }

    /**
     * By the cookie to be remembered by: a login under the rule, or who is live anyway. It is forgotten where the web server
     * says that it may not serve, or onesession that the account is closed; and not by one of several requests at once that
     * another one has outrun.
     */
    protected function userFromRecaller($recaller)
    {
        if ($this->recallAttempted || !$this->live->wasAsked($this->request)) {
            return null;
        }
        $user = $this->live->mayRemember($this->request) ? parent::userFromRecaller($recaller) : null;
        $isForgotten = !$this->live->mayRemember($this->request);
        try {
            if ($user !== null && $this->isSignedInAs($user)) {
                return $user;
            }
            $isForgotten = $isForgotten || $this->live->isLive($this->request);
        } catch (OnesessionRefused $refused) {
            $isForgotten = $refused->status === 403;
        }
        if ($isForgotten) {
            $this->getCookieJar()->queue($this->getCookieJar()->forget($this->getRecallerName()));
        }
        $this->viaRemember = false;
        return null;
    }

    private function isSignedInAs(Authenticatable $user): bool
    {
        if ($this->live->isLive($this->request)) {
            return $this->live->isLiveAs($this->request, $this->session, $user);
        }
        /* What a browser asks for at once, such as its tabs when it is opened again, has the same cookie. */
        if ($this->signIn($user, ['fresh' => false], $this->recaller()->token())) {
            $this->queueRecallerCookie($user);
        }
        return true;
    }

    private function enter(Authenticatable $user, string $field, bool $takeOver = false): void
    {
        try {
            $this->signIn($user, ['take_over' => $takeOver]);
        } catch (OnesessionRefused $refused) {
            throw SignInRefused::by($refused, $field);
        }
    }

    /**
     * Whether it has displaced somebody, who is not to come back by being remembered: then nobody is by the cookies that
     * there are. $more: of POST /api/sessions. $once: as of Onesession::login().
     */
    private function signIn(Authenticatable $user, array $more, ?string $once = null): bool
    {
        $answer = $this->live->enter($this->request, $this->session, $user, $more, $once);
        foreach ($answer['cookies'] as $cookie) {
            $this->getCookieJar()->queue($cookie);
        }
        if ($answer['displaced'] !== []) {
            $this->forgetEverywhere($user);
        }
        return $answer['displaced'] !== [];
    }

    /** As Laravel's own sign-out does it. */
    private function forgetEverywhere(Authenticatable $user): void
    {
        if (!empty($user->getRememberToken())) {
            $this->cycleRememberToken($user);
        }
    }

    /** By a form that was sent: a link that somebody was given has no say in that. */
    private function isToTakeOver(): bool
    {
        $isSent = !in_array($this->request->getRealMethod(), ['GET', 'HEAD'], true);
        return $isSent && filter_var($this->request->post('take_over'), FILTER_VALIDATE_BOOLEAN);
    }

    private function leave(): void
    {
        $this->user();
        $this->live->leave($this->session);
    }
}
