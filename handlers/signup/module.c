/*
 * The module "signup": its routes, where there is mail that proves addresses; where people sign in elsewhere, only for
 * what was asked for before that.
 */
#include "signup.h"

#include <string.h>

static bool setup(struct ones_app *app)
{
	const char *who = ones_option_text(app, "accounts.signup");

	ones_signal(app, "email_changed");
	if (!ones_can_mail(app))
		return true;
	verify_setup(app);
	if (!has_login(app))
		return true;
	if (strcmp(who, "open") == 0)
		signup_setup(app);
	if (strcmp(who, "closed") != 0)
		invite_setup(app);
	email_setup(app);
	return true;
}

ONES_MODULE(.name = "signup", .setup = setup);
