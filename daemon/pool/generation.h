/* What one reading of the configuration has become. A reload makes a new generation beside the one in force. */
#ifndef POOL_GENERATION_H
#define POOL_GENERATION_H

#include "api/app.h"
#include "base/config.h"
#include "base/scoreboard.h"
#include "pool/acl.h"

#include <stdio.h>
#include <talloc.h>

struct generation {
	struct settings settings;
	struct acl *acl;
	struct pages *pages;
	struct ones_app *app; /* NULL until generation_prepare() */
};

/*
 * Read the configuration and check it, on `ctx`. All that is wrong is told on `complaints`, a line each. NULL when
 * anything was wrong.
 */
struct generation *generation_load(TALLOC_CTX *ctx, const struct config_source *source, FILE *complaints);

/* Make its application, with all routes and receivers. Returns NULL, or what is wrong. */
const char *generation_prepare(struct generation *generation, struct scoreboard *board);

#endif
