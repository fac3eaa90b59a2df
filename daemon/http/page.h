/*
 * Pages and their texts: the files of handlers/pages, built into the program, those of a folder that take their place,
 * and modules' own.
 */
#ifndef HTTP_PAGE_H
#define HTTP_PAGE_H

#include "http/languages.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <talloc.h>

struct pages;

/*
 * All of them, read and checked, on `ctx`. `folder` may be "": then there are none but the built-in ones. All that is
 * wrong goes to `complaints`, a line each; NULL when anything was wrong. A file of another name is logged: it may
 * be misspelt; so is a language that lacks texts. The folder's own folder "texts" has texts, de.ini and so on, which
 * take the place of the built-in ones by their keys.
 */
struct pages *pages_load(TALLOC_CTX *ctx, const char *folder, FILE *complaints);

/*
 * Those of a module, of a folder of its own: any files, of which those that end in .html are pages, and so are those of
 * its folder "mail", "mail/reset.txt" and so on; and texts. What is not there is looked for among the daemon's.
 * Otherwise as above; complaints about the folder begin with `module`.
 */
struct pages *pages_load_module(TALLOC_CTX *ctx, const struct pages *daemons, const char *module, const char *folder,
                                FILE *complaints);

/* A file as it is; NULL when there is none of that name. */
const char *pages_file(const struct pages *pages, const char *name, size_t *size);

/* Those that have the page of that name: the module's if it is one of its own, else the daemon's. */
const struct pages *pages_having(const struct pages *pages, const char *name);

/* The languages that they come in. Where one is asked for below it is one of these, unless it says otherwise. */
const struct languages *pages_languages(const struct pages *pages);

/*
 * The page of that name, filled in, on `ctx` (nothing is escaped in one that ends in .txt), with the language's values
 * besides. *has_script tells whether it has a script. NULL when there is no such page, when out of memory, or when it
 * would become too large.
 */
char *pages_render(TALLOC_CTX *ctx, const struct pages *pages, const char *name, const struct language *language,
                   const json_t *values, size_t *size, bool *has_script);

/* Is there a text of that key, the module's own or the daemon's? */
bool pages_have_text(const struct pages *pages, const char *key);

/* That text, filled in, on `ctx`: plain text, nothing is escaped. NULL as above. */
char *pages_say(TALLOC_CTX *ctx, const struct pages *pages, const char *key, const struct language *language,
                const json_t *values);

/*
 * What a sentence of C code is in a language, of any set: what the texts of the section "sentences" have for it, the
 * module's or else the daemon's; else the sentence itself.
 */
const char *pages_sentence(const struct pages *pages, const struct language *language, const char *sentence);

/* A section of the module's own texts, or of the daemon's for a module without: see texts_section_json(). */
json_t *pages_section_json(const struct pages *pages, const char *section, const struct language *language);

#endif
