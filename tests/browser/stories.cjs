/* What people live through. Each function is a story; see run.cjs for what a world is. */
const assert = require("node:assert/strict");

const MEMBERS = "/members/";
const told = (page) => page.locator("#told").innerText();
const heading = (page) => page.getByRole("heading", { level: 1 }).innerText();

/* The page's own session has ended: following any link says so. */
async function readWhy(page, where = MEMBERS) {
	await page.goto(where);
	assert.equal(await page.title(), "You were signed out");
	assert.equal(await heading(page), "You were signed out");
	return told(page);
}

async function changePassword(page, current, wanted) {
	await page.getByLabel("Current password").fill(current);
	await page.getByLabel("New password").fill(wanted);
	await page.getByRole("button", { name: "Change password" }).click();
}

// ---- Two browsers ---------------------------------------------------------------------------------------------------

exports.oldTabIsTold = async (world) => {
	const old = await world.open({ agent: "chrome" });
	const late = await world.open({ agent: "firefox" });
	await world.signIn(old, { next: MEMBERS + "?a=b" });
	await world.signIn(late);
	const dialog = old.getByRole("alertdialog", { name: "You were signed out" });
	await dialog.waitFor();
	assert.match(await dialog.innerText(), /Your account was signed in on Firefox on Linux at \d\d:\d\d, so you were signed out here\. Not you\? Sign in here and change your password\./);
	// A screen reader reads it, and no key that was meant for something else does anything.
	assert.equal(await dialog.evaluate((element) => element.getRootNode().activeElement === element), true);
	await old.keyboard.press("Enter");
	assert.equal(new URL(old.url()).pathname, MEMBERS);
	await old.keyboard.press("Tab");
	await old.keyboard.press("Enter");
	await old.waitForURL(/login/);
	assert.equal(await old.title(), "You were signed out");
	assert.match(await told(old), /signed in on Firefox on Linux at \d\d:\d\d, so you were signed out here/);
	await world.fillIn(old);
	await old.waitForURL(MEMBERS + "?a=b");
	await late.getByRole("alertdialog").waitFor();
};

