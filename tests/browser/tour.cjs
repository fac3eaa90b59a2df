/* Every page in every state that people can see it in, one after the other. */
const assert = require("node:assert/strict");

/* Without what the browser checks before. */
async function changePassword(world, page, current, wanted) {
	await page.locator("form").evaluateAll((forms) => forms.forEach((form) => (form.noValidate = true)));
	await page.getByLabel("Current password").fill(current);
	await page.getByLabel("New password").fill(wanted);
	await world.press(page, "Change password");
}

async function confirm(world, page, password) {
	await page.getByLabel("Password").fill(password);
	await world.press(page, "Continue");
}

/* A form that is on no page. */
async function post(page, address) {
	await page.goto("/session/login");
	await page.evaluate((action) => {
		const form = Object.assign(document.createElement("form"), { method: "post", action });
		document.body.append(form);
		form.submit();
	}, address);
}

async function elsewhere(world, site, options = {}) {
	const page = await world.open({ site, agent: "firefox" });
	await world.signIn(page, options);
	return page;
}

/*
 * Calls look(name, page) at each; `how` is for world.open(). The sites have nothing to do with each other: about half of
 * the pages are the first one's, and are visited while those of the others are.
 */
exports.visit = async (world, how, look) => {
	const at = async (site) => world.open({ ...how, site });
	const seen = async (name, page, title) => {
		await page.waitForFunction((wanted) => document.title.includes(wanted), title);
		await look(name, page);
	};

	await Promise.all([visitPlain(world, at, seen), visitOthers(world, at, seen), visitMailing(world, at, seen)]);
};

async function visitPlain(world, at, seen) {
	const page = await at("plain");
	await page.goto("/session/login");
	await seen("login", page, "Sign in");
	await world.fillIn(page, { password: "wrong" });
	await seen("login-invalid", page, "not right");
	await page.goto("/session/nothing");
	await seen("error-not-found", page, "nothing here");
	await post(page, "/session/me");
	await seen("error-method", page, "does not work");
	await post(page, "/session/login");
	await seen("error-bad-request", page, "could not be read");

	await elsewhere(world, "plain");
	await world.signIn(page);
	await seen("account", page, "Your account");
	await changePassword(world, page, world.password, world.password);
	await seen("account-changed", page, "Password changed");
	await changePassword(world, page, "wrong", world.password);
	await seen("account-wrong", page, "Password not changed");
	await changePassword(world, page, world.password, "short");
	await seen("account-unacceptable", page, "Password not changed");

	await page.goto("/session/confirm?next=/members/");
	await seen("confirm", page, "Is it still you?");
	await confirm(world, page, "wrong");
	await seen("confirm-wrong", page, "password not right");
	await page.goto("/session/confirm?lost=true&next=/members/");
	await seen("confirm-lost", page, "Is it still you?");

	await page.goto("/members/");
	await elsewhere(world, "plain", { next: "/members/" });
	await page.getByRole("alertdialog").waitFor();
	await seen("members-notice", page, "reading room");
	await page.getByRole("link", { name: "Sign in here" }).click();
	await seen("login-displaced", page, "You were signed out");
	await world.fillIn(page);
	await page.waitForURL("/members/");
	await page.getByRole("button", { name: "Sign out" }).click();
	await seen("login-signed-out", page, "You have signed out");
	await page.context().close();
}

async function visitOthers(world, at, seen) {
	// With a long name of the site, and links of its own.
	let page = await at("named");
	const label = "Reader's number";
	await page.goto("/session/login");
	await world.fillIn(page, { label, password: "wrong" });
	await seen("named-login", page, "Reader's number or password not right");
	await world.fillIn(page, { label });
	await seen("named-account", page, "Your account");
	await page.getByRole("button", { name: "Sign out", exact: true }).click();
	await seen("named-signed-out", page, "You have signed out");
	await page.goto("/session/nothing");
	await seen("named-error", page, "nothing here");
	await page.context().close();

	page = await at("many");
	await elsewhere(world, "many");
	await world.signIn(page);
	await seen("account-many", page, "Your account");
	await page.getByRole("link", { name: "All devices" }).click();
	await seen("sessions", page, "Where you are signed in");
	await page.context().close();

	page = await at("ask");
	await elsewhere(world, "ask");
	await page.goto("/session/login?next=/members/");
	await world.fillIn(page);
	await seen("takeover", page, "another device");
	await page.locator("[name=ticket]").evaluate((field) => (field.value = "x".repeat(43)));
	await world.press(page, "continue here");
	await seen("login-ticket-gone", page, "took too long");
	await page.context().close();

	page = await at("refuse");
	await elsewhere(world, "refuse");
	await page.goto("/session/login");
	await world.fillIn(page);
	await seen("login-refused", page, "another device");
	await page.context().close();

	page = await at("cooldown");
	await elsewhere(world, "cooldown");
	await world.signIn(page);
	await elsewhere(world, "cooldown");
	await page.goto("/session/login");
	await world.fillIn(page);
	await seen("login-cooldown", page, "please wait");
	await page.context().close();

	page = await at("throttled");
	await page.goto("/session/login");
	for (let i = 0; i < 3; i++)
		await world.fillIn(page, { username: "bob", password: "wrong" });
	await seen("login-throttled", page, "please wait");
	await world.signIn(page);
	// A browser that the account knows has more attempts than others.
	for (let i = 0; i < 10 && (await page.getByText("too many attempts").count()) === 0; i++)
		await changePassword(world, page, "wrong", world.password);
	assert.match(await page.getByRole("alert").innerText(), /too many attempts/);
	await seen("account-throttled", page, "Password not changed");
	await page.goto("/session/confirm");
	await confirm(world, page, "wrong");
	await seen("confirm-throttled", page, "please wait");
	await page.context().close();
}

