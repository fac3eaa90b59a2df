/*
 * A webhook in the process that sends to it: what is due for it as far as it was read, and which of that may be sent
 * now, so that those of an account go one after the other.
 */
#ifndef API_WEBHOOK_TARGET_H
#define API_WEBHOOK_TARGET_H

#include "session/webhooks.h"
#include "webhook/sender.h"

/* So many are read ahead. */
#define TARGET_ROOM 128
/* A webhook has one connection, with one event under way; or so many, where it speaks HTTP/2. */
#define TARGET_AT_ONCE 8

enum delivery_state {
	DELIVERY_WAITS,
	DELIVERY_UNDER_WAY,
	DELIVERY_TAKEN,  /* and that is not written yet, as with the next one */
	DELIVERY_FAILED, /* what is behind it waits until that is written */
};

struct delivery {
	struct delivery *next; /* in the order of their numbers */
	struct target *target;
	struct webhook_due due;
	enum delivery_state state;
	uint64_t turn;  /* which was added when */
	bool is_no_try; /* it has failed as the webhook is away: that says nothing of the event */
	struct webhook_result result;
};

struct target {
	struct target *next;
	int64_t id;
	char *url, *secret;
	struct delivery *deliveries;
	size_t count, under_way, taken, failed;
	uint64_t turns;
	int64_t failures;       /* in a row */
	int64_t until_ms;       /* of clock_monotonic_ms(): another process may have it after that */
	int64_t read_again_ms;  /* nothing more was due: not before; 0: there is more */
	int64_t busy_ms;        /* when something was due last */
	int64_t taken_since_ms; /* of the first one that is not written */
	int64_t pause_ms;       /* it is to be left alone for so long; 0: no */
	bool is_multiplexed;    /* it speaks HTTP/2 */
	bool is_lost;           /* another process has it, or it was removed */
};

/* On `ctx`; NULL when out of memory. */
struct target *target_new(TALLOC_CTX *ctx, const struct webhook_claimed *claimed);

/* What is known of it, as an array of PostgreSQL, on `ctx`; NULL when out of memory. */
char *target_known(const struct target *target, TALLOC_CTX *ctx);

/*
 * Add what was read. False when what stands before it is not known here, or WEBHOOK_OF_ACCOUNT of its account are: then
 * it has to wait, and was not added. Sets *is_out_of_memory, and returns true.
 */
bool target_add(struct target *target, const struct webhook_due *due, bool *is_out_of_memory);

/* The next one that may be sent: that which is here the longest, for numbers of a busy account are low. NULL: none. */
struct delivery *target_next(const struct target *target);

/* It was sent, with that result. */
void target_note(struct delivery *delivery, const struct webhook_result *result);

/* One that has failed, and that is not written yet; NULL: none. */
struct delivery *target_failed(const struct target *target);

/* Take it out. */
void target_drop(struct delivery *delivery);

/* Take all of its account out, and itself. */
void target_drop_account(struct delivery *delivery);

/* All that were taken, and the accounts of which nothing more is known: arrays of PostgreSQL, on `ctx`, or NULL. */
void target_taken(const struct target *target, TALLOC_CTX *ctx, char **ids, char **drained);

/* That was written. */
void target_drop_taken(struct target *target);

/* What is not under way is left to others. */
void target_drop_waiting(struct target *target);

#endif
