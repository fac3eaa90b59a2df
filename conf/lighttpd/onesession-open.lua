-- For what is open to everyone: nobody asks about it, so onesession.lua, which follows, need not wait for an answer.
lighty.r.req_env["ONESESSION_OPEN"] = "1"
