/*
 * A module that writes mails, and uses up what they let in, for tests. POST /send: the members of struct ones_mail as
 * fields, "count" for several, and "fail" to roll it back; GET /look?token=, POST /look and /use (token, or login and
 * code), with "purpose", which is reset by default; POST /drop (user_id).
 */
#include "onesession.h"

#include <stdlib.h>
#include <string.h>

static int status_of(enum ones_result result)
{
	switch (result) {
	case ONES_RESULT_OK: return 200;
	case ONES_RESULT_INVALID: return 401;
	case ONES_RESULT_VIOLATION: return 422;
	case ONES_RESULT_UNAVAILABLE: return 503;
	default: return 500;
	}
}

static void reply(struct ones_request *req, enum ones_result result, json_t *body)
{
	ones_reply_json(req, status_of(result), body != NULL ? body : json_object());
}

static const char *field_or(const struct ones_request *req, const char *name, const char *fallback)
{
	const char *value = ones_method(req) == ONES_METHOD_GET ? ones_query(req, name) : ones_field(req, name);

	return value != NULL ? value : fallback;
}

static int64_t number(const struct ones_request *req, const char *name, const char *fallback)
{
	return strtoll(field_or(req, name, fallback), NULL, 10);
}

/* ---- Writing ------------------------------------------------------------------------------------------------- */

static enum ones_result write_mails(struct ones_db *db, void *context)
{
	struct ones_request *req = context;
	const char *purpose = field_or(req, "purpose", NULL);
	enum ones_result result = ONES_RESULT_OK;

	for (int64_t i = 0; i < number(req, "count", "1") && result == ONES_RESULT_OK; i++) {
		const struct ones_mail mail = {
			.kind = field_or(req, "kind", "reset"),
			.user_id = number(req, "user_id", "0"),
			.login = field_or(req, "login", NULL),
			.to = field_or(req, "to", NULL),
			.kind_if_taken = field_or(req, "kind_if_taken", NULL),
			.values = json_incref(json_object_get(ones_json(req), "values")),
			.language = field_or(req, "language", NULL),
			.purpose = purpose,
			.lifetime_ms = purpose != NULL ? number(req, "lifetime_ms", "900000") : 0,
			.path = purpose != NULL ? "/reset" : NULL,
		};

		result = ones_mail(db, &mail);
	}
	return result == ONES_RESULT_OK && ones_field_is_true(req, "fail") ? ONES_RESULT_FAILED : result;
}

static void send_mails(struct ones_request *req)
{
	reply(req, ones_transact(ones_db(req), write_mails, req), NULL);
}

/* ---- Using --------------------------------------------------------------------------------------------------- */

static enum ones_result find(struct ones_request *req, const struct ones_mail_token **found)
{
	const struct ones_mail_key key = {
		.token = field_or(req, "token", NULL),
		.login = field_or(req, "login", NULL),
		.code = field_or(req, "code", NULL),
	};

	return ones_find_mail_token(ones_db(req), field_or(req, "purpose", "reset"), &key, found);
}

static json_t *shown(const struct ones_mail_token *token)
{
	return json_pack("{s:I, s:s, s:O, s:o, s:o}", "user_id", (json_int_t)token->user_id, "recipient",
	                 token->recipient, "values", token->values, "sent_at", ones_time_json(token->sent_at),
	                 "expires_at", ones_time_json(token->expires_at));
}

static void look(struct ones_request *req)
{
	const struct ones_mail_token *found;
	enum ones_result result = find(req, &found);

	reply(req, result, result == ONES_RESULT_OK ? shown(found) : NULL);
}

static enum ones_result use_up(struct ones_db *db, void *context)
{
	return ones_use_mail_token(db, context);
}

static void use(struct ones_request *req)
{
	const struct ones_mail_token *found;
	enum ones_result result = find(req, &found);

	if (result == ONES_RESULT_OK)
		result = ones_transact(ones_db(req), use_up, (void *)(uintptr_t)found);
	reply(req, result, result == ONES_RESULT_OK ? shown(found) : NULL);
}

static void drop(struct ones_request *req)
{
	reply(req, ones_drop_mail_tokens(ones_db(req), number(req, "user_id", "0"), field_or(req, "purpose", NULL)),
	      NULL);
}

static struct ones_app *app;

static void can_mail(struct ones_request *req)
{
	ones_reply_json(req, 200, json_pack("{s:b}", "can_mail", ones_can_mail(app)));
}

static bool setup(struct ones_app *given)
{
	app = given;
	ones_route(app, &(struct ones_route){.path = "/send", .get = can_mail, .post = send_mails});
	ones_route(app, &(struct ones_route){.path = "/look", .get = look, .post = look});
	ones_route(app, &(struct ones_route){.path = "/use", .post = use});
	ones_route(app, &(struct ones_route){.path = "/drop", .post = drop});
	return true;
}

ONES_MODULE(.name = "mailer", .setup = setup);
