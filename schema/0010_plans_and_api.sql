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

-- ---- Owner and rights ----

-- The tables belong to the owner of the others, also where a superuser runs this, and daemons go on until
-- onesessionctl migrate --grant is run again.
DO $$
DECLARE
    made CONSTANT text[] := ARRAY['plans'];
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
        EXECUTE format('GRANT SELECT ON plans TO %I', grantee);
    END LOOP;
END $$;