exports.siteTellsItInItsOwnWay = async (world) => {
	const old = await world.open();
	await world.signIn(old, { next: MEMBERS });
	await old.evaluate(() => {
		document.addEventListener("onesession:ended", (event) => {
			event.preventDefault();
			window.heard = event.detail;
		});
	});
	await world.signIn(await world.open({ agent: "firefox" }));
	const detail = await (await old.waitForFunction(() => window.heard)).jsonValue();
	assert.equal(detail.reason, "displaced");
	assert.deepEqual(detail.by, { browser: "Firefox", os: "Linux" });
	assert.match(detail.ended_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
	assert.equal(await old.getByRole("alertdialog").count(), 0);
};

exports.closedNoticeStaysClosed = async (world) => {
	const old = await world.open();
	await world.signIn(old, { next: MEMBERS });
	await world.signIn(await world.open({ agent: "firefox" }));
	await old.getByRole("button", { name: "Close" }).click();
	await old.locator("#onesession-notice").waitFor({ state: "detached" });
	assert.equal(await heading(old), "The reading room");
};

/* With a clock that the story moves: how often the script asks. */
exports.scriptAsksNoMoreThanItShould = async (world) => {
	const page = await world.open();
	let asked = 0;
	let answered = 0;
	let answer = null;
	await page.clock.install({ time: 0 });
	await page.clock.pauseAt(1_000);
	page.on("requestfinished", (request) => {
		if (request.url().endsWith("/session/state"))
			answered++;
	});
	await page.route("**/session/state", async (route) => {
		asked++;
		await (answer === null ? route.continue() : route.fulfill(answer));
	});
	const show = (state) =>
		page.evaluate((visibility) => {
			Object.defineProperty(document, "visibilityState", { value: visibility, configurable: true });
			document.dispatchEvent(new Event("visibilitychange"));
		}, state);
	const until = async (count) => {
		const deadline = Date.now() + world.patience;
		while (answered < count && Date.now() < deadline)
			await new Promise((resolve) => setTimeout(resolve, 20));
		// What comes after it finds that it has been looked at.
		await page.evaluate(() => fetch("/session/health").then((response) => response.text()));
		assert.deepEqual([asked, answered], [count, count]);
	};

	// A stranger has nothing to lose.
	await page.goto("/session/login");
	await page.evaluate(() => import("/session/notice.js?interval=5"));
	await until(1);
	await page.clock.runFor(60_000);
	await until(1);

	await world.signIn(page, { next: MEMBERS });
	await until(2);
	asked = answered = 0;
	await page.reload();
	await until(1);
	await page.clock.runFor(5_000);
	await until(2);
	await show("hidden");
	await page.clock.runFor(600_000);
	await until(2);
	await show("visible");
	await until(3);

	// Less and less often while the site is in trouble, and that ends nothing.
	answer = { status: 200, contentType: "application/json", body: "no JSON" };
	await page.clock.runFor(5_000);
	await until(4);
	await page.clock.runFor(5_000);
	await until(4);
	await page.clock.runFor(5_000);
	await until(5);
	await page.clock.runFor(19_000);
	await until(5);
	assert.equal(await page.getByRole("alertdialog").count(), 0);
	answer = null;
	await page.clock.runFor(1_000);
	await until(6);

	await world.query("plain", "DELETE FROM sessions");
	await page.clock.runFor(5_000);
	await until(7);
	await page.clock.runFor(1_000);
	await page.getByRole("alertdialog").waitFor();
	await until(8);
	await page.clock.runFor(600_000);
	await until(8);
};

// ---- Every reason ---------------------------------------------------------------------------------------------------

exports.displaced = async (world) => {
	const page = await world.open();
	await world.signIn(page);
	await world.signIn(await world.open({ agent: "safari" }));
	assert.match(await readWhy(page), /^Your account was signed in on Safari on macOS at \d\d:\d\d, so you were signed out here\.$/);
};

exports.expired = async (world) => {
	const page = await world.open();
	await world.signIn(page);
	await world.query("plain", "UPDATE sessions SET expires_at = now() - interval '1 day'");
	assert.match(await readWhy(page), /^You had been signed in for as long as this site allows, so you were signed out on \d+ \w+( \d+)? at \d\d:\d\d\.$/);
};

exports.idle = async (world) => {
	const page = await world.open({ site: "idle" });
	await world.signIn(page);
	await world.query("idle", "UPDATE sessions SET last_seen_at = now() - interval '2 hours'");
	assert.match(await readWhy(page), /^You had not been here for a while, so you were signed out/);
};

exports.loggedOut = async (world) => {
	const page = await world.open();
	await world.signIn(page);
	const cookies = await page.context().cookies();
	await page.getByRole("button", { name: "Sign out" }).click();
	await page.waitForURL("/session/login?signed_out");
	assert.equal(await page.title(), "You have signed out");
	assert.equal(await heading(page), "You have signed out");
	// Whoever signed out knows it, also with a cookie that a browser has brought back.
	await page.context().addCookies(cookies);
	await page.goto(MEMBERS);
	assert.equal(await page.title(), "Sign in");
	await world.signIn(page);
	assert.match(await page.getByRole("region", { name: "Earlier sign-ins" }).innerText(), /Signed out at \d\d:\d\d/);
};

exports.revokedByAnOperator = async (world) => {
	const page = await world.open();
	await world.signIn(page);
	await world.ctl("plain", "session", "end", "--user", "alice");
	assert.match(await readWhy(page), /^You were signed out by an operator of this site at \d\d:\d\d\.$/);
};

exports.revokedFromElsewhere = async (world) => {
	const page = await world.open({ site: "many" });
	const other = await world.open({ site: "many", agent: "firefox" });
	await world.signIn(page);
	await world.signIn(other);
	await other.getByRole("link", { name: "All devices that you are signed in on" }).click();
	await other.getByRole("button", { name: "Sign out there Chrome on Windows" }).click();
	await other.getByText("Chrome on Windows").waitFor({ state: "detached" });
	assert.match(await readWhy(page), /^You were signed out here from Firefox on Linux at \d\d:\d\d\.$/);
	await other.getByRole("button", { name: "Sign out" }).click();
	await other.waitForURL("/session/login?signed_out");
};

exports.passwordChanged = async (world) => {
	const page = await world.open({ site: "many" });
	const other = await world.open({ site: "many", agent: "firefox" });
	await world.signIn(page);
	await world.signIn(other);
	await changePassword(other, world.password, "another password");
	await other.waitForURL(/changed/);
	assert.match(await readWhy(page), /^The password of your account was changed on Firefox on Linux at \d\d:\d\d, so you were signed out here\./);
};

exports.disabled = async (world) => {
	const page = await world.open();
	await world.signIn(page);
	await world.ctl("plain", "user", "disable", "alice");
	assert.match(await readWhy(page), /^Your account was closed/);
};

/* What an open page says of each reason, whatever is known of it. */
exports.noticeOfEachReason = async (world) => {
	const by = { browser: "Firefox", os: "Linux" };
	const nobody = { browser: "", os: "" };
	const long_ago = "2020-02-29T11:30:00Z";
	const said = [
		["displaced", by, long_ago, "Your account was signed in on Firefox on Linux on 29 February 2020 at 12:30, so you were signed out here. Not you? Sign in here and change your password."],
		["displaced", nobody, null, "Your account was signed in on another device, so you were signed out here. Not you? Sign in here and change your password."],
		["expired", nobody, null, "You had been signed in for as long as this site allows, so you were signed out."],
		["idle", nobody, null, "You had not been here for a while, so you were signed out."],
		["revoked", by, null, "You were signed out here from Firefox on Linux."],
		["revoked", nobody, null, "You were signed out by an operator of this site."],
		["password_changed", by, null, "The password of your account was changed on Firefox on Linux, so you were signed out here. If that was not you, please tell the operators of this site."],
		["password_changed", nobody, null, "The password of your account was changed, so you were signed out here. If that was not you, please tell the operators of this site."],
		["disabled", nobody, null, "Your account was closed."],
		["logged_out", nobody, null, "You signed out."],
		["unauthenticated", nobody, null, "You signed out."],
	];
	const page = await world.open();
	let state;
	await page.route("**/session/state", (route) => route.fulfill({ json: state }));
	for (const [reason, who, ended_at, sentence] of said) {
		state = { live: true };
		await page.goto("/session/login");
		const asked = page.waitForResponse("**/session/state");
		await page.evaluate(() => import("/session/notice.js?interval=0.05"));
		await asked;
		state = { live: false, reason, ended_at, by: who };
		assert.equal(await page.getByRole("alertdialog").locator("p").innerText(), sentence);
	}
};

/* The daemon's, one of the site's own, which is told why, or none. */
exports.noticeLeadsToTheSignInThatThereIs = async (world) => {
	const page = await world.open();
	let state, address;
	await page.route("**/session/state", (route) => route.fulfill({ json: state }));
	await page.route("**/session/notice.json", async (route) => {
		const response = await route.fetch();
		await route.fulfill({ response, json: { ...(await response.json()), address } });
	});
	for (const [given, link] of [
		["/session/login", "/session/login?next=%2Fsession%2Flogin%3Fx"],
		["/in?from=x", "/in?from=x&next=%2Fsession%2Flogin%3Fx&reason=displaced"],
		["https://login.example/in", "https://login.example/in?next=%2Fsession%2Flogin%3Fx&reason=displaced"],
		[undefined, null],
	]) {
		address = given;
		state = { live: true };
		await page.goto("/session/login?x");
		const asked = page.waitForResponse("**/session/state");
		await page.evaluate(() => import("/session/notice.js?interval=0.05"));
		await asked;
		state = { live: false, reason: "displaced", ended_at: null, by: null };
		const dialog = page.getByRole("alertdialog");
		await dialog.waitFor();
		const found = dialog.getByRole("link");
		if (link === null)
			assert.equal(await found.count(), 0);
		else
			assert.equal(await found.evaluate((one) => one.href), new URL(link, page.url()).href);
	}
};

/* Somebody else knows the password: one button leads to the form for another one. */
exports.notMe = async (world) => {
	const mine = await world.open({ script: false });
	const other = await world.open({ agent: "firefox" });
	await world.signIn(mine, { next: MEMBERS });
	await world.signIn(other);
	await readWhy(mine);
	assert.match(await mine.getByRole("main").innerText(), /There\s+Firefox on Linux\s+127\.0\.0\.1\s+Here\s+Chrome on Windows\s+127\.0\.0\.1/);
	await mine.getByLabel("Username").fill("alice");
	await mine.getByLabel("Password").fill(world.password);
	await mine.getByRole("button", { name: "Not you? Change your password" }).click();
	await mine.waitForURL("/session/account#password");
	assert.match(await mine.getByRole("region", { name: "Earlier sign-ins" }).innerText(), /Firefox on Linux, 127\.0\.0\.1, since/);
	await changePassword(mine, world.password, "another password");
	await mine.getByText("Your password has been changed").waitFor();
	await other.reload();
	await world.fillIn(other);
	await other.getByText("Username or password is not right").waitFor();
};

/* The same where people are asked first. */
exports.takeOverAndChangePassword = async (world) => {
	await world.signIn(await world.open({ site: "ask", agent: "firefox" }));
	const page = await world.open({ site: "ask" });
	await page.goto("/session/login?next=" + MEMBERS);
	await world.fillIn(page);
	await page.getByRole("button", { name: "Sign out there, change your password" }).click();
	await page.waitForURL("/session/account#password");
};

/* A page that is open to all greets whoever is signed in. */
exports.publicPageGreets = async (world) => {
	const page = await world.open();
	await page.goto("/");
	await page.getByRole("link", { name: "Sign in" }).waitFor();
	await world.signIn(page, { next: MEMBERS });
	await page.goto("/");
	await page.getByText("Signed in as alice").waitFor();
};

// ---- Taking over ----------------------------------------------------------------------------------------------------

exports.takeOverByClick = async (world) => {
	const first = await world.open({ site: "ask", agent: "firefox" });
	const second = await world.open({ site: "ask" });
	await world.signIn(first);
	await second.goto("/session/login?next=" + MEMBERS);
	await world.fillIn(second);
	await second.waitForFunction(() => document.title === "You are signed in on another device");
	assert.match(await second.getByRole("main").innerText(), /alice is signed in on another device:\s+Firefox on Linux, 127\.0\.0\.1\s+since \d\d:\d\d/);
	assert.equal(await second.evaluate(() => document.activeElement.tagName), "H1");

	await second.getByRole("link", { name: "Cancel, and stay signed in there" }).click();
	await second.waitForURL("/");
	await first.reload();
	assert.equal(await first.title(), "Your account");

	await second.goto("/session/login?next=" + MEMBERS);
	await world.fillIn(second);
	await second.getByRole("button", { name: "Sign out there, continue here" }).click();
	await second.waitForURL(MEMBERS);
	assert.match(await readWhy(first), /signed in on Chrome on Windows/);
};

exports.refusedWhileLiveElsewhere = async (world) => {
	const first = await world.open({ site: "refuse", agent: "firefox" });
	const second = await world.open({ site: "refuse" });
	await world.signIn(first);
	await second.goto("/session/login?next=" + MEMBERS);
	await world.fillIn(second);
	await second.waitForFunction(() => document.title === "Sign in: signed in on another device");
	assert.match(await told(second), /Firefox on Linux, 127\.0\.0\.1, since \d\d:\d\d\s+Please sign out there first/);
	await first.getByRole("button", { name: "Sign out" }).click();
	await first.waitForURL("/session/login?signed_out");
	await world.fillIn(second, { username: null });
	await second.waitForURL(MEMBERS);
};

// ---- The same browser -----------------------------------------------------------------------------------------------

exports.restartedBrowserIsStillSignedIn = async (world) => {
	const page = await world.open({ site: "refuse" });
	await world.signIn(page);
	const again = await world.reopen(page, { site: "refuse" });
	await again.goto(MEMBERS);
	assert.equal(await heading(again), "The reading room");
};

exports.restartedBrowserThatLostItsSession = async (world) => {
	let page = await world.open({ site: "forgetful" });
	await world.signIn(page);
	for (let restart = 0; restart < 3; restart++) {
		page = await world.reopen(page, { site: "forgetful" });
		await page.goto(MEMBERS);
		assert.equal(await page.title(), "Sign in");
		await world.fillIn(page);
		await page.waitForURL(MEMBERS);
	}
	assert.deepEqual(await world.query("forgetful", "SELECT count(*) FROM sessions"), [["1"]]);
	assert.deepEqual(await world.query("forgetful", "SELECT count(*) FROM takeovers"), [["0"]]);
	const other = await world.open({ site: "forgetful", agent: "firefox" });
	await other.goto("/session/login");
	await world.fillIn(other);
	await other.waitForFunction(() => document.title === "Sign in: signed in on another device");
};

/* The second click as soon as the first has been sent. */
async function clickTwice(page, name) {
	const { x, y, width, height } = await page.getByRole("button", { name }).boundingBox();
	const middle = [x + width / 2, y + height / 2];
	const first = page.waitForRequest((request) => request.method() === "POST");
	await page.mouse.click(...middle);
	await first;
	await page.mouse.click(...middle);
}

/* The password takes its time: the second click comes while the first is under way. */
exports.doubleClick = async (world) => {
	const page = await world.open({ site: "slow" });
	let sent = 0;
	page.on("request", (request) => {
		if (request.method() === "POST")
			sent++;
	});
	await page.goto("/session/login?next=" + MEMBERS);
	await page.getByLabel("Username").fill("alice");
	await page.getByLabel("Password").fill(world.password);
	await clickTwice(page, "Sign in");
	// The navigation of the first is given up, which waitForURL() takes for an error.
	await page.getByRole("heading", { name: "The reading room" }).waitFor();
	assert.equal(sent, 2);
	await page.reload();
	assert.equal(await heading(page), "The reading room");
	// Whichever was answered last.
	assert.deepEqual(await world.query("slow", "SELECT count(*) FROM sessions"), [["1"]]);
	assert.deepEqual(await world.query("slow", "SELECT count(*) FROM takeovers"), [["0"]]);
};

exports.doubleClickOnTakingOver = async (world) => {
	await world.signIn(await world.open({ site: "ask", agent: "firefox" }));
	const page = await world.open({ site: "ask" });
	await page.goto("/session/login?next=" + MEMBERS);
	await world.fillIn(page);
	await page.waitForFunction(() => document.title === "You are signed in on another device");
	await clickTwice(page, "Sign out there, continue here");
	await page.getByRole("heading", { name: "The reading room" }).waitFor();
	await page.reload();
	assert.equal(await heading(page), "The reading room");
	assert.deepEqual(await world.query("ask", "SELECT count(*) FROM sessions"), [["1"]]);
	assert.deepEqual(await world.query("ask", "SELECT sum(count) FROM takeovers"), [["1"]]);
};

/* Back to the page that one has signed in by, and once more. */
exports.backToTheForm = async (world) => {
	const page = await world.open({ site: "refuse" });
	await page.goto("/session/login?next=" + MEMBERS);
	await world.fillIn(page);
	await page.waitForURL(MEMBERS);
	await page.goBack();
	if ((await page.title()) === "Sign in")
		await world.fillIn(page);
	await page.goto(MEMBERS);
	assert.equal(await heading(page), "The reading room");
	assert.deepEqual(await world.query("refuse", "SELECT count(*) FROM takeovers"), [["0"]]);
};

// ---- Proving it again ------------------------------------------------------------------------------------------------

/* To end a session elsewhere takes the password again, and what was asked for is not lost without a word. */
exports.confirmedBeforeASessionEnds = async (world) => {
	const other = await world.open({ site: "many", agent: "firefox" });
	const page = await world.open({ site: "many", script: false });
	await world.signIn(other);
	await world.signIn(page);
	await world.query("many", "UPDATE sessions SET created_at = now() - interval '1 hour'");
	await page.getByRole("link", { name: "All devices that you are signed in on" }).click();
	await world.press(page, "Sign out there Firefox on Linux");
	assert.equal(await heading(page), "Is it still you?");
	assert.match(await page.getByRole("alert").innerText(), /has not been done yet/);
	await page.getByLabel("Password").fill("wrong");
	await world.press(page, "Continue");
	assert.match(await page.locator("#told").innerText(), /not the password/);
	await page.getByLabel("Password").fill(world.password);
	await world.press(page, "Continue");
	assert.equal(await heading(page), "Where you are signed in");
	await world.press(page, "Sign out there Firefox on Linux");
	assert.equal(await page.getByText("Firefox on Linux").count(), 0);
	assert.match(await readWhy(other), /^You were signed out here from Chrome on Windows/);
};

/* The first click is given up, and its answer would have brought the key. */
exports.doubleClickOnConfirming = async (world) => {
	const page = await world.open({ site: "slow" });
	await world.signIn(page);
	await page.goto("/session/confirm?next=" + MEMBERS);
	await page.getByLabel("Password").fill(world.password);
	await clickTwice(page, "Continue");
	await page.getByRole("heading", { name: "The reading room" }).waitFor();
	await page.reload();
	assert.equal(await heading(page), "The reading room");
	assert.deepEqual(await world.query("slow", "SELECT count(*) FROM ended_sessions"), [["0"]]);
};

/* A tab that is open goes on with the key that another one was given. */
exports.openTabsStaySignedInOverAConfirmation = async (world) => {
	const page = await world.open();
	await world.signIn(page, { next: MEMBERS });
	await page.evaluate(() => import("/session/notice.js?interval=0.05"));
	const other = await page.context().newPage();
	await other.goto("/session/confirm?next=" + MEMBERS);
	await other.getByLabel("Password").fill(world.password);
	await world.press(other, "Continue");
	assert.equal(await heading(other), "The reading room");
	const asked = page.waitForResponse("**/session/state");
	assert.equal((await (await asked).json()).live, true);
	assert.equal(await page.getByRole("alertdialog").count(), 0);
};

/* It asks with the former key, as another tab is just being given a new one. */
exports.tabThatAsksWithTheFormerKeyIsNotTold = async (world) => {
	const page = await world.open();
	await world.signIn(page, { next: MEMBERS });
	const former = (await page.context().cookies()).find((cookie) => cookie.name === "onesession");
	await page.evaluate(() => import("/session/notice.js?interval=0.05"));
	const other = await page.context().newPage();
	await other.goto("/session/confirm?next=" + MEMBERS);
	await other.getByLabel("Password").fill(world.password);
	let late = 0;
	await page.route("**/session/state", async (route) => {
		if (late > 0)
			return route.continue();
		const headers = { ...(await route.request().allHeaders()), cookie: `onesession=${former.value}` };
		const response = await route.fetch({ headers });
		late += !(await response.json()).live;
		return route.fulfill({ response });
	});
	await world.press(other, "Continue");
	assert.equal(await heading(other), "The reading room");
	for (let live = false; !live;)
		live = (await (await page.waitForResponse("**/session/state")).json()).live && late > 0;
	assert.equal(await page.getByRole("alertdialog").count(), 0);
};

// ---- Passwords ------------------------------------------------------------------------------------------------------

exports.changeOfPassword = async (world) => {
	const mine = await world.open({ site: "many" });
	const other = await world.open({ site: "many", agent: "firefox" });
	await world.signIn(other);
	await world.signIn(mine);

	await changePassword(mine, "not the password", "another password");
	await mine.getByText("This is not your current password.").waitFor();
	const current = mine.getByLabel("Current password");
	assert.equal(await current.evaluate((field) => field === document.activeElement), true);
	assert.equal(await current.getAttribute("aria-invalid"), "true");
	assert.equal(await current.getAttribute("aria-describedby"), "wrong");

	// The browser itself keeps one from sending what is too short.
	await changePassword(mine, world.password, "short");
	assert.equal(await mine.getByLabel("New password").evaluate((field) => field.validity.tooShort), true);

	await changePassword(mine, world.password, "another password");
	await mine.getByRole("status").getByText("Your password has been changed").waitFor();
	await mine.goto(MEMBERS);
	assert.equal(await heading(mine), "The reading room");
	assert.match(await readWhy(other), /password of your account was changed/);
	await world.signIn(other, { password: "another password" });
};

// ---- Without JavaScript, and without a mouse ------------------------------------------------------------------------

exports.withoutJavaScript = async (world) => {
	const first = await world.open({ site: "ask", agent: "firefox", script: false });
	const second = await world.open({ site: "ask", script: false });
	await world.signIn(first, { next: MEMBERS });
	await second.goto("/session/login?next=" + MEMBERS);
	await world.fillIn(second);
	await second.getByRole("button", { name: "continue here" }).click();
	await second.waitForURL(MEMBERS);
	assert.match(await readWhy(first), /signed in on Chrome on Windows at \d\d:\d\d UTC, so/);

	await second.goto("/session/account");
	await changePassword(second, world.password, "another password");
	await second.getByText("Your password has been changed").waitFor();
	await second.getByRole("button", { name: "Sign out" }).click();
	await second.waitForURL("/session/login?signed_out");
	await second.goto(MEMBERS);
	assert.equal(await second.title(), "Sign in");
};

exports.keyboardOnly = async (world) => {
	const page = await world.open();
	await page.goto("/session/login?next=" + MEMBERS);
	const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim());
	assert.equal(await focused(), "username");
	await page.keyboard.type("alice");
	await page.keyboard.press("Tab");
	assert.equal(await focused(), "password");
	await page.keyboard.type("wrong");
	await page.keyboard.press("Enter");
	await page.waitForFunction(() => document.title.includes("not right"));
	// The name is there already.
	assert.equal(await focused(), "password");
	await page.keyboard.type(world.password);
	await page.keyboard.press("Tab");
	assert.equal(await focused(), "Sign in");
	assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), "none");
	await page.keyboard.press("Enter");
	await page.waitForURL(MEMBERS);
};

