// Shows the account's name on a page that is open to all. The request does not count as activity of the session.
const { live, user } = await (await fetch("/session/state", { cache: "no-store" })).json();

if (live) {
	const name = document.createElement("strong");
	name.textContent = user.username;
	document.getElementById("who").replaceChildren("Signed in as ", name);
}
