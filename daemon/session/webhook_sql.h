/* The SQL of webhooks and of what is sent to them. */
#ifndef SESSION_WEBHOOK_SQL_H
#define SESSION_WEBHOOK_SQL_H

#include "session/db.h"

/* ---- Sending ------------------------------------------------------------------------------------------------- */

enum claimed_webhook_column {
	CLAIMED_WEBHOOK_ID,
	CLAIMED_WEBHOOK_URL,
	CLAIMED_WEBHOOK_SECRET,
	CLAIMED_WEBHOOK_FAILURES,
};

/* A row for each that this process may send to from now on. */
extern const struct db_statement sql_claim_webhooks;

/* A row for each that is still its own: the number. */
extern const struct db_statement sql_renew_webhooks;

extern const struct db_statement sql_release_webhook;

enum due_delivery_column {
	DUE_ID,
	DUE_USER_ID,  /* 0: none */
	DUE_PREVIOUS, /* what has to be over before it; 0: nothing */
	DUE_ATTEMPTS,
	DUE_MESSAGE_ID, /* NULL: the event is gone */
	DUE_BODY,       /* likewise */
};

extern const struct db_statement sql_due_deliveries;
extern const struct db_statement sql_park_deliveries;

/* A row: how many are due now that have waited. None: the webhook was removed, and its rows with it. */
extern const struct db_statement sql_delivered;

/* A row: whether it is dead. None: it was written before, or is another's. */
extern const struct db_statement sql_delivery_failed;

extern const struct db_statement sql_pause_webhook;

/* A row if it was not disabled before: how many deliveries are dead with it. */
extern const struct db_statement sql_disable_webhook;

/* ---- Upkeep -------------------------------------------------------------------------------------------------- */

/* One row: whether there is one, or something that waits for one. */
extern const struct db_statement sql_has_webhooks;

/* One row: how many. */
extern const struct db_statement sql_drop_lost_deliveries;

/* One row: up to which webhook and account it is done, and how many accounts these were. */
extern const struct db_statement sql_wake_deliveries;

/* One row: how many. */
extern const struct db_statement sql_give_up_deliveries;

/* One row: webhooks, pending, dead, and for how many milliseconds the oldest that is pending has waited. */
extern const struct db_statement sql_webhook_queue;

/* ---- For operators ------------------------------------------------------------------------------------------- */

/* A row of its number, or none: there are as many as there may be. */
extern const struct db_statement sql_add_webhook;

enum shown_webhook_column {
	SHOWN_WEBHOOK_ID,
	SHOWN_WEBHOOK_URL,
	SHOWN_WEBHOOK_EVENTS, /* separated by spaces; "": all */
	SHOWN_WEBHOOK_CREATED_AT,
	SHOWN_WEBHOOK_DISABLED_AT,
	SHOWN_WEBHOOK_PENDING,
	SHOWN_WEBHOOK_DEAD,
	SHOWN_WEBHOOK_DELIVERED,
	SHOWN_WEBHOOK_FAILED,
	SHOWN_WEBHOOK_LAST_SUCCESS_AT,
	SHOWN_WEBHOOK_LAST_FAILURE_AT,
	SHOWN_WEBHOOK_PROBLEM,
	SHOWN_WEBHOOK_NEXT_AT, /* NULL: nothing waits for a moment to come */
};

extern const struct db_statement sql_list_webhooks;

/* A row: URL, secret, the moment as events write it. */
extern const struct db_statement sql_find_webhook;

/* One row: whether there is such a webhook, and how many deliveries are due again, with those that are dead still. */
extern const struct db_statement sql_retry_webhooks;

/* One row: how many. */
extern const struct db_statement sql_retry_deliveries;

/* A row if it was there: its URL. */
extern const struct db_statement sql_remove_webhook;

#endif
