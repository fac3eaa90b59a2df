// The Express application of the benchmark: express-session with its sessions in PostgreSQL, a process for each core.
"use strict";

const cluster = require("node:cluster");
const fs = require("node:fs");
const os = require("node:os");

const listen = process.env.BENCH_SOCKET;

if (cluster.isPrimary) {
	fs.rmSync(listen, { force: true });
	for (let i = 0; i < os.availableParallelism(); i++)
		cluster.fork();
	// No process is replaced: a measurement during which one has ended is invalid.
	cluster.on("exit", () => process.exit(1));
	process.on("SIGTERM", () => process.exit(0));
} else {
	const express = require("express");
	const session = require("express-session");
	const Store = require("connect-pg-simple")(session);
	const { Pool } = require("pg");

	const pool = new Pool({
		host: process.env.BENCH_DATABASE_HOST,
		database: process.env.BENCH_DATABASE,
		user: process.env.BENCH_ROLE,
		max: Number(process.env.BENCH_POOL),
	});
	const app = express();

	app.disable("x-powered-by");
	app.use(session({
		store: new Store({ pool }),
		secret: "for the benchmark only",
		resave: false,
		saveUninitialized: false,
		cookie: { maxAge: 14 * 24 * 3600 * 1000 },
	}));

	// express-session does not limit the sessions of an account: signing in deletes the others, as sites implement it.
	app.post("/login", express.urlencoded({ extended: false }), async (req, res) => {
		if (req.body.password !== process.env.BENCH_PASSWORD)
			return res.sendStatus(401);
		await pool.query("DELETE FROM session WHERE sess->>'user' = $1", [req.body.username]);
		req.session.regenerate((error) => {
			if (error)
				return res.sendStatus(500);
			req.session.user = req.body.username;
			res.sendStatus(204);
		});
	});

	app.get("/auth", (req, res) => {
		if (!req.session.user)
			return res.status(401).end();
		res.set("Remote-User", req.session.user).status(200).end();
	});

	// What programs call, with a token: whose is this session, and a new one for somebody who has signed in elsewhere.
	const ofProgram = [express.json(), (req, res, next) =>
		req.get("authorization") === `Bearer ${process.env.BENCH_TOKEN}` ? next() : res.sendStatus(401)];

	app.post("/api/check", ...ofProgram, (req, res) => {
		req.sessionStore.get(req.body.token, (error, found) => {
			if (error)
				return res.sendStatus(500);
			res.json(found ? { live: true, user: { username: found.user } } : { live: false });
		});
	});

	app.post("/api/sessions", ...ofProgram, async (req, res) => {
		await pool.query("DELETE FROM session WHERE sess->>'user' = $1", [req.body.user]);
		req.session.regenerate((error) => {
			if (error)
				return res.sendStatus(500);
			req.session.user = req.body.user;
			res.status(201).json({ user: { username: req.body.user }, token: req.sessionID });
		});
	});

	app.listen(listen);
}
