<?php
/* Of onesession: php artisan vendor:publish --tag=onesession-config copies this file into the application's config/. */

return [
    /* As this machine reaches it: https://shop.example/session/api. */
    'api' => env('ONESESSION_API'),

    /* Of a token with the scopes sessions and users, for the application alone to read. */
    'token_file' => env('ONESESSION_TOKEN_FILE'),

    /* session.cookie_name of onesession's. */
    'cookie_name' => env('ONESESSION_COOKIE_NAME', 'onesession'),

    /* The attribute of a user that a new account is called by, such as username; null: user-17, by the number. */
    'name' => null,

    /* The field of the sign-in's form beside which a refusal is shown. */
    'field' => 'email',
];
