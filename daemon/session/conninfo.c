/* What of a connection string may be shown or logged. */
#include "session/conninfo.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define HIDDEN "..."

/*
 * When the @, / or ? of a password in a URI is not encoded, or the URI's scheme is left out, libpq takes pieces of the
 * password for a host, a port or a database, and quotes these when something is wrong with them. An @ is left over in
 * one of them then.
 */
static bool may_quote_password(const char *conninfo)
{
	PQconninfoOption *parsed = PQconninfoParse(conninfo, NULL);
	/* What libpq cannot parse it takes for a database's name. */
	bool may = parsed == NULL && strpbrk(conninfo, ":@") != NULL;

	for (const PQconninfoOption *option = parsed; !may && option != NULL && option->keyword != NULL; option++) {
		/* A user may have an @, and a socket without a file begins with one. */
		may = option->val != NULL && option->val[0] != '\0' && strchr(option->val + 1, '@') != NULL &&
		      strcmp(option->keyword, "user") != 0 && strcmp(option->keyword, "password") != 0;
	}
	PQconninfoFree(parsed);
	return may;
}

/* Beside a password, any other value may be a piece of it: a password with a space in it that was not quoted. */
static bool may_be_shown(const PQconninfoOption *option)
{
	static const char *const keywords[] = {"host", "hostaddr", "dbname", "user"};

	for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
		if (strcmp(option->keyword, keywords[i]) == 0)
			return true;
	}
	return strcmp(option->keyword, "port") == 0 && option->val[strspn(option->val, "0123456789,")] == '\0';
}

static char *append_quoted(char *text, const char *value)
{
	if (value[0] != '\0' && strpbrk(value, " \t\r\n\v\f'\\") == NULL)
		return talloc_strdup_append(text, value);
	text = talloc_strdup_append(text, "'");
	for (; *value != '\0' && text != NULL; value++)
		text = talloc_asprintf_append(text, "%s%c", *value == '\'' || *value == '\\' ? "\\" : "", *value);
	return text != NULL ? talloc_strdup_append(text, "'") : NULL;
}

static bool has_password(const PQconninfoOption *options)
{
	/* libpq's word for values that are to be hidden. */
	for (; options->keyword != NULL; options++) {
		if (options->val != NULL && options->dispchar[0] == '*')
			return true;
	}
	return false;
}

static char *show_beside_password(TALLOC_CTX *ctx, const PQconninfoOption *options)
{
	char *text = talloc_strdup(ctx, "");

	for (; options->keyword != NULL && text != NULL; options++) {
		if (options->val == NULL)
			continue;
		text = talloc_asprintf_append(text, "%s%s=", text[0] != '\0' ? " " : "", options->keyword);
		if (text != NULL)
			text = append_quoted(text, may_be_shown(options) ? options->val : HIDDEN);
	}
	return text;
}

char *conninfo_shown(TALLOC_CTX *ctx, const char *conninfo)
{
	PQconninfoOption *parsed = PQconninfoParse(conninfo, NULL);
	char *text;

	if (parsed == NULL ? strpbrk(conninfo, ":@= ") != NULL : may_quote_password(conninfo))
		text = talloc_strdup(ctx, HIDDEN);
	else if (parsed != NULL && has_password(parsed))
		text = show_beside_password(ctx, parsed);
	else
		text = talloc_strdup(ctx, conninfo);
	PQconninfoFree(parsed);
	return text;
}

char *conninfo_connect_problem(TALLOC_CTX *ctx, const char *conninfo, const char *message)
{
	char *lines;

	if (may_quote_password(conninfo))
		return talloc_strdup(ctx, "cannot connect, and what libpq says might quote a password: in a URI, the "
		                          "characters @ : / ? # and % of a password have to be percent-encoded");
	lines = talloc_strdup(ctx, message);
	for (char *at = lines; at != NULL && *at != '\0'; at++) {
		if (*at == '\n' && at[1] != '\0')
			*at = ';';
		else if (*at == '\t')
			*at = ' ';
	}
	return lines;
}

/* libpq has found every value right, and a server is what is wrong. Its messages are never translated here. */
static bool is_of_server(const char *problem)
{
	static const char *const beginnings[] = {"connection to server ", "could not connect to server",
	                                         "could not translate host name "};

	for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
		if (strncmp(problem, beginnings[i], strlen(beginnings[i])) == 0)
			return true;
	}
	return false;
}

char *conninfo_start_problem(TALLOC_CTX *ctx, const char *conninfo, const char *message)
{
	PQconninfoOption *parsed = PQconninfoParse(conninfo, NULL);
	/* Anything else is a database's name. */
	bool is_unreadable = parsed == NULL && (strchr(conninfo, '=') != NULL || strstr(conninfo, "://") != NULL);
	char *problem, *blanked;
	const char *first, *last;

	PQconninfoFree(parsed);
	if (is_unreadable)
		return talloc_strdup(ctx, "conninfo is neither a connection string nor a URI that libpq can read");
	problem = conninfo_connect_problem(ctx, conninfo, message);
	if (problem == NULL)
		return NULL;
	first = strchr(problem, '"');
	last = strrchr(problem, '"');
	if (first == last || is_of_server(problem))
		return problem;
	blanked = talloc_asprintf(ctx, "%.*s...%s", (int)(first + 1 - problem), problem, last);
	talloc_free(problem);
	return blanked;
}
