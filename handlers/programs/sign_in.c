/* POST /api/sessions: a login by the site's own sign-in, under the whole rule. */
#include "programs.h"

#include <arpa/inet.h>
#include <string.h>

/* As much of a User-Agent is kept as of a browser's own request. */
#define USER_AGENT_MAX 511

/* ---- What was sent ---------------------------------------------------------------------------------------------- */

static bool is_text_or_null(const json_t *value)
{
	return value == NULL || json_is_null(value) || json_is_string(value);
}

static bool is_bool_or_left_out(const json_t *value)
{
	return value == NULL || json_is_boolean(value);
}

/* Others are mistakes, such as a misspelt take_over. */
static bool has_others(const json_t *body)
{
	static const char *const members[] = {"user",   "ip",    "user_agent", "presented", "device",      "ticket",
	                                      "secure", "fresh", "take_over",  "key",       "external_id", "exact"};

	size_t known = 0;

	for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
		known += json_object_get(body, members[i]) != NULL;
	return json_object_size(body) > known;
}

static bool is_address(const char *text)
{
	struct in6_addr address;

	return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

static const char *external_id_problem(struct ones_request *req, const json_t *body)
{
	json_t *terms = json_pack("{s:O?}", "external_id", json_object_get(body, "external_id"));
	const char *problem = terms != NULL ? ones_account_terms_problem(req, terms) : "external_id cannot be read.";

	json_decref(terms);
	return problem;
}

/* What is wrong with the body; NULL: nothing. */
static const char *problem_of(struct ones_request *req, const json_t *body)
{
	static const char *const texts[] = {"ip", "user_agent", "presented", "device", "ticket", "key"};
	static const char *const switches[] = {"secure", "fresh", "take_over", "exact"};
	const char *ip = json_string_value(json_object_get(body, "ip"));

	if (has_others(body))
		return "There is a member that is not known.";
	if (json_string_length(json_object_get(body, "user")) == 0)
		return "user is the name of an account.";
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		if (!is_text_or_null(json_object_get(body, texts[i])))
			return "ip, user_agent, presented, device, ticket and key are texts, or null.";
	}
	for (size_t i = 0; i < sizeof switches / sizeof switches[0]; i++) {
		if (!is_bool_or_left_out(json_object_get(body, switches[i])))
			return "secure, fresh, take_over and exact are true or false.";
	}
	if (ip != NULL && !is_address(ip))
		return "ip is an IP address.";
	if (json_is_string(json_object_get(body, "key")) &&
	    ones_option_text(ones_app(req), "session.key_from")[0] == '\0')
		return "key is for sites whose keys are of their own making (session.key_from), which this one is not.";
	return external_id_problem(req, body);
}

static bool is_true(const json_t *body, const char *name, bool fallback)
{
	const json_t *value = json_object_get(body, name);

	return value != NULL ? json_is_true(value) : fallback;
}

/* Cut between characters. */
static const char *shortened(const char *text, char cut[USER_AGENT_MAX + 1])
{
	size_t size = text != NULL ? strlen(text) : 0;

	if (size <= USER_AGENT_MAX)
		return text;
	size = USER_AGENT_MAX;
	while (size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80)
		size--;
	memcpy(cut, text, size);
	cut[size] = '\0';
	return cut;
}

/* ---- Whose it is ------------------------------------------------------------------------------------------------ */

struct meant {
	const char *user;        /* plain */
	bool is_plain;           /* as it was sent */
	const char *external_id; /* NULL: the program calls it by its name */
	const json_t *terms;     /* of who is called so from now on */
	struct found_account account;
};

/*
 * Names are the same whatever their case and form (NFKC), and what is not seen around them, and those of the program's
 * people need not be: of two that are the same here the second would be let in as the first. And who takes an
 * administrator's name there is not to be one.
 */
static bool is_somebody_elses(const struct meant *meant)
{
	const struct found_account *account = &meant->account;

	return account->id != 0 && (!account->is_written_so || !meant->is_plain || account->is_admin);
}

static enum ones_result find_called(struct ones_db *db, struct meant *meant)
{
	struct ones_rows *rows;
	enum ones_result result = ones_sql(db, &rows, "SELECT id FROM users WHERE external_id = $1",
	                                   ONES_VALUES(ONES_TEXT(meant->external_id)));

	if (result == ONES_RESULT_OK && ones_rows_count(rows) > 0)
		meant->account.id = ones_int(rows, 0, "id");
	return result;
}

/* The account of that name is called so from now on, where nobody calls it otherwise. */
static enum ones_result call_so(struct ones_db *db, void *context)
{
	struct meant *meant = context;
	struct ones_account_put put = {.username = meant->user, .terms = meant->terms};
	enum ones_result result = hold_account(db, meant->user, &meant->account);

