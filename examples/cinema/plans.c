/* GET /plans: what there is. POST /subscriptions: take one. A sign-in is refused once a subscription has ended. */
#include "cinema.h"

static void plans(struct ones_request *req)
{
	static const char plans_sql[] =
		"SELECT p.code, p.name, p.about, to_char(p.cents / 100.0, 'FM990.00') AS price,"
		" s.plan IS NOT NULL AS is_yours, to_char(s.paid_until, 'FMDD FMMonth YYYY') AS paid_until"
		" FROM cinema.plans p"
		" LEFT JOIN cinema.subscriptions s ON s.plan = p.code AND s.account = $1 AND s.ended_at IS NULL"
		" ORDER BY p.cents";
	static const char ended_sql[] = "SELECT s.account, u.username, p.name AS plan FROM cinema.subscriptions s"
					" JOIN cinema.plans p ON p.code = s.plan JOIN users u ON u.id = s.account"
					" WHERE $1 AND s.ended_at IS NOT NULL ORDER BY u.username LIMIT 50";
	const struct ones_session *session = ones_session(req);
	bool is_admin = session != NULL && session->user.is_admin;
	struct ones_rows *rows, *ended;
	enum ones_result result = ones_sql(ones_db(req), &rows, plans_sql, ONES_VALUES(ONES_INT(account_of(req))));

	if (result == ONES_RESULT_OK)
		result = ones_sql(ones_db(req), &ended, ended_sql, ONES_VALUES(ONES_BOOL(is_admin)));
	if (result == ONES_RESULT_OK)
		show(req, "plans.html",
		     json_pack("{s:o, s:o, s:b}", "plans", ones_rows_json(rows), "ended", ones_rows_json(ended),
		               "has_ended", ones_rows_count(ended) > 0));
	else
		ones_reply_failure(req, result, NULL);
}

/* What has been paid for is kept, also where a subscription had ended before. */
static void keep_subscription(struct ones_request *req, const struct ones_rows *bill)
{
	static const char sql[] =
		"INSERT INTO cinema.subscriptions (account, plan, card, paid_until)"
		" VALUES ($1, $2, $3, now() + interval '1 month') ON CONFLICT (account) DO UPDATE"
		" SET plan = excluded.plan, card = excluded.card, paid_until = excluded.paid_until, ended_at = NULL";
	enum ones_result result = ones_sql(ones_db(req), NULL, sql,
	                                   ONES_VALUES(ONES_INT(account_of(req)), ONES_TEXT(ones_text(bill, 0, "plan")),
	                                               ONES_TEXT(ones_text(bill, 0, "card"))));

	if (result == ONES_RESULT_OK)
		ones_reply_redirect(req, ones_next(req, ones_page_before(req)));
	else
		ones_reply_failure(req, result, NULL);
}

static void subscribe(struct ones_request *req)
{
	static const char sql[] = "SELECT $1::bigint AS account, p.code AS plan, $3::text AS card, p.cents,"
				  " cinema.charge_key($1, p.code, $3, s.paid_until) AS key"
				  " FROM cinema.plans p LEFT JOIN cinema.subscriptions s ON s.account = $1 WHERE "
				  "p.code = $2 AND $3 <> ''";
	struct ones_rows *bill;

	if (!read_row(req, &bill, sql,
	              ONES_VALUES(ONES_INT(account_of(req)), ONES_TEXT(ones_field(req, "plan")),
	                          ONES_TEXT(ones_field(req, "card")))))
		return;
	switch (charge(req, bill, 0)) {
	case PAYMENT_MADE: keep_subscription(req, bill); break;
	case PAYMENT_DECLINED:
		ones_reply_problem(req, 402, "card_declined", "That card was declined, so nothing has changed.");
		break;
	case PAYMENT_UNKNOWN:
		ones_reply_problem(req, 503, "unavailable",
		                   "The billing service does not answer. Please try again: nothing is paid for twice.");
		break;
	}
}

static void reopen(struct ones_request *req)
{
	static const char sql[] =
		"UPDATE cinema.subscriptions SET ended_at = NULL, paid_until = now() + interval '1 month'"
		" WHERE account = $1 RETURNING account";
	struct ones_rows *row;

	if (read_row(req, &row, sql, ONES_VALUES(ONES_INT(id_of(req)))))
		ones_reply_redirect(req, ones_next(req, ones_page_before(req)));
}

/* A receiver in the transaction of a sign-in. It may run again, so it does nothing but read. */
static bool ask_for_subscription(const struct ones_event *event, void *context)
{
	static const char sql[] =
		"SELECT format('Your subscription ended on %s, because your card was declined. Pay at the box office,"
		" and your seat is yours again.', to_char(ended_at, 'FMDD FMMonth YYYY')) AS sentence"
		" FROM cinema.subscriptions WHERE account = $1 AND ended_at IS NOT NULL";
	struct ones_rows *ended;

	(void)context;
	if (ones_sql(event->db, &ended, sql, ONES_VALUES(ONES_INT(event->user_id))) != ONES_RESULT_OK)
		return false;
	if (ones_rows_count(ended) == 0)
		return true;
	ones_refuse(event, "subscription_ended", ones_text(ended, 0, "sentence"));
	return false;
}

void plans_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/plans", .get = plans});
	ones_route(app, &(struct ones_route){.path = "/subscriptions", .post = subscribe, .signed_in = true});
	ones_route(app, &(struct ones_route){.path = "/subscriptions/:id", .post = reopen, .admins_only = true});
	ones_connect(app, ONES_SIGNAL_LOGGED_IN,
	             &(struct ones_receiver){.name = "ask_for_subscription",
	                                     .phase = ONES_IN_TRANSACTION,
	                                     .call = ask_for_subscription});
}
