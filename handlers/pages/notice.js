/*
 * Tells people in an open page that its session has ended, and why. A site includes it in its pages:
 *
 *	<script type="module" src="/session/notice.js"></script>
 *
 * It asks every 5 seconds while the page is seen; data-interval="30", or ?interval=30 in the address, makes that half a
 * minute, and 0 never. A site that wants to tell it in its own way listens to onesession:ended on the document, whose
 * detail is {reason, ended_at, by}, and calls preventDefault(). A site's own strict Content-Security-Policy needs
 * script-src 'self' and connect-src 'self' for it.
 */
const here = new URL(import.meta.url);
const home = new URL(".", here);
const element = [...document.scripts].find((script) => script.src === here.href);
const interval = Number(element?.dataset.interval ?? here.searchParams.get("interval") ?? 5);
const PAUSE_MAX_MS = 300_000;
const PATIENCE_MS = 10_000;
const AGAIN_MS = 1000;
const SIGN_IN = new URL("login", home).pathname;

// The reader's own way to write times, in that language.
const write = (language, date, clock) => {
	const own = navigator.languages.find((tag) => tag.split("-")[0] === language.split("-")[0]);
	const style = clock ? { timeStyle: "short" } : { dateStyle: "long", timeStyle: "short" };
	return new Intl.DateTimeFormat(own ?? (language || undefined), style).format(date);
};

function writeTimes() {
	for (const time of document.querySelectorAll("time.local")) {
		time.title = time.textContent;
		time.textContent = write(document.documentElement.lang, new Date(time.dateTime), time.classList.contains("clock"));
	}
}

// The part of an address behind # stays in the browser: where signing in leads to has it by way of the form.
function carryFragment() {
	for (const form of location.hash ? document.forms : []) {
		const action = new URL(form.getAttribute("action") ?? "", location);
		if (action.origin === home.origin && action.pathname === SIGN_IN)
			form.setAttribute("action", action.pathname + action.search + location.hash);
	}
}

// ---- What is said ---------------------------------------------------------------------------------------------------

