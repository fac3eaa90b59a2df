/* Events to webhooks, by libcurl. */
#include "webhook/sender.h"

#include "base/clock.h"
#include "base/version.h"
#include "webhook/signature.h"
#include "webhook/url.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* As Standard Webhooks recommends: 15 to 30 seconds. */
#define TIMEOUT_MS         15000L
#define CONNECT_TIMEOUT_MS 10000L
/* What is read of an answer's head and of its body, before it is enough. */
#define HEAD_MAX ((size_t)65536)
#define BODY_MAX ((size_t)65536)
/* Connections that are kept, of all webhooks together. */
#define KEPT_MAX 256L

struct webhook_sender {
	CURLM *multi;
	struct transfer *under_way;
};

/* A call under way. */
struct transfer {
	struct transfer *next, **link;
	struct webhook_sender *sender;
	CURL *easy;
	struct curl_slist *fields;
	void *context;
	int64_t began_ms;
	size_t head_size, body_size;
	bool is_http, is_elsewhere, has_large_head;
	bool has_head; /* the head of its last answer is complete */
	char error[CURL_ERROR_SIZE];
};

int webhook_sender_prepare(void)
{
	return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -1;
}

static int end_transfer(struct transfer *transfer)
{
	if (transfer->link != NULL) {
		(void)curl_multi_remove_handle(transfer->sender->multi, transfer->easy);
		*transfer->link = transfer->next;
		if (transfer->next != NULL)
			transfer->next->link = transfer->link;
	}
	curl_easy_cleanup(transfer->easy);
	curl_slist_free_all(transfer->fields);
	return 0;
}

static int end_sender(struct webhook_sender *sender)
{
	while (sender->under_way != NULL)
		talloc_free(sender->under_way);
	(void)curl_multi_cleanup(sender->multi);
	return 0;
}

struct webhook_sender *webhook_sender_new(TALLOC_CTX *ctx)
{
	struct webhook_sender *sender = talloc_zero(ctx, struct webhook_sender);

	if (sender == NULL)
		return NULL;
	sender->multi = curl_multi_init();
	if (sender->multi == NULL || curl_multi_setopt(sender->multi, CURLMOPT_MAXCONNECTS, KEPT_MAX) != CURLM_OK) {
		(void)curl_multi_cleanup(sender->multi);
		talloc_free(sender);
		return NULL;
	}
	talloc_set_destructor(sender, end_sender);
	return sender;
}

/* ---- What libcurl asks and tells ----------------------------------------------------------------------------- */

