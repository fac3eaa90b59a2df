-- No sequence is trusted blindly: one may be behind the rows of its table after ALTER SEQUENCE, TRUNCATE ... RESTART
-- IDENTITY, a restore of single tables or logical replication, and one with CACHE hands out numbers out of order.

-- A dump of the table brings its sequence along.
ALTER SEQUENCE login_order OWNED BY sessions.login_order;

-- The highest number is compared with the sequence, and the newest sessions of everybody are listed.
CREATE INDEX sessions_login_order ON sessions (login_order);

-- In the transaction of the login, which holds the account's lock. For any role that may insert a session: it need not
-- be able to read the others, or to move the sequence.
CREATE FUNCTION number_login() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    highest bigint;
BEGIN
    SELECT greatest((SELECT max(s.login_order) FROM sessions s WHERE s.user_id = new.user_id),
                    (SELECT l.login_order FROM logged_in_user l WHERE l.user_id = new.user_id)) INTO highest;
    new.login_order := nextval('login_order');
    -- Setting the sequence also drops the numbers that this connection had in stock, whose time is over.
    WHILE new.login_order <= highest LOOP
        PERFORM setval('login_order', greatest(highest, q.last_value)) FROM login_order q;
        new.login_order := nextval('login_order');
    END LOOP;
    RETURN new;
END $$;
COMMENT ON FUNCTION number_login() IS 'Gives a login its number: from the sequence login_order, and above every number of the account';

-- With the rights of the owner it looks for tables here and nowhere else, and nobody else makes a trigger of it.
REVOKE EXECUTE ON FUNCTION number_login() FROM PUBLIC;
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION number_login() SET search_path = %I, pg_temp', current_schema());
END $$;

-- Rows that are restored keep the number that they had.
ALTER TABLE sessions ALTER COLUMN login_order DROP DEFAULT;
CREATE TRIGGER number_login BEFORE INSERT ON sessions
    FOR EACH ROW WHEN (new.login_order IS NULL) EXECUTE FUNCTION number_login();
COMMENT ON TRIGGER number_login ON sessions IS 'Who inserts a row without login_order signs in at that moment';

-- When it was done, and not when its transaction began, which may have waited for the account's lock.
ALTER TABLE sessions ALTER COLUMN created_at SET DEFAULT statement_timestamp();
ALTER TABLE sessions ALTER COLUMN last_seen_at SET DEFAULT statement_timestamp();
ALTER TABLE logged_in_user ALTER COLUMN logged_in_at SET DEFAULT statement_timestamp();
ALTER TABLE events ALTER COLUMN at SET DEFAULT statement_timestamp();

-- Who uses one of the sequences may see how far each of them is.
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
