-- What the policy of limits, sharing and guessing needs to remember, and what anonymous browsers keep.

CREATE TABLE takeovers (
    user_id        bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    count          bigint NOT NULL,
    began_at       timestamptz NOT NULL,
    last_at        timestamptz NOT NULL,
    shared_at      timestamptz,
    cooldown_until timestamptz
);
COMMENT ON TABLE takeovers IS 'How often each account was taken over by another device of late; changed under the account''s lock';
COMMENT ON COLUMN takeovers.user_id IS 'The account';
COMMENT ON COLUMN takeovers.count IS 'Logins that displaced a session, since began_at';
COMMENT ON COLUMN takeovers.began_at IS 'When the window of sharing.window began: at its first takeover';
COMMENT ON COLUMN takeovers.last_at IS 'When the last one was';
COMMENT ON COLUMN takeovers.shared_at IS 'When account_shared was last sent: once in a window';
COMMENT ON COLUMN takeovers.cooldown_until IS 'Until then no other device takes over (sharing.action = cooldown)';

CREATE TABLE login_tickets (
    user_id    bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    ticket_key bytea NOT NULL UNIQUE CHECK (length(ticket_key) = 32),
    password   text NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX login_tickets_expires_at ON login_tickets (expires_at);
COMMENT ON TABLE login_tickets IS 'People whose password was right and who are asked whether to sign the other device out (session.on_limit = ask)';
COMMENT ON COLUMN login_tickets.user_id IS 'The account; of two who are asked at the same time the later one can answer';
COMMENT ON COLUMN login_tickets.ticket_key IS 'SHA-256 of what the page holds: the ticket itself is nowhere';
COMMENT ON COLUMN login_tickets.password IS 'users.password as it was: with another one the ticket is void';
COMMENT ON COLUMN login_tickets.expires_at IS 'Until when it can be answered';

CREATE TABLE login_failures (
    kind     text NOT NULL CHECK (kind IN ('account', 'address', 'browser')),
    subject  text NOT NULL,
    count    bigint NOT NULL,
    began_at timestamptz NOT NULL,
    PRIMARY KEY (kind, subject)
);
CREATE INDEX login_failures_began_at ON login_failures (began_at);
COMMENT ON TABLE login_failures IS 'Failed logins of each account, address and known browser, over login.attempts_window';
COMMENT ON COLUMN login_failures.kind IS 'What is counted';
COMMENT ON COLUMN login_failures.subject IS 'account: SHA-256 of the name that was given, nobody''s or not, for people type passwords there; address: the network, an IPv6 one by its /64; browser: SHA-256 of account and known_browsers.browser_key';
COMMENT ON COLUMN login_failures.count IS 'How many, since began_at';
COMMENT ON COLUMN login_failures.began_at IS 'When the window began: at its first failure';

CREATE TABLE known_browsers (
    user_id     bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    browser_key bytea NOT NULL CHECK (length(browser_key) = 32),
    seen_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, browser_key)
);
CREATE INDEX known_browsers_browser_key ON known_browsers (browser_key);
CREATE INDEX known_browsers_seen_at ON known_browsers (seen_at);
COMMENT ON TABLE known_browsers IS 'Browsers that were signed in to an account before: failures of others do not keep them out';
COMMENT ON COLUMN known_browsers.user_id IS 'The account; it has no more than a few, the latest';
COMMENT ON COLUMN known_browsers.browser_key IS 'SHA-256 of the device cookie''s 43 characters, which are another ones after each login';
COMMENT ON COLUMN known_browsers.seen_at IS 'Its last login to the account';

CREATE TABLE anonymous_sessions (
    session_key bytea PRIMARY KEY CHECK (length(session_key) = 32),
    data        jsonb NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL
);
CREATE INDEX anonymous_sessions_expires_at ON anonymous_sessions (expires_at);
COMMENT ON TABLE anonymous_sessions IS 'What the application keeps for browsers that nobody is signed in at; carried over at login';
COMMENT ON COLUMN anonymous_sessions.session_key IS 'SHA-256 of the cookie''s 43 characters, as in sessions; it signs nobody in';
COMMENT ON COLUMN anonymous_sessions.data IS 'What is kept';
COMMENT ON COLUMN anonymous_sessions.created_at IS 'When the first of it was';
COMMENT ON COLUMN anonymous_sessions.expires_at IS 'Until when';
