/* Names and addresses that people type, for handlers. */
#include "api/exchange.h"
#include "base/email.h"
#include "session/users.h"

const char *ones_plain_name(struct ones_request *req, const char *typed)
{
	return typed != NULL ? users_plain_name(req, typed) : NULL;
}

const char *ones_plain_email(struct ones_request *req, const char *typed)
{
	const char *plain = ones_plain_name(req, typed);
	char address[EMAIL_SIZE];

	return plain != NULL && email_parse(plain, address) == NULL ? talloc_strdup(req, address) : NULL;
}

const char *ones_email_shown(struct ones_request *req, const char *email)
{
	char shown[EMAIL_SHOWN_SIZE];

	return email != NULL ? talloc_strdup(req, email_show(email, shown)) : NULL;
}
