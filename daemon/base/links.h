/* A site's own links, as login.links names them: "Privacy /privacy, Help https://help.example.org/". */
#ifndef BASE_LINKS_H
#define BASE_LINKS_H

#include <stddef.h>
#include <talloc.h>

struct link {
	const char *label;
	const char *address;
};

struct links {
	size_t count;
	struct link *all;
};

/*
 * The links that `text` lists, separated by commas: of each the last word is the address, what is before it the label.
 * An address leads into this site by a path, to another by http or https, or to a mailbox, and can be put into a page
 * as it is. On `ctx`. NULL when out of memory, or with *expected (a constant string) what would be right.
 */
struct links *links_parse(TALLOC_CTX *ctx, const char *text, const char **expected);

#endif
