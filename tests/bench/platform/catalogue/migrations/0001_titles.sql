-- What all programs of the comparison of platforms answer from.
CREATE TABLE titles (
	id bigint PRIMARY KEY,
	title text NOT NULL,
	year integer NOT NULL,
	summary text NOT NULL
);

INSERT INTO titles
	SELECT i, 'The "Title" of No. ' || i, 1920 + i % 100, repeat('A sentence of the summary of No. ' || i || '. ', 5)
	FROM generate_series(1, 1000) i;
