/* What the files of the test kit share. */
#ifndef KIT_KIT_H
#define KIT_KIT_H

#include "api/module.h"
#include "kit/answer.h"
#include "kit/cookie_jar.h"
#include "onesession.h"
#include "session/module_sql.h"
#include "session/password.h"

#include <stdbool.h>

struct sent_header {
	struct sent_header *next;
	const char *name; /* as a parameter: "HTTP_ACCEPT" */
	const char *value;
};

/* A browser, and the daemon in this process. A talloc context. */
struct ones_test {
	struct settings settings;
	struct scoreboard *board;
	struct ones_app *app;
	struct module *module;
	bool has_database;
	bool is_started;                /* stop is to run */
	struct ones_db db;              /* the test's own */
	char decoy[PASSWORD_HASH_SIZE]; /* for passwords of no account */
	struct ones_session session;    /* without a database: who is signed in; .id NULL: nobody */
	struct cookie_jar cookies;
	struct sent_header *headers;
	struct answer *answer; /* the last one; NULL: there is none */
};

/* On standard error: what a function of the kit could not do. */
__attribute__((format(printf, 2, 3))) void kit_complain(const char *function, const char *format, ...);

#endif
