-- Accounts have addresses; mails that are to be sent, and what lets the person in who got one; when somebody has last
-- proved who they are.

-- ---- Accounts and their addresses ----

ALTER TABLE users
    ADD COLUMN email             text CHECK (email LIKE '_%@_%' AND length(email) <= 254),
    ADD COLUMN email_key         text COLLATE "C"
                                 GENERATED ALWAYS AS (lower(normalize(email, NFKC) COLLATE "und-x-icu")) STORED UNIQUE,
    ADD COLUMN email_verified_at timestamptz,
    ADD COLUMN delete_at         timestamptz,
    ADD COLUMN notify_new_browser boolean NOT NULL DEFAULT true,
    ADD COLUMN language          text,
    ADD CONSTRAINT users_email_verified CHECK (email IS NOT NULL OR email_verified_at IS NULL);
-- What the purge looks for.
CREATE INDEX users_delete_at ON users (delete_at) WHERE delete_at IS NOT NULL;
COMMENT ON COLUMN users.email IS 'The e-mail address: its local part as it was entered, its domain in lower case and ASCII (IDNA); NULL: none';
COMMENT ON COLUMN users.email_key IS 'The address by which accounts are looked up: NFKC, lower case. Unique, so no two addresses differ in case only';
COMMENT ON COLUMN users.email_verified_at IS 'When it was proved that the address is the person''s, or an operator took it for that; NULL: it was not. Only a verified one signs in and gets mail';
COMMENT ON COLUMN users.delete_at IS 'When the account is deleted for good, as its person has asked for; NULL: it stays';
COMMENT ON COLUMN users.notify_new_browser IS 'Whether its person wants a mail when the account is signed in in a browser that was never here';

COMMENT ON COLUMN users.language IS 'The language of the pages at the last login in a browser that the account knew: that of mails which somebody else may have caused; NULL: not known';

CREATE TABLE signups (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    username   text NOT NULL CHECK (username <> '' AND length(username) <= 150),
    email      text NOT NULL CHECK (email LIKE '_%@_%' AND length(email) <= 254),
    email_key  text COLLATE "C" GENERATED ALWAYS AS (lower(normalize(email, NFKC) COLLATE "und-x-icu")) STORED,
    password   text NOT NULL,
    ip         inet,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX signups_expires_at ON signups (expires_at);
CREATE INDEX signups_email_key ON signups (email_key);
COMMENT ON TABLE signups IS 'Sign-ups whose address was not proved yet: no accounts. Several may have the same name or address; the first that is proved becomes the account';
COMMENT ON COLUMN signups.id IS 'The sign-up''s number';
COMMENT ON COLUMN signups.username IS 'The name that the account is to have';
COMMENT ON COLUMN signups.email IS 'The address that is to be proved, as in users';
COMMENT ON COLUMN signups.email_key IS 'The same as users.email_key';
COMMENT ON COLUMN signups.password IS 'The hash of the password that it is to have, as in users';
COMMENT ON COLUMN signups.ip IS 'The client''s address';
COMMENT ON COLUMN signups.created_at IS 'When it was sent';
COMMENT ON COLUMN signups.expires_at IS 'When it is forgotten, if the address was not proved by then';

COMMENT ON TABLE login_failures IS 'Failed logins of each account, address and known browser, over login.attempts_window; and what else each address has asked for in it, such as a mail';
COMMENT ON COLUMN login_failures.subject IS 'account: SHA-256 of the name that was entered, whether or not an account has it, for users type passwords into that field; address: an IPv4 one, or the /64 of an IPv6 one; network: the /48; browser: SHA-256 of account and known_browsers.browser_key. Of what is no login, before the address: session.forgot';

-- ---- Mails ----

CREATE TABLE mails (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id    uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    module        text NOT NULL CHECK (module <> ''),
    kind          text NOT NULL CHECK (kind <> ''),
    kind_if_taken text CHECK (kind_if_taken <> ''),
    is_notice     boolean NOT NULL DEFAULT false,
    is_taken      boolean NOT NULL DEFAULT false,
    user_id       bigint REFERENCES users ON DELETE CASCADE,
    about_id      bigint,
    login         text,
    recipient     text,
    sent_to       text,
    sent_to_key   text COLLATE "C" GENERATED ALWAYS AS (lower(normalize(sent_to, NFKC) COLLATE "und-x-icu")) STORED,
    language      text NOT NULL DEFAULT '',
    data          jsonb,
    purpose       text,
    lifetime_ms   bigint CHECK (lifetime_ms > 0),
    path          text,
    state         text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'sent', 'limited', 'dead')),
    claim         text NOT NULL DEFAULT '',
    slot_at       timestamptz,
    attempts      integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    created_at    timestamptz NOT NULL DEFAULT now(),
    next_at       timestamptz NOT NULL DEFAULT now(),
    give_up_at    timestamptz NOT NULL DEFAULT now() + interval '2 days',
    ended_at      timestamptz,
    problem       text NOT NULL DEFAULT '',
    CHECK ((purpose IS NULL) = (lifetime_ms IS NULL)),
    CHECK ((state = 'queued') = (ended_at IS NULL))
);
-- What is due; and what has ended, for the purge.
CREATE INDEX mails_next_at ON mails (next_at) WHERE state = 'queued';
CREATE INDEX mails_give_up_at ON mails (give_up_at) WHERE state = 'queued';
CREATE INDEX mails_ended_at ON mails (ended_at) WHERE ended_at IS NOT NULL;
-- How many of a kind somebody has got lately.
CREATE INDEX mails_sent_to_key ON mails (sent_to_key, kind) WHERE sent_to_key IS NOT NULL;
CREATE INDEX mails_user_id ON mails (user_id) WHERE user_id IS NOT NULL;
-- What goes when an account is deleted.
CREATE INDEX mails_about_id ON mails (about_id) WHERE about_id IS NOT NULL;
CREATE INDEX mails_login ON mails ((lower(normalize(login, NFKC) COLLATE "und-x-icu") COLLATE "C"))
    WHERE login IS NOT NULL;
