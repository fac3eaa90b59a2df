/* Fields of forms. */
#include "shared.h"

const char *filled_field(const struct ones_request *req, const char *name)
{
	const char *value = ones_field(req, name);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

struct ones_mail_key mail_key_of(const struct ones_request *req)
{
	return (struct ones_mail_key){
		.token = filled_field(req, "token"),
		.login = filled_field(req, "login"),
		.code = filled_field(req, "code"),
	};
}

bool is_mail_key(const struct ones_mail_key *key)
{
	return key->token != NULL || (key->login != NULL && key->code != NULL);
}

bool lacks_tick(const struct ones_request *req)
{
	return ones_field(req, "page") != NULL && !ones_field_is_true(req, "confirmed");
}
