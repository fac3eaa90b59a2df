-- The tables of the cinema. onesessionctl migrate runs this in the schema "cinema", as the owner of all tables.

CREATE TABLE titles (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name text NOT NULL UNIQUE,
	year smallint NOT NULL,
	about text NOT NULL,
	seconds integer NOT NULL CHECK (seconds > 0),
	film text NOT NULL,             -- a file of the folder "films", without its ending: a still is beside it
	cover text,                     -- a file of the folder "covers"; NULL: the still
	is_premiere boolean NOT NULL DEFAULT false
);

-- Files of covers are never replaced, so each has a number of its own.
CREATE SEQUENCE covers;

-- How far an account has come in a film.
CREATE TABLE positions (
	account bigint REFERENCES public.users ON DELETE CASCADE,
	title bigint REFERENCES titles ON DELETE CASCADE,
	seconds integer NOT NULL,
	watched_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (account, title)
);

CREATE TABLE plans (
	code text PRIMARY KEY,
	name text NOT NULL,
	about text NOT NULL,
	cents integer NOT NULL,
	has_premieres boolean NOT NULL
);

CREATE TABLE subscriptions (
	account bigint PRIMARY KEY REFERENCES public.users ON DELETE CASCADE,
	plan text NOT NULL REFERENCES plans,
	card text NOT NULL,             -- what the billing service calls it; nobody can pay with it elsewhere
	paid_until timestamptz NOT NULL,
	asked_at timestamptz,           -- when the billing service was asked last to renew it
	ended_at timestamptz            -- the card was declined
);
CREATE INDEX ON subscriptions (paid_until) WHERE ended_at IS NULL;

-- By it the billing service knows that it was asked for the same before.
CREATE FUNCTION charge_key(account bigint, plan text, card text, paid_until timestamptz) RETURNS text
STABLE LANGUAGE sql AS $$
	SELECT format('%s-%s-%s-%s', account, plan, card, extract(epoch FROM paid_until))
$$;

-- Why an account may not watch a title, as a sentence; NULL: it may.
CREATE FUNCTION barred(account bigint, title bigint) RETURNS text STABLE LANGUAGE sql AS $$
	SELECT CASE
		WHEN s.account IS NULL THEN 'To watch films you need a plan.'
		WHEN s.ended_at IS NOT NULL THEN 'Your subscription has ended.'
		WHEN t.is_premiere AND NOT p.has_premieres THEN 'This is a premiere, and your plan has the other films.'
	END
	FROM cinema.titles t
	LEFT JOIN cinema.subscriptions s ON s.account = barred.account
	LEFT JOIN cinema.plans p ON p.code = s.plan
	WHERE t.id = barred.title
$$;
