/* The cookies that the kit's browser keeps. */
#include "kit/cookie_jar.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The value of an attribute behind the cookie, on `ctx`; NULL when it is not there. */
static char *attribute(TALLOC_CTX *ctx, const char *field, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = field; (at = strchr(at, ';')) != NULL;) {
		at += strspn(at, "; ");
		if (strncasecmp(at, name, length) == 0 && at[length] == '=')
			return talloc_strndup(ctx, at + length + 1, strcspn(at + length + 1, ";"));
	}
	return NULL;
}

static void remove_cookie(struct cookie_jar *jar, const struct kept_cookie *like)
{
	for (struct kept_cookie **at = &jar->first; *at != NULL; at = &(*at)->next) {
		struct kept_cookie *old = *at;

		if (strcmp(old->name, like->name) == 0 && strcmp(old->path, like->path) == 0) {
			*at = old->next;
			talloc_free(old);
			return;
		}
	}
}

int cookie_jar_take(struct cookie_jar *jar, TALLOC_CTX *ctx, const char *field)
{
	struct kept_cookie *cookie = talloc_zero(ctx, struct kept_cookie);
	size_t pair = strcspn(field, ";"), name = strcspn(field, "=;");
	const char *max_age, *path;

	if (cookie == NULL)
		return -1;
	cookie->name = talloc_strndup(cookie, field, name);
	cookie->value = name < pair ? talloc_strndup(cookie, field + name + 1, pair - name - 1) : "";
	path = attribute(cookie, field, "Path");
	cookie->path = path != NULL && path[0] == '/' ? path : "/";
	max_age = attribute(cookie, field, "Max-Age");
	if (cookie->name == NULL || cookie->value == NULL) {
		talloc_free(cookie);
		return -1;
	}
	remove_cookie(jar, cookie);
	if (max_age != NULL && strtol(max_age, NULL, 10) <= 0) {
		talloc_free(cookie);
		return 0;
	}
	cookie->next = jar->first;
	jar->first = cookie;
	return 0;
}

/* RFC 6265, 5.1.4 */
static bool path_matches(const char *cookie_path, const char *path)
{
	size_t length = strlen(cookie_path);

	return strncmp(path, cookie_path, length) == 0 &&
	       (cookie_path[length - 1] == '/' || path[length] == '/' || path[length] == '\0');
}

const char *cookie_jar_header(const struct cookie_jar *jar, TALLOC_CTX *ctx, const char *path)
{
	char *header = talloc_strdup(ctx, "");

	for (const struct kept_cookie *at = jar->first; at != NULL && header != NULL; at = at->next) {
		if (path_matches(at->path, path))
			header = talloc_asprintf_append(header, "%s%s=%s", header[0] != '\0' ? "; " : "", at->name,
			                                at->value);
	}
	return header;
}
