-- Plans, groups and ends of subscriptions, which places can require; what the site's own programs are let in by, and what
-- they are told.

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
COMMENT ON COLUMN api_answers.request_hash IS 'SHA-256 of the body, in whatever order its members came: another request with that key is refused';
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

-- ---- Webhooks ----

CREATE TABLE webhooks (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    url         text NOT NULL CHECK (url ~ '^https?://' AND length(url) <= 2000),
    events      text[] COLLATE "C" CHECK (cardinality(events) > 0),
    secret      text NOT NULL CHECK (secret LIKE 'whsec\_%'),
    created_at  timestamptz NOT NULL DEFAULT now(),
    disabled_at timestamptz
);
COMMENT ON TABLE webhooks IS 'Addresses of the site''s own programs that are told of events. Each event that is written reads this table: what changes with each delivery is in webhook_states';
COMMENT ON COLUMN webhooks.id IS 'The webhook''s number';
COMMENT ON COLUMN webhooks.url IS 'Where events are sent: https, or http to this machine';
COMMENT ON COLUMN webhooks.events IS 'The names of the events that it gets; NULL: all';
COMMENT ON COLUMN webhooks.secret IS 'What events are signed with, as Standard Webhooks writes it: whsec_ and base64. Not a hash, for a signature cannot be made with one';
COMMENT ON COLUMN webhooks.created_at IS 'When it was made';
COMMENT ON COLUMN webhooks.disabled_at IS 'When its address has said that it is gone (410); NULL: it has not. No event is kept for it then';

CREATE TABLE webhook_states (
    webhook_id      bigint PRIMARY KEY REFERENCES webhooks ON DELETE CASCADE,
    claim           text NOT NULL DEFAULT '',
    claimed_until   timestamptz NOT NULL DEFAULT '-infinity',
    paused_until    timestamptz NOT NULL DEFAULT '-infinity',
    failures        bigint NOT NULL DEFAULT 0 CHECK (failures >= 0),
    delivered       bigint NOT NULL DEFAULT 0 CHECK (delivered >= 0),
    failed          bigint NOT NULL DEFAULT 0 CHECK (failed >= 0),
    last_success_at timestamptz,
    last_failure_at timestamptz,
    problem         text NOT NULL DEFAULT ''
);
COMMENT ON TABLE webhook_states IS 'How each webhook fares, and which process sends to it';
COMMENT ON COLUMN webhook_states.webhook_id IS 'webhooks.id';
COMMENT ON COLUMN webhook_states.claim IS 'A random number of the process that sends to it, or did last; one at a time, over all hosts';
COMMENT ON COLUMN webhook_states.claimed_until IS 'It is another''s when this is past';
COMMENT ON COLUMN webhook_states.paused_until IS 'Before that nothing is sent to it: it is away, or has asked for a pause';
COMMENT ON COLUMN webhook_states.failures IS 'Tries that have failed in a row';
COMMENT ON COLUMN webhook_states.delivered IS 'How many events it has taken';
COMMENT ON COLUMN webhook_states.failed IS 'How many tries have failed';
COMMENT ON COLUMN webhook_states.last_success_at IS 'When it took one; NULL: never';
COMMENT ON COLUMN webhook_states.last_failure_at IS 'When a try failed; NULL: never';
COMMENT ON COLUMN webhook_states.problem IS 'What was wrong with the last one that did';

