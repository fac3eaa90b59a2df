"use strict";
/* An Express site with its own login, behind onesession; prints its port. */

const { randomUUID } = require("node:crypto");
const express = require("express");
const session = require("express-session");
const { onesession } = require(process.env.ONESESSION_EXPRESS);

const accounts = new Map(Object.entries(JSON.parse(process.env.SITE_ACCOUNTS)));
const app = express();

app.set("trust proxy", "loopback");
app.use(session({ secret: randomUUID(), resave: false, saveUninitialized: false }));
app.use(express.urlencoded({ extended: false }));
app.use(onesession({ tokenFile: process.env.ONESESSION_TOKEN_FILE, api: process.env.ONESESSION_API }));

app.get("/accounts/login/", (req, res) => {
	if (req.session.user)
		return res.redirect("/members/");
	req.session.csrf = randomUUID();
	res.send(`<form method="post"><input type="hidden" name="csrf" value="${req.session.csrf}"></form>`);
});

app.post("/accounts/login/", async (req, res, next) => {
	const { username, password, csrf } = req.body;

	if (!csrf || csrf !== req.session.csrf)
		return res.status(400).send("The form is too old.");
	if (!accounts.has(username) || accounts.get(username) !== password)
		return res.status(401).send("Wrong.");
	req.session.regenerate(async (error) => {
		if (error)
			return next(error);
		try {
			req.session.user = username;
			await req.onesession.signIn(username, { takeOver: Boolean(req.body.take_over) });
			res.redirect("/members/");
		} catch (refused) {
			res.set("Site-User", req.session.user || "");
			next(refused);
		}
	});
});

/* With the session as it is. */
app.post(["/accounts/password/", "/accounts/confirm/"], async (req, res, next) => {
	try {
		if (req.path === "/accounts/password/")
			await req.onesession.passwordChanged(req.session.user);
		await req.onesession.signIn(req.session.user);
		res.redirect("/members/");
	} catch (refused) {
		next(refused);
	}
});

app.post("/accounts/logout/", async (req, res) => {
	await req.onesession.signOut();
	req.session.destroy(() => res.redirect("/open/"));
});

const page = (req, res) => res.json({ path: req.path, user: req.session.user || "" });

app.get("/open/", page);
/* As it was before the site came behind the daemon: it tells nobody. */
app.get("/open/before", (req, res) => {
	req.session.user = "member0";
	page(req, res);
});
app.get("/members/", page);
app.use((error, req, res, next) => res.status(error.status || 500).send(error.message));

const server = app.listen(0, "127.0.0.1", () => console.log(server.address().port));
