-- Modules bring tables of their own, each in a schema that has its name; this says what of theirs was applied.

CREATE TABLE module_migrations (
    module     text NOT NULL,
    version    integer NOT NULL CHECK (version > 0),
    name       text NOT NULL,
    sha256     text NOT NULL CHECK (length(sha256) = 64),
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (module, version)
);
COMMENT ON TABLE module_migrations IS 'Migrations of modules that were applied, each to the schema that has its module''s name';
COMMENT ON COLUMN module_migrations.module IS 'The module';
COMMENT ON COLUMN module_migrations.version IS 'The number that the file''s name begins with: 1, 2 and so on for each module';
COMMENT ON COLUMN module_migrations.name IS 'The file''s name without .sql';
COMMENT ON COLUMN module_migrations.sha256 IS 'Of the file as it was applied, in hexadecimal: a file that has changed since is told';
COMMENT ON COLUMN module_migrations.applied_at IS 'When';

-- It belongs to the owner of the tables, also where a superuser runs this.
DO $$
BEGIN
    EXECUTE format('ALTER TABLE module_migrations OWNER TO %I',
                   (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'users'::regclass));
END $$;