-- No references: each event that is written would lock a row that all others lock, too. What has lost its webhook or its
-- event is removed by the job that sends.
CREATE TABLE webhook_deliveries (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook_id bigint NOT NULL,
    event_id   bigint NOT NULL,
    user_id    bigint,
    state      text NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'behind', 'dead')),
    attempts   bigint NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_at    timestamptz NOT NULL DEFAULT now(),
    give_up_at timestamptz NOT NULL DEFAULT now() + interval '1 day',
    problem    text NOT NULL DEFAULT ''
);
-- What is due; what stands before an event of its account; what waits for such; what is the oldest; and what is dead.
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, next_at, id) WHERE state = 'due';
CREATE INDEX webhook_deliveries_order ON webhook_deliveries (webhook_id, user_id, id) WHERE state <> 'dead';
CREATE INDEX webhook_deliveries_behind ON webhook_deliveries (webhook_id, user_id, id) WHERE state = 'behind';
CREATE INDEX webhook_deliveries_oldest ON webhook_deliveries (webhook_id, give_up_at) WHERE state <> 'dead';
CREATE INDEX webhook_deliveries_dead ON webhook_deliveries (webhook_id, id) WHERE state = 'dead';
COMMENT ON TABLE webhook_deliveries IS 'Events that are still to be sent, for each webhook that gets them: written in the transaction of the event, deleted when it was taken';
COMMENT ON COLUMN webhook_deliveries.id IS 'The number; those of an account are sent in this order';
COMMENT ON COLUMN webhook_deliveries.webhook_id IS 'webhooks.id';
COMMENT ON COLUMN webhook_deliveries.event_id IS 'events.id';
COMMENT ON COLUMN webhook_deliveries.user_id IS 'The account at that time; NULL: of none, and in no order';
COMMENT ON COLUMN webhook_deliveries.state IS 'due: at next_at; behind: when those of its account before it were taken or are dead; dead: given up, see problem';
COMMENT ON COLUMN webhook_deliveries.attempts IS 'How often it was tried';
COMMENT ON COLUMN webhook_deliveries.next_at IS 'When it is tried next';
COMMENT ON COLUMN webhook_deliveries.give_up_at IS 'After this moment it is not tried again';
COMMENT ON COLUMN webhook_deliveries.problem IS 'What was wrong at the last try; empty: it was not tried yet';

-- Whoever writes an event, in whatever way, writes what is to be sent of it. Where there are no webhooks it is asked for
-- one and no more: that takes half of the time of an INSERT that writes nothing.
DO $migration$
BEGIN
    EXECUTE format($definition$
        CREATE FUNCTION %1$I.write_webhook_deliveries() RETURNS trigger LANGUAGE plpgsql AS $function$
        BEGIN
            IF EXISTS (SELECT FROM %1$I.webhooks) THEN
                INSERT INTO %1$I.webhook_deliveries (webhook_id, event_id, user_id)
                SELECT w.id, NEW.id, NEW.user_id FROM %1$I.webhooks w
                 WHERE w.disabled_at IS NULL AND (w.events IS NULL OR NEW.name = ANY (w.events));
            END IF;
            RETURN NULL;
        END
        $function$;
        CREATE TRIGGER write_webhook_deliveries AFTER INSERT ON %1$I.events
            FOR EACH ROW EXECUTE FUNCTION %1$I.write_webhook_deliveries()
        $definition$, current_schema());
    EXECUTE format('ALTER FUNCTION %I.write_webhook_deliveries OWNER TO %I', current_schema(),
                   (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'users'::regclass));
    EXECUTE format('COMMENT ON FUNCTION %I.write_webhook_deliveries IS %L', current_schema(),
                   'Notes a new event for each webhook that gets it');
END
$migration$;

-- ---- Owner and rights ----

-- The tables belong to the owner of the others, also where a superuser runs this, and daemons go on until
-- onesessionctl migrate --grant is run again.
DO $$
DECLARE
    made CONSTANT text[] := ARRAY['plans', 'api_tokens', 'api_answers', 'webhooks', 'webhook_states', 'webhook_deliveries'];
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
        EXECUTE format('GRANT SELECT ON plans, api_tokens, webhooks TO %I', grantee);
        EXECUTE format('GRANT UPDATE (last_used_at) ON api_tokens TO %I', grantee);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON api_answers TO %I', grantee);
        EXECUTE format('GRANT UPDATE (plan, groups, valid_until, session_limit, is_active, external_id) ON users TO %I', grantee);
        EXECUTE format('GRANT UPDATE (disabled_at) ON webhooks TO %I', grantee);
        EXECUTE format('GRANT SELECT, UPDATE ON webhook_states TO %I', grantee);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_deliveries TO %I', grantee);
        EXECUTE format('GRANT EXECUTE ON FUNCTION settle_events TO %I', grantee);
    END LOOP;
END $$;
