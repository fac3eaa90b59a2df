-- Checks that lighttpd's own configuration cannot make, for mod_magnet: see onesession.conf, which names this file. It
-- is run for each request before the guard is asked, and once more when the guard has let it pass.

local request = lighty.r

-- One view of the address: lighttpd compares it without dot segments and with its escapes decoded, and an application
-- gets it as the client wrote it. An address that the two could read differently is refused before the guard: dot
-- segments, empty ones, backslashes, fragments; escapes for dots, slashes, backslashes or control characters; escapes
-- that are themselves escaped, and invalid ones; and any address that lighttpd has parsed differently from this script.
local written = request.req_attr["request.orig-uri"]:gsub("^%a+://[^/?#]*", ""):match("^[^?]*")
local read = written:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end)

if written:find("%%2[EFef]") or written:find("#", 1, true) or written:gsub("%%%x%x", ""):find("%%")
	or read:find("%%%x%x") or read:find("[%c\\]") or read:find("/%.?%.?[/;]") or read:find("/%.%.?$")
	or read ~= request.req_attr["uri.path"] then
	return 400
end

-- Where browsers and password managers look for the place to change a password.
if read == "/.well-known/change-password" then
	request.resp_header["Location"] = "/session/account"
	return 303
end

-- HTTP/2 (h2c) requests would bypass the guard, which is asked once for each connection.
local upgrade = request.req_header["Upgrade"]

if upgrade and upgrade:lower() ~= "websocket" then
	request.req_header["Upgrade"] = ""
end

-- A client can send header fields that name an account. lighttpd makes an underscore of any character in a name that is
-- no letter and no digit, and so do some applications, so that "Remote.User" is the same to them: all such are removed.
local ours = {
	remote_user = true, remote_user_id = true, remote_email = true, remote_groups = true, remote_plan = true,
	session_id = true, session_reason = true
}
local alike = {}

-- Set once the guard has let the request pass: who is signed in, or why nobody is.
local is_let_in = request.req_env["SESSION_ID"] or request.req_env["SESSION_REASON"]

-- Then they are from onesession-own-login.lua.
if not is_let_in then
	for name in pairs(request.req_header) do
		if ours[name:lower():gsub("%W", "_")] then
			alike[#alike + 1] = name
		end
	end
end
for _, name in ipairs(alike) do
	request.req_header[name] = ""
end

-- The application does not need the session cookie, and would have to keep it out of its logs. It gets the client's
-- cookies without the daemon's: session and device cookie, each as often as it occurs.
-- Yours: "onesession" is session.cookie_name. "session" was its default until 0.1; one whose value is not 43 characters
-- long is an application's own. lighttpd has one thread, and a pattern that backtracks over a long cookie would block
-- all requests: each of these reads it once.
local function is_ours(pair)
	local equals = pair:find("=", 1, true)

	if not equals then
		return false
	end

	local name = pair:sub(1, equals - 1):gsub("^%s+", "")
	local base = name:gsub("^__Host%-", ""):gsub("^__Secure%-", ""):gsub("_device$", "")
	local former = base == "session" and pair:match("^([%w_-]*)%s*$", equals + 1)

	return base == "onesession" or (former and #former == 43)
end

-- The guard needs the session cookie. A sign-in of the application's own needs it, too: see onesession-own-login.lua.
local is_open = request.req_env["ONESESSION_OPEN"]
local cookie = request.req_header["Cookie"]

if cookie and (is_open or is_let_in) and not request.req_env["ONESESSION_SIGN_IN"] then
	local others = {}

	for pair in cookie:gmatch("[^;]+") do
		if pair:find("%S") and not is_ours(pair) then
			others[#others + 1] = pair:gsub("^%s+", "")
		end
	end
	request.req_header["Cookie"] = table.concat(others, "; ")
end

-- Nor the key that stands in Authorization (session.bearer = on). The guard says so; a token of the application's own
-- stays.
if request.req_env["SESSION_CREDENTIAL"] == "bearer" then
	request.req_header["Authorization"] = ""
end
