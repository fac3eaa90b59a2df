<?php
/* Laravel's guard, whose sign-ins and sign-outs are those of onesession, too. */

namespace Onesession\Laravel;

use Illuminate\Auth\SessionGuard;
use Illuminate\Contracts\Auth\Authenticatable;
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
        $this->enter($user, $this->field, $this->request->boolean('take_over'));
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
     * When a new password is saved: the user's sessions end everywhere, and the browser at hand gets a new one if it is that
     * user's. Throws SignInRefused where onesession has not done it.
     */
    public function passwordChanged(Authenticatable $user): void
    {
        $own = $this->user();
        try {
            $this->live->passwordChanged($user);
        } catch (OnesessionRefused $refused) {
            throw SignInRefused::by($refused, 'password');
        }
        if ($own !== null && $own->getAuthIdentifier() === $user->getAuthIdentifier()) {
            $this->enter($user, 'password');
        }
    }

    /** By the cookie to be remembered by: a login under the rule, or who is live anyway. Else it is forgotten. */
    protected function userFromRecaller($recaller)
    {
        if ($this->recallAttempted) {
            return null;
        }
        $user = $this->live->mayRemember($this->request) ? parent::userFromRecaller($recaller) : null;
        try {
            if ($user !== null && $this->isSignedInAs($user)) {
                return $user;
            }
            $isForgotten = true;
        } catch (OnesessionRefused $refused) {
            $isForgotten = $refused->status !== 503;
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
        $this->give($this->live->enter($this->request, $this->session, $user, ['fresh' => false]));
        return true;
    }

    private function enter(Authenticatable $user, string $field, bool $takeOver = false): void
    {
        try {
            $this->give($this->live->enter($this->request, $this->session, $user, ['take_over' => $takeOver]));
        } catch (OnesessionRefused $refused) {
            throw SignInRefused::by($refused, $field);
        }
    }

    private function give(array $cookies): void
    {
        foreach ($cookies as $cookie) {
            $this->getCookieJar()->queue($cookie);
        }
    }

    private function leave(): void
    {
        $this->user();
        $this->live->leave($this->session);
    }
}
