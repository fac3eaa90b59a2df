/* Passwords come from a terminal that does not show them, or from standard input; never from the command line. */
#ifndef CTL_PROMPT_H
#define CTL_PROMPT_H

#include "session/password.h"

/*
 * Ask for a new password, twice on a terminal, else one line. Returns 0, or -1 when there was none that can be used:
 * it has said why then. The caller wipes `password` in either case.
 */
int prompt_new_password(const char *username, char password[PASSWORD_MAX + 1]);

#endif
