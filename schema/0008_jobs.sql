-- Periodic jobs, of the daemon and of modules, of which a run is claimed here: once over all hosts, never two at once.

-- A database whose version was set back by hand may have it still; a table of another's fails below, at the columns.
CREATE TABLE IF NOT EXISTS jobs (
    name          text PRIMARY KEY CHECK (name <> ''),
    next_at       timestamptz NOT NULL,
    running_until timestamptz,
    run           text NOT NULL DEFAULT '',
    host          text NOT NULL DEFAULT '',
    started_at    timestamptz,
    finished_at   timestamptz,
    result        text NOT NULL DEFAULT '',
    failures      bigint NOT NULL DEFAULT 0 CHECK (failures >= 0)
);
COMMENT ON TABLE jobs IS 'Periodic jobs that run once over all hosts; the rows of jobs that there are no more may be deleted';
COMMENT ON COLUMN jobs.name IS 'The module, a dot, and the job';
COMMENT ON COLUMN jobs.next_at IS 'When it is due; now() has it run within a minute';
COMMENT ON COLUMN jobs.running_until IS 'While it runs: until when nobody else may run it. Past that its host is taken for lost. NULL: it does not run';
COMMENT ON COLUMN jobs.run IS 'The run under way, or the last one: a random number';
COMMENT ON COLUMN jobs.host IS 'The host that runs it, or has run it last';
COMMENT ON COLUMN jobs.started_at IS 'When that run began; NULL: there was none';
COMMENT ON COLUMN jobs.finished_at IS 'When the last run ended whose end is known';
COMMENT ON COLUMN jobs.result IS 'How it ended: ok, failed, crashed, overdue or stopped; empty: none has ended yet';
COMMENT ON COLUMN jobs.failures IS 'Runs in a row that have failed or were lost, up to the last one: each doubles the pause';

-- It belongs to the owner of the tables, also where a superuser runs this.
DO $$
BEGIN
    EXECUTE format('ALTER TABLE jobs OWNER TO %I',
                   (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'users'::regclass));
END $$;
