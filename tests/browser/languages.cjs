/* The pages in each language: which one people get, the choice that stays, and each page as the others in tour.cjs. */
const assert = require("node:assert/strict");
const path = require("node:path");
const { inspectPage } = require("./tour.cjs");

const LANGUAGES = { en: "en-GB", de: "de-DE", "zh-Hans": "zh-CN" };
const MEMBERS = "/members/";

const language = (page) => page.evaluate(() => document.documentElement.lang);

/* By what does not depend on the language. */
async function signIn(world, page, { next = "/session/account", password = world.password } = {}) {
	await page.goto("/session/login?next=" + encodeURIComponent(next));
	await submit(page, { password });
	await page.waitForURL(next);
}

async function submit(page, { username = "alice", password }) {
	await page.locator("#username").fill(username);
	await page.locator("#password").fill(password);
	const loaded = page.waitForEvent("domcontentloaded");
	await page.locator("form[action='/session/login'] button:not(.quiet)").click();
	await loaded;
}

async function choose(page, name) {
	const loaded = page.waitForEvent("domcontentloaded");
	await page.getByRole("button", { name, exact: true }).click();
	await loaded;
}

exports.choiceIsRemembered = async (world) => {
	const page = await world.open({ locale: "de-DE" });
	await page.goto("/session/login?next=" + MEMBERS);
	assert.equal(await page.title(), "Anmelden");
	assert.equal(await page.getByRole("form", { name: "Sprache" }).locator("[aria-current]").innerText(), "Deutsch");
	await choose(page, "简体中文");
	assert.equal(await page.title(), "登录");
	assert.equal(await language(page), "zh-Hans");
	// What signing in leads to is not lost, nor is it by another attempt.
	await submit(page, { password: "wrong" });
	assert.equal(await page.title(), "登录：用户名或密码不正确");
	await choose(page, "English");
	assert.equal(await page.title(), "Sign in");
	await submit(page, { password: world.password });
	await page.waitForURL(MEMBERS);
	const again = await world.reopen(page, { locale: "de-DE" });
	await again.goto("/session/account");
	assert.equal(await again.title(), "Your account");
};

exports.choiceNeedsNoScript = async (world) => {
	const page = await world.open({ script: false });
	await page.goto("/session/nothing");
	await page.getByRole("button", { name: "Deutsch" }).click();
	await page.getByRole("heading", { name: "Hier gibt es nichts" }).waitFor();
	assert.equal(new URL(page.url()).pathname, "/session/nothing");
};

/* An open page of the site's own, whatever its language is. */
exports.noticeIsInTheReadersLanguage = async (world) => {
	const said = {
		"de-DE": [/^Ihr Konto wurde um \d\d:\d\d auf einem anderen Gerät angemeldet \(Firefox unter Linux\)\. Deshalb wurden Sie hier abgemeldet\./, "Hier anmelden"],
		"zh-CN": [/^您的账号已于 \d\d:\d\d 在其他设备上登录（Linux 上的 Firefox），因此您在此处已被退出登录。/, "在此处登录"],
	};
	for (const [locale, [sentence, link]] of Object.entries(said)) {
		const page = await world.open({ locale });
		await signIn(world, page, { next: MEMBERS });
		await signIn(world, await world.open({ agent: "firefox" }));
		const dialog = page.getByRole("alertdialog");
		await dialog.waitFor();
		assert.match(await dialog.locator("p").innerText(), sentence);
		assert.equal(await page.locator("#onesession-notice").getAttribute("lang"), locale === "de-DE" ? "de" : "zh-Hans");
		assert.deepEqual(await world.findings(page), []);
		await dialog.getByRole("link", { name: link }).click();
		await page.waitForURL(/login/);
		// The reader's own clock, in the words of the page.
		assert.match(await page.locator("#told").innerText(), locale === "de-DE" ? /um \d\d:\d\d auf/ : /于 \d\d:\d\d 在/);
	}
};

