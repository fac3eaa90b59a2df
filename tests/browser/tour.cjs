/* Every page in every state that people can see it in, one after the other. */
const assert = require("node:assert/strict");

/* Without what the browser checks before. */
async function changePassword(world, page, current, wanted) {
	await page.locator("form").evaluateAll((forms) => forms.forEach((form) => (form.noValidate = true)));
	await page.getByLabel("Current password").fill(current);
	await page.getByLabel("New password").fill(wanted);
	await world.press(page, "Change password");
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

	await Promise.all([visitPlain(world, at, seen), visitOthers(world, at, seen)]);
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
	await page.context().close();
}

/* A phone of the smallest kind, or the text at four times its size: nothing has to be scrolled sideways. */
const NARROWEST = { width: 320, height: 640 };
const LIGHTS = ["light", "dark"];

/*
 * What is wrong with the pages by the light: which rules of axe-core's are broken, and what does not fit. Which light
 * there is only the browser knows, so that it can change on a page that is there; to get there takes longer than to look.
 */
exports.inspect = async (world) => {
	const wrong = { light: [], dark: [] };
	await exports.visit(world, {}, async (name, page) => {
		for (const light of LIGHTS) {
			await page.emulateMedia({ colorScheme: light });
			wrong[light].push(...(await world.findings(page)).map((found) => `${name}: ${found}`));
		}
		const before = page.viewportSize();
		await page.setViewportSize(NARROWEST);
		for (const light of LIGHTS) {
			await page.emulateMedia({ colorScheme: light });
			const wide = await page.evaluate(() => document.documentElement.scrollWidth);
			if (wide > NARROWEST.width)
				wrong[light].push(`${name} is ${wide} wide`);
		}
		await page.setViewportSize(before);
	});
	return wrong;
};
