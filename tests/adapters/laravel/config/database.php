<?php

return [
    'default' => 'pgsql',
    'connections' => ['pgsql' => [
        'driver' => 'pgsql',
        'host' => env('SITE_DATABASE_HOST'),
        'database' => env('SITE_DATABASE'),
        'username' => env('SITE_ROLE'),
        'password' => '',
        'charset' => 'utf8',
        'prefix' => '',
        'schema' => 'public',
        'search_path' => 'public',
    ]],
    'migrations' => 'migrations',
];
