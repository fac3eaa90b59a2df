/* Money: what the billing service is asked, and the job that renews subscriptions or ends them. */
#include "cinema.h"

#include <stdlib.h>
#include <string.h>

enum payment charge(struct ones_request *req, const struct ones_rows *bills, size_t row)
{
	struct ones_call call = {.service = "billing", .path = "/charges", .content_type = "application/json"};
	struct ones_called called = {0};
	json_t *all = ones_rows_json(bills);
	char *bill = json_dumps(json_array_get(all, row), JSON_COMPACT);
	enum ones_result result = ONES_RESULT_FAILED;

	if (bill != NULL) {
		call.body = bill;
		call.size = strlen(bill);
		result = ones_call(req, &call, &called);
	}
	free(bill);
	json_decref(all);
	if (result != ONES_RESULT_OK)
		return PAYMENT_UNKNOWN;
	return called.status == 201 ? PAYMENT_MADE : called.status == 402 ? PAYMENT_DECLINED : PAYMENT_UNKNOWN;
}

static enum ones_result prolong(struct ones_db *db, int64_t account)
{
	return ones_sql(db, NULL,
	                "UPDATE cinema.subscriptions SET paid_until = now() + interval '1 month'"
	                " WHERE account = $1 AND ended_at IS NULL",
	                ONES_VALUES(ONES_INT(account)));
}

/* In a transaction, so that the signal is there if and only if the end is. */
static enum ones_result end_subscription(struct ones_db *db, void *context)
{
	static const char sql[] = "UPDATE cinema.subscriptions SET ended_at = now()"
				  " WHERE account = $1 AND ended_at IS NULL AND paid_until < now() RETURNING plan";
	const int64_t *account = context;
	struct ones_rows *ended;
	enum ones_result result = ones_sql(db, &ended, sql, ONES_VALUES(ONES_INT(*account)));

	if (result != ONES_RESULT_OK || ones_rows_count(ended) == 0)
		return result;
	return ones_emit(db, "cinema.subscription_ended",
	                 json_pack("{s:I, s:s}", "account", (json_int_t)*account, "plan", ones_text(ended, 0, "plan")));
}

/*
 * Every subscription that has run out is paid for once more, or ends. What stays unknown is asked again later, behind
 * those that were asked less of late.
 */
static enum ones_result renew(struct ones_db *db, void *context)
{
	static const char sql[] =
		"WITH due AS (SELECT account FROM cinema.subscriptions WHERE ended_at IS NULL AND paid_until < now()"
		" ORDER BY asked_at NULLS FIRST, paid_until LIMIT 20)"
		" UPDATE cinema.subscriptions s SET asked_at = now() FROM due, cinema.plans p"
		" WHERE s.account = due.account AND p.code = s.plan RETURNING s.account, s.plan, s.card, p.cents,"
		" cinema.charge_key(s.account, s.plan, s.card, s.paid_until) AS key";
	struct ones_rows *bills;
	enum ones_result result = ones_sql(db, &bills, sql, NULL, 0);

	(void)context;
	for (size_t i = 0; result == ONES_RESULT_OK && i < ones_rows_count(bills); i++) {
		int64_t account = ones_int(bills, i, "account");
		enum payment payment = charge(NULL, bills, i);

		if (payment == PAYMENT_MADE)
			result = prolong(db, account);
		else if (payment == PAYMENT_DECLINED)
			result = ones_transact(db, end_subscription, &account);
	}
	return result;
}

static bool tell_end(const struct ones_event *event, void *context)
{
	(void)context;
	ones_log("subscription_ended", "account %" JSON_INTEGER_FORMAT,
	         json_integer_value(json_object_get(event->data, "account")));
	return true;
}

void billing_setup(struct ones_app *app)
{
	ones_service(app, "billing", "billing");
	ones_job(app, &(struct ones_job){.name = "renew", .every_ms = 60000, .timeout_ms = 90000, .run = renew});
	ones_signal(app, "subscription_ended");
	ones_connect_to(app, "cinema.subscription_ended",
	                &(struct ones_receiver){.name = "tell_end", .phase = ONES_AFTER_COMMIT, .call = tell_end});
}