/* Times are the reader's; the machine's time is there for programs. */
exports.readersTime = async (world) => {
	const page = await world.open();
	await world.signIn(page);
	const since = page.locator("dd time").first();
	const date = new Date(await since.getAttribute("datetime"));
	const wanted = new Intl.DateTimeFormat("en-GB", { timeStyle: "short", timeZone: "Europe/Berlin" }).format(date);
	assert.equal(await since.innerText(), wanted);
	assert.match(await since.getAttribute("title"), /^\d\d:\d\d UTC$/);
};

// ---- Where signing in leads to ---------------------------------------------------------------------------------------

/* It is another origin for the browser, at which it looks when a form is sent. */
exports.signingInLeadsToAnotherSite = async (world) => {
	const elsewhere = world.sites.many + "/session/health";
	const way = "/session/login?next=" + encodeURIComponent("/leave?to=" + elsewhere);
	const page = await world.open({ site: "ask" });
	await page.goto(way);
	await world.fillIn(page);
	await page.waitForURL(elsewhere);

	// And by the other form that signs in.
	const other = await world.open({ site: "ask", agent: "firefox" });
	await other.goto(way);
	await world.fillIn(other);
	await other.getByRole("button", { name: "continue here" }).click();
	await other.waitForURL(elsewhere);
};

