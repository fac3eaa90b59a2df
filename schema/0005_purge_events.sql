-- The daemon's role may write events and not delete them: what it may is this function's, and is never the latest day.

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
    -- Whoever has made the tables, and not who happens to run this.
    EXECUTE format('ALTER FUNCTION %I.purge_events OWNER TO %I', current_schema(),
                   (SELECT relowner::regrole FROM pg_class WHERE oid = 'events'::regclass));
    -- Until onesessionctl migrate --grant is run again, daemons go on purging.
    FOR grantee IN SELECT DISTINCT r.rolname FROM pg_class c CROSS JOIN aclexplode(c.relacl) a
                     JOIN pg_roles r ON r.oid = a.grantee
                    WHERE c.oid = 'events'::regclass AND a.privilege_type = 'DELETE'
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %I.purge_events TO %I', current_schema(), grantee);
    END LOOP;
    EXECUTE format('COMMENT ON FUNCTION %I.purge_events IS %L', current_schema(),
                   'Deletes up to batch events that are older than age_ms and than a day, and tells how many');
END
$migration$;
