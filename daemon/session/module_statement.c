/* Statements of modules: which ones may be run, and what may be told of them. */
#include "session/module_sql.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Parentheses in each other, within which INTO is looked at. */
#define DEPTH_MAX 64

#define NOT_ALLOWED "a module may SELECT, INSERT, UPDATE, DELETE, MERGE, LOCK and NOTIFY"
#define MAKES_TABLE                                                                                                    \
	"SELECT ... INTO makes a table, which migrations do: a temporary one would hide others from all requests of "  \
	"this connection (a column of that name is written \"into\")"
#define CHANGES_SETTING                                                                                                \
	"it changes a setting of the connection, which all requests have: set_config(), UPDATE of pg_settings"
#define LOCKS_BEYOND                                                                                                   \
	"it takes or gives back a lock that outlasts the request: pg_advisory_xact_lock() and its like end with the "  \
	"transaction"
#define HIDES_NAME "a name that is written with U&: what it says is not looked at"

/* ---- Tokens ------------------------------------------------------------------------------------------------- */

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_NAME, TOKEN_HIDDEN_NAME, TOKEN_OTHER };

struct token {
	enum token_kind kind;
	const char *at; /* of a name: behind its quote */
	size_t length;
};

/* Behind a comment as C has them, which can stand in each other in SQL. */
static const char *after_comment(const char *at)
{
	size_t depth = 0;

	do {
		if (*at == '\0')
			return at;
		if (strncmp(at, "/*", 2) == 0) {
			depth++;
			at += 2;
		} else if (strncmp(at, "*/", 2) == 0) {
			depth--;
			at += 2;
		} else {
			at++;
		}
	} while (depth > 0);
	return at;
}

static const char *after_space(const char *at)
{
	for (;;) {
		at += strspn(at, " \t\r\n\f\v");
		if (strncmp(at, "--", 2) == 0)
			at += strcspn(at, "\r\n");
		else if (strncmp(at, "/*", 2) == 0)
			at = after_comment(at);
		else
			return at;
	}
}

/* Behind the quote that ends what `at` is in. One that is doubled begins, for our purposes, the next literal. */
static const char *after_quoted(const char *at, char quote, bool has_escapes)
{
	for (; *at != '\0'; at++) {
		if (*at == quote)
			return at + 1;
		if (has_escapes && *at == '\\' && at[1] != '\0')
			at++;
	}
	return at;
}

static bool begins_word(char byte)
{
	return isalpha((unsigned char)byte) || byte == '_' || (unsigned char)byte >= 0x80;
}

static bool goes_on_with_word(char byte)
{
	return begins_word(byte) || isdigit((unsigned char)byte);
}

/* Behind $$...$$ or $tag$...$tag$; `at` itself when it is none, as $1 is. */
static const char *after_dollars(const char *at)
{
	const char *end = at + 1, *found;
	size_t length;

	if (begins_word(*end)) {
		while (goes_on_with_word(*end))
			end++;
	}
	if (*end != '$')
		return at;
	length = (size_t)(end + 1 - at);
	for (found = strchr(end + 1, '$'); found != NULL; found = strchr(found + 1, '$')) {
		if (strncmp(found, at, length) == 0)
			return found + length;
	}
	return end + strlen(end);
}

/* A word, and what follows it where that belongs to it: E'...', U&"...". */
static struct token take_word(const char **at)
{
	struct token token = {.kind = TOKEN_WORD, .at = *at};
	const char *end = *at;

	while (goes_on_with_word(*end) || *end == '$')
		end++;
	token.length = (size_t)(end - *at);
	if (token.length == 1 && tolower((unsigned char)**at) == 'e' && *end == '\'') {
		token.kind = TOKEN_OTHER;
		end = after_quoted(end + 1, '\'', true);
	} else if (token.length == 1 && tolower((unsigned char)**at) == 'u' && strncmp(end, "&\"", 2) == 0) {
		token.kind = TOKEN_HIDDEN_NAME;
	}
	*at = end;
	return token;
}

/* The next one, behind spaces and comments. Literals are among the others. */
static struct token take_token(const char **at)
{
	const char *begin = after_space(*at);
	struct token token = {.kind = TOKEN_OTHER, .at = begin, .length = 1};

	*at = begin;
	if (*begin == '\0') {
		token.kind = TOKEN_END;
	} else if (begins_word(*begin)) {
		return take_word(at);
	} else if (*begin == '"') {
		*at = after_quoted(begin + 1, '"', false);
		token = (struct token){TOKEN_NAME, begin + 1, (size_t)(*at - begin - 1)};
		if (token.length > 0 && (*at)[-1] == '"')
			token.length--;
	} else if (*begin == '\'') {
		*at = after_quoted(begin + 1, '\'', false);
	} else {
		const char *after = *begin == '$' ? after_dollars(begin) : begin;

		*at = after > begin ? after : begin + 1;
	}
	return token;
}

