<?php
/* The skeleton's: who is not signed in is led to the sign-in. */

namespace App;

use Illuminate\Auth\Middleware\Authenticate as Middleware;

class Authenticate extends Middleware
{
    protected function redirectTo($request)
    {
        return route('login');
    }
}
