<?php
/* As a job of a queue, which does something as a user: there is no request. */
use Illuminate\Support\Facades\Auth;

(require __DIR__ . '/app.php')->make(Illuminate\Contracts\Console\Kernel::class)->bootstrap();

Auth::loginUsingId($argv[1]);
echo Auth::user()->name;
Auth::logout();
