/* Addresses of webhooks. */
#include "webhook/url.h"

#include <curl/curl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define LENGTH_MAX 2000

bool webhook_url_is_http(const char *url)
{
	return strncasecmp(url, "http://", 7) == 0;
}

bool webhook_address_is_local(const struct sockaddr *address)
{
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (address->sa_family == AF_INET) {
		memcpy(&in, address, sizeof in);
		return ntohl(in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	}
	if (address->sa_family != AF_INET6)
		return false;
	memcpy(&in6, address, sizeof in6);
	if (memcmp(in6.sin6_addr.s6_addr, mapped, sizeof mapped) == 0)
		return in6.sin6_addr.s6_addr[12] == IN_LOOPBACKNET;
	return memcmp(&in6.sin6_addr, &in6addr_loopback, sizeof in6addr_loopback) == 0;
}

/* Is each address of the host this machine's? */
static bool is_local(const char *host)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	char name[256];
	size_t length = strlen(host);
	bool is_local = true;

	/* IPv6 addresses are in brackets. */
	if (length >= sizeof name)
		return false;
	if (host[0] == '[' && host[length - 1] == ']') {
		memcpy(name, host + 1, length - 2);
		name[length - 2] = '\0';
	} else {
		memcpy(name, host, length + 1);
	}
	if (getaddrinfo(name, NULL, &hints, &found) != 0 || found == NULL)
		return false;
	for (const struct addrinfo *one = found; one != NULL; one = one->ai_next)
		is_local = is_local && webhook_address_is_local(one->ai_addr);
	freeaddrinfo(found);
	return is_local;
}

static bool has_part(CURLU *url, CURLUPart part)
{
	char *text = NULL;
	bool is_there = curl_url_get(url, part, &text, 0) == CURLUE_OK;

	curl_free(text);
	return is_there;
}

/* libcurl takes one slash, or three, for two. */
static bool has_two_slashes(const char *url)
{
	const char *slashes = strstr(url, "://");

	return slashes != NULL && slashes + 1 == strchr(url, '/') && slashes[3] != '/';
}

static const char *problem_of(CURLU *parsed, const char *url)
{
	const char *problem = NULL;
	char *scheme = NULL, *host = NULL;

	if (!has_two_slashes(url) ||
	    curl_url_set(parsed, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME | CURLU_PATH_AS_IS) != CURLUE_OK ||
	    curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    curl_url_get(parsed, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
	    (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
		problem = "is not https://HOST[:PORT]/PATH";
	else if (has_part(parsed, CURLUPART_USER) || has_part(parsed, CURLUPART_PASSWORD))
		problem = "has a user or a password, which would be shown in lists: the signature says who sends";
	else if (has_part(parsed, CURLUPART_FRAGMENT))
		problem = "has a #, behind which nothing is sent";
	else if (strcmp(scheme, "http") == 0 && !is_local(host))
		problem = "is http, and not of this machine: events go over a network by https only";
	curl_free(scheme);
	curl_free(host);
	return problem;
}

static const char *make_plain(TALLOC_CTX *ctx, CURLU *parsed, char **plain)
{
	char *text = NULL;

	if (curl_url_get(parsed, CURLUPART_URL, &text, 0) == CURLUE_OK)
		*plain = talloc_strdup(ctx, text);
	curl_free(text);
	if (*plain == NULL)
		return "cannot be read: out of memory";
	return strlen(*plain) > LENGTH_MAX ? "is longer than 2000 characters" : NULL;
}

const char *webhook_url_problem(TALLOC_CTX *ctx, const char *url, char **plain)
{
	const char *problem;
	CURLU *parsed;

	*plain = NULL;
	for (const char *at = url; *at != '\0'; at++) {
		if ((unsigned char)*at <= ' ' || (unsigned char)*at >= 0x7f)
			return "has a character that would have to be escaped";
	}
	parsed = curl_url();
	if (parsed == NULL)
		return "cannot be read: out of memory";
	problem = problem_of(parsed, url);
	if (problem == NULL)
		problem = make_plain(ctx, parsed, plain);
	curl_url_cleanup(parsed);
	return problem;
}
