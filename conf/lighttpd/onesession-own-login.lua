-- For an application that signs people in itself, with mod_magnet: own-login.conf names this file. Like onesession.lua it
-- is run for each request before the guard is asked, and once more when the guard has let it pass.

-- Yours: the application's sign-in, and whatever else people use before they are signed in, or to prove again who they
-- are: its sign-up, mails of forgotten passwords, what identity providers lead back to. These are optional places, too: a
-- pattern should fit these addresses and no others, such as /login-history.
local sign_in = { "^/login/?$" }
-- Yours: the cookies by which the application knows who is signed in; and how the browser forgets them, each of them, or
-- people could not sign in any more: one by which the application signs in anew would be sent with the form.
local names = { "sessionid" } -- { "sessionid", "remember_me" }
local forgotten = { "sessionid=; Path=/; Max-Age=0" } -- { "...", "remember_me=; Path=/; Max-Age=0" }
-- Yours: "onesession" is session.cookie_name. The second is the one by HTTPS, which browsers take by HTTPS only.
local ended = { "onesession=; Path=/; Max-Age=0", "__Host-onesession=; Path=/; Max-Age=0; Secure" }
-- Yours: where people change their password.
local change_password = "/password"

local request = lighty.r
local path = request.req_attr["uri.path"]

if path == "/.well-known/change-password" then
	request.resp_header["Location"] = change_password
	return 303
end

local is_sign_in = false

for _, pattern in ipairs(sign_in) do
	is_sign_in = is_sign_in or path:find(pattern) ~= nil
end

-- The application's sign-in tells the daemon which session, and which browser, it is that signs in anew: it gets the
-- daemon's cookies.
if is_sign_in then
	request.req_env["ONESESSION_REQUIRE"] = "optional"
	request.req_env["ONESESSION_SIGN_IN"] = "1"
end

-- Those that are empty are not set.
local session_id = request.req_env["SESSION_ID"] or ""
local reason = request.req_env["SESSION_REASON"] or ""

-- The guard is still to be asked.
if session_id == "" and reason == "" and not request.req_env["ONESESSION_OPEN"] then
	return 0
end

request.req_header["Remote-User"] = request.req_env["REMOTE_USER"] or ""
request.req_header["Remote-User-Id"] = request.req_env["REMOTE_USER_ID"] or ""
request.req_header["Session-Id"] = session_id
request.req_header["Remote-Email"] = request.req_env["REMOTE_EMAIL"] or ""
request.req_header["Remote-Groups"] = request.req_env["REMOTE_GROUPS"] or ""
request.req_header["Remote-Plan"] = request.req_env["REMOTE_PLAN"] or ""
request.req_header["Session-Reason"] = reason

-- Whether the application gets the request as nobody's: where nobody is live, and the guard was not asked, or says that a
-- session has ended; so a sign-in that redirects those whom it knows shows its form. The form is sent with all cookies. So
-- comes who is unauthenticated, for the application has sessions of nobody's; but not at the sign-in when led there by the
-- guard, which gives the reason.
local method = request.req_attr["request.method"]
local query = request.req_attr["uri.query"] or ""
local has_ended = reason ~= "" and reason ~= "unauthenticated"
local is_at_sign_in = is_sign_in and reason ~= "" and (method == "GET" or method == "HEAD")
local is_led = is_at_sign_in and (has_ended or ("&" .. query):find("&reason=[^&]"))
local is_nobody = session_id == "" and (reason == "" or is_led or (not is_sign_in and has_ended))

if not is_nobody then
	return 0
end

-- Of the others only those pass with nobody that every program reads in the same way: a name of letters, digits, _ and -,
-- a value without spaces, quotes, commas and backslashes (RFC 6265, 4.1.1).
local kept = {}

for pair in (request.req_header["Cookie"] or ""):gmatch("[^;]+") do
	local name, value = pair:match("^[ \t]*([%w_-]+)=([!#-+%-./0-9:<-Z%[%]^-~]*)$")

	for _, ours in ipairs(names) do
		if name and name:lower() == ours:lower() then
			name = nil
		end
	end
	if name then
		kept[#kept + 1] = name .. "=" .. value
	end
end
request.req_header["Cookie"] = table.concat(kept, "; ")

-- Or the form would be sent with them. And the daemon's cookie, whose session has ended, so that from then on nobody in
-- particular is there: the form, and what comes after it, can have a session of the application's. One that the application
-- sets comes after this.
if is_led then
	for _, cookie in ipairs(has_ended and ended or {}) do
		forgotten[#forgotten + 1] = cookie
	end
	request.resp_header["Set-Cookie"] = table.concat(forgotten, "\r\nSet-Cookie: ")
end
