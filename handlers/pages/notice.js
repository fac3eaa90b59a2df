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

// The reader's own way to write times, in the language of the page.
const language = navigator.languages.find((tag) => tag.split("-")[0] === document.documentElement.lang.split("-")[0]);
const write = (date, clock) =>
	new Intl.DateTimeFormat(language, clock ? { timeStyle: "short" } : { dateStyle: "long", timeStyle: "short" }).format(date);

function writeTimes() {
	for (const time of document.querySelectorAll("time.local")) {
		time.title = time.textContent;
		time.textContent = write(new Date(time.dateTime), time.classList.contains("clock"));
	}
}

// The part of an address behind # stays in the browser: where signing in leads to has it by way of the form.
function carryFragment() {
	const signIn = new URL("login", home).pathname;
	for (const form of location.hash ? document.forms : []) {
		const action = new URL(form.getAttribute("action") ?? "", location);
		if (action.origin === home.origin && action.pathname === signIn)
			form.setAttribute("action", action.pathname + action.search + location.hash);
	}
}

// ---- What is said ---------------------------------------------------------------------------------------------------

function sentence({ reason, ended_at, by }) {
	const device = [by?.browser, by?.os].filter(Boolean).join(" on ");
	const date = new Date(ended_at ?? NaN);
	const today = date.toDateString() === new Date().toDateString();
	const at = isNaN(date) ? "" : ` ${today ? "at" : "on"} ${write(date, today)}`;
	switch (reason) {
		case "displaced":
			return `Your account was signed in on ${device || "another device"}${at}, so you were signed out here. Not you? Sign in here and change your password.`;
		case "expired":
			return `You had been signed in for as long as this site allows, so you were signed out${at}.`;
		case "idle":
			return `You had not been here for a while, so you were signed out${at}.`;
		case "revoked":
			return `You were signed out ${device ? "here from " + device : "by an operator of this site"}${at}.`;
		case "password_changed":
			return `The password of your account was changed${device && " on " + device}${at}, so you were signed out here. If that was not you, please tell the operators of this site.`;
		case "disabled":
			return `Your account was closed${at}.`;
		default:
			return `You signed out${at}.`;
	}
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

function tell(state) {
	const page = location.pathname + location.search + location.hash;
	const again = new URL("login?" + new URLSearchParams({ next: page }), home);
	const host = make("div", { id: "onesession-notice", lang: "en" });
	const shadow = host.attachShadow({ mode: "open" });
	const sheet = new CSSStyleSheet();
	const close = make("button", {}, "Close");
	const dialog = make(
		"dialog",
		{ tabIndex: -1, autofocus: true },
		make("h2", { id: "title" }, "You were signed out"),
		make("p", { id: "reason" }, sentence(state)),
		make("div", {}, make("a", { href: again }, "Sign in here"), close),
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

let timer, failures = 0, asking = false, wasLive = false, over = !(interval > 0);

function heed({ live, ...detail }) {
	over = wasLive && !live;
	wasLive ||= live;
	if (over && document.dispatchEvent(new CustomEvent("onesession:ended", { cancelable: true, detail })))
		tell(detail);
}

async function ask() {
	clearTimeout(timer);
	if (over || asking || document.visibilityState === "hidden")
		return;
	asking = true;
	try {
		const answer = await fetch(new URL("state", home), { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
		if (!answer.ok)
			throw new Error(answer.status);
		heed(await answer.json());
		failures = 0;
	} catch {
		failures++;
	}
	asking = false;
	// Whoever was never signed in has nothing to wait for: such a page asks again when it is come back to.
	if (wasLive || failures > 0)
		timer = setTimeout(ask, Math.min(interval * 1000 * 2 ** failures, PAUSE_MAX_MS));
}

document.addEventListener("visibilitychange", ask);
addEventListener("focus", ask);
addEventListener("pageshow", ask);
ask();
carryFragment();
// On the daemon's own pages only: how a site writes times is its own affair.
if (location.pathname.startsWith(home.pathname))
	writeTimes();
