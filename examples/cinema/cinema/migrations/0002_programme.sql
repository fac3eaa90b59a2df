-- What is on.

INSERT INTO plans (code, name, about, cents, has_premieres) VALUES
	('matinee', 'Matinee', 'Every film but the premieres.', 400, false),
	('premiere', 'Premiere', 'Every film, and the premieres with them.', 900, true);

INSERT INTO titles (name, year, film, seconds, is_premiere, about) VALUES
	('Seahorse Valley', 1980, 'seahorse', 20, false,
	 'One long fall towards the edge of the Mandelbrot set. The closer it comes, the further there is to go.'),
	('Life and Still Life', 1970, 'life', 20, false,
	 'Some thousand cells, born by threes and dying of company, play the game that John Conway gave them.'),
	('Rule 30', 1983, 'rule30', 20, false,
	 'A single line looks at itself, and from a rule of eight cases writes a text that never repeats.'),
	('Long Dusk', 1964, 'dusk', 20, false,
	 'A sun that will not set wanders over an evening sky. Nothing else happens, and nothing else has to.'),
	('The Carpet', 1916, 'carpet', 20, true,
	 'Wacław Sierpiński takes the middle out of a square, and out of what is left, and does not stop.'),
	('Test Card', 1967, 'testcard', 20, true,
	 'The cult classic of the small hours: seven bars, a clock, and not a word too many.');