async function ask(what) {
	const answer = await fetch(new URL(what, home), { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
	if (!answer.ok)
		throw new Error(answer.status);
	return { language: answer.headers.get("Content-Language"), value: await answer.json() };
}

// As in pages: {{name}} is a value; {{#name}}...{{/name}} is there with it, {{^name}}...{{/name}} without it.
function fill(text, values) {
	return text.replace(/{{([#^])(\w+)}}(.*?){{\/\2}}|{{(\w+)}}/g, (_, sign, section, part, name) => {
		if (name)
			return values[name] ?? "";
		return Boolean(values[section]) === (sign === "#") ? fill(part, values) : "";
	});
}

function sentence({ reason, ended_at, by }, texts, language) {
	const { browser, os } = by ?? {};
	const device = browser && os ? fill(texts.device, by) : browser || os;
	const date = new Date(ended_at ?? NaN);
	const today = date.toDateString() === new Date().toDateString();
	const at = isNaN(date) ? "" : fill(texts.at, { today, time: write(language, date, today) });
	return fill(texts[reason] ?? texts.logged_out, { device, at });
}

const STYLE = `
	dialog { box-sizing: border-box; width: min(26rem, calc(100vw - 2rem)); padding: 1.75rem; border: 1px solid #ded8cc;
		border-top: 4px solid #b06a1c; border-radius: 12px; color: #24211c; background: #fffdf9; outline: none;
		font: 1rem/1.55 system-ui, sans-serif; box-shadow: 0 24px 60px -20px rgb(0 0 0 / 45%); }
	dialog::backdrop { background: rgb(20 18 15 / 45%); }
	h2 { margin: 0 0 0.5rem; font-size: 1.25rem; line-height: 1.3; } p { margin: 0 0 1.25rem; }
	div { display: flex; flex-wrap: wrap; gap: 0.75rem; }
	a, button { padding: 0.55rem 1.1rem; border: 1px solid #1d5d59; border-radius: 8px; font: inherit; font-weight: 600;
		text-decoration: none; cursor: pointer; }
	a { color: #fff; background: #1d5d59; }
	button { color: #1d5d59; background: transparent; border-color: #878072; }
	a:focus-visible, button:focus-visible { outline: 3px solid #1d5d59; outline-offset: 2px; }
	@media (prefers-color-scheme: dark) {
		dialog { color: #ece8df; background: #1f1e1b; border-color: #37342e; border-top-color: #d99a4e; }
		a { color: #0d2422; background: #86cbc1; border-color: #86cbc1; }
		button { color: #86cbc1; border-color: #837b6d; }
		a:focus-visible, button:focus-visible { outline-color: #86cbc1; }
	}`;

function make(name, properties, ...children) {
	const made = Object.assign(document.createElement(name), properties);
	made.append(...children);
	return made;
}

function show(state, { language, value: texts }) {
	const page = location.pathname + location.search + location.hash;
	// There may be none.
	const again = texts.address && new URL(texts.address, home);
	const host = make("div", { id: "onesession-notice", lang: language });
	const shadow = host.attachShadow({ mode: "open" });
	const sheet = new CSSStyleSheet();
	const close = make("button", {}, texts.close);
	again?.searchParams.set("next", page);
	// A sign-in page of the site's own is told why.
	if (again && again.pathname !== SIGN_IN)
		again.searchParams.set("reason", state.reason);
	const dialog = make(
		"dialog",
		{ tabIndex: -1, autofocus: true },
		make("h2", { id: "title" }, texts.title),
		make("p", { id: "reason" }, sentence(state, texts, language)),
		make("div", {}, ...(again ? [make("a", { href: again }, texts.sign_in)] : []), close),
	);

	// Neither a site's style sheets nor its Content-Security-Policy reach this one.
	sheet.replaceSync(STYLE);
	shadow.adoptedStyleSheets = [sheet];
	dialog.setAttribute("role", "alertdialog");
	dialog.setAttribute("aria-labelledby", "title");
	dialog.setAttribute("aria-describedby", "reason");
	close.addEventListener("click", () => dialog.close());
	dialog.addEventListener("close", () => host.remove());
	shadow.append(dialog);
	document.body.append(host);
	dialog.showModal();
	// Not on a link: whoever is typing would follow it without having read anything.
	dialog.focus();
}

// ---- Asking ---------------------------------------------------------------------------------------------------------

let timer, failures = 0, asking = false, wasLive = false, isDoubtful = false, over = !(interval > 0);

const pause = () => (isDoubtful ? AGAIN_MS : Math.min(interval * 1000 * 2 ** failures, PAUSE_MAX_MS));

async function tell(state) {
	try {
		show(state, await ask("notice.json"));
	} catch {
		failures++;
		setTimeout(tell, pause(), state);
	}
}

function heed({ live, ...detail }) {
	const hasEnded = wasLive && !live;

	wasLive ||= live;
	// Another tab may be getting a new key, and this one have asked with the former: it asks twice.
	over = hasEnded && isDoubtful;
	isDoubtful = hasEnded && !over;
	if (over && document.dispatchEvent(new CustomEvent("onesession:ended", { cancelable: true, detail })))
		tell(detail);
}

async function look() {
	clearTimeout(timer);
	if (over || asking || document.visibilityState === "hidden")
		return;
	asking = true;
	try {
		heed((await ask("state")).value);
		failures = 0;
	} catch {
		failures++;
	}
	asking = false;
	// Whoever was never signed in has nothing to wait for: such a page asks again when it is come back to.
	if (wasLive || failures > 0)
		timer = setTimeout(look, pause());
}

document.addEventListener("visibilitychange", look);
addEventListener("focus", look);
addEventListener("pageshow", look);
look();
carryFragment();
// On the daemon's own pages only: how a site writes times is its own affair.
if (location.pathname.startsWith(home.pathname))
	writeTimes();
