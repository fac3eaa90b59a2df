/* The module "notices": what the owner of an account is told by mail, and the link that undoes what was not theirs. */
#ifndef HANDLERS_NOTICES_H
#define HANDLERS_NOTICES_H

#include "../shared/shared.h"

/* For what the links of notices are: to lock whoever is in out; and to have the former address back, too. */
#define UNDO_EMAIL "undo_email"

/* What notices need to know of whom they are for; texts are of the rows. */
struct owner {
	bool wants_new_browser;
	bool is_reached;      /* there is an address that was proved */
	const char *language; /* "": it is not known */
	ones_time now;        /* the moment of the statement */
};

/* Whoever is not there wants nothing. */
enum ones_result owner_find(struct ones_db *db, int64_t user_id, struct owner *owner);

/* Is the word one of accounts.notices? */
bool notices_tell_of(const struct ones_app *app, const char *word);

void events_setup(struct ones_app *app);
void preference_setup(struct ones_app *app);
void undo_setup(struct ones_app *app);

#endif
