<?php
/* What the skeleton's kernel has, for pages. */

namespace App;

use Illuminate\Foundation\Http\Kernel;

class HttpKernel extends Kernel
{
    protected $middlewareGroups = ['web' => [
        \Illuminate\Cookie\Middleware\EncryptCookies::class,
        \Illuminate\Cookie\Middleware\AddQueuedCookiesToResponse::class,
        \Illuminate\Session\Middleware\StartSession::class,
        \Illuminate\Session\Middleware\AuthenticateSession::class,
        \Illuminate\View\Middleware\ShareErrorsFromSession::class,
        \Illuminate\Foundation\Http\Middleware\VerifyCsrfToken::class,
        \Illuminate\Routing\Middleware\SubstituteBindings::class,
    ]];

    protected $routeMiddleware = self::ALIASES;
    protected $middlewareAliases = self::ALIASES;

    private const ALIASES = [
        'auth' => Authenticate::class,
        'guest' => Guest::class,
        'password.confirm' => \Illuminate\Auth\Middleware\RequirePassword::class,
    ];
}
