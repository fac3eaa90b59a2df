<?php
/* The skeleton's RedirectIfAuthenticated: who is signed in has no business at the sign-in. */

namespace App;

use Closure;
use Illuminate\Support\Facades\Auth;

class Guest
{
    public function handle($request, Closure $next)
    {
        return Auth::check() ? redirect('/members/') : $next($request);
    }
}
