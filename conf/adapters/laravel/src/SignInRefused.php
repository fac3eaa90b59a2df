<?php
/* A login that onesession has refused, which forms show as they show a wrong password. */

namespace Onesession\Laravel;

use Illuminate\Validation\ValidationException;
use OnesessionRefused;

class SignInRefused extends ValidationException
{
    /** What the API has said: "code", "detail", ... */
    public array $problem = [];

    /** Where the form may be sent again with take_over, that is an error, too: the form's tick stands beside it. */
    public static function by(OnesessionRefused $refused, string $field): static
    {
        $messages = [$field => __($refused->getMessage())];
        if (isset($refused->problem['ticket'])) {
            $messages['take_over'] = __('Sign out elsewhere');
        }
        $exception = static::withMessages($messages)->status($refused->status);
        $exception->problem = $refused->problem;
        return $exception;
    }
}
