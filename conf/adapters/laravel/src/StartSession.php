<?php
/* Laravel's session, begun by whom the web server knows: before anything else goes by it, such as a form's token. */

namespace Onesession\Laravel;

use Illuminate\Contracts\Session\Session;
use Illuminate\Http\Request;
use Illuminate\Session\Middleware\StartSession as LaravelsStartSession;

class StartSession extends LaravelsStartSession
{
    private LiveSession $live;

    public function follow(LiveSession $live): static
    {
        $this->live = $live;
        return $this;
    }

    protected function startSession(Request $request, $session)
    {
        $session = parent::startSession($request, $session);
        $this->live->look($request, $session);
        if ($this->live->reason($request) !== '') {
            $this->takeNext($request, $session);
        }
        $referer = $request->headers->get('referer');
        if ($referer !== null) {
            $request->headers->set('referer', self::withoutReason($referer));
        }
        return $session;
    }

    protected function storeCurrentUrl(Request $request, $session)
    {
        parent::storeCurrentUrl($request, $session);
        if ($session->previousUrl() !== null) {
            $session->setPreviousUrl(self::withoutReason($session->previousUrl()));
        }
    }

    /** Who is led to the sign-in gets to the page that they wanted, where the application says intended(). */
    private function takeNext(Request $request, Session $session): void
    {
        $next = $request->query('next');
        /* A path of this site, whatever it looks like, that can stand in a header field as it is. */
        $isPath = is_string($next) && preg_match('#^/[\x21-\x7e]{0,2000}$#D', $next) === 1;
        if ($isPath && $request->isMethod('GET') && $request->query->has('reason')) {
            $session->put('url.intended', $request->getSchemeAndHttpHost() . $next);
        }
    }

    /** back() to the form, for with the reason in its address it would be shown as to a stranger: without what was wrong. */
    private static function withoutReason(string $url): string
    {
        return rtrim(preg_replace('/(?<=[?&])reason=[^&#]*&?/', '', $url), '?&');
    }
}
