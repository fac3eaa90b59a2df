-- For open locations: they have no guard, so onesession.lua, which follows, need not wait for its answer.
lighty.r.req_env["ONESESSION_OPEN"] = "1"