CREATE INDEX mails_recipient ON mails ((lower(normalize(recipient, NFKC) COLLATE "und-x-icu") COLLATE "C"))
    WHERE recipient IS NOT NULL;
-- What was not sent yet, or never: by name or address, when an account is deleted.
CREATE INDEX mails_unsent ON mails (id) WHERE login IS NOT NULL OR recipient IS NOT NULL;
COMMENT ON TABLE mails IS 'Mails: written in the transaction that causes them, sent by the job session.mail. Of one that was sent only who, what and when are left, for session.history';
COMMENT ON COLUMN mails.id IS 'The mail''s number, for operators';
COMMENT ON COLUMN mails.message_id IS 'Of its Message-ID, which is the same each time that it is sent';
COMMENT ON COLUMN mails.module IS 'The module that sends it';
COMMENT ON COLUMN mails.kind IS 'What it is: the name of that module''s pages mail/NAME.txt and mail/NAME.html';
COMMENT ON COLUMN mails.kind_if_taken IS 'What it becomes, without link and code, if another account has its address when it is sent; NULL: that makes no difference, or it has become that';
COMMENT ON COLUMN mails.is_notice IS 'It tells of something that has happened: a newer mail of its purpose is none in its place';
COMMENT ON COLUMN mails.is_taken IS 'It has become kind_if_taken: user_id is the account that has the address, about_id the one that has asked. It has no link and no code, and nobody knows its token';
COMMENT ON COLUMN mails.user_id IS 'The account that it concerns; NULL: none, or not known yet';
COMMENT ON COLUMN mails.about_id IS 'An account that has this address no more, or did not have it yet: users.id, with which it is deleted; NULL: none';
COMMENT ON COLUMN mails.login IS 'Name or address as somebody typed it; whose it is, is found out when the mail is sent. NULL after that';
COMMENT ON COLUMN mails.recipient IS 'The address that it was written to; NULL: the account''s verified one. NULL after it was sent';
COMMENT ON COLUMN mails.sent_to IS 'The address at the last try; NULL: it was not tried yet';
COMMENT ON COLUMN mails.sent_to_key IS 'The same as users.email_key: how many mails it gets is counted by that';
COMMENT ON COLUMN mails.language IS 'The language that it is written in; empty: the first one of the module';
COMMENT ON COLUMN mails.data IS 'What its pages are filled in with; never a secret. NULL after it was sent';
COMMENT ON COLUMN mails.purpose IS 'What its link and code are for; NULL: it has none';
COMMENT ON COLUMN mails.lifetime_ms IS 'How long these live from the moment of sending, in milliseconds';
COMMENT ON COLUMN mails.path IS 'Where its link leads, below the module''s prefix; NULL: it has none';
COMMENT ON COLUMN mails.state IS 'queued; sent; limited: not sent, for the recipient had mail.per_recipient already; dead: given up, see problem';
COMMENT ON COLUMN mails.claim IS 'While it is being sent: a random number of the process that does it; it is another''s when next_at is past. Else empty';
COMMENT ON COLUMN mails.slot_at IS 'When mail.per_domain lets it go; NULL: that is not known yet';
COMMENT ON COLUMN mails.attempts IS 'How often it was tried';
COMMENT ON COLUMN mails.created_at IS 'When it was written';
COMMENT ON COLUMN mails.next_at IS 'When it is tried next';
COMMENT ON COLUMN mails.give_up_at IS 'A try that fails after this moment was the last one';
COMMENT ON COLUMN mails.ended_at IS 'When it was sent or given up; NULL: it is queued';
COMMENT ON COLUMN mails.problem IS 'What was wrong at the last try: the server''s answer, or why there was none';

