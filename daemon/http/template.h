/*
 * The language of pages, a small part of mustache's with texts besides; it is described at ones_reply_page() in
 * onesession.h. Besides, {{! a comment }} is left out, and a tag other than {{name}}, {{@key}} and {{>file}} that has a
 * line to itself takes the line away with it.
 */
#ifndef HTTP_TEMPLATE_H
#define HTTP_TEMPLATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <talloc.h>

/* More than any site has. */
#define LANGUAGES_MAX 32

struct template;

/* Whose a text is: each has languages of its own. */
enum text_owner { TEXT_DAEMONS, TEXT_MODULES, TEXT_OWNERS };

/* What {{@key}} stands for: a template for each of its owner's languages, and NULL after the last. */
struct template_text {
	enum text_owner owner;
	struct template *in[LANGUAGES_MAX];
};

/* A language by its number in each owner's texts. */
struct template_language {
	size_t number[TEXT_OWNERS];
};

/* What {{>name}} and {{@key}} mean, NULL when there is none; a name has no NUL at its end. */
struct template_finder {
	struct template *(*page)(void *context, const char *name, size_t size);
	const struct template_text *(*text)(void *context, const char *key, size_t size);
	void *context;
};

/*
 * Read `text`, which stays the caller's and has to stay, and so does `path`. It begins in that line of the file;
 * complaints are "path:line: what is wrong". NULL when anything was wrong, or out of memory, which is a complaint too.
 */
struct template *template_new(TALLOC_CTX *ctx, const char *path, int line, const char *text, FILE *complaints);

/* Find what it includes, and what that includes. 0, or -1 when anything is missing, includes itself or is too deep. */
int template_link(struct template *template, const struct template_finder *finder, FILE *complaints);

/* Whether it, or what it includes, has a script. */
bool template_has_script(const struct template *template);

/* The text that it was read from, and the path that it was given. */
const char *template_source(const struct template *template);
const char *template_path(const struct template *template);

/* What a template is filled in with. */
struct template_filling {
	struct template_language language; /* of the texts in it */
	const json_t *always;              /* values that no other takes the place of; NULL: none */
	const json_t *values;
	bool is_plain; /* the result is no HTML: nothing is escaped */
};

/* What it becomes, on `ctx`. NULL when out of memory, or when it would become too large. */
char *template_render(TALLOC_CTX *ctx, const struct template *template, const struct template_filling *filling,
                      size_t *size);

#endif
