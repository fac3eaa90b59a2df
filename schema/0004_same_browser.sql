-- Keys that identify the browser of a live session.

ALTER TABLE sessions
    ADD COLUMN device_key bytea CHECK (length(device_key) = 32),
    ADD COLUMN form_key   bytea CHECK (length(form_key) = 32);
-- A login looks for the session of the browser that it comes from.
CREATE INDEX sessions_device_key ON sessions (device_key) WHERE device_key IS NOT NULL;
CREATE INDEX sessions_form_key ON sessions (form_key) WHERE form_key IS NOT NULL;
COMMENT ON COLUMN sessions.device_key IS 'SHA-256 of the device cookie that its browser holds; NULL: none was set with it. A login that presents this cookie is one from the same device';
COMMENT ON COLUMN sessions.form_key IS 'Key of the sign-in form of its login; NULL: there was no form. The same form sent twice, as by a double click, is the same login';
