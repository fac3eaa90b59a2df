-- What the places of your site need beside a session, for mod_magnet: see onesession.conf, which names this file.
--
-- The address is the one that the client asked for, with its escapes decoded, whatever its case. A place holds for what
-- begins with its address, and goes on with no letter, digit or underscore: "/premium" for /premium, /premium/x,
-- /premium;x and /premium.html alike. The last one that fits counts.
--
-- Terms, separated by spaces, which all have to hold: see "Places that require more" in onesession(7). One that is not
-- understood refuses everybody. A client cannot set any of this.
local places = {
	{ "/", "live" },
	-- Yours.
	--{ "/premium", "plan=gold|platinum" },
	--{ "/staff", "group=staff|editors verified" },
	--{ "/settings", "fresh=10m" },
	-- Open to everybody: the application is told who it is, if somebody is signed in.
	--{ "/forum", "optional" },
}

local path = lighty.r.req_attr["uri.path"]:lower()

for _, place in ipairs(places) do
	local address = place[1]:lower():gsub("/$", "")

	if path:sub(1, #address) == address and not path:find("^[%w_]", #address + 1) then
		lighty.r.req_env["ONESESSION_REQUIRE"] = place[2]
	end
end
