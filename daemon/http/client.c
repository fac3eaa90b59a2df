/* HTTP requests to other servers: the only file that calls libcurl. */
#include "http/client.h"

#include "base/clock.h"

#include <curl/curl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

/* All header fields of an answer together: as much as web servers send at the most. */
#define HEADERS_MAX 65536
/* Room for answers without a length grows in these steps at least. */
#define BODY_STEP 8192

/* ---- Addresses ----------------------------------------------------------------------------------------------- */

static bool has_part(CURLU *url, CURLUPart part)
{
	char *text = NULL;
	bool is_there = curl_url_get(url, part, &text, 0) == CURLUE_OK;

	curl_free(text);
	return is_there;
}

static bool is_by_http(CURLU *url)
{
	char *scheme = NULL;
	bool is_right = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	                (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);

	curl_free(scheme);
	return is_right;
}

const char *http_client_address_problem(const char *address)
{
	CURLU *url = curl_url();
	const char *problem = NULL;

	if (url == NULL)
		return "out of memory";
	if (curl_url_set(url, CURLUPART_URL, address, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK || !is_by_http(url))
		problem = "not http://HOST[:PORT][/PATH] or https://HOST[:PORT][/PATH]";
	else if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD))
		problem = "with a user or password, which belong in a header field";
	else if (has_part(url, CURLUPART_QUERY) || has_part(url, CURLUPART_FRAGMENT))
		problem = "with a ? or #, behind which no path can be added";
	curl_url_cleanup(url);
	return problem;
}

/* ---- Names --------------------------------------------------------------------------------------------------- */

/* Libraries that the C library loads for its name services cannot be loaded by a process that is restricted. */
struct lookup {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool is_done;
	size_t count;
	char *hosts[];
};

static void *look_up_all(void *context)
{
	struct lookup *lookup = context;
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found;

	for (size_t i = 0; i < lookup->count; i++) {
		if (lookup->hosts[i] != NULL && getaddrinfo(lookup->hosts[i], NULL, &hints, &found) == 0)
			freeaddrinfo(found);
	}
	(void)pthread_mutex_lock(&lookup->mutex);
	lookup->is_done = true;
	(void)pthread_cond_signal(&lookup->changed);
	(void)pthread_mutex_unlock(&lookup->mutex);
	return NULL;
}