/* A name that was this machine's when the webhook was made may lead elsewhere by now. */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct transfer *transfer = context;

	(void)purpose;
	if (transfer->is_http && !webhook_address_is_local(&address->addr)) {
		transfer->is_elsewhere = true;
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* Less than what it was given ends the call. */
static size_t take_head(char *data, size_t one, size_t size, void *context)
{
	struct transfer *transfer = context;

	size *= one;
	transfer->head_size += size;
	transfer->has_large_head = transfer->head_size > HEAD_MAX;
	/* An answer of 1xx, which has a head of its own, comes before the one that counts. */
	if (size > 5 && memcmp(data, "HTTP/", 5) == 0)
		transfer->has_head = false;
	else if (size <= 2 && (data[0] == '\r' || data[0] == '\n'))
		transfer->has_head = true;
	return transfer->has_large_head ? CURL_WRITEFUNC_ERROR : size;
}

/* Nobody reads it; it is taken in so that the connection can be kept. */
static size_t take_body(char *data, size_t one, size_t size, void *context)
{
	struct transfer *transfer = context;

	(void)data;
	size *= one;
	transfer->body_size += size;
	return transfer->body_size > BODY_MAX ? CURL_WRITEFUNC_ERROR : size;
}

/* ---- Beginning ----------------------------------------------------------------------------------------------- */

/* False once one has failed. */
static bool add_field(struct transfer *transfer, const char *text)
{
	struct curl_slist *longer = text != NULL ? curl_slist_append(transfer->fields, text) : NULL;

	if (longer != NULL)
		transfer->fields = longer;
	return longer != NULL;
}

static bool add_fields(struct transfer *transfer, const struct webhook_call *call)
{
	int64_t now_s = clock_wall_us() / 1000000;
	char signature[WEBHOOK_SIGNATURE_SIZE];

	return webhook_sign(call->secret, call->id, now_s, call->body, call->size, signature) &&
	       add_field(transfer, "Expect:") && add_field(transfer, "Content-Type: application/json") &&
	       add_field(transfer, talloc_asprintf(transfer, "webhook-id: %s", call->id)) &&
	       add_field(transfer, talloc_asprintf(transfer, "webhook-timestamp: %lld", (long long)now_s)) &&
	       add_field(transfer, talloc_asprintf(transfer, "webhook-signature: %s", signature));
}

static bool has_http2(void)
{
	return (curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_HTTP2) != 0;
}

#define SET(option, value) (result = result != CURLE_OK ? result : curl_easy_setopt(easy, option, value))

static CURLcode set_up(struct transfer *transfer, const struct webhook_call *call)
{
	CURL *easy = transfer->easy;
	CURLcode result = CURLE_OK;

	SET(CURLOPT_PRIVATE, transfer);
	SET(CURLOPT_URL, call->url);
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_PROTOCOLS_STR, transfer->is_http ? "http" : "https");
	/* HTTP/2 where both have it, and no second connection before that is known. */
	SET(CURLOPT_HTTP_VERSION, (long)(has_http2() ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
	SET(CURLOPT_PIPEWAIT, 1L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_NOSIGNAL, 1L);
	/* What looks a name up that is not answered is left to itself. */
	SET(CURLOPT_QUICK_EXIT, 1L);
	SET(CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
	SET(CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	SET(CURLOPT_USERAGENT, "onesession/" ONESESSION_VERSION);
	SET(CURLOPT_HTTPHEADER, transfer->fields);
	SET(CURLOPT_POST, 1L);
	SET(CURLOPT_POSTFIELDS, call->body);
	SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->size);
	SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(CURLOPT_OPENSOCKETDATA, transfer);
	SET(CURLOPT_HEADERFUNCTION, take_head);
	SET(CURLOPT_HEADERDATA, transfer);
	SET(CURLOPT_WRITEFUNCTION, take_body);
	SET(CURLOPT_WRITEDATA, transfer);
	SET(CURLOPT_ERRORBUFFER, transfer->error);
	return result;
}

bool webhook_sender_begin(struct webhook_sender *sender, const struct webhook_call *call)
{
	struct transfer *transfer = talloc_zero(sender, struct transfer);

	if (transfer == NULL)
		return false;
	talloc_set_destructor(transfer, end_transfer);
	transfer->sender = sender;
	transfer->context = call->context;
	transfer->is_http = webhook_url_is_http(call->url);
	transfer->began_ms = clock_monotonic_ms();
	transfer->easy = curl_easy_init();
	if (transfer->easy == NULL || !add_fields(transfer, call) || set_up(transfer, call) != CURLE_OK ||
	    curl_multi_add_handle(sender->multi, transfer->easy) != CURLM_OK) {
		talloc_free(transfer);
		return false;
	}
	transfer->next = sender->under_way;
	transfer->link = &sender->under_way;
	if (transfer->next != NULL)
		transfer->next->link = &transfer->next;
	sender->under_way = transfer;
	return true;
}

/* ---- Ending -------------------------------------------------------------------------------------------------- */

/* Bytes of others go to logs and terminals. */
static void set_problem(struct webhook_result *result, const char *text)
{
	(void)snprintf(result->problem, sizeof result->problem, "%s", text);
	for (char *at = result->problem; *at != '\0'; at++)
		*at = *at >= ' ' && *at <= '~' ? *at : '?';
}

static void set_status_problem(struct webhook_result *result)
{
	char text[64];

	(void)snprintf(text, sizeof text, "it answered %d%s", result->status,
	               result->status >= 300 && result->status < 400 ? ", and redirects are not followed" : "");
	set_problem(result, text);
}

static struct webhook_result result_of(const struct transfer *transfer, CURLcode code)
{
	struct webhook_result result = {.took_ms = clock_monotonic_ms() - transfer->began_ms};
	curl_off_t retry_after = 0;
	long status = 0, version = 0;

	/* Of an answer whose head is there it makes no difference what becomes of its body. */
	if (transfer->has_head && !transfer->has_large_head &&
	    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK && status >= 200) {
		result.status = (int)status;
		result.is_multiplexed =
			curl_easy_getinfo(transfer->easy, CURLINFO_HTTP_VERSION, &version) == CURLE_OK &&
			version == CURL_HTTP_VERSION_2_0;
		if (curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &retry_after) == CURLE_OK)
			result.retry_after_s = (int64_t)retry_after;
		if (status >= 300)
			set_status_problem(&result);
	} else if (transfer->is_elsewhere) {
		set_problem(&result, "its name leads to another machine, to which http is not spoken");
	} else if (transfer->has_large_head) {
		set_problem(&result, "the head of its answer is longer than 64 KiB");
	} else {
		set_problem(&result, code == CURLE_OK             ? "it gave no answer"
		                     : transfer->error[0] != '\0' ? transfer->error
		                                                  : curl_easy_strerror(code));
	}
	return result;
}

static bool take_ended(struct webhook_sender *sender, void **context, struct webhook_result *result)
{
	struct transfer *transfer = NULL;
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(sender->multi, &left)) != NULL) {
		if (message->msg != CURLMSG_DONE ||
		    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer) != CURLE_OK)
			continue;
		*context = transfer->context;
		*result = result_of(transfer, message->data.result);
		talloc_free(transfer);
		return true;
	}
	return false;
}

bool webhook_sender_step(struct webhook_sender *sender, int wait_ms, void **context, struct webhook_result *result)
{
	int running;

	if (take_ended(sender, context, result))
		return true;
	if (wait_ms > 0)
		(void)curl_multi_poll(sender->multi, NULL, 0, wait_ms, NULL);
	(void)curl_multi_perform(sender->multi, &running);
	return take_ended(sender, context, result);
}
