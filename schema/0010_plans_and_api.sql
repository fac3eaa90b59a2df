-- Plans, groups and ends of subscriptions, which places can require; and what the site's own programs are let in by.

-- ---- Plans ----

CREATE TABLE plans (
    name          text COLLATE "C" PRIMARY KEY CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._:-]{0,62}$'),
    session_limit integer CHECK (session_limit >= 0),
    created_at    timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE plans IS 'What accounts can be subscribed to';
COMMENT ON COLUMN plans.name IS 'The name, as ONESESSION_REQUIRE has it: plan=gold';
COMMENT ON COLUMN plans.session_limit IS 'How many sessions an account of the plan may have live at once, where it has no limit of its own; NULL: session.max_sessions; 0: any number';
COMMENT ON COLUMN plans.created_at IS 'When it was made';

ALTER TABLE users
    ADD COLUMN plan        text COLLATE "C" REFERENCES plans,
    ADD COLUMN groups      text[] COLLATE "C" NOT NULL DEFAULT '{}'
                           CHECK (array_ndims(groups) IS NOT DISTINCT FROM NULLIF(sign(cardinality(groups)), 0)
                                  AND cardinality(groups) <= 64 AND array_position(groups, NULL) IS NULL
                                  AND array_to_string(groups, ',') ~ '^([A-Za-z0-9][A-Za-z0-9._:-]{0,62}(,[A-Za-z0-9][A-Za-z0-9._:-]{0,62})*)?$'),
    ADD COLUMN valid_until timestamptz,
    ADD COLUMN external_id text COLLATE "C" UNIQUE CHECK (external_id <> '' AND length(external_id) <= 255);
-- For plans that are deleted.
CREATE INDEX users_plan ON users (plan) WHERE plan IS NOT NULL;
COMMENT ON COLUMN users.plan IS 'What it is subscribed to; NULL: to nothing';
COMMENT ON COLUMN users.groups IS 'What ONESESSION_REQUIRE can ask for: group=staff. Names as those of plans';
COMMENT ON COLUMN users.valid_until IS 'When the plan ends; NULL: not until it is taken away';
COMMENT ON COLUMN users.external_id IS 'What the site''s own programs call the account, as a customer''s number; NULL: nothing';

-- ---- The API ----

CREATE TABLE api_tokens (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text COLLATE "C" NOT NULL UNIQUE CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._:-]{0,62}$'),
    token_key    bytea NOT NULL UNIQUE CHECK (length(token_key) = 32),
    scopes       text[] COLLATE "C" NOT NULL CHECK (cardinality(scopes) > 0
                 AND scopes <@ ARRAY['users', 'credentials', 'sessions', 'events'] COLLATE "C"),
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz
);
COMMENT ON TABLE api_tokens IS 'What the site''s own programs are let in by at the API; one that was revoked stays, for events name it';
COMMENT ON COLUMN api_tokens.id IS 'The token''s number';
COMMENT ON COLUMN api_tokens.name IS 'What it is called, in events and by operators';
COMMENT ON COLUMN api_tokens.token_key IS 'SHA-256 of the 43 characters behind ost_: the token itself is not stored';
COMMENT ON COLUMN api_tokens.scopes IS 'What it may do: users, credentials, sessions, events';
COMMENT ON COLUMN api_tokens.created_at IS 'When it was made';
COMMENT ON COLUMN api_tokens.expires_at IS 'When it is good for nothing any more; NULL: never';
COMMENT ON COLUMN api_tokens.last_used_at IS 'When it was last used, to within a minute; NULL: never';
COMMENT ON COLUMN api_tokens.revoked_at IS 'When an operator has revoked it; NULL: it was not';

CREATE TABLE api_answers (
    token_id     bigint NOT NULL REFERENCES api_tokens ON DELETE CASCADE,
    request_key  text COLLATE "C" NOT NULL CHECK (request_key <> '' AND length(request_key) <= 255),
    request_hash bytea NOT NULL CHECK (length(request_hash) = 32),
    claim        uuid NOT NULL,
    claimed_until timestamptz NOT NULL,
    answer       bytea,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (token_id, request_key)
);
CREATE INDEX api_answers_created_at ON api_answers (created_at);
COMMENT ON TABLE api_answers IS 'Requests to the API with an Idempotency-Key, for a day: the same one once more is given the same answer';
COMMENT ON COLUMN api_answers.token_id IS 'The token that it came with';
COMMENT ON COLUMN api_answers.request_key IS 'The value of Idempotency-Key';
COMMENT ON COLUMN api_answers.request_hash IS 'SHA-256 of path and body: another request with that key is refused';
COMMENT ON COLUMN api_answers.claim IS 'A random number of the request that is at it, or was';
COMMENT ON COLUMN api_answers.claimed_until IS 'Without an answer by then, that request has come to nothing, and the next one may try';
COMMENT ON COLUMN api_answers.answer IS 'The answer, encrypted with a key that only whoever has the token can make, for it may hold a session''s; NULL: there is none yet';
COMMENT ON COLUMN api_answers.created_at IS 'When the request came first';

-- ---- Events as programs read them ----

-- Those there are have been written long ago; with a default that is evaluated the table would be written anew.
ALTER TABLE events ADD COLUMN written_by xid8 NOT NULL DEFAULT '0';
ALTER TABLE events ALTER COLUMN written_by SET DEFAULT pg_current_xact_id();
CREATE INDEX events_written_by_id ON events (written_by, id);
COMMENT ON COLUMN events.written_by IS 'The transaction that wrote it. Ids are taken before rows can be seen, so one may come to be seen after a higher one; in the order of this and the id, of transactions that are older than all under way, nothing is put between any more. 0: before this was written down, or before the database was restored';

-- In a database that was restored elsewhere the numbers of transactions begin anew, below those that rows have.
DO $migration$
BEGIN
    EXECUTE format($definition$
        CREATE FUNCTION %1$I.settle_events() RETURNS boolean
        LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $function$
            WITH settled AS (UPDATE %1$I.events SET written_by = '0'
                              WHERE written_by >= pg_snapshot_xmax(pg_current_snapshot())
                                AND written_by <> pg_current_xact_id() RETURNING 1)
            SELECT count(*) > 0 FROM settled
        $function$;
        REVOKE ALL ON FUNCTION %1$I.settle_events FROM PUBLIC
        $definition$, current_schema());
    EXECUTE format('ALTER FUNCTION %I.settle_events OWNER TO %I', current_schema(),
                   (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'users'::regclass));
    EXECUTE format('COMMENT ON FUNCTION %I.settle_events IS %L', current_schema(),
                   'Puts events that transactions of another server have written before all of this one''s; returns whether there were any');
END
$migration$;

-- ---- Owner and rights ----

-- The tables belong to the owner of the others, also where a superuser runs this, and daemons go on until
-- onesessionctl migrate --grant is run again.
DO $$
DECLARE
    made CONSTANT text[] := ARRAY['plans', 'api_tokens', 'api_answers'];
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
        EXECUTE format('GRANT SELECT ON plans, api_tokens TO %I', grantee);
        EXECUTE format('GRANT UPDATE (last_used_at) ON api_tokens TO %I', grantee);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON api_answers TO %I', grantee);
        EXECUTE format('GRANT UPDATE (plan, groups, valid_until, session_limit, is_active, external_id) ON users TO %I', grantee);
        EXECUTE format('GRANT EXECUTE ON FUNCTION settle_events TO %I', grantee);
    END LOOP;
END $$;
