/*
 * Stories in Debian's Chromium, one after the other: node run.cjs CHROMIUM PATIENCE. To start the browser, and a first
 * page in it, costs more than most stories; what they keep apart from each other is that each page has a context of its
 * own, with its own cookies, storage and cache, which ends with the story. On standard input comes a line of JSON for
 * each story, which has its name and the sites. It asks for what only the test can do (onesessionctl, SQL) by a line on
 * standard output, and gets a line back; its last line has what it returned, or its error. With the end of the input
 * everything ends.
 */
const fs = require("node:fs");
const path = require("node:path");
const readline = require("node:readline");
const { chromium } = require("playwright-core");

const AXE = fs.readFileSync(require.resolve("axe-core"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"];
const AGENTS = {
	firefox: "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
	chrome: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
	safari: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
};

class World {
	constructor(browser, lines, told, patience) {
		this.browser = browser;
		this.lines = lines;
		this.contexts = [];
		this.sites = told.sites;
		this.password = told.password;
		this.folder = told.folder;
		this.patience = patience;
		this.complaints = [];
	}

	/* A page in a browser of its own, signed in nowhere. What it complains of fails the story at the end. */
	async open({ site = "plain", agent = "chrome", dark = false, width = 1280, height = 800, script = true, zoom = 1, locale = "en-GB", cookies = [] } = {}) {
		const context = await this.browser.newContext({
			baseURL: this.sites[site],
			userAgent: AGENTS[agent],
			colorScheme: dark ? "dark" : "light",
			viewport: { width, height },
			deviceScaleFactor: zoom,
			javaScriptEnabled: script,
			locale,
			timezoneId: "Europe/Berlin",
		});
		this.contexts.push(context);
		context.setDefaultTimeout(this.patience);
		await context.addCookies(cookies);
		const page = await context.newPage();
		page.on("pageerror", (error) => this.complaints.push(`${page.url()}: ${error}`));
		page.on("console", (message) => {
			// That a page has the status 401 or 404 is meant so.
			const isStatus = message.text().startsWith("Failed to load resource: the server responded with a status");
			if (["error", "warning"].includes(message.type()) && !isStatus)
				this.complaints.push(`${page.url()}: ${message.text()}`);
		});
		page.on("response", (answer) => {
			if (answer.status() >= 400 && answer.request().resourceType() !== "document")
				this.complaints.push(`${answer.url()}: ${answer.status()}`);
		});
		return page;
	}

	/* A browser that is closed and opened again, with what it keeps beyond that. */
	async reopen(page, options = {}) {
		const cookies = (await page.context().cookies()).filter((cookie) => cookie.expires !== -1);
		await page.context().close();
		return this.open({ ...options, cookies });
	}

	async ask(what, ...words) {
		process.stdout.write(JSON.stringify({ what, words }) + "\n");
		return JSON.parse((await this.lines.next()).value);
	}

	/* As an operator, and as the database's owner. */
	ctl(site, ...words) {
		return this.ask("ctl", site, ...words);
	}

	/*
	 * The newest of so many mails at the least that the site has sent, or, where it is said, of those to an address:
	 * its token, code and subject.
	 */
	async mail(site, count = 1, to = null) {
		if (to !== null)
			await this.ask("mail", site, count);
		return this.ask("mail", site, to === null ? count : 1, to);
	}

	/* The newest mail whose subject has that text in it. */
	mailOf(site, subject) {
		return this.ask("mail of", site, subject);
	}

	query(site, sql) {
		return this.ask("query", site, sql);
	}

	async fillIn(page, { username = "alice", password = this.password, label = "Username" } = {}) {
		if (username !== null)
			await page.getByLabel(label).fill(username);
		await page.getByLabel("Password").fill(password);
		await this.press(page, "Sign in");
	}

	/* A button that leads to another page, or to the same one again: what follows is said of the new one. */
	async press(page, name) {
		const loaded = page.waitForEvent("domcontentloaded");
		await page.getByRole("button", { name }).click();
		await loaded;
	}

	/* Sign in, and be where that leads to. */
	async signIn(page, { next = "/session/account", ...rest } = {}) {
		await page.goto("/session/login?next=" + encodeURIComponent(next));
		await this.fillIn(page, rest);
		await page.waitForURL(next);
	}

	/* Nothing of a story is there for the next one. */
	async close() {
		for (const context of this.contexts) {
			for (const page of context.pages())
				await page.unrouteAll({ behavior: "ignoreErrors" });
			await context.close();
		}
	}

	/* What axe-core finds, as text; nothing when all is well. */
	async findings(page) {
		if (!(await page.evaluate(() => "axe" in window)))
			await page.evaluate(AXE);
		// It leaves out to describe what is all right.
		const options = { runOnly: RULES, resultTypes: ["violations"] };
		const found = await page.evaluate((how) => axe.run(how), options);
		return found.violations.map(
			(one) => `${one.id}: ${one.help}: ${one.nodes.map((node) => node.html + " " + node.failureSummary).join("; ")}`,
		);
	}
}

async function play(browser, lines, told, patience) {
	const world = new World(browser, lines, told, patience);
	try {
		const result = await require(path.resolve(__dirname, told.file))[told.story](world);
		if (world.complaints.length > 0)
			throw new Error("the browser complained:\n" + world.complaints.join("\n"));
		return { result: result ?? null };
	} finally {
		await world.close();
	}
}

async function main() {
	const [executablePath, seconds] = process.argv.slice(2);
	const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
	const patience = seconds * 1000;
	const browser = await chromium.launch({
		executablePath,
		args: ["--disable-dev-shm-usage", ...(process.getuid() === 0 ? ["--no-sandbox"] : [])],
		timeout: patience,
	});
	try {
		for await (const line of lines) {
			const end = await play(browser, lines, JSON.parse(line), patience).catch((error) => ({ error: String(error.stack ?? error) }));
			process.stdout.write(JSON.stringify(end) + "\n");
		}
	} finally {
		await browser.close();
	}
}

main().then(
	() => process.exit(0),
	(error) => {
		console.error(error);
		process.exit(1);
	},
);