	if (result != ONES_RESULT_OK || meant->account.id == 0)
		return result;
	if (meant->account.has_external_id) {
		/* Perhaps this one, since it was looked for: people click twice. */
		meant->account.id = 0;
		result = find_called(db, meant);
		return result == ONES_RESULT_OK && meant->account.id == 0 ? ONES_RESULT_DUPLICATE : result;
	}
	return is_somebody_elses(meant) ? ONES_RESULT_DUPLICATE : ones_account_put(db, &put);
}

static enum ones_result find_meant(struct ones_request *req, const json_t *body, struct meant *meant)
{
	const char *user = json_string_value(json_object_get(body, "user"));
	json_t *terms;
	enum ones_result result;

	*meant = (struct meant){.user = ones_plain_name(req, user),
	                        .external_id = json_string_value(json_object_get(body, "external_id"))};
	if (meant->user == NULL)
		return ONES_RESULT_FAILED;
	meant->is_plain = strcmp(meant->user, user) == 0;
	if (meant->external_id == NULL) {
		result = find_account(req, meant->user, &meant->account);
		return result == ONES_RESULT_OK && json_is_true(json_object_get(body, "exact")) &&
		                       is_somebody_elses(meant)
		               ? ONES_RESULT_DUPLICATE
		               : result;
	}
	result = find_called(ones_db(req), meant);
	if (result != ONES_RESULT_OK || meant->account.id != 0)
		return result;
	meant->terms = terms = json_pack("{s:s}", "external_id", meant->external_id);
	result = terms != NULL ? ones_transact(ones_db(req), call_so, meant) : ONES_RESULT_FAILED;
	json_decref(terms);
	return result;
}

/* ---- The login -------------------------------------------------------------------------------------------------- */

/* Takes over the reference. */
static json_t *with_issued(json_t *answer, const struct ones_issued *issued)
{
	json_t *cookies = issued->session_cookie != NULL
	                          ? json_pack("[s, s]", issued->session_cookie, issued->device_cookie)
	                          : json_pack("[s]", issued->device_cookie);

	return with_more(answer, json_pack("{s:s?, s:o}", "token", issued->token, "cookies", cookies));
}

static void sign_in(struct ones_request *req, const json_t *body, int64_t user_id, const struct once *once)
{
	char cut[USER_AGENT_MAX + 1];
	const struct ones_program_login given = {
		.user_id = user_id,
		.ip = json_string_value(json_object_get(body, "ip")),
		.user_agent = shortened(json_string_value(json_object_get(body, "user_agent")), cut),
		.presented = json_string_value(json_object_get(body, "presented")),
		.device = json_string_value(json_object_get(body, "device")),
		.ticket = json_string_value(json_object_get(body, "ticket")),
		.is_secure = is_true(body, "secure", true),
		.is_fresh = is_true(body, "fresh", true),
		.take_over = is_true(body, "take_over", false),
		.key = json_string_value(json_object_get(body, "key")),
	};
	struct ones_issued issued;
	struct ones_login login;
	enum ones_result result = ones_sign_in_for(req, &given, &login, &issued);

	if (result == ONES_RESULT_OK) {
		once_reply(req, once, 201, with_issued(login_json(&login), &issued));
		return;
	}
	once_give_up(req, once);
	if (result == ONES_RESULT_INVALID)
		reply_not_there(req, "There is no account of that name.");
	else if (result == ONES_RESULT_UNACCEPTABLE)
		reply_bad_request(req,
		                  "key is of 16 to 4096 bytes, as a cookie's value or the credentials of Bearer may "
		                  "have (session.key_from), and does not begin with ost_.");
	else if (result == ONES_RESULT_DUPLICATE)
		ones_reply_problem(req, 409, "key_seen",
		                   "There is, or was, a session with that key: change it at each sign-in.");
	else
		ones_reply_failure(req, result, &login);
}

static void post(struct ones_request *req)
{
	const json_t *body = body_of(req);
	const char *problem = body != NULL ? problem_of(req, body) : NULL;
	enum ones_result result;
	struct meant meant;
	struct once once;

	if (body == NULL)
		return;
	if (problem != NULL) {
		reply_bad_request(req, problem);
		return;
	}
	/* It may be written down. */
	if (json_is_string(json_object_get(body, "external_id")) && !ones_caller_may(req, "users"))
		return;
	if (!once_begin(req, &once))
		return;
	result = find_meant(req, body, &meant);
	if (result == ONES_RESULT_OK && meant.account.id != 0) {
		sign_in(req, body, meant.account.id, &once);
		return;
	}
	once_give_up(req, &once);
	if (result == ONES_RESULT_OK)
		reply_not_there(req, "There is no account of that name.");
	else if (result == ONES_RESULT_DUPLICATE)
		ones_reply_problem(req, 409, "duplicate", "The account of that name is somebody else's.");
	else
		ones_reply_failure(req, result, NULL);
}

void api_sign_in_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/api/sessions",
	                                     .post = post,
	                                     .needs = ONES_NEEDS_DATABASE,
	                                     .bodies = ONES_BODY_JSON,
	                                     .scope = "sessions"});
}
