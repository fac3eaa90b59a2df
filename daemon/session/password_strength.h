/* How easily a new password is guessed: zxcvbn (USENIX Security 2016), with what is known of its person. */
#ifndef SESSION_PASSWORD_STRENGTH_H
#define SESSION_PASSWORD_STRENGTH_H

#include <stdint.h>

/* Whose password it is to be. Any member may be NULL or "". */
struct password_owner {
	const char *username;
	const char *email; /* as email_parse() gives it */
	const char *site;  /* what the site is called */
};

/*
 * NULL, or a sentence for the person, one of [sentences] in the texts of pages, that says why the password falls short
 * of `strength`: accounts.password_strength, 0 to 4. It takes 3 ms of the processor at the most.
 */
const char *password_strength_problem(const char *password, int64_t strength, const struct password_owner *owner);

#endif
