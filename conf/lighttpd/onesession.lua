-- What lighttpd's own configuration cannot do, for mod_magnet: see onesession.conf, which names this file. It is run
-- for each request before the guard is asked, and once more when the guard has let it in.

local request = lighty.r

-- One view of the address: lighttpd compares it without dot segments and with its escapes taken off, and an application
-- gets it as the client wrote it. What the two could read differently is refused before anybody decides: dot segments,
-- empty ones, backslashes, fragments; escapes for dots, slashes, backslashes or control characters; escapes that are
-- themselves escaped, and those that are none; and whatever lighttpd has read in another way than we.
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

-- By HTTP/2 (h2c) requests would go past the guard, which is asked once for each connection.
local upgrade = request.req_header["Upgrade"]

if upgrade and upgrade:lower() ~= "websocket" then
	request.req_header["Upgrade"] = ""
end

-- A client can send header fields that say who is signed in. lighttpd makes an underscore of any character in a name
-- that is no letter and no digit, and so do some applications, so that "Remote.User" is the same to them: all such go.
local ours = { remote_user = true, remote_user_id = true, session_id = true, session_reason = true }
local alike = {}

for name in pairs(request.req_header) do
	if ours[name:lower():gsub("%W", "_")] then
		alike[#alike + 1] = name
	end
end
for _, name in ipairs(alike) do
	request.req_header[name] = ""
end

-- The session's key is not the application's business: it would have to be kept out of its logs, too. What it gets is
-- the client's cookies without ours: key and device cookie, each as often as it is there.
-- Yours: "onesession" is session.cookie_name. "session" is what it was until 0.1; one with anything but 43 characters
-- in it is an application's own.
-- lighttpd does everything in one thread, and a pattern that went back and forth over a long cookie would hold up all
-- of it: each of these reads it once.
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

-- The guard asks with the key, and SESSION_ID is what it has let in.
local is_open = request.req_env["ONESESSION_OPEN"]
local cookie = request.req_header["Cookie"]

if cookie and (is_open or request.req_env["SESSION_ID"]) then
	local others = {}

	for pair in cookie:gmatch("[^;]+") do
		if pair:find("%S") and not is_ours(pair) then
			others[#others + 1] = pair:gsub("^%s+", "")
		end
	end
	request.req_header["Cookie"] = table.concat(others, "; ")
end