/* ---- What is allowed ---------------------------------------------------------------------------------------- */

static bool is_word(const struct token *token, const char *word)
{
	return token->length == strlen(word) && strncasecmp(token->at, word, token->length) == 0;
}

static bool begins_with(const struct token *token, const char *text)
{
	return token->length >= strlen(text) && strncasecmp(token->at, text, strlen(text)) == 0;
}

static bool is_one_of(const struct token *token, const char *const words[], size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (is_word(token, words[i]))
			return true;
	}
	return false;
}

/* What has been seen of a statement. */
struct seen {
	size_t depth;
	const char *verbs[DEPTH_MAX]; /* where the one of these parentheses stands; NULL: it is still to come */
	const char *former;           /* the word just before; NULL: it was none */
	bool has_update, has_settings;
};

/* INSERT INTO and MERGE INTO are what they seem only as the verbs of their parentheses: they can be names as well. */
static bool is_of_verb(const struct seen *seen)
{
	const char *verb = seen->depth < DEPTH_MAX ? seen->verbs[seen->depth] : NULL;

	return verb != NULL && verb == seen->former &&
	       (strncasecmp(verb, "insert", 6) == 0 || strncasecmp(verb, "merge", 5) == 0);
}

/* What a function or view of that name does; NULL: nothing that matters here. */
static const char *name_problem(struct seen *seen, const struct token *name)
{
	if (name->length < strlen("set_config"))
		return NULL;
	if (is_word(name, "set_config"))
		return CHANGES_SETTING;
	seen->has_settings = seen->has_settings || is_word(name, "pg_settings");
	if ((begins_with(name, "pg_advisory_") && !begins_with(name, "pg_advisory_xact_")) ||
	    (begins_with(name, "pg_try_advisory_") && !begins_with(name, "pg_try_advisory_xact_")))
		return LOCKS_BEYOND;
	return NULL;
}

static const char *word_problem(struct seen *seen, const struct token *word)
{
	static const char *const verbs[] = {"select", "insert", "update", "delete", "merge", "values", "table"};

	if (seen->depth < DEPTH_MAX && seen->verbs[seen->depth] == NULL &&
	    is_one_of(word, verbs, sizeof verbs / sizeof verbs[0]))
		seen->verbs[seen->depth] = word->at;
	seen->has_update = seen->has_update || is_word(word, "update");
	if (is_word(word, "into") && !is_of_verb(seen))
		return MAKES_TABLE;
	return name_problem(seen, word);
}

static void note_parenthesis(struct seen *seen, char byte)
{
	if (byte == ')' && seen->depth > 0)
		seen->depth--;
	if (byte == '(' && ++seen->depth < DEPTH_MAX)
		seen->verbs[seen->depth] = NULL;
}

/* The first word, behind parentheses. */
static bool begins_as_allowed(const char *sql)
{
	static const char *const words[] = {"select", "insert", "update", "delete", "merge",
	                                    "with",   "values", "table",  "lock",   "notify"};
	struct token token = take_token(&sql);

	while (token.kind == TOKEN_OTHER && *token.at == '(')
		token = take_token(&sql);
	return token.kind == TOKEN_WORD && is_one_of(&token, words, sizeof words / sizeof words[0]);
}

const char *sql_problem(const char *sql)
{
	struct seen seen = {.depth = 0};
	const char *problem = begins_as_allowed(sql) ? NULL : NOT_ALLOWED;

	while (problem == NULL) {
		struct token token = take_token(&sql);

		switch (token.kind) {
		case TOKEN_WORD: problem = word_problem(&seen, &token); break;
		case TOKEN_NAME: problem = name_problem(&seen, &token); break;
		case TOKEN_HIDDEN_NAME: problem = HIDES_NAME; break;
		case TOKEN_OTHER: note_parenthesis(&seen, *token.at); break;
		case TOKEN_END: return seen.has_update && seen.has_settings ? CHANGES_SETTING : NULL;
		}
		seen.former = token.kind == TOKEN_WORD ? token.at : NULL;
	}
	return problem;
}

/* ---- What may be told --------------------------------------------------------------------------------------- */

const char *sql_label(const char *sql, char label[SQL_LABEL_SIZE])
{
	size_t used = 0;

	for (; *sql != '\0' && *sql != '\'' && used < SQL_LABEL_SIZE - 4; sql++) {
		if (!isspace((unsigned char)*sql))
			label[used++] = *sql;
		else if (used > 0 && label[used - 1] != ' ')
			label[used++] = ' ';
	}
	while (used > 0 && label[used - 1] == ' ')
		used--;
	(void)snprintf(label + used, SQL_LABEL_SIZE - used, "%s", *sql != '\0' ? "..." : "");
	return label;
}
