-- What wrk sends. Arguments, behind the URL:
--   cookies FILE     each request with one of the cookies in FILE, a line each, at random
--   sessions N       each with one of the session cookies 1 to N, at random; bench.py's token() makes the same ones
--   nothing          without a cookie
--   titles N SESSIONS   each for one of the pages 1 to N below the URL's path, with one of the session cookies, at random
--   logins FIRST N PASSWORD   sign-ins to the accounts FIRST to FIRST + N - 1, one after the other
--   calls FILE TOKEN   POST of one of the JSON bodies in FILE, a line each, one after the other, with Authorization: Bearer TOKEN
-- The results are printed as one line of JSON.

local threads = {}
local prepared, before, after, count = {}, nil, nil, 0
local first, next_login = 0, 0

function setup(thread)
	table.insert(threads, thread)
	thread:set("number", #threads)
end

local function with(more, body)
	local headers = {}

	for name, value in pairs(wrk.headers) do
		headers[name] = value
	end
	for name, value in pairs(more) do
		headers[name] = value
	end
	return wrk.format(body and "POST" or "GET", nil, headers, body)
end

local make = {}

function make.nothing()
	prepared[1] = with({})
	return function() return prepared[1] end
end

function make.cookies(args)
	for line in io.lines(args[2]) do
		table.insert(prepared, with({Cookie = line}))
	end
	return function() return prepared[math.random(#prepared)] end
end

function make.sessions(args)
	local whole = with({Cookie = "onesession=" .. string.rep("A", 35) .. "@"})
	local at = string.find(whole, "@", 1, true)

	before, after, count = string.sub(whole, 1, at - 1), string.sub(whole, at + 1), tonumber(args[2])
	return function() return before .. string.format("%08d", math.random(count)) .. after end
end

function make.titles(args)
	local whole = wrk.format("GET", wrk.path .. "%d", {Host = wrk.headers.Host,
		Cookie = "onesession=" .. string.rep("A", 35) .. "%08d"})
	local titles, sessions = tonumber(args[2]), tonumber(args[3])

	return function() return string.format(whole, math.random(titles), math.random(sessions)) end
end

function make.logins(args)
	local format = '{"username":"u%d","password":"' .. args[4] .. '"}'

	first, count = tonumber(args[2]), tonumber(args[3])
	-- Each run begins with another account.
	next_login = math.random(count)
	statuses = {}
	function response(status)
		statuses[status] = (statuses[status] or 0) + 1
		counts = ""
		for code, times in pairs(statuses) do
			counts = counts .. code .. " " .. times .. " "
		end
	end
	return function()
		next_login = (next_login + 1) % count
		return with({["Content-Type"] = "application/json", Accept = "application/json"},
			string.format(format, first + next_login))
	end
end

function make.calls(args)
	local headers = {["Content-Type"] = "application/json", Authorization = "Bearer " .. args[3]}

	for line in io.lines(args[2]) do
		table.insert(prepared, with(headers, line))
	end
	-- Each run begins with another one.
	next_login = math.random(#prepared)
	return function()
		next_login = next_login % #prepared + 1
		return prepared[next_login]
	end
end

function init(args)
	math.randomseed(os.time() * 64 + number)
	request = make[args[1]](args)
end

function done(summary, latency)
	local totals = {}

	for _, thread in ipairs(threads) do
		for code, times in string.gmatch(thread:get("counts") or "", "(%d+) (%d+)") do
			totals[code] = (totals[code] or 0) + tonumber(times)
		end
	end
	local parts = {}
	for code, times in pairs(totals) do
		table.insert(parts, string.format('"%s": %d', code, times))
	end
	local errors = summary.errors
	print(string.format(
		'{"seconds": %.6f, "requests": %d, "p50": %.3f, "p90": %.3f, "p99": %.3f, "max": %.3f, "bad_status": %d, ' ..
		'"socket_errors": %d, "statuses": {%s}}',
		summary.duration / 1e6, summary.requests, latency:percentile(50) / 1e3, latency:percentile(90) / 1e3,
		latency:percentile(99) / 1e3, latency.max / 1e3, errors.status,
		errors.connect + errors.read + errors.write + errors.timeout, table.concat(parts, ", ")))
end
