"use strict";
/* onesession for Express: one account, one live session, in front of a site that has its own login. See README.md. */

const { randomUUID } = require("node:crypto");
const { readFileSync } = require("node:fs");

const TIMEOUT_MS = 5000;
const SESSION = "onesession";

/** A login that onesession has refused: answer with `status`, and show `message`. `problem` is what the API said. */
class Refused extends Error {
	constructor(status, problem = {}) {
		super(problem.detail || "Signing in is not possible right now.");
		this.status = status;
		this.code = problem.code || "unavailable";
		this.problem = problem;
	}
}

/** An answer that is no success. What is not for people is for the log: they are told that it is not possible now. */
function refusal(method, path, status, problem) {
	if ([403, 409, 429].includes(status) && problem.code && problem.code !== "insufficient_scope")
		return new Refused(status, problem);
	console.error(`onesession: ${method} ${path}: ${status} ${problem.code} ${problem.detail}`);
	return new Refused(503);
}

/** The value of one of onesession's two cookies, which stands in the field as it is. */
function cookieOf(req, name) {
	for (const prefix of ["__Host-", "__Secure-", ""]) {
		for (const pair of (req.headers.cookie || "").split(";")) {
			const [found, value] = pair.trim().split(/=(.*)/s);

			if (found === prefix + name && /^[\x21-\x7e]+$/.test(value || ""))
				return value;
		}
	}
	return null;
}

/**
 * The middleware, to stand behind express-session. Options: api, https://shop.example/session/api, as this process
 * reaches it; tokenFile, of a token with the scopes sessions and users; isSignedIn, whether somebody is, by the
 * application's session; cookieName. req.onesession has signIn(), signOut() and passwordChanged().
 */
function onesession({
	api,
	tokenFile,
	isSignedIn = (session) => Boolean(session.user),
	cookieName = "onesession",
}) {
	/* The same key for both tries, so that what was done is not done again. */
	async function call(method, path, body) {
		const key = randomUUID();

		for (let tries = 1; ; tries++) {
			try {
				const headers = {
					authorization: `Bearer ${readFileSync(tokenFile, "utf8").trim()}`,
					"content-type": "application/json",
					"idempotency-key": key,
				};
				const answer = await fetch(api + path, {
					method,
					headers,
					body: body && JSON.stringify(body),
					redirect: "manual",
					signal: AbortSignal.timeout(TIMEOUT_MS),
				});
				const text = await answer.text();

				return [answer.status, text ? JSON.parse(text) : {}];
			} catch (error) {
				/* One that is silent has had its time. */
				if (tries === 2 || error.name === "TimeoutError") {
					console.error(`onesession: ${method} ${path}: ${error}`);
					throw new Refused(503);
				}
			}
		}
	}

	async function enter(req, name, takeOver, { external_id = null, ...account }) {
		const login = {
			user: name,
			exact: true,
			external_id,
			ip: req.ip,
			user_agent: req.get("user-agent") || "",
			presented: cookieOf(req, cookieName),
			device: cookieOf(req, `${cookieName}_device`),
			secure: req.secure,
			take_over: takeOver,
		};
		let [status, answer] = await call("POST", "/sessions", login);

		if (status === 404 && answer.code === "not_found") {
			[status, answer] = await call("PUT", `/users/${encodeURIComponent(name)}`, account);
			if (status === 200 || status === 201)
				[status, answer] = await call("POST", "/sessions", login);
		}
		if (status !== 201)
			throw refusal("POST", "/sessions", status, answer);
		return answer;
	}

	/**
	 * A login under the rule, of somebody whom the application has authenticated. When it is refused the application's
	 * session is a new one, and empty. `account`: what PUT /api/users takes, of one that is made; by its external_id an
	 * account is known again whose name changes.
	 */
	async function signIn(req, res, name, { takeOver = false, account = {} } = {}) {
		let answer;

		try {
			answer = await enter(req, name, takeOver, account);
		} catch (refused) {
			await new Promise((resolve, reject) => req.session.regenerate((error) => (error ? reject(error) : resolve())));
			throw refused;
		}
		for (const cookie of answer.cookies)
			res.append("Set-Cookie", cookie);
		const { id: before, of } = req.session[SESSION] || {};

		req.session[SESSION] = {
			id: answer.session.id,
			of: answer.user.id,
			before: of === answer.user.id ? before : undefined,
		};
		return answer;
	}

	/** Before the application's own sign-out, which goes on where onesession does not answer. */
	async function signOut(req) {
		const { id } = req.session[SESSION] || {};

		delete req.session[SESSION];
		/* That there was no answer has been logged; the session ends by itself. */
		if (id)
			await call("DELETE", `/sessions/${id}?reason=logged_out`).catch(() => {});
	}

	/**
	 * When the new password is saved: its sessions end everywhere, and signIn() follows for the browser at hand. Throws
	 * when onesession has not done it. `externalId`: that of signIn().
	 */
	async function passwordChanged(name, externalId = null) {
		const query = externalId === null ? `/${encodeURIComponent(name)}` : `?external_id=${encodeURIComponent(externalId)}`;
		let [status, answer] = await call("GET", `/users${query}`);

		if (externalId === null && status === 404 && answer.code === "not_found")
			return;
		const [account] = status === 200 ? answer.users || [answer] : [];

		if (account && (externalId !== null || (account.username === name && !account.is_admin))) {
			const path = `/users/${encodeURIComponent(account.username)}/sessions?reason=password_changed`;

			[status, answer] = await call("DELETE", path);
		}
		if (status !== 200)
			throw refusal("DELETE", "/users/NAME/sessions", status, answer);
	}

	return function guard(req, res, next) {
		const live = req.get("session-id") || "";
		const wasAsked = live !== "" || Boolean(req.get("session-reason"));
		const own = req.session[SESSION];

		req.onesession = {
			signIn: (name, options) => signIn(req, res, name, options),
			signOut: () => signOut(req),
			passwordChanged,
		};
		/*
		 * Who is nobody to the guard, or somebody else, is so here, too: the session is a new one, and the former stays as
		 * it is, for it may be somebody's elsewhere. The one before is that of a request which was under way when the
		 * person gave the password again.
		 */
		if (wasAsked && (own || isSignedIn(req.session)) && (live === "" || ![own?.id, own?.before].includes(live)))
			req.sessionStore.generate(req);
		next();
	};
}

module.exports = { onesession, Refused };
