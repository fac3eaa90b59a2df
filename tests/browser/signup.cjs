/* People who make an account, are invited to one, or give theirs another address: by link and by code of a mail. */
const assert = require("node:assert/strict");

const PHONE = { width: 360, height: 640 };
const PASSWORD = "seven lemons under a bridge";
const CAROL = "carol@example.org";

async function signUp(world, page, { username = "carol", email = CAROL } = {}) {
	await page.goto("/session/login");
	await page.getByRole("link", { name: "Create an account" }).click();
	await page.getByLabel("Username").fill(username);
	await page.getByLabel("E-mail address").fill(email);
	await page.getByLabel("Password").fill(PASSWORD);
	const sent = page.waitForEvent("domcontentloaded");
	await page.getByRole("button", { name: "Create account" }).click();
	await sent;
	await page.getByRole("heading", { name: "Look into your mailbox" }).waitFor();
}

const heading = (page) => page.getByRole("heading", { level: 1 }).innerText();

async function signIn(world, page) {
	await page.getByRole("link", { name: "Sign in" }).click();
	await page.locator("#username").fill("carol");
	await page.getByLabel("Password").fill(PASSWORD);
	await page.getByRole("button", { name: "Sign in" }).click();
	await page.waitForURL("/session/account");
}

exports.byTheLinkOnAPhone = async (world) => {
	const page = await world.open({ site: "mailing", ...PHONE, dark: true });
	await signUp(world, page);
	const mail = await world.mail("mailing");
	assert.match(mail.subject, /confirm your address/);
	await page.goto("/session/verify?token=" + mail.token);
	assert.match(await page.locator("main").innerText(), /The account carol was asked for with the address carol@example.org, at \d\d:\d\d, from /);
	// The browser asks for the tick by itself.
	await page.getByRole("button", { name: "Create account" }).click();
	assert.equal(await page.locator("#confirmed:invalid").count(), 1);
	await page.getByLabel("I read the mail of this address").check();
	await world.press(page, "Create account");
	assert.equal(await heading(page), "Your account is ready");
	await signIn(world, page);
	assert.match(await page.getByRole("region", { name: "E-mail address" }).innerText(), /carol@example.org, confirmed/);
};

exports.byTheCodeWithoutScript = async (world) => {
	const page = await world.open({ site: "mailing", script: false });
	await signUp(world, page);
	const { code } = await world.mail("mailing");
	assert.equal(await page.locator("#code").getAttribute("autocomplete"), "one-time-code");
	assert.equal(await page.locator("#code").getAttribute("inputmode"), "numeric");
	await page.locator("#code").fill(code.slice(0, 4) + " " + code.slice(4));
	await page.getByRole("button", { name: "Confirm" }).click();
	await page.getByRole("heading", { name: "Your account is ready" }).waitFor();
	await signIn(world, page);
};

exports.somebodyElseUsedMyAddress = async (world) => {
	await signUp(world, await world.open({ site: "mailing" }), { username: "mallory" });
	const mail = await world.mail("mailing");
	const mine = await world.open({ site: "mailing", agent: "firefox" });
	await mine.goto("/session/verify?token=" + mail.token);
	assert.match(await mine.locator("main").innerText(), /mallory/);
	await mine.getByLabel("I read the mail of this address").check();
	await world.press(mine, "This was not me");
	assert.equal(await heading(mine), "Nothing was made");
	await mine.goto("/session/verify?token=" + mail.token);
	assert.match(await mine.title(), /not valid/);
	assert.deepEqual(await world.query("mailing", "SELECT count(*) FROM users WHERE username = 'mallory'"), [["0"]]);
};

exports.nameThatWasTakenMeanwhile = async (world) => {
	const page = await world.open({ site: "mailing", ...PHONE });
	await signUp(world, page, { username: "Alice" });
	await page.goto("/session/verify?token=" + (await world.mail("mailing")).token);
	assert.match(await page.locator("#name_problem").innerText(), /Another account has that name/);
	await page.getByLabel("Username (new)").fill("carol");
	await page.getByLabel("I read the mail of this address").check();
	await world.press(page, "Create account");
	assert.equal(await heading(page), "Your account is ready");
	await signIn(world, page);
};

exports.anotherAddress = async (world) => {
	const page = await world.open({ site: "mailing" });
	await world.signIn(page);
	await page.getByRole("region", { name: "E-mail address" }).getByRole("link", { name: "Change" }).click();
	await page.getByLabel("New e-mail address").fill(CAROL);
	await world.press(page, "Send the mail");
	await page.getByRole("heading", { name: "Look into your mailbox" }).waitFor();
	const mail = await world.mail("mailing", 2, CAROL);
	const other = await world.open({ site: "mailing", agent: "safari" });
	await other.goto("/session/verify?token=" + mail.token);
	await other.getByLabel("I read the mail of this address").check();
	await world.press(other, "Confirm address");
	assert.equal(await heading(other), "Address confirmed");
	await page.goto("/session/account");
	assert.match(await page.getByRole("region", { name: "E-mail address" }).innerText(), /carol@example.org, confirmed/);
};

exports.invited = async (world) => {
	await world.ctl("mailing", "user", "add", "carol", "--email", CAROL, "--invite");
	const mail = await world.mail("mailing");
	const page = await world.open({ site: "mailing", ...PHONE });
	await page.goto("/session/invite?token=" + mail.token);
	assert.match(await page.locator("main").innerText(), /The account carol was made for you/);
	assert.equal(await page.locator("[autocomplete=username]").inputValue(), "carol");
	await page.getByLabel("Password").fill(PASSWORD);
	await page.getByRole("button", { name: "Accept and sign in" }).click();
	await page.waitForURL("/session/account");
	assert.match(await page.getByRole("region", { name: "E-mail address" }).innerText(), /confirmed/);
};
