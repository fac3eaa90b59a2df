<?php

return [
    'defaults' => ['guard' => 'web', 'passwords' => 'users'],
    'guards' => [
        'web' => ['driver' => 'onesession', 'provider' => 'users'],
        'staff' => ['driver' => 'session', 'provider' => 'staff'],
    ],
    'providers' => [
        'users' => ['driver' => 'eloquent', 'model' => App\User::class],
        'staff' => ['driver' => 'eloquent', 'model' => App\Staff::class],
    ],
    'password_timeout' => 10800,
];