static char *host_of(TALLOC_CTX *ctx, const char *address)
{
	CURLU *url = curl_url();
	char *host = NULL, *copy = NULL;

	if (url != NULL && curl_url_set(url, CURLUPART_URL, address, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK)
		copy = talloc_strdup(ctx, host);
	curl_free(host);
	curl_url_cleanup(url);
	return copy;
}

static struct lookup *lookup_new(const char *const addresses[], size_t count)
{
	struct lookup *lookup = talloc_zero_size(NULL, sizeof *lookup + count * sizeof lookup->hosts[0]);

	if (lookup == NULL)
		return NULL;
	(void)pthread_mutex_init(&lookup->mutex, NULL);
	(void)pthread_cond_init(&lookup->changed, NULL);
	lookup->count = count;
	for (size_t i = 0; i < count; i++)
		lookup->hosts[i] = host_of(lookup, addresses[i]);
	return lookup;
}

static bool wait_for(struct lookup *lookup, int64_t patience_ms)
{
	int64_t until_us = clock_wall_us() + patience_ms * 1000;
	const struct timespec until = {.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};
	bool is_done;

	(void)pthread_mutex_lock(&lookup->mutex);
	while (!lookup->is_done && pthread_cond_timedwait(&lookup->changed, &lookup->mutex, &until) == 0)
		;
	is_done = lookup->is_done;
	(void)pthread_mutex_unlock(&lookup->mutex);
	return is_done;
}

int http_client_prepare(const char *const addresses[], size_t count, int64_t patience_ms)
{
	struct lookup *lookup;
	pthread_t thread;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -1;
	lookup = lookup_new(addresses, count);
	if (lookup == NULL || pthread_create(&thread, NULL, look_up_all, lookup) != 0)
		return -1;
	if (wait_for(lookup, patience_ms)) {
		(void)pthread_join(thread, NULL);
		talloc_free(lookup);
	} else {
		/* What it uses stays. */
		(void)pthread_detach(thread);
	}
	return 0;
}

/* ---- Calls --------------------------------------------------------------------------------------------------- */

struct http_client {
	CURL *easy;
};

static int destroy(struct http_client *client)
{
	curl_easy_cleanup(client->easy);
	return 0;
}

struct http_client *http_client_new(TALLOC_CTX *ctx)
{
	struct http_client *client = talloc_zero(ctx, struct http_client);

	if (client == NULL)
		return NULL;
	client->easy = curl_easy_init();
	talloc_set_destructor(client, destroy);
	if (client->easy == NULL)
		TALLOC_FREE(client);
	return client;
}

/* An answer while it comes. */
struct arriving {
	TALLOC_CTX *ctx;
	char *body;
	size_t size, room, max;
	size_t headers_size;
	bool is_too_large, is_out_of_memory;
};

static bool make_room(struct arriving *answer, size_t more)
{
	size_t room = answer->room;
	char *grown;

	if (answer->body != NULL && more < room - answer->size)
		return true;
	while (room - answer->size <= more)
		room = 2 * room + BODY_STEP;
	grown = talloc_realloc_size(answer->ctx, answer->body, room);
	answer->is_out_of_memory = grown == NULL;
	if (grown != NULL) {
		answer->body = grown;
		answer->room = room;
	}
	return grown != NULL;
}

/* Less than what it was given ends the call. */
static size_t take_body(char *data, size_t one, size_t size, void *context)
{
	struct arriving *answer = context;

	size *= one;
	answer->is_too_large = size > answer->max - answer->size;
	if (answer->is_too_large || !make_room(answer, size))
		return CURL_WRITEFUNC_ERROR;
	memcpy(answer->body + answer->size, data, size);
	answer->size += size;
	return size;
}

static size_t take_header(char *data, size_t one, size_t size, void *context)
{
	struct arriving *answer = context;

	(void)data;
	size *= one;
	answer->headers_size += size;
	answer->is_too_large = answer->headers_size > HEADERS_MAX;
	return answer->is_too_large ? CURL_WRITEFUNC_ERROR : size;
}

/* One after the other; false once one has failed. */
static bool add_header(struct curl_slist **list, const char *text)
{
	struct curl_slist *longer = text != NULL ? curl_slist_append(*list, text) : NULL;

	if (longer != NULL)
		*list = longer;
	return longer != NULL;
}

/* NULL when out of memory. */
static struct curl_slist *headers_of(TALLOC_CTX *ctx, const struct http_call *call)
{
	struct curl_slist *list = NULL;
	/* libcurl would wait with a large body for the server to ask for it. */
	bool is_well = add_header(&list, "Expect:");

	if (call->content_type != NULL)
		is_well = is_well && add_header(&list, talloc_asprintf(ctx, "Content-Type: %s", call->content_type));
	else
		is_well = is_well && add_header(&list, "Content-Type:");
	for (const char *const *header = call->headers; header != NULL && *header != NULL; header++)
		is_well = is_well && add_header(&list, *header);
	if (is_well)
		return list;
	curl_slist_free_all(list);
	return NULL;
}

/*
 * A request over a connection that was kept may be sent a second time, when that turns out to be closed: those that are
 * not to be done twice get one of their own.
 */
static bool may_be_repeated(const struct http_call *call)
{
	return strcmp(call->method, "POST") != 0 && strcmp(call->method, "PATCH") != 0;
}

/* Of these methods a server wants to know how long the body is, also when there is none. */
static bool has_body(const char *method)
{
	return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
}

#define SET(option, value) (result = result != CURLE_OK ? result : curl_easy_setopt(easy, option, value))

static CURLcode set_method(CURL *easy, const struct http_call *call)
{
	CURLcode result = CURLE_OK;

	/* The length that is told of an answer to HEAD is that of a body which does not come. */
	if (strcmp(call->method, "HEAD") == 0)
		return SET(CURLOPT_NOBODY, 1L);
	SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)call->max_answer);
	if (call->body != NULL || has_body(call->method)) {
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDS, call->body != NULL ? call->body : "");
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(call->body != NULL ? call->size : 0));
	}
	SET(CURLOPT_CUSTOMREQUEST, call->method);
	return SET(CURLOPT_FRESH_CONNECT, may_be_repeated(call) ? 0L : 1L);
}

