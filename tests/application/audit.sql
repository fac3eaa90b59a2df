-- The application's own table, in the daemon's database; the daemon's role needs the right to write it.
CREATE TABLE application_audit (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    receiver   text NOT NULL,
    signal     text NOT NULL,
    user_id    bigint,
    session_id uuid,
    is_stored  boolean NOT NULL
);