exports.placeWithinThePageIsKept = async (world) => {
	const place = MEMBERS + "?a=b#the/place";
	const page = await world.open({ site: "ask" });
	await page.goto(place);
	await world.fillIn(page, { password: "wrong" });
	await page.waitForFunction(() => document.title.includes("not right"));
	await world.fillIn(page, { username: null });
	await page.waitForURL(place);
	assert.equal(await heading(page), "The reading room");

	const other = await world.open({ site: "ask", agent: "firefox" });
	await other.goto(place);
	await world.fillIn(other);
	await other.getByRole("button", { name: "continue here" }).click();
	await other.waitForURL(place);

	// The notice in the open page leads back to it as well.
	await page.getByRole("link", { name: "Sign in here" }).click();
	await page.waitForURL(/login/);
	await world.fillIn(page);
	await page.getByRole("button", { name: "continue here" }).click();
	await page.waitForURL(place);

	// Without a script it is the page, at least.
	const plain = await world.open({ site: "ask", script: false });
	await plain.goto(place);
	await world.fillIn(plain);
	await plain.getByRole("button", { name: "continue here" }).click();
	await plain.waitForURL((url) => url.pathname === MEMBERS);
};

/* A form on a page that somebody has read for too long. */
exports.formThatWasSentInVain = async (world) => {
	const page = await world.open();
	await world.signIn(page, { next: MEMBERS });
	await world.query("plain", "DELETE FROM sessions");
	await page.evaluate(() => {
		const form = Object.assign(document.createElement("form"), { method: "post", action: "/members/save" });
		document.body.append(form);
		form.submit();
	});
	await page.waitForURL(/login/);
	assert.match(await page.getByRole("alert").innerText(), /What you sent has not arrived/);
	await world.fillIn(page);
	await page.getByRole("heading", { name: "You are signed in" }).waitFor();
	assert.match(await page.getByRole("alert").innerText(), /Please send it again/);
	assert.deepEqual(await world.findings(page), []);
	await page.getByRole("link", { name: "Go on to where you were" }).click();
	await page.waitForURL(MEMBERS);
};

exports.scriptIsToldAndNotLedAway = async (world) => {
	const page = await world.open();
	await page.goto("/session/login");
	const told = await page.evaluate(async () => {
		const answers = [await fetch("/members/save", { method: "POST" }), await fetch("/members/film.mp4")];
		return Promise.all(answers.map(async (answer) => [answer.status, (await answer.json()).code]));
	});
	assert.deepEqual(told, [[401, "unauthenticated"], [401, "unauthenticated"]]);
	// What the browser thinks of that is no defect of the page's.
	world.complaints = world.complaints.filter((line) => !line.includes("/members/"));
};
