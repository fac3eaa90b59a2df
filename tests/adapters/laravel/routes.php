<?php
/* Pages as an application has them; nothing here knows of onesession but passwordChanged(). */
use Illuminate\Auth\Events\OtherDeviceLogout;
use Illuminate\Auth\Events\PasswordReset;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\Auth;
use Illuminate\Support\Facades\Hash;
use Illuminate\Support\Facades\Route;
use Illuminate\Support\Str;
use Illuminate\Validation\ValidationException;

function page(Request $request)
{
    return ['path' => '/' . $request->path(), 'user' => Auth::user()->name ?? '', 'basket' => session('basket', [])];
}

Route::get('accounts/login', fn () => view('login'))->middleware('guest')->name('login');

Route::post('accounts/login', function (Request $request) {
    $credentials = $request->validate(['email' => 'required', 'password' => 'required']);
    if (!Auth::attempt($credentials, $request->boolean('remember'))) {
        throw ValidationException::withMessages(['email' => 'These credentials do not match our records.']);
    }
    $request->session()->regenerate();
    return redirect()->intended('/members/');
})->middleware('guest');

Route::post('accounts/logout', function (Request $request) {
    Auth::logout();
    $request->session()->invalidate();
    $request->session()->regenerateToken();
    return redirect('/open/');
});

Route::post('accounts/password', function (Request $request) {
    $user = Auth::user();
    $user->update(['password' => Hash::make($request->input('new_password'))]);
    Auth::passwordChanged($user);
    return redirect('/members/');
})->middleware('auth');

Route::post('accounts/others', function (Request $request) {
    Auth::logoutOtherDevices($request->input('password'));
    return redirect('/members/');
})->middleware('auth');

/* By a mail, as the manual of Laravel has it: nobody is signed in. */
Route::post('accounts/reset', function (Request $request) {
    $user = App\User::where('email', $request->input('email'))->firstOrFail();
    $user->forceFill(['password' => Hash::make($request->input('new_password'))])->setRememberToken(Str::random(60));
    $user->save();
    event(new PasswordReset($user));
    return redirect('/accounts/login');
});

Route::post('accounts/confirm', function () {
    Auth::login(Auth::user());
    return redirect('/members/');
})->middleware('auth');

Route::get('open', fn (Request $request) => page($request));
Route::get('open/add', function (Request $request) {
    session()->push('basket', $request->query('thing'));
    return page($request);
});
/* Somebody of another table has a new password: number 1 there, too. */
Route::get('open/staff', function () {
    $staff = (new App\Staff())->forceFill(['id' => 1]);
    event(new PasswordReset($staff));
    event(new OtherDeviceLogout('staff', $staff));
    return response()->noContent();
});
/* About which the web server does not ask. */
Route::get('.well-known/open', fn (Request $request) => page($request));
Route::get('members', fn (Request $request) => page($request))->middleware('auth');
/* For which the web server wants a fresh proof. */
Route::get('fresh', fn (Request $request) => page($request))->middleware('auth');
