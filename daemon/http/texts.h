/*
 * Texts by key, in several languages: what {{@key}} means in pages. A file has those of one language, as INI: "[login]"
 * and "title = Sign in" make the text login.title. Each is a template. The first language has all of them, and stands
 * in for another that lacks one.
 */
#ifndef HTTP_TEXTS_H
#define HTTP_TEXTS_H

#include "http/template.h"

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <talloc.h>

struct texts;

/* None as yet, on `ctx`. NULL when out of memory. */
struct texts *texts_new(TALLOC_CTX *ctx, enum text_owner owner);

enum text_owner texts_owner(const struct texts *texts);

/*
 * Add those of a file, which take the place of those of the same language and key from files before. `path` and
 * `source` have to stay. 0, or -1 with complaints, a line each.
 */
int texts_read(struct texts *texts, const char *language, const char *path, const char *source, FILE *complaints);

/*
 * All have been read: which is the first language is decided (English, or else the first by name), and where it stands
 * in for others, and what it lacks itself, is logged, a warning for each file.
 */
void texts_complete(struct texts *texts);

/* Link them all with the pages and texts that they include: see template_link(). */
int texts_link(const struct texts *texts, const struct template_finder *finder, FILE *complaints);

/* The tags of the languages; the first one's number. */
size_t texts_languages(const struct texts *texts, const char *const **tags);
size_t texts_first(const struct texts *texts);

/* The text of that key, complete; NULL when there is none. */
const struct template_text *texts_find(const struct texts *texts, const char *key, size_t size);

/* What a language is called in [language] name, which no other's takes the place of; NULL when it is not. */
const char *texts_name(const struct texts *texts, const char *language);

/* Of a section, as they were written: {"title": "Sign in"}; a new reference, NULL when out of memory. */
json_t *texts_section_json(const struct texts *texts, const char *section, size_t language);

/* What a sentence of the first language is in another, where it is one of the section "sentences"; else NULL. */
const char *texts_sentence(const struct texts *texts, const char *sentence, size_t language);

#endif
