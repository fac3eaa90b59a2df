<!doctype html>
<title>Sign in</title>
<form method="post">
@csrf
<input name="email" value="{{ old('email') }}">@error('email')<p class="error">{{ $message }}</p>@enderror
<input name="password" type="password">
<label><input type="checkbox" name="remember" value="1"> Remember me</label>
@error('take_over')<label><input type="checkbox" name="take_over" value="1"> {{ $message }}</label>@enderror
<button>Sign in</button>
</form>
