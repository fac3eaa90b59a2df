-- Sequences are checked: one may be behind the rows of its table after ALTER SEQUENCE, TRUNCATE ... RESTART IDENTITY, a
-- restore of single tables or logical replication, and one with CACHE gives numbers out of order.

-- A dump of the table includes its sequence.
ALTER SEQUENCE login_order OWNED BY sessions.login_order;

-- The highest number is compared with the sequence, and the newest sessions of all accounts are listed.
CREATE INDEX sessions_login_order ON sessions (login_order);

-- Runs in the transaction of the login, which holds the account's lock. For any role that may insert a session: such a
-- role needs no right to read other sessions, or to set the sequence.
CREATE FUNCTION number_login() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    highest bigint;
BEGIN
    SELECT greatest((SELECT max(s.login_order) FROM sessions s WHERE s.user_id = new.user_id),
                    (SELECT l.login_order FROM logged_in_user l WHERE l.user_id = new.user_id)) INTO highest;
    new.login_order := nextval('login_order');
    -- setval() also drops the numbers that this connection has cached, which are too low.
    WHILE new.login_order <= highest LOOP
        PERFORM setval('login_order', greatest(highest, q.last_value)) FROM login_order q;
        new.login_order := nextval('login_order');
    END LOOP;
    RETURN new;
END $$;
COMMENT ON FUNCTION number_login() IS 'Gives a login its number: from the sequence login_order, and above every number of the account';

-- It runs with the owner's rights: so it finds tables in this schema only, and no other role may make a trigger of it.
REVOKE EXECUTE ON FUNCTION number_login() FROM PUBLIC;
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION number_login() SET search_path = %I, pg_temp', current_schema());
END $$;

-- Rows that are restored keep the number that they had.
ALTER TABLE sessions ALTER COLUMN login_order DROP DEFAULT;
CREATE TRIGGER number_login BEFORE INSERT ON sessions
    FOR EACH ROW WHEN (new.login_order IS NULL) EXECUTE FUNCTION number_login();
COMMENT ON TRIGGER number_login ON sessions IS 'A row that is inserted without login_order counts as a login at that moment';

-- The statement's time: the transaction began earlier, and may have waited for the account's lock.
ALTER TABLE sessions ALTER COLUMN created_at SET DEFAULT statement_timestamp();
ALTER TABLE sessions ALTER COLUMN last_seen_at SET DEFAULT statement_timestamp();
ALTER TABLE logged_in_user ALTER COLUMN logged_in_at SET DEFAULT statement_timestamp();
ALTER TABLE events ALTER COLUMN at SET DEFAULT statement_timestamp();

-- Roles that may use one of the sequences may read the last value of each of them.
DO $$
DECLARE
    role regrole;
BEGIN
    FOR role IN SELECT a.grantee::regrole FROM pg_class c, aclexplode(c.relacl) AS a
                 WHERE c.oid = 'login_order'::regclass AND a.privilege_type = 'USAGE'
                   AND a.grantee NOT IN (0, c.relowner)
    LOOP
        EXECUTE format('GRANT SELECT ON SEQUENCE login_order, users_id_seq, events_id_seq TO %s', role);
    END LOOP;
END $$;
