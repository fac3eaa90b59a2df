/* What handlers read of a request: parts of its path, numbers, header fields, the body's bytes. */
#include "api/exchange.h"
#include "base/http_token.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* As long as a header field's name is that anyone asks for, with HTTP_ before it. */
#define PARAM_NAME_SIZE 128

const char *ones_path(const struct ones_request *req, const char *name)
{
	for (size_t i = 0; name != NULL && i < req->part_count; i++) {
		const struct path_part *part = &req->parts[i];

		if (part->name_length == strlen(name) && memcmp(part->name, name, part->name_length) == 0)
			return part->value;
	}
	return NULL;
}

/* strtoimax() alone takes space and a plus before a number, and text behind it. */
static bool read_int(const char *text, int64_t *number)
{
	const char *digits = *text == '-' ? text + 1 : text;
	intmax_t value;
	char *end;

	if (!isdigit((unsigned char)*digits))
		return false;
	errno = 0;
	value = strtoimax(text, &end, 10);
	if (errno != 0 || *end != '\0' || value < INT64_MIN || value > INT64_MAX)
		return false;
	*number = value;
	return true;
}

bool ones_path_int(const struct ones_request *req, const char *name, int64_t *number)
{
	const char *text = ones_path(req, name);

	return text != NULL && read_int(text, number);
}

int64_t ones_query_int(const struct ones_request *req, const char *name, int64_t fallback, int64_t min, int64_t max)
{
	const char *text = ones_query(req, name);
	int64_t number;

	return text != NULL && read_int(text, &number) && number >= min && number <= max ? number : fallback;
}

const char *ones_param(const struct ones_request *req, const char *name)
{
	return name != NULL && strcmp(name, "HTTP_COOKIE") != 0 ? fcgi_param(req->http->fcgi, name) : NULL;
}

size_t ones_param_count(const struct ones_request *req, const char *name)
{
	return ones_param(req, name) != NULL ? fcgi_param_count(req->http->fcgi, name) : 0;
}

/* The parameter of a header field: all but two have HTTP_ before their name (RFC 3875, 4.1.18). */
const char *ones_request_header(const struct ones_request *req, const char *name)
{
	char param[PARAM_NAME_SIZE] = "HTTP_";
	size_t used;

	if (!is_http_token(name) || strchr(name, '_') != NULL)
		return NULL;
	used = strcasecmp(name, "Content-Type") == 0 || strcasecmp(name, "Content-Length") == 0 ? 0 : strlen(param);
	if (strlen(name) >= sizeof param - used)
		return NULL;
	for (; *name != '\0'; name++)
		param[used++] = *name == '-' ? '_' : (char)toupper((unsigned char)*name);
	param[used] = '\0';
	return ones_param(req, param);
}

const void *ones_body(const struct ones_request *req, size_t *size)
{
	*size = req->http->raw_size;
	return req->http->raw_size > 0 ? req->http->raw : NULL;
}
