-- State of the policy on limits, sharing and failed logins, and session data of anonymous browsers.

CREATE TABLE takeovers (
    user_id        bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    count          bigint NOT NULL,
    began_at       timestamptz NOT NULL,
    last_at        timestamptz NOT NULL,
    shared_at      timestamptz,
    cooldown_until timestamptz
);
COMMENT ON TABLE takeovers IS 'How often logins from another device displaced a session of each account recently; changed under the account''s lock';
COMMENT ON COLUMN takeovers.user_id IS 'The account';
COMMENT ON COLUMN takeovers.count IS 'Logins that displaced a session, since began_at';
COMMENT ON COLUMN takeovers.began_at IS 'When the window of sharing.window began: at its first takeover';
COMMENT ON COLUMN takeovers.last_at IS 'When the last takeover was';
COMMENT ON COLUMN takeovers.shared_at IS 'When account_shared was last sent: once in a window';
COMMENT ON COLUMN takeovers.cooldown_until IS 'Until then a login from another device displaces no session (sharing.action = cooldown)';

CREATE TABLE login_tickets (
    user_id    bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    ticket_key bytea NOT NULL UNIQUE CHECK (length(ticket_key) = 32),
    password   text NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX login_tickets_expires_at ON login_tickets (expires_at);
COMMENT ON TABLE login_tickets IS 'Logins with the right password that wait for the answer whether to sign the other device out (session.on_limit = ask)';
COMMENT ON COLUMN login_tickets.user_id IS 'The account; of two such logins at the same time only the later one can be answered';
COMMENT ON COLUMN login_tickets.ticket_key IS 'SHA-256 of the ticket in the page''s form: the ticket itself is not stored';
COMMENT ON COLUMN login_tickets.password IS 'users.password at that time: once it has changed the ticket is void';
COMMENT ON COLUMN login_tickets.expires_at IS 'When the ticket expires';

CREATE TABLE login_failures (
    kind     text NOT NULL CHECK (kind IN ('account', 'address', 'browser')),
    subject  text NOT NULL,
    count    bigint NOT NULL,
    began_at timestamptz NOT NULL,
    PRIMARY KEY (kind, subject)
);
CREATE INDEX login_failures_began_at ON login_failures (began_at);
COMMENT ON TABLE login_failures IS 'Failed logins of each account, address and known browser, over login.attempts_window';
COMMENT ON COLUMN login_failures.kind IS 'What the failures are counted by';
COMMENT ON COLUMN login_failures.subject IS 'account: SHA-256 of the name that was entered, whether or not an account has it, for users type passwords into that field; address: an IPv4 one, or the /64 of an IPv6 one; browser: SHA-256 of account and known_browsers.browser_key';
COMMENT ON COLUMN login_failures.count IS 'Failures since began_at';
COMMENT ON COLUMN login_failures.began_at IS 'When the window began: at its first failure';

CREATE TABLE known_browsers (
    user_id     bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    browser_key bytea NOT NULL CHECK (length(browser_key) = 32),
    seen_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, browser_key)
);
CREATE INDEX known_browsers_browser_key ON known_browsers (browser_key);
CREATE INDEX known_browsers_seen_at ON known_browsers (seen_at);
COMMENT ON TABLE known_browsers IS 'Browsers that were signed in to an account before: failed logins from other browsers do not block them';
COMMENT ON COLUMN known_browsers.user_id IS 'The account; only its latest few browsers are kept';
COMMENT ON COLUMN known_browsers.browser_key IS 'SHA-256 of the device cookie''s 43 characters, which change at each login';
COMMENT ON COLUMN known_browsers.seen_at IS 'Its last login to the account';

CREATE TABLE anonymous_sessions (
    session_key bytea PRIMARY KEY CHECK (length(session_key) = 32),
    data        jsonb NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL
);
CREATE INDEX anonymous_sessions_expires_at ON anonymous_sessions (expires_at);
COMMENT ON TABLE anonymous_sessions IS 'Session data of browsers that are not signed in; carried over at login';
COMMENT ON COLUMN anonymous_sessions.session_key IS 'SHA-256 of the cookie''s 43 characters, as in sessions; it does not authenticate a request';
COMMENT ON COLUMN anonymous_sessions.data IS 'The session data';
COMMENT ON COLUMN anonymous_sessions.created_at IS 'When data was first stored';
COMMENT ON COLUMN anonymous_sessions.expires_at IS 'When the row expires';
