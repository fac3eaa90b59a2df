-- Run once, in the schema newmodule. What has been released stays as it is: a change is a file of the next number.
CREATE TABLE notes (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	user_id bigint NOT NULL,
	text text NOT NULL CHECK (text <> ''),
	made_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX notes_of_user ON notes (user_id, id);