static CURLcode set_up(CURL *easy, const struct http_call *call, const char *url, struct arriving *answer)
{
	CURLcode result = CURLE_OK;

	SET(CURLOPT_URL, url);
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_NOSIGNAL, 1L);
	/* What looks a name up that is not answered is left to itself. */
	SET(CURLOPT_QUICK_EXIT, 1L);
	SET(CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)call->timeout_ms);
	SET(CURLOPT_USERAGENT, call->user_agent);
	SET(CURLOPT_WRITEFUNCTION, take_body);
	SET(CURLOPT_WRITEDATA, answer);
	SET(CURLOPT_HEADERFUNCTION, take_header);
	SET(CURLOPT_HEADERDATA, answer);
	return result != CURLE_OK ? result : set_method(easy, call);
}

static const char *reason_of(CURLcode result, const struct arriving *answer)
{
	if (answer->is_too_large)
		return "too_large";
	if (answer->is_out_of_memory)
		return "memory";
	switch (result) {
	case CURLE_OPERATION_TIMEDOUT: return "timed_out";
	case CURLE_COULDNT_RESOLVE_HOST: return "unknown_host";
	case CURLE_COULDNT_CONNECT: return "refused";
	case CURLE_FILESIZE_EXCEEDED: return "too_large";
	case CURLE_OUT_OF_MEMORY: return "memory";
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_PEER_FAILED_VERIFICATION: return "tls";
	default: return "broken";
	}
}

/* A media type is of printable ASCII (RFC 9110, 8.3.1); other bytes need not even be UTF-8. */
static const char *printable_or_empty(const char *text)
{
	for (const char *at = text; at != NULL && *at != '\0'; at++) {
		if (*at < ' ' || *at > '~')
			return "";
	}
	return text != NULL ? text : "";
}

static const char *take_answer(CURL *easy, struct arriving *arrived, struct http_answer *answer)
{
	const char *content_type = NULL;
	long status = 0;

	if (!make_room(arrived, 1) || curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK ||
	    curl_easy_getinfo(easy, CURLINFO_CONTENT_TYPE, &content_type) != CURLE_OK)
		return "memory";
	arrived->body[arrived->size] = '\0';
	*answer = (struct http_answer){
		.status = (int)status,
		.content_type = talloc_strdup(arrived->ctx, printable_or_empty(content_type)),
		.body = arrived->body,
		.size = arrived->size,
	};
	return answer->content_type != NULL ? NULL : "memory";
}

const char *http_client_call(struct http_client *client, TALLOC_CTX *ctx, const struct http_call *call,
                             struct http_answer *answer)
{
	struct arriving arrived = {.ctx = ctx, .max = call->max_answer};
	size_t length = strlen(call->address);
	struct curl_slist *headers = headers_of(ctx, call);
	const char *reason = "memory";
	char *url;
	CURLcode result;

	while (length > 0 && call->address[length - 1] == '/')
		length--;
	url = talloc_asprintf(ctx, "%.*s%s", (int)length, call->address, call->path);
	if (headers != NULL && url != NULL && set_up(client->easy, call, url, &arrived) == CURLE_OK &&
	    curl_easy_setopt(client->easy, CURLOPT_HTTPHEADER, headers) == CURLE_OK) {
		result = curl_easy_perform(client->easy);
		reason = result == CURLE_OK ? take_answer(client->easy, &arrived, answer) : reason_of(result, &arrived);
	}
	/* Connections stay; all else is as it was in the beginning. */
	curl_easy_reset(client->easy);
	curl_slist_free_all(headers);
	if (reason != NULL)
		talloc_free(arrived.body);
	talloc_free(url);
	return reason;
}