/* Without its words it tells nothing, and goes on asking for them. */
exports.noticeWaitsForItsWords = async (world) => {
	const page = await world.open();
	let asked = 0;
	// The page's own, which asks less often.
	await page.route("**/session/notice.js", (route) => route.fulfill({ contentType: "text/javascript", body: "" }));
	await page.route("**/session/notice.json", (route) => (asked++ < 2 ? route.fulfill({ body: "no JSON" }) : route.continue()));
	await signIn(world, page, { next: MEMBERS });
	await page.evaluate(() => import("/session/notice.js?interval=0.05"));
	await page.waitForResponse("**/session/state");
	await world.query("plain", "DELETE FROM sessions");
	await page.locator("#onesession-notice").first().waitFor({ state: "attached" });
	assert.ok(asked >= 3);
};

/* Calls look(name, page) at the pages that most people see. */
async function visit(world, how, look) {
	let page = await world.open(how);
	await page.goto("/session/login");
	await look("login", page);
	await submit(page, { password: "wrong" });
	await look("login-invalid", page);
	await page.goto("/session/nothing");
	await look("error", page);
	await signIn(world, page);
	await world.query("plain", "UPDATE sessions SET created_at = '2025-03-05 09:07:00Z'");
	await page.goto("/session/account");
	await look("account", page);
	await signIn(world, await world.open({ agent: "firefox" }));
	await page.goto("/session/account");
	await look("login-displaced", page);
	await submit(page, { password: world.password });
	await page.goto("/session/account");
	await look("account-earlier", page);
	await page.goto("/session/confirm?lost=true&next=" + MEMBERS);
	await look("confirm", page);
	await page.context().close();

	await signIn(world, await world.open({ site: "many", agent: "safari" }));
	page = await world.open({ ...how, site: "many" });
	await signIn(world, page);
	await page.goto("/session/sessions");
	await look("sessions", page);
	await page.context().close();

	// A round before has left one.
	await world.ctl("ask", "session", "end", "--user", "alice");
	await signIn(world, await world.open({ site: "ask", agent: "firefox" }));
	page = await world.open({ ...how, site: "ask" });
	await page.goto("/session/login");
	await submit(page, { password: world.password });
	await look("takeover", page);
	await page.context().close();

	page = await world.open({ ...how, site: "mailing" });
	await page.goto("/session/forgot");
	await look("forgot", page);
	await page.locator("#login").fill("alice");
	const loaded = page.waitForEvent("domcontentloaded");
	await page.locator("form[action='/session/forgot'] button").click();
	await loaded;
	await look("reset-asked", page);
	await page.goto("/session/reset?token=" + (await world.mail("mailing")).token);
	await look("reset-link", page);
	await signIn(world, await world.open({ site: "mailing", agent: "firefox" }));
	await signIn(world, page);
	await page.goto("/session/notices");
	await look("notices", page);
	await page.goto("/session/signup");
	await look("signup", page);
	const email = `carol.${how.locale}.${how.width}@example.org`;
	await page.locator("#username").fill("carol");
	await page.locator("#email").fill(email);
	await page.locator("#password").fill("seven lemons under a bridge");
	const asked = page.waitForEvent("domcontentloaded");
	await page.locator("form[action='/session/signup'] button").click();
	await asked;
	await look("verify-asked", page);
	await page.goto("/session/verify?token=" + (await world.mail("mailing", 1, email)).token);
	await look("verify-link", page);
	await page.context().close();

	page = await world.open({ ...how, site: "mailing" });
	await signIn(world, page);
	await look("account-address", page);
	await page.goto("/session/email");
	await look("email", page);
	await page.context().close();
}

/* What is wrong with them: see tour.cjs. English is seen there. */
exports.inspect = async (world) => {
	const wrong = [];
	for (const [tag, locale] of Object.entries(LANGUAGES)) {
		if (tag === "en")
			continue;
		await visit(world, { locale }, async (name, page) => {
			const found = await inspectPage(world, page);
			if ((await language(page)) !== tag)
				found.light.push("is in " + (await language(page)));
			wrong.push(...[...found.light, ...found.dark].map((what) => `${tag} ${name}: ${what}`));
		});
	}
	return wrong;
};

exports.pictures = async (world) => {
	for (const [tag, locale] of Object.entries(LANGUAGES)) {
		for (const width of [360, 1280]) {
			await visit(world, { locale, width, height: 800 }, (name, page) =>
				page.screenshot({ path: path.join(world.folder, `${tag}-${name}-${width}.png`), fullPage: true }),
			);
		}
	}
};