/* From asking for a mail to all that can be wrong with what it brings. */
async function visitMailing(world, at, seen) {
	const page = await at("mailing");
	const ask = async () => {
		await page.goto("/session/forgot");
		await page.getByLabel("Username or e-mail address").fill("alice");
		await world.press(page, "Send the mail");
	};
	await page.goto("/session/login");
	await seen("mailing-login", page, "Sign in");
	await page.getByRole("link", { name: "Forgotten your password?" }).click();
	await seen("forgot", page, "Forgotten your password?");
	await ask();
	await seen("reset-asked", page, "Look into your mailbox");
	await page.getByLabel("Code from the mail").fill("nonsense");
	await page.getByLabel("New password").fill(world.password);
	await world.press(page, "Save and sign in");
	await seen("reset-wrong-code", page, "not valid any more");
	const mail = await world.mail("mailing");
	await page.goto("/session/reset?token=" + mail.token);
	await seen("reset-link", page, "Choose a new password");
	await page.locator("form").evaluateAll((forms) => forms.forEach((form) => (form.noValidate = true)));
	await page.getByLabel("New password").fill("short");
	await world.press(page, "Save and sign in");
	await seen("reset-unacceptable", page, "please check");
	await page.goto("/session/reset?token=" + "A".repeat(43));
	await seen("reset-void-link", page, "not valid any more");
	for (let i = 0; i < 10 && !(await page.title()).includes("please wait"); i++)
		await ask();
	await seen("forgot-throttled", page, "please wait");
	await visitDeletion(world, page, seen);
	await visitNotices(world, page, seen);
	await page.context().close();
	// After it, for each takes the newest mail.
	await visitSigningUp(world, at, seen);
	await visitAddress(world, at, seen);
}

async function visitSigningUp(world, at, seen) {
	const page = await at("mailing");
	const signUp = async (username, email, password = "seven lemons under a bridge") => {
		await page.goto("/session/signup");
		await page.locator("form").evaluateAll((forms) => forms.forEach((form) => (form.noValidate = true)));
		await page.locator("#username").fill(username);
		await page.locator("#email").fill(email);
		await page.locator("#password").fill(password);
		await world.press(page, "Create account");
	};
	const open = async (email) => page.goto("/session/verify?token=" + (await world.mail("mailing", 1, email)).token);
	await page.goto("/session/signup");
	await seen("signup", page, "Create an account");
	await signUp("car@ol", "carol@example.org");
	await seen("signup-name", page, "please check");
	await signUp("carol", "carol");
	await seen("signup-email", page, "please check");
	await signUp("carol", "carol@example.org", "short");
	await seen("signup-password", page, "please check");
	await signUp("carol", "carol@example.org");
	await seen("verify-asked", page, "Look into your mailbox");
	await page.locator("#code").fill("nonsense");
	await world.press(page, "Confirm");
	await seen("verify-wrong-code", page, "not valid");
	await page.goto("/session/verify");
	await seen("verify-code", page, "Confirm your address");
	await open("carol@example.org");
	await seen("verify-link", page, "Confirm your address");
	await page.locator("form").evaluateAll((forms) => forms.forEach((form) => (form.noValidate = true)));
	await world.press(page, "Create account");
	await seen("verify-unticked", page, "please check");
	await page.getByLabel("I read the mail of this address").check();
	await world.press(page, "Create account");
	await seen("verified", page, "Your account is ready");
	await signUp("Alice", "other@example.org");
	await open("other@example.org");
	await seen("verify-name-taken", page, "another name, please");
	await page.getByLabel("I read the mail of this address").check();
	await world.press(page, "This was not me");
	await seen("verify-not-me", page, "Nothing was made");
	await world.ctl("mailing", "user", "add", "dave", "--email", "dave@example.org", "--invite");
	await page.goto("/session/invite?token=" + (await world.mail("mailing", 1, "dave@example.org")).token);
	await seen("invite", page, "Welcome");
	await page.goto("/session/invite?token=" + "A".repeat(43));
	await seen("invite-void", page, "not valid");
	await page.context().close();
}

