/*
 * Webhooks, and events that are to be sent to them: rows that the trigger write_webhook_deliveries writes in the
 * transaction of the event. How they are sent is not known here.
 *
 * A webhook is claimed by one process at a time, over all hosts, and with it all that waits for it: so events of an
 * account are kept in order by that process alone, and a row of webhook_deliveries needs no claim of its own.
 */
#ifndef SESSION_WEBHOOKS_H
#define SESSION_WEBHOOKS_H

#include "session/db.h"
#include "session/token.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

/* So many there may be: each has connections of its own. */
#define WEBHOOKS_MAX 32
/* So many events of an account are due to it at once, of those that have waited: a busy account leaves room for others.
 */
#define WEBHOOK_OF_ACCOUNT 8
/* So many tries that fail in a row say of the webhook that it is away, also when it answers. */
#define WEBHOOK_FAILURES_TO_BE_AWAY 8

/* ---- Sending ------------------------------------------------------------------------------------------------- */

/* Who sends. */
struct webhook_claim {
	struct db *db;
	char text[CLAIM_SIZE];
	int64_t lease_ms; /* for so long nobody else takes what was claimed, or renewed */
};

void webhook_claim_init(struct webhook_claim *claim, struct db *db, int64_t lease_ms);

struct webhook_claimed {
	int64_t id;
	const char *url;
	const char *secret;
	int64_t failures; /* in a row */
};

/* Claim all webhooks that nobody has and for which something is due. On `ctx`. */
enum db_status webhooks_claim(const struct webhook_claim *claim, TALLOC_CTX *ctx, struct webhook_claimed **rows,
                              size_t *count);

/* Which of `which`, an array of PostgreSQL, are its own still, for as long again. On `ctx`. */
enum db_status webhooks_renew(const struct webhook_claim *claim, TALLOC_CTX *ctx, const char *which, int64_t **ids,
                              size_t *count);

/* Another process may have it. */
enum db_status webhooks_release(const struct webhook_claim *claim, int64_t id);

/* Numbers as an array of PostgreSQL, on `ctx`; NULL when out of memory. */
char *webhook_ids_text(TALLOC_CTX *ctx, const int64_t ids[], size_t count);

struct webhook_due {
	int64_t id;
	int64_t user_id;  /* 0: none, and in no order */
	int64_t previous; /* what of its account has to be over before it; 0: nothing */
	int64_t attempts;
	const char *message_id; /* NULL: its event is gone */
	const char *body;
};

/* What is due for a webhook beyond `known`, `max` at the most, in the order of their numbers. On `ctx`. */
enum db_status webhooks_due(const struct webhook_claim *claim, TALLOC_CTX *ctx, int64_t webhook, const char *known,
                            int64_t max, struct webhook_due **rows, size_t *count);

/* They wait for others of their accounts. */
enum db_status webhooks_park(const struct webhook_claim *claim, int64_t webhook, const char *ids);

/*
 * They were taken; of the accounts `drained` nothing more is known to be due, and the first of what waits is, as is
 * what has failed while the webhook was away; *woken of how many. Of these two each is a statement that may be run
 * again after a failure.
 */
enum db_status webhooks_delivered(const struct webhook_claim *claim, int64_t webhook, const char *ids,
                                  const char *drained, int64_t *woken);

/*
 * A try has failed: it is tried again after `pause_ms`, and what is due of its account is to wait for it; or it was the
 * last one, and the first of what waits is due. It `is_counted` as a try of the event, or is the webhook's affair
 * alone. *is_written is false where another process has it by now.
 */
enum db_status webhooks_failed(const struct webhook_claim *claim, int64_t webhook, const struct webhook_due *due,
                               const char *problem, int64_t pause_ms, bool is_last, bool is_counted, bool *is_written,
                               bool *is_dead);

enum db_status webhooks_pause(const struct webhook_claim *claim, int64_t webhook, int64_t pause_ms);

/*
 * It has said that it is gone: no event is kept for it any more, and what waits is dead, until an operator has it tried
 * again. *dead is how many were dead at once, up to WEBHOOK_GIVE_UP_MAX (webhooks_give_up() goes on); -1: it was
 * disabled before.
 */
enum db_status webhooks_disable(const struct webhook_claim *claim, int64_t webhook, const char *problem, int64_t *dead);

/* ---- Upkeep -------------------------------------------------------------------------------------------------- */

/* Each of these takes about as long whatever there is: a portion of what there is to be done, or counted. */

/* Is there a webhook, or something that has waited for one? */
enum db_status webhooks_are_there(struct db *db, bool *are_there);

/* Rows whose webhook or event is gone, up to `max` of each webhook. *count of how many; 0: there are none. */
enum db_status webhooks_drop_lost(struct db *db, int64_t max, int64_t *count);

struct webhook_wake {
	int64_t webhook, user_id; /* up to which it is done */
	bool is_over;
};

/* Rows that wait for nothing, of the next `max` accounts of which some wait. */
enum db_status webhooks_wake(struct db *db, int64_t max, struct webhook_wake *wake);

/*
 * What has waited for a day for webhooks that are away is dead, and what waits for disabled ones. *count of how many:
 * when it is WEBHOOK_GIVE_UP_MAX there may be more.
 */
#define WEBHOOK_GIVE_UP_MAX 1000

enum db_status webhooks_give_up(struct db *db, int64_t *count);

/* So many are counted of what is pending of a webhook, and of what is dead. */
#define WEBHOOK_COUNTED_MAX 10000

struct webhook_queue {
	int64_t webhooks, pending, dead;
	int64_t oldest_ms; /* for how long the oldest that is pending waits */
};

enum db_status webhooks_queue(struct db *db, struct webhook_queue *queue);

/* ---- For operators ------------------------------------------------------------------------------------------- */

/* `events` separated by commas, NULL: all. *id is 0 when there are WEBHOOKS_MAX already. */
enum db_status webhooks_add(struct db *db, const char *url, const char *events, const char *secret, int64_t *id);

struct webhook_shown {
	int64_t id;
	const char *url;
	const char *events;                                                /* separated by spaces; "": all */
	int64_t created_at, disabled_at, last_success_at, last_failure_at; /* us since 1970; 0: never */
	int64_t pending, dead, delivered, failed;
	const char *problem; /* of the last failure; "": there was none */
	int64_t next_at;     /* us since 1970: nothing is sent before; 0: nothing waits, or it is sent now */
};

enum db_status webhooks_list(struct db *db, TALLOC_CTX *ctx, struct webhook_shown **rows, size_t *count);

struct webhook_found {
	const char *url; /* NULL: there is none of that number */
	const char *secret;
	const char *now; /* as events have it */
};

enum db_status webhooks_find(struct db *db, TALLOC_CTX *ctx, int64_t id, struct webhook_found *found);

/*
 * It is enabled, and what has failed is due again; 0: of all. *was_there, and how many, with those that are dead: they
 * come to be due by webhooks_retry_dead() with that count, after the transaction, portion by portion.
 */
enum db_status webhooks_retry(struct db *db, int64_t id, bool *was_there, int64_t *count);
enum db_status webhooks_retry_dead(struct db *db, int64_t id, int64_t count);

/*
 * *url is on `ctx`, NULL: there was none. What waits for it is dropped by webhooks_drop_all_lost(), after the
 * transaction, portion by portion.
 */
enum db_status webhooks_remove(struct db *db, TALLOC_CTX *ctx, int64_t id, const char **url);
enum db_status webhooks_drop_all_lost(struct db *db);

#endif
