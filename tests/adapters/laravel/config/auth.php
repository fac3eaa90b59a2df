<?php

return [
    'defaults' => ['guard' => 'web', 'passwords' => 'users'],
    'guards' => ['web' => ['driver' => 'onesession', 'provider' => 'users']],
    'providers' => ['users' => ['driver' => 'eloquent', 'model' => App\User::class]],
    'password_timeout' => 10800,
];
