/* The terms of an account: what is wrong with them whatever the account is. */
#include "base/email.h"
#include "base/rfc3339.h"
#include "session/account_terms.h"
#include "session/api_tokens.h"

#include <string.h>

#define GROUPS_MAX      64
#define EXTERNAL_ID_MAX 255

static const char *check_text_or_null(const json_t *value)
{
	return json_is_null(value) || json_is_string(value) ? NULL : "is a text or null";
}

static const char *check_bool(const json_t *value)
{
	return json_is_boolean(value) ? NULL : "is true or false";
}

static const char *check_email(const json_t *value)
{
	char address[EMAIL_SIZE];

	if (!json_is_string(value))
		return check_text_or_null(value);
	return email_parse(json_string_value(value), address) == NULL ? NULL : "is not an e-mail address";
}

static const char *check_name(const json_t *value)
{
	if (!json_is_string(value))
		return check_text_or_null(value);
	return api_token_name_problem(json_string_value(value));
}

static const char *check_groups(const json_t *value)
{
	if (!json_is_array(value) || json_array_size(value) > GROUPS_MAX)
		return "is a list of up to 64 names";
	for (size_t i = 0; i < json_array_size(value); i++) {
		const json_t *name = json_array_get(value, i);

		if (!json_is_string(name) || api_token_name_problem(json_string_value(name)) != NULL)
			return "has something in it that is no name: of 1 to 63 letters, digits and . _ : -, which "
			       "begins with a letter or digit";
	}
	return NULL;
}

static const char *check_limit(const json_t *value)
{
	json_int_t limit = json_integer_value(value);

	return json_is_null(value) || (json_is_integer(value) && limit >= 0 && limit <= INT32_MAX)
	               ? NULL
	               : "is a number from 0 to 2147483647, or null";
}

static const char *check_moment(const json_t *value)
{
	int64_t us;

	return json_is_null(value) || (json_is_string(value) && rfc3339_read(json_string_value(value), &us))
	               ? NULL
	               : "is a moment such as 2026-01-31T10:32:05Z (RFC 3339), or null";
}

static const char *check_external_id(const json_t *value)
{
	const char *text = json_string_value(value);
	size_t characters = 0;

	if (text == NULL)
		return check_text_or_null(value);
	for (const char *at = text; *at != '\0'; at++)
		characters += ((unsigned char)*at & 0xc0) != 0x80;
	return characters >= 1 && characters <= EXTERNAL_ID_MAX ? NULL : "has 1 to 255 characters";
}

static const char *check_hash(const json_t *value)
{
	return json_is_string(value) ? NULL : "is a text";
}

static const struct term {
	const char *name;
	const char *(*check)(const json_t *value);
} known_terms[] = {
	{"email", check_email},    {"email_verified", check_bool},     {"plan", check_name},
	{"groups", check_groups},  {"session_limit", check_limit},     {"valid_until", check_moment},
	{"is_active", check_bool}, {"external_id", check_external_id}, {"password_hash", check_hash},
};

static const struct term *find_term(const char *name)
{
	for (size_t i = 0; i < sizeof known_terms / sizeof known_terms[0]; i++) {
		if (strcmp(known_terms[i].name, name) == 0)
			return &known_terms[i];
	}
	return NULL;
}

static const char *say(TALLOC_CTX *ctx, const char *name, const char *problem)
{
	const char *text = talloc_asprintf(ctx, "%s %s.", name, problem);

	return text != NULL ? text : "One of the members is wrong.";
}

const char *account_terms_problem(TALLOC_CTX *ctx, const json_t *terms, const struct password_cost *cost)
{
	const char *hash = json_string_value(json_object_get(terms, "password_hash"));
	const char *name, *problem;
	json_t *value;

	/* The library's loop takes no constant object. */
	json_object_foreach((json_t *)(uintptr_t)terms, name, value)
	{
		const struct term *term = find_term(name);

		/* The name is the client's: it is not said again. */
		if (term == NULL)
			return "There is a member that is not known.";
		problem = term->check(value);
		if (problem != NULL)
			return say(ctx, term->name, problem);
	}
	problem = NULL;
	if (hash != NULL)
		problem = cost != NULL ? password_import_problem(hash, cost) : password_hash_problem(hash);
	if (problem != NULL)
		return say(ctx, "password_hash", problem);
	if (json_is_true(json_object_get(terms, "email_verified")) && json_is_null(json_object_get(terms, "email")))
		return "An address that there is not cannot be verified.";
	return NULL;
}