async function visitAddress(world, at, seen) {
	const page = await at("mailing");
	await world.query("mailing", "UPDATE users SET email = 'bob@example.net', email_verified_at = now() WHERE username = 'bob'");
	await world.signIn(page, { username: "bob" });
	await seen("account-address", page, "Your account");
	await page.goto("/session/email");
	await seen("email", page, "Your e-mail address");
	await page.getByLabel("New e-mail address").fill("bob");
	await world.press(page, "Send the mail");
	await seen("email-none", page, "please check");
	await page.getByLabel("New e-mail address").fill("bob@new.example");
	await world.press(page, "Send the mail");
	await seen("email-asked", page, "Look into your mailbox");
	await page.goto("/session/verify?token=" + (await world.mail("mailing", 1, "bob@new.example")).token);
	await seen("verify-address", page, "Confirm your address");
	await page.getByLabel("I read the mail of this address").check();
	await world.query("mailing", "UPDATE users SET email = 'bob@new.example' WHERE username = 'carol'");
	await world.press(page, "Confirm address");
	await seen("verify-taken", page, "There is an account already");
	await world.query("mailing", "UPDATE users SET email_verified_at = NULL WHERE username = 'bob'");
	await page.goto("/session/account");
	await seen("account-address-unverified", page, "Your account");
	await page.context().close();
}

/* The mail that tells of the second browser is the newest one. */
async function visitNotices(world, page, seen) {
	await elsewhere(world, "mailing");
	await world.signIn(page);
	await page.getByRole("link", { name: "Mails about your account" }).click();
	await seen("notices", page, "Mails about your account");
	await page.goto("/session/undo?token=" + (await world.mailOf("mailing", "new sign-in")).token);
	await seen("undo", page, "Was it not you?");
	await page.locator("form").evaluateAll((forms) => forms.forEach((form) => (form.noValidate = true)));
	await world.press(page, "Sign everybody out");
	await seen("undo-unticked", page, "Was it not you?");
	await page.getByLabel("It was not me").check();
	await world.press(page, "Sign everybody out");
	await seen("undo-done", page, "Was it not you?");
	await page.goto("/session/undo?token=" + "A".repeat(43));
	await seen("undo-void-link", page, "Was it not you?");
}

/* Of an account that is kept in the end. */
async function visitDeletion(world, page, seen) {
	await world.signIn(page);
	await page.getByRole("link", { name: "Delete my account" }).click();
	await seen("delete", page, "Delete my account");
	await page.locator("form").evaluateAll((forms) => forms.forEach((form) => (form.noValidate = true)));
	await world.press(page, "Delete my account");
	await seen("delete-unticked", page, "Delete my account");
	await page.getByLabel("Yes, delete my account").check();
	await world.press(page, "Delete my account");
	await seen("delete-asked", page, "Your account will be deleted");
	await page.getByRole("link", { name: "Sign in" }).click();
	await world.fillIn(page);
	await seen("delete-choice", page, "Keep your account?");
	await page.goto("/session/account");
	await seen("account-to-be-deleted", page, "Your account");
	await page.getByRole("link", { name: "Keep it" }).click();
	await world.press(page, "Keep my account");
}

/* A phone of the smallest kind, or the text at four times its size: nothing has to be scrolled sideways. */
const NARROWEST = { width: 320, height: 640 };
const LIGHTS = ["light", "dark"];

/*
 * What is wrong with a page by the light: which rules of axe-core's are broken, and what does not fit. Which light there
 * is only the browser knows, so that it can change on a page that is there; to get there takes longer than to look.
 */
exports.inspectPage = async (world, page) => {
	const wrong = { light: [], dark: [] };
	for (const light of LIGHTS) {
		await page.emulateMedia({ colorScheme: light });
		wrong[light].push(...(await world.findings(page)));
	}
	const before = page.viewportSize();
	await page.setViewportSize(NARROWEST);
	for (const light of LIGHTS) {
		await page.emulateMedia({ colorScheme: light });
		const wide = await page.evaluate(() => document.documentElement.scrollWidth);
		if (wide > NARROWEST.width)
			wrong[light].push(`is ${wide} wide`);
	}
	await page.setViewportSize(before);
	return wrong;
};

/* The same of all pages. */
exports.inspect = async (world) => {
	const wrong = { light: [], dark: [] };
	await exports.visit(world, {}, async (name, page) => {
		const found = await exports.inspectPage(world, page);
		for (const light of LIGHTS)
			wrong[light].push(...found[light].map((what) => `${name}: ${what}`));
	});
	return wrong;
};
