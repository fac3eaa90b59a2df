/* What people live through at the cinema that `make run` shows. Each function is a story; see run.cjs. */
const assert = require("node:assert/strict");
const fs = require("node:fs");

const ada = { username: "ada", password: "lovelace-1843" };
const grace = { username: "grace", password: "hopper-1952" };
const charles = { username: "charles", password: "babbage-1837" };
const FILM = "Seahorse Valley";

const film = (page) => page.locator("video");
const state = (page) => film(page).evaluate((video) => ({ time: video.currentTime, paused: video.paused, src: video.currentSrc }));

async function play(page) {
	await film(page).evaluate((video) => video.play());
	await page.waitForFunction(() => document.querySelector("video").currentTime > 2);
}

async function open(page, name) {
	await page.goto("/");
	await page.getByRole("list").filter({ hasText: "Long Dusk" }).getByRole("link", { name }).click();
	await page.getByRole("heading", { level: 1, name }).waitFor();
}

/* From the catalogue to the film, and back to where it was left. */
exports.filmGoesOnWhereItWasLeft = async (world) => {
	const page = await world.open();
	await page.goto("/");
	await page.getByRole("searchbox", { name: "Search films" }).fill("mandelbrot");
	await page.keyboard.press("Enter");
	await page.waitForURL("/?q=mandelbrot");
	assert.equal(await page.getByRole("region", { name: "What there is" }).getByRole("listitem").count(), 1);
	await page.getByRole("link", { name: FILM }).click();
	assert.equal(await film(page).count(), 0);
	await page.getByRole("link", { name: "Sign in to watch" }).click();
	await world.fillIn(page, ada);
	await page.waitForURL(/\/titles\/\d+$/);
	await play(page);
	const kept = page.waitForResponse((answer) => answer.url().endsWith("/position"));
	await film(page).evaluate((video) => video.pause());
	assert.equal((await kept).status(), 204);
	const { time } = await state(page);

	await page.goto("/");
	const begun = page.getByRole("region", { name: "Continue watching" });
	assert.equal(await begun.getByRole("progressbar").getAttribute("value"), String(Math.floor(time)));
	await begun.getByRole("link", { name: FILM }).click();
	await page.waitForFunction(() => document.querySelector("video").readyState >= 1);
	assert.equal(Math.floor((await state(page)).time), Math.floor(time));
};

