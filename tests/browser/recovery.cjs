/* Who has forgotten the password: by the link of the mail, by its code, with and without a password manager. */
const assert = require("node:assert/strict");

const PHONE = { width: 360, height: 640 };
const NEW_PASSWORD = "seven lemons under a bridge";
const MEMBERS = "/members/";

async function askForMail(world, page, login = "alice") {
	await page.goto("/session/login?next=" + MEMBERS);
	await page.getByRole("link", { name: "Forgotten your password?" }).click();
	await page.getByLabel("Username or e-mail address").fill(login);
	await world.press(page, "Send the mail");
	await page.getByRole("heading", { name: "Look into your mailbox" }).waitFor();
}

/* The mailbox is open in another browser, where nobody was ever signed in. */
exports.byTheLinkInAnotherBrowser = async (world) => {
	const page = await world.open({ site: "mailing" });
	await world.signIn(page);
	const asking = await world.open({ site: "mailing", agent: "safari" });
	await askForMail(world, asking, "ALICE@example.net");
	const mail = await world.mail("mailing");
	assert.match(mail.subject, /a new password/);
	const other = await world.open({ site: "mailing", agent: "firefox", dark: true });
	await other.goto("/session/reset?token=" + mail.token);
	assert.match(await other.locator("main").innerText(), /alice/);
	await other.getByLabel("New password").fill(NEW_PASSWORD);
	await world.press(other, "Save and sign in");
	await other.waitForURL(MEMBERS);
	// What was signed in before is told why it is not any more.
	await page.goto("/session/account");
	assert.match(await page.locator("#told").innerText(), /password of your account was changed/);
	await world.fillIn(page, { password: NEW_PASSWORD });
	await page.waitForURL("/session/account");
	await other.goto("/session/reset?token=" + mail.token);
	await other.getByRole("alert").waitFor();
	assert.match(await other.getByRole("alert").innerText(), /was used already/);
};

exports.byTheCodeOnAPhoneWithoutScript = async (world) => {
	const page = await world.open({ site: "mailing", ...PHONE, script: false });
	await askForMail(world, page);
	const { code } = await world.mail("mailing");
	assert.equal(await page.locator("#login").inputValue(), "alice");
	assert.equal(await page.locator("#code").getAttribute("inputmode"), "numeric");
	await page.locator("#code").fill(code.slice(0, 4) + " " + code.slice(4));
	await page.locator("#new_password").fill(NEW_PASSWORD);
	await page.getByRole("button", { name: "Save and sign in" }).click();
	await page.waitForURL(MEMBERS);
};

/* HTML, 4.10.18.7: what they fill in, and under which name they store it. */
exports.fieldsAreKnownToPasswordManagers = async (world) => {
	const page = await world.open({ site: "mailing" });
	const kinds = (form) => page.locator(`form[action='/session/${form}'] input[autocomplete]`).evaluateAll((fields) => fields.map((field) => field.autocomplete));
	await page.goto("/session/forgot");
	assert.deepEqual(await kinds("forgot"), ["username"]);
	await askForMail(world, page);
	assert.deepEqual(await kinds("reset"), ["username", "one-time-code", "new-password"]);
	const { token } = await world.mail("mailing");
	await page.goto("/session/reset?token=" + token);
	assert.deepEqual(await kinds("reset"), ["username", "new-password"]);
	assert.equal(await page.locator("[autocomplete=username]").inputValue(), "alice");
	// Where the form comes from is told to this site, though the address is told to nobody.
	const sent = page.waitForRequest((request) => request.method() === "POST");
	await page.getByLabel("New password").fill(NEW_PASSWORD);
	await world.press(page, "Save and sign in");
	const headers = await (await sent).allHeaders();
	assert.equal(headers.origin, world.sites.mailing);
	assert.equal(headers.referer, world.sites.mailing + "/");
};
