<?php
/* onesession for Laravel: one account, one live session, in front of an application that has its own login. See README.md. */

namespace Onesession\Laravel;

use Illuminate\Auth\Events\OtherDeviceLogout;
use Illuminate\Auth\Events\PasswordReset;
use Illuminate\Auth\SessionGuard;
use Illuminate\Contracts\Cache\Factory as CacheFactory;
use Illuminate\Contracts\Foundation\Application;
use Illuminate\Cookie\Middleware\EncryptCookies;
use Illuminate\Session\Middleware\StartSession as LaravelsStartSession;
use Illuminate\Session\SessionManager;
use Illuminate\Support\ServiceProvider;
use LogicException;
use Onesession;
use ReflectionMethod;

class OnesessionServiceProvider extends ServiceProvider
{
    private const CONFIG = __DIR__ . '/../config/onesession.php';

    public function register()
    {
        $this->mergeConfigFrom(self::CONFIG, 'onesession');
        $this->app->singleton(LiveSession::class, function (Application $app) {
            $config = $app['config']['onesession'];
            [$api, $tokenFile] = [(string) $config['api'], (string) $config['token_file']];
            $client = new Onesession($api, $tokenFile, cookieName: $config['cookie_name']);
            return new LiveSession($client, self::guard($app), $config['name'], $app->runningInConsole());
        });
        $this->app->singleton(LaravelsStartSession::class, function (Application $app) {
            $middleware = new StartSession($app->make(SessionManager::class), fn () => $app->make(CacheFactory::class));
            return $middleware->follow($app->make(LiveSession::class));
        });
    }

    public function boot()
    {
        $this->publishes([self::CONFIG => $this->app->configPath('onesession.php')], 'onesession-config');
        /* Laravel 13 makes an anonymous function one of AuthManager's. */
        $this->app['auth']->extend('onesession', $this->makeGuard(...));
        $this->app['events']->listen([PasswordReset::class, OtherDeviceLogout::class], function ($event) {
            $name = self::guard($this->app);
            $guard = $name === null ? null : $this->app['auth']->guard($name);
            $isOfGuard = $event instanceof OtherDeviceLogout ? $event->guard === $name : $guard?->knows($event->user);
            if ($guard !== null && $isOfGuard) {
                $guard->passwordChanged($event->user);
            }
        });
        $this->app->resolving(EncryptCookies::class, function ($middleware) {
            $name = $this->app['config']['onesession.cookie_name'];
            $middleware->disableFor([$name, "__Host-$name", "{$name}_device", "__Secure-{$name}_device"]);
        });
    }

    /** The name of the guard that goes by onesession. Of two, number 17 would be two people's. */
    private static function guard(Application $app): ?string
    {
        $names = array_keys(array_filter(
            $app['config']['auth.guards'],
            fn ($guard) => ($guard['driver'] ?? null) === 'onesession'
        ));
        if (count($names) > 1) {
            throw new LogicException('config/auth.php: only one guard can have the driver onesession');
        }
        return $names[0] ?? null;
    }

    /** As AuthManager makes its own, whose constructor takes more with each version. */
    private function makeGuard(Application $app, string $name, array $config): Guard
    {
        $known = array_column((new ReflectionMethod(SessionGuard::class, '__construct'))->getParameters(), null, 'name');
        $options = array_intersect_key([
            'rehashOnLogin' => $app['config']->get('hashing.rehash_on_login', true),
            'timeboxDuration' => $app['config']->get('auth.timebox_duration', 200000),
            'hashKey' => $app['config']->get('app.key'),
        ], $known);
        $provider = $app['auth']->createUserProvider($config['provider'] ?? null);
        $guard = new Guard($name, $provider, $app['session.store'], ...$options);
        $guard->setCookieJar($app['cookie']);
        $guard->setDispatcher($app['events']);
        $guard->setRequest($app->refresh('request', $guard, 'setRequest'));
        if (isset($config['remember'])) {
            $guard->setRememberDuration($config['remember']);
        }
        return $guard->follow($app->make(LiveSession::class), $app['config']['onesession.field']);
    }
}