exports.secondSignInStopsTheFilm = async (world) => {
	const old = await world.open({ agent: "chrome" });
	const late = await world.open({ agent: "firefox" });
	await world.signIn(old, { ...ada, next: "/" });
	await open(old, FILM);
	await play(old);
	const { src } = await state(old);
	const address = src.replace(/#.*/, "");
	assert.equal((await old.request.get(address, { headers: { Range: "bytes=0-99" } })).status(), 206);

	await world.signIn(late, { ...ada, next: "/" });
	const begin = Date.now();
	const stopped = old.getByText("The film has stopped");
	await stopped.waitFor();
	const seconds = (Date.now() - begin) / 1000;
	assert.equal((await state(old)).paused, true);
	assert.equal(await film(old).getAttribute("src"), null);
	const dialog = old.getByRole("alertdialog", { name: "You were signed out" });
	await dialog.waitFor();
	assert.match(await dialog.innerText(), /Your account was signed in on Firefox on Linux at \d\d:\d\d/);
	// Nothing of the film is served to the old browser any more.
	assert.equal((await old.request.get(address, { headers: { Range: "bytes=100-199" } })).status(), 401);
	await open(late, FILM);
	await play(late);
	// The player is told so where it keeps the position.
	world.complaints = world.complaints.filter((complaint) => !/position: 401$/.test(complaint));
	return seconds;
};

exports.adminUploadsACover = async (world) => {
	const member = await world.open();
	await world.signIn(member, { ...grace, next: "/" });
	await open(member, "Rule 30");
	assert.equal(await member.getByLabel("Another picture").count(), 0);

	const page = await world.open();
	await world.signIn(page, { ...ada, next: "/" });
	await open(page, "Rule 30");
	const address = page.url();
	const before = await film(page).getAttribute("poster");
	await page.getByLabel("Another picture").setInputFiles({ name: "new.jpg", mimeType: "image/jpeg", buffer: fs.readFileSync(world.folder) });
	await world.press(page, "Upload");
	assert.equal(page.url(), address);
	const after = await film(page).getAttribute("poster");
	assert.notEqual(after, before);
	assert.deepEqual(await (await page.request.get(after)).body(), fs.readFileSync(world.folder));
	await page.goto("/");
	const picture = page.getByRole("link", { name: "Rule 30" }).last().locator("img");
	assert.ok((await picture.evaluate((image) => image.naturalWidth)) > 0);

	await open(page, "Rule 30");
	await page.getByLabel("Another picture").setInputFiles({ name: "no.jpg", mimeType: "image/jpeg", buffer: Buffer.from("<script>") });
	await world.press(page, "Upload");
	await page.getByText("A cover is one picture, a JPEG.").waitFor();
};

exports.endedSubscriptionIsRefused = async (world) => {
	const page = await world.open();
	await page.goto("/session/login?next=/");
	await world.fillIn(page, charles);
	await page.getByText(/Your subscription ended on \d+ \w+ \d{4}, because your card was declined/).waitFor();
	await page.goto("/");
	assert.equal(await page.getByRole("link", { name: "Sign in" }).count(), 1);

	const office = await world.open();
	await world.signIn(office, { ...ada, next: "/plans" });
	await world.press(office, "Paid in cash");
	assert.equal(await office.getByRole("region", { name: "Box office" }).count(), 0);
	await world.signIn(page, { ...charles, next: "/" });
};

exports.premiereTakesAnotherPlan = async (world) => {
	const page = await world.open();
	await world.signIn(page, { ...grace, next: "/" });
	await open(page, "The Carpet");
	await page.getByText("This is a premiere").waitFor();
	assert.equal(await film(page).count(), 0);
	await page.getByRole("link", { name: "See the plans" }).click();
	const premiere = page.getByRole("listitem").filter({ hasText: "Premiere" }).last();
	await premiere.getByLabel("Card").selectOption("0002, which is declined");
	await world.press(page, "Take Premiere");
	await page.getByText("That card was declined").waitFor();
	await page.goto("/plans");
	await world.press(page, "Take Premiere");
	await page.getByText("Yours, and paid until").waitFor();
	await open(page, "The Carpet");
	await play(page);
};

/* Each page in both lights, on the narrowest screen and a wide one: axe-core finds nothing, and nothing sticks out. */
exports.everyPageIsAccessible = async (world) => {
	const found = [];
	for (const [dark, width] of [[false, 320], [true, 1280]]) {
		const page = await world.open({ dark, width });
		const look = async (where) => {
			await page.goto(where);
			const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
			found.push(...(await world.findings(page)).map((one) => `${where}: ${one}`));
			if (wide > 0)
				found.push(`${where}: ${wide} pixels too wide`);
		};
		await look("/");
		await look("/titles/1");
		await look("/plans");
		await world.signIn(page, { ...ada, next: "/" });
		for (const where of ["/", "/?q=nothing", "/titles/1", "/plans", "/titles/99"])
			await look(where);
	}
	assert.deepEqual(found, []);
};

exports.keyboardIsEnough = async (world) => {
	const page = await world.open();
	await page.goto("/");
	await page.keyboard.press("Tab");
	assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the page");
	await page.keyboard.press("Enter");
	for (let tabs = 0; tabs < 10 && !(await page.evaluate(() => document.activeElement.type === "search")); tabs++)
		await page.keyboard.press("Tab");
	await page.keyboard.type("1970");
	await page.keyboard.press("Enter");
	await page.waitForURL("/?q=1970");
	await page.getByRole("link", { name: "Life and Still Life" }).focus();
	await page.keyboard.press("Enter");
	await page.getByRole("heading", { level: 1, name: "Life and Still Life" }).waitFor();
};
