#include "pool/generation.h"

struct generation *generation_load(TALLOC_CTX *ctx, const struct config_source *source, FILE *complaints)
{
	struct generation *generation = talloc_zero(ctx, struct generation);
	const struct settings *settings;
	const char *problem;

	if (generation == NULL) {
		(void)fputs("out of memory\n", complaints);
		return NULL;
	}
	settings = &generation->settings;
	if (config_load(generation, source, &generation->settings, complaints) != 0)
		goto fail;
	generation->acl =
		acl_new(generation, settings->server.allowed_clients, settings->server.allowed_users, &problem);
	if (generation->acl == NULL) {
		(void)fprintf(complaints, "%s\n", problem);
		goto fail;
	}
	generation->pages = pages_load(generation, settings->login.pages, complaints);
	if (generation->pages == NULL)
		goto fail;
	return generation;
fail:
	talloc_free(generation);
	return NULL;
}

const char *generation_prepare(struct generation *generation, struct scoreboard *board)
{
	generation->app = app_new(generation, &generation->settings, generation->pages, board);
	if (generation->app == NULL)
		return "out of memory";
	ones_setup(generation->app);
	return generation->app->setup_problem;
}
