-- The daemon's role may insert events but not delete them: it deletes by this function, which keeps the latest day.

DO $migration$
DECLARE
    grantee text;
BEGIN
    EXECUTE format($definition$
        CREATE FUNCTION %1$I.purge_events(batch bigint, age_ms bigint) RETURNS bigint
        LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $function$
            WITH due AS (SELECT id FROM %1$I.events
                          WHERE at <= now() - greatest(age_ms * interval '1 millisecond', interval '1 day')
                          ORDER BY at LIMIT batch FOR UPDATE SKIP LOCKED),
                 gone AS (DELETE FROM %1$I.events WHERE id IN (SELECT id FROM due) RETURNING 1)
            SELECT count(*) FROM gone
        $function$;
        REVOKE ALL ON FUNCTION %1$I.purge_events FROM PUBLIC
        $definition$, current_schema());
    -- Owned by the owner of the tables, not by the role that runs this migration.
    EXECUTE format('ALTER FUNCTION %I.purge_events OWNER TO %I', current_schema(),
                   (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'events'::regclass));
    -- So that daemons go on purging until onesessionctl migrate --grant is run again.
    FOR grantee IN SELECT DISTINCT r.rolname FROM pg_class c CROSS JOIN aclexplode(c.relacl) a
                     JOIN pg_roles r ON r.oid = a.grantee
                    WHERE c.oid = 'events'::regclass AND a.privilege_type = 'DELETE'
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %I.purge_events TO %I', current_schema(), grantee);
    END LOOP;
    EXECUTE format('COMMENT ON FUNCTION %I.purge_events IS %L', current_schema(),
                   'Deletes up to batch events that are older than age_ms and than a day, and returns their number');
END
$migration$;

-- A client with one IPv6 network often has many: failures of a /48 are counted together as well.
ALTER TABLE login_failures DROP CONSTRAINT login_failures_kind_check,
    ADD CONSTRAINT login_failures_kind_check CHECK (kind IN ('account', 'address', 'network', 'browser'));
COMMENT ON TABLE login_failures IS 'Failed logins of each account, address, network and known browser, over login.attempts_window';
COMMENT ON COLUMN login_failures.subject IS 'account: SHA-256 of the name that was entered, whether or not an account has it, for users type passwords into that field; address: an IPv4 one, or the /64 of an IPv6 one; network: the /48 of an IPv6 one; browser: SHA-256 of account and known_browsers.browser_key';