-- No reference to mails, of which rows may be purged sooner.
CREATE TABLE mail_tokens (
    token_key  bytea PRIMARY KEY CHECK (length(token_key) = 32),
    code_key   bytea NOT NULL CHECK (length(code_key) = 32),
    code_tries integer NOT NULL DEFAULT 0 CHECK (code_tries >= 0),
    mail_id    bigint NOT NULL,
    purpose    text NOT NULL CHECK (purpose <> ''),
    user_id    bigint REFERENCES users ON DELETE CASCADE,
    recipient_key text NOT NULL COLLATE "C",
    recipient  text NOT NULL,
    data       jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX mail_tokens_user_id ON mail_tokens (user_id, purpose);
CREATE INDEX mail_tokens_recipient_key ON mail_tokens (recipient_key, purpose);
CREATE INDEX mail_tokens_mail_id ON mail_tokens (mail_id);
CREATE INDEX mail_tokens_about ON mail_tokens ((data ->> 'user_id')) WHERE user_id IS NULL;
CREATE INDEX mail_tokens_expires_at ON mail_tokens (expires_at);
COMMENT ON TABLE mail_tokens IS 'Links and codes of mails that can still be used. A mail of which it is not known whether it was sent can have several';
COMMENT ON COLUMN mail_tokens.token_key IS 'SHA-256 of the 43 characters of the link: the token itself is not stored';
COMMENT ON COLUMN mail_tokens.code_key IS 'SHA-256 of the eight digits';
COMMENT ON COLUMN mail_tokens.code_tries IS 'Wrong codes that were tried: from three on the code is void, and the link is not';
COMMENT ON COLUMN mail_tokens.mail_id IS 'mails.id of the mail';
COMMENT ON COLUMN mail_tokens.purpose IS 'mails.purpose';
COMMENT ON COLUMN mail_tokens.user_id IS 'mails.user_id';
COMMENT ON COLUMN mail_tokens.recipient_key IS 'mails.sent_to_key';
COMMENT ON COLUMN mail_tokens.recipient IS 'mails.sent_to: whoever has the token reads the mail of this address';
COMMENT ON COLUMN mail_tokens.data IS 'mails.data: for what the token is used for';
COMMENT ON COLUMN mail_tokens.created_at IS 'When the mail was sent';
COMMENT ON COLUMN mail_tokens.expires_at IS 'When it can be used no more';

CREATE TABLE code_tries (
    subject  text PRIMARY KEY,
    count    integer NOT NULL CHECK (count >= 0),
    began_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX code_tries_began_at ON code_tries (began_at);
COMMENT ON TABLE code_tries IS 'Wrong codes of mails that were tried within a day, of each account; what nobody has is counted likewise, so that it takes the same time';
COMMENT ON COLUMN code_tries.subject IS 'The account''s number; else SHA-256 of the address that was typed, or what it begins with, where there is no code';
COMMENT ON COLUMN code_tries.count IS 'How many';
COMMENT ON COLUMN code_tries.began_at IS 'When the first of them was; a day later the count begins anew';

CREATE TABLE mail_domains (
    domain  text PRIMARY KEY COLLATE "C",
    free_at timestamptz NOT NULL
);
CREATE INDEX mail_domains_free_at ON mail_domains (free_at);
COMMENT ON TABLE mail_domains IS 'Domains that mail was sent to lately: mail.per_domain over all hosts';
COMMENT ON COLUMN mail_domains.domain IS 'The domain';
COMMENT ON COLUMN mail_domains.free_at IS 'When the next mail to it may be sent';

-- ---- Deletion ----

-- The daemon's role may not delete accounts, nor change events: it erases by this function what its person has asked
-- for. What refers to the account goes with it (ON DELETE CASCADE); the rest is found by its name and its address, by
-- the latter only where it was proved to be this person's. docs/accounts.md says what stays.
DO $migration$
BEGIN
    EXECUTE format($definition$
        CREATE FUNCTION %1$I.erase_account(account bigint) RETURNS boolean
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $function$
        DECLARE
            name_key text COLLATE "C";
            address_key text COLLATE "C";
            digests text[];
        BEGIN
            SELECT u.username_key, CASE WHEN u.email_verified_at IS NOT NULL THEN u.email_key END
              INTO name_key, address_key
              FROM %1$I.users u WHERE u.id = account AND u.delete_at <= statement_timestamp() FOR UPDATE;
            IF NOT FOUND THEN
                RETURN false;
            END IF;
            -- As names that were typed are counted.
            digests := ARRAY(SELECT encode(sha256(convert_to(k, 'UTF8')), 'hex')
                               FROM unnest(ARRAY[name_key, address_key]) AS k WHERE k IS NOT NULL);
            DELETE FROM %1$I.login_failures WHERE kind = 'account' AND subject = ANY (digests);
            DELETE FROM %1$I.login_failures WHERE kind = 'browser' AND subject IN
                (SELECT encode(sha256(int8send(b.user_id) || b.browser_key), 'hex')
                   FROM %1$I.known_browsers b WHERE b.user_id = account);
            DELETE FROM %1$I.code_tries WHERE subject = account::text OR subject = ANY (digests);
            DELETE FROM %1$I.signups WHERE email_key = address_key;
            -- Notices to a former address have no account: whose they are stands in their values.
            WITH gone AS (DELETE FROM %1$I.mail_tokens
                           WHERE recipient_key = address_key
                              OR (user_id IS NULL AND data ->> 'user_id' = account::text) RETURNING mail_id)
            DELETE FROM %1$I.mails WHERE id IN (SELECT mail_id FROM gone);
            DELETE FROM %1$I.mails WHERE sent_to_key = address_key;
            DELETE FROM %1$I.mails WHERE about_id = account;
            DELETE FROM %1$I.mails WHERE login IS NOT NULL
               AND (lower(normalize(login, NFKC) COLLATE "und-x-icu") COLLATE "C") IN (name_key, address_key);
            DELETE FROM %1$I.mails WHERE recipient IS NOT NULL
               AND (lower(normalize(recipient, NFKC) COLLATE "und-x-icu") COLLATE "C") = address_key;
            UPDATE %1$I.events
               SET username = '', ip = NULL, user_agent = '',
                   detail = CASE name WHEN 'user_renamed' THEN detail - 'before' ELSE detail - 'was' END
             WHERE user_id = account;
            DELETE FROM %1$I.users WHERE id = account;
            RETURN true;
        END
        $function$;
        REVOKE ALL ON FUNCTION %1$I.erase_account FROM PUBLIC
        $definition$, current_schema());
    EXECUTE format('ALTER FUNCTION %I.erase_account OWNER TO %I', current_schema(),
                   (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'users'::regclass));
    EXECUTE format('COMMENT ON FUNCTION %I.erase_account IS %L', current_schema(),
                   'Deletes an account whose delete_at has come, and whatever else there is of its person; returns whether it did');
END
$migration$;

-- ---- Sessions ----

ALTER TABLE sessions ADD COLUMN proved_at timestamptz;
COMMENT ON COLUMN sessions.proved_at IS 'When its person has proved again who they are, by the password: see login.fresh. NULL: not since created_at';

-- ---- Owner and rights ----

-- The tables belong to the owner of the others, also where a superuser runs this. Daemons go on purging until
-- onesessionctl migrate --grant is run again: they get the rights that they have for the likes of these.
DO $$
DECLARE
    made CONSTANT text[] := ARRAY['signups', 'mails', 'mail_tokens', 'code_tries', 'mail_domains'];
    one text;
    grantee name;
BEGIN
    FOREACH one IN ARRAY made LOOP
        EXECUTE format('ALTER TABLE %I OWNER TO %I', one,
                       (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'users'::regclass));
    END LOOP;
    FOR grantee IN SELECT DISTINCT r.rolname FROM pg_class c CROSS JOIN aclexplode(c.relacl) a
                     JOIN pg_roles r ON r.oid = a.grantee
                    WHERE c.oid = 'login_failures'::regclass AND a.privilege_type = 'DELETE' AND r.oid <> c.relowner
    LOOP
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %I', array_to_string(made, ', '), grantee);
        EXECUTE format('GRANT UPDATE (session_key, proved_at) ON sessions TO %I', grantee);
        EXECUTE format('GRANT UPDATE (language) ON users TO %I', grantee);
    END LOOP;
END $$;
