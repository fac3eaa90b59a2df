-- The owner of a table can have code run on it (triggers, defaults): so all of these objects belong to one role, the
-- owner of users. Some objects of earlier migrations belong to another role that applied them, such as a superuser.

DO $$
DECLARE
    owner name := (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'users'::regclass);
    foreign_object record;
BEGIN
    FOR foreign_object IN
        SELECT * FROM
            (SELECT 'FUNCTION' AS kind, oid::regprocedure::text AS name, pg_get_userbyid(proowner) AS owned_by
               FROM pg_proc
              WHERE oid IN (to_regprocedure('number_login()'), to_regprocedure('purge_events(bigint, bigint)'))
             UNION ALL
             -- Its indexes and sequences follow.
             SELECT 'TABLE', oid::regclass::text, pg_get_userbyid(relowner)
               FROM pg_class
              WHERE oid IN ('logged_in_user'::regclass, 'sessions'::regclass, 'ended_sessions'::regclass,
                            'events'::regclass, 'takeovers'::regclass, 'login_tickets'::regclass,
                            'login_failures'::regclass, 'known_browsers'::regclass, 'anonymous_sessions'::regclass,
                            'schema_migrations'::regclass)) AS o
         WHERE o.owned_by <> owner
    LOOP
        IF NOT pg_has_role(foreign_object.owned_by, 'USAGE') THEN
            RAISE EXCEPTION '% belongs to %, not to the tables'' owner: run onesessionctl migrate once as % or a superuser',
                foreign_object.name, foreign_object.owned_by, foreign_object.owned_by;
        END IF;
        EXECUTE format('ALTER %s %s OWNER TO %I', foreign_object.kind, foreign_object.name, owner);
    END LOOP;
END $$;
