// Greets whoever is signed in, on a page that is open to all. To ask is no activity: it keeps no session alive.
const { live, user } = await (await fetch("/session/state", { cache: "no-store" })).json();

if (live) {
	const name = document.createElement("strong");
	name.textContent = user.username;
	document.getElementById("who").replaceChildren("Signed in as ", name);
}
