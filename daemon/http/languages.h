/* The languages that a set of pages comes in, and which of them a request gets. */
#ifndef HTTP_LANGUAGES_H
#define HTTP_LANGUAGES_H

#include "http/texts.h"

struct language {
	const char *tag;
	const char *name; /* what those who speak it call it: the text language.name */
	struct template_language number;
	json_t *values; /* what each page in it may show: see languages_add_values() */
};

struct languages;

/*
 * Those of the texts `own`: a module's, or the daemon's, which are the same as `daemons` then. A language whose name is
 * "" is left out, also when it is so in the daemon's texts only. NULL: of a module without texts, which has one
 * language, the daemon's first. On `ctx`, NULL when out of memory.
 */
struct languages *languages_new(TALLOC_CTX *ctx, const struct texts *daemons, const struct texts *own);

/*
 * The one for a request: `chosen` by its person before (NULL: none), else what Accept-Language (may be NULL) prefers,
 * else the first. Never NULL.
 */
const struct language *languages_choose(const struct languages *languages, const char *chosen, const char *accept);

/*
 * Add to the values of each, which are {{language}}, {{languages}}, {{has_languages}} and {{name_label}} so far; those
 * of the same names are replaced. 0, or -1 when out of memory.
 */
int languages_add_values(const struct languages *languages, json_t *values);

size_t languages_count(const struct languages *languages);

#endif
