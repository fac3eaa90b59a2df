/* Passwords that people choose. */
#include "api/new_password.h"

#include "api/password_check.h"
#include "session/password.h"
#include "session/password_strength.h"

#include <string.h>

static const char *problem_of(const struct ones_request *req, const char *password, const char *username,
                              const char *email)
{
	const struct settings *settings = req->app->settings;
	const struct password_owner owner = {.username = username, .email = email, .site = settings->login.site_name};

	if (password_problem(password) != NULL)
		return "The new password must have at least 8 characters and at most 1024 bytes.";
	return password_strength_problem(password, settings->accounts.password_strength, &owner);
}

bool new_password_will_do(struct ones_request *req, const char *password, const char *username, const char *email)
{
	req->password_problem = problem_of(req, password, username, email);
	return req->password_problem == NULL;
}

const char *ones_password_problem(const struct ones_request *req)
{
	return req->password_problem;
}

enum ones_result ones_hash_password(struct ones_request *req, const char *password, const char *username,
                                    const char *email, const char **hash)
{
	enum ones_result result;

	*hash = NULL;
	if (password == NULL) {
		exchange_warn(req, "ones_hash_password() of a password that is NULL");
		return ONES_RESULT_FAILED;
	}
	/* What was hashed for this run has been looked at before. */
	if (req->password_check == NULL && !new_password_will_do(req, password, username, email))
		return ONES_RESULT_UNACCEPTABLE;
	result = hash_password(req, password);
	if (result == ONES_RESULT_OK)
		*hash = checked_new_hash(req);
	return result;
}
