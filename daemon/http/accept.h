/* What the headers of a request say about its client: preferred type and language, own site or another. */
#ifndef HTTP_ACCEPT_H
#define HTTP_ACCEPT_H

#include <stdbool.h>
#include <stddef.h>

/* True when an Accept header (RFC 9110, 12.5.1; may be NULL) prefers application/json to text/html. */
bool accept_prefers_json(const char *accept);

/* True when an Accept header (may be NULL) asks for text/html by that name: scripts and players say any type at most.
 */
bool accept_names_html(const char *accept);

/*
 * The one of `tags` that an Accept-Language header (RFC 9110, 12.5.4; may be NULL) prefers, see language_find(); of
 * two with the same weight the one that is named first. `count` when there is none: "*" means no more than that.
 */
size_t accept_language(const char *accept, const char *const tags[], size_t count);

/*
 * What stands in `url` behind the name of the site that the request with this Host was sent to: a path, or ""; NULL
 * when it is another site's. The scheme of the request is not known for sure, and a default port makes no difference.
 */
const char *own_site_path(const char *url, const char *host);

/*
 * True when another site made the browser send this: by Sec-Fetch-Site (W3C Fetch Metadata), or, where that is
 * absent or "same-site", by comparing Origin (RFC 6454, 7) with Host, to which a default port
 * makes no difference. Any may be NULL; a request with none of them comes from no browser of today.
 */
bool is_cross_site(const char *sec_fetch_site, const char *origin, const char *host);

#endif
