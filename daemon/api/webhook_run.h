/* A run of the job that sends events to webhooks: what its files share. */
#ifndef API_WEBHOOK_RUN_H
#define API_WEBHOOK_RUN_H

#include "api/module.h"
#include "api/webhook_target.h"

struct webhook_run {
	struct ones_app *app;
	TALLOC_CTX *ctx;
	struct webhook_claim claim;
	struct webhook_sender *sender;
	struct webhook_gauges *gauges;
	struct target *targets;
	size_t under_way;
	int64_t until_ms; /* no new one is begun after that */
	int64_t end_ms;   /* it is to end: what is under way is broken off then; 0: it is not */
	int64_t database_again_ms, claim_again_ms, renew_again_ms;
	int64_t give_up_again_ms, drop_again_ms, wake_again_ms, look_again_ms;
	struct webhook_wake wake;
	bool has_database; /* at the last try */
	bool was_empty;    /* nothing was due at the last look */
};

/* Whether the database has done it; when it is away, nothing is asked for a while. */
bool webhook_run_note_database(struct webhook_run *run, enum db_status status);

/* An event was sent, with that result. */
void webhook_run_take_ended(struct webhook_run *run, void *context, const struct webhook_result *result);

/* Write what is known of its events. False: the database is away, and what is left has to wait. */
bool webhook_run_write(struct webhook_run *run, struct target *target);

#endif
