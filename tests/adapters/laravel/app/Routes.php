<?php
/* The skeleton's RouteServiceProvider. */

namespace App;

use Illuminate\Foundation\Support\Providers\RouteServiceProvider;
use Illuminate\Support\Facades\Route;

class Routes extends RouteServiceProvider
{
    public function boot()
    {
        $this->routes(fn () => Route::middleware('web')->group($this->app->basePath('routes.php')));
    }
}
