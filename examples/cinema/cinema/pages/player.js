/* Keeps how far the film has come, and stops it as soon as the session has ended. */
const EVERY_S = 5;
const film = document.getElementById("film");
const stopped = document.getElementById("stopped");
let kept = -EVERY_S;

function stop(why) {
	if (!stopped.hidden)
		return;
	film.pause();
	film.removeAttribute("src");
	film.load();
	stopped.textContent = why;
	stopped.hidden = false;
}

async function keep() {
	const seconds = Math.floor(film.currentTime);
	if (!stopped.hidden || seconds === kept || film.played.length === 0)
		return;
	kept = seconds;
	const answer = await fetch(film.dataset.keep, {
		method: "PUT",
		headers: { "Content-Type": "application/json", Accept: "application/json" },
		body: JSON.stringify({ seconds }),
		keepalive: true,
	});
	if (answer.status === 401)
		stop("The film has stopped. " + (await answer.json()).detail);
}

film.addEventListener("timeupdate", () => Math.abs(film.currentTime - kept) >= EVERY_S && keep());
film.addEventListener("pause", keep);
addEventListener("pagehide", keep);
// Of the daemon's notice.js, which asks every few seconds and shows what has happened.
document.addEventListener("onesession:ended", () => stop("The film has stopped: you are not signed in here any more."));
