/*
 * The language of pages, a small part of mustache's; it is described at ones_reply_page() in onesession.h. Besides,
 * {{! a comment }} is left out, and a tag other than {{name}} and {{>file}} that has a line to itself takes the line
 * away with it.
 */
#ifndef HTTP_TEMPLATE_H
#define HTTP_TEMPLATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <talloc.h>

struct template;

/* The template that {{>name}} means, NULL when there is none; `name` has no NUL at its end. */
typedef struct template *template_find(void *context, const char *name, size_t size);

/*
 * Read `text`, which stays the caller's and has to stay; `path` is what complaints call it: "path:line: what is wrong".
 * NULL when anything was wrong, or out of memory, which is a complaint too.
 */
struct template *template_new(TALLOC_CTX *ctx, const char *path, const char *text, FILE *complaints);

/* Find what it includes, and what that includes. 0, or -1 when anything is missing, includes itself or is too deep. */
int template_link(struct template *template, template_find *find, void *context, FILE *complaints);

/* Whether it, or what it includes, has a script. */
bool template_has_script(const struct template *template);

/* What it becomes with these values, on `ctx`. NULL when out of memory, or when it would become too large. */
char *template_render(TALLOC_CTX *ctx, const struct template *template, const json_t *values, size_t *size);

#endif
