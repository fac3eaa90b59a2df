<?php
/* Makes the table of users, and those that SITE_ACCOUNTS has, in its order. */
use Illuminate\Support\Facades\Hash;
use Illuminate\Support\Facades\Schema;

(require __DIR__ . '/app.php')->make(Illuminate\Contracts\Console\Kernel::class)->bootstrap();

Schema::create('users', function ($table) {
    $table->id();
    $table->string('name')->unique();
    $table->string('email')->unique();
    $table->string('password');
    $table->rememberToken();
    $table->timestamps();
});
foreach (json_decode(getenv('SITE_ACCOUNTS'), true) as $name => $password) {
    $email = str_contains($name, '@') ? $name : "$name@shop.example";
    App\User::create(['name' => $name, 'email' => $email, 'password' => Hash::make($password)]);
}
