/* Pictures of the pages: two for the README, and each of them in each light on each screen for looking at. */
const path = require("node:path");
const { visit } = require("./tour.cjs");

const KEPT = { "login-displaced": "signed-out.png", account: "account.png" };

exports.kept = (world) =>
	visit(world, { width: 720, height: 600, zoom: 1.25 }, async (name, page) => {
		if (name in KEPT)
			await page.screenshot({ path: path.join(world.folder, KEPT[name]), fullPage: true });
	});

for (const light of ["light", "dark"]) {
	for (const width of [360, 1280]) {
		exports[`${light}-${width}`] = (world) =>
			visit(world, { dark: light === "dark", width, height: 800 }, (name, page) =>
				page.screenshot({ path: path.join(world.folder, `${name}-${light}-${width}.png`), fullPage: true }),
			);
	}
}
