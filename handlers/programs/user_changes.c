/* PUT /api/users/NAME: an account is made, or what is given of it is changed. */
#include "programs.h"

#include <string.h>

static enum ones_result put_account(struct ones_db *db, void *context)
{
	return ones_account_put(db, context);
}

static void reply_failed(struct ones_request *req, enum ones_result result, const struct ones_account_put *put)
{
	if (result == ONES_RESULT_UNACCEPTABLE && put->problem != NULL)
		reply_bad_request(req, put->problem);
	else if (result == ONES_RESULT_CLOSED)
		ones_reply_problem(req, 403, "forbidden",
		                   "It is an administrator's account: its password, its address, its external_id and "
		                   "whether it is active are for operators.");
	else if (result == ONES_RESULT_DUPLICATE)
		ones_reply_problem(req, 409, "duplicate", "The address or the external_id is another account's.");
	else
		ones_reply_failure(req, result, NULL);
}

static void apply(struct ones_request *req, const char *username, const json_t *terms)
{
	struct ones_account_put put = {.username = username, .terms = terms};
	enum ones_result result = ones_transact(ones_db(req), put_account, &put);

	if (result == ONES_RESULT_OK)
		reply_account(req, put.is_new ? 201 : 200, put.user_id);
	else
		reply_failed(req, result, &put);
}

/*
 * Put the hash in the password's place. False: that has been answered, or will be in the handler's second run, when the
 * password has been hashed.
 */
static bool hash_password(struct ones_request *req, const char *username, json_t *terms)
{
	const json_t *password = json_object_get(terms, "password");
	const char *hash;
	enum ones_result result;

	if (password == NULL)
		return true;
	if (!json_is_string(password) || json_object_get(terms, "password_hash") != NULL) {
		reply_bad_request(req, "password is a text, and without password_hash.");
		return false;
	}
	result = ones_hash_password(req, json_string_value(password), username,
	                            json_string_value(json_object_get(terms, "email")), &hash);
	if (result != ONES_RESULT_OK) {
		ones_reply_failure(req, result, NULL);
		return false;
	}
	(void)json_object_del(terms, "password");
	if (json_object_set_new(terms, "password_hash", json_string(hash)) != 0) {
		ones_reply_failure(req, ONES_RESULT_FAILED, NULL);
		return false;
	}
	return true;
}

/* What is wrong with all but the password; NULL: nothing. */
static const char *problem_of(struct ones_request *req, const json_t *terms)
{
	json_t *others = json_deep_copy(terms);
	const char *problem = "The terms cannot be read.";

	if (others != NULL) {
		(void)json_object_del(others, "password");
		problem = ones_account_terms_problem(req, others);
	}
	json_decref(others);
	return problem;
}

static bool has_credentials(const json_t *terms)
{
	return json_object_get(terms, "password") != NULL || json_object_get(terms, "password_hash") != NULL;
}

static void put(struct ones_request *req)
{
	const json_t *body = body_of(req);
	const char *username = name_in_path(req);
	const char *problem;
	json_t *terms;

	if (body == NULL || (has_credentials(body) && !ones_caller_may(req, "credentials")))
		return;
	problem = problem_of(req, body);
	if (problem != NULL) {
		reply_bad_request(req, problem);
		return;
	}
	terms = json_deep_copy(body);
	if (terms == NULL || username == NULL)
		ones_reply_failure(req, ONES_RESULT_FAILED, NULL);
	else if (hash_password(req, username, terms))
		apply(req, username, terms);
	json_decref(terms);
}

void api_user_changes_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/api/users/:name",
	                                     .put = put,
	                                     .needs = ONES_NEEDS_DATABASE,
	                                     .bodies = ONES_BODY_JSON,
	                                     .hashes = true,
	                                     .scope = "users"});
}
