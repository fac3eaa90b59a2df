/*
 * Mail by SMTP. Each of those that are under way has a thread, for libcurl waits for the answer to a message without
 * letting others go on (smtp_done() in its lib/smtp.c), also where it is asked not to wait.
 */
#include "mail/smtp.h"

#include "base/clock.h"
#include "base/utf8.h"
#include "mail/smtp_state.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Of the whole time, for a step: the greeting, the answer to a command. */
#define STEP_PART 2
/* For the TCP and TLS connection, EHLO and AUTH. */
#define CONNECT_MAX_MS INT64_C(30000)

enum transfer_state { TRANSFER_FREE, TRANSFER_READY, TRANSFER_RUNS, TRANSFER_ENDED };

/* A thread with its connection, and the mail that it sends: the thread's as long as it runs. */
struct transfer {
	struct mail_smtp *smtp;
	pthread_t thread;
	bool has_thread;
	enum transfer_state state; /* under the mutex */
	CURL *easy;
	bool is_over_new; /* over a new connection, for the one that was kept had gone */
	struct mail_envelope envelope;
	size_t given;
	struct curl_slist *recipients;
	struct smtp_state said;
	struct mail_result result;
	char error[CURL_ERROR_SIZE];
};

struct mail_smtp {
	const struct mail_setup *setup;
	char *url;
	pthread_mutex_t mutex;
	pthread_cond_t is_ready; /* there is a mail to send, or the end */
	pthread_cond_t has_ended;
	bool is_ending;
	struct transfer transfers[MAIL_AT_ONCE];
};

/* ---- What libcurl asks and tells ----------------------------------------------------------------------------- */

static size_t give(char *to, size_t one, size_t size, void *context)
{
	struct transfer *transfer = context;
	size_t left = transfer->envelope.size - transfer->given;

	size *= one;
	if (smtp_state_lacks_utf8(&transfer->said))
		return CURL_READFUNC_ABORT;
	if (size > left)
		size = left;
	memcpy(to, transfer->envelope.message + transfer->given, size);
	transfer->given += size;
	transfer->said.is_whole = transfer->given == transfer->envelope.size;
	return size;
}

/* Without what AUTH says, and what is answered to that. */
static void tell(const struct transfer *transfer, char direction, const char *line, size_t size)
{
	const struct mail_setup *setup = transfer->smtp->setup;
	bool is_secret = transfer->said.stage == SMTP_STAGE_AUTH;
	char raw[512], clean[512];

	if (setup->listen == NULL)
		return;
	while (size > 0 && (line[size - 1] == '\r' || line[size - 1] == '\n'))
		size--;
	(void)snprintf(raw, sizeof raw, "%.*s", (int)(size < sizeof raw ? size : sizeof raw - 1), line);
	if (is_secret && direction == '>')
		(void)snprintf(raw, sizeof raw, "%s", strncasecmp(line, "AUTH", 4) == 0 ? "AUTH ..." : "...");
	else if (is_secret && strncmp(line, "334", 3) == 0)
		(void)snprintf(raw, sizeof raw, "334 ...");
	utf8_clean(raw, clean, sizeof clean);
	setup->listen(setup->listen_context, direction, clean);
}

static int overhear(CURL *easy, curl_infotype type, char *line, size_t size, void *context)
{
	struct transfer *transfer = context;

	(void)easy;
	if (type == CURLINFO_HEADER_OUT) {
		smtp_state_command(&transfer->said, line, size);
		tell(transfer, '>', line, size);
	} else if (type == CURLINFO_HEADER_IN) {
		tell(transfer, '<', line, size);
		smtp_state_reply(&transfer->said, line, size);
	}
	return 0;
}

/* ---- Sending one --------------------------------------------------------------------------------------------- */

static long use_of_tls(const struct mail_setup *setup)
{
	switch (setup->tls) {
	case MAIL_TLS_REQUIRED: return CURLUSESSL_ALL;
	case MAIL_TLS_OPPORTUNISTIC: return CURLUSESSL_TRY;
	case MAIL_TLS_OFF: return CURLUSESSL_NONE;
	default: return setup->server.is_loopback ? CURLUSESSL_NONE : CURLUSESSL_ALL;
	}
}

#define SET(option, value) (result = result != CURLE_OK ? result : curl_easy_setopt(easy, option, value))

static CURLcode set_connection(CURL *easy, const struct mail_setup *setup)
{
	int64_t connect_ms = setup->timeout_ms / STEP_PART;
	long step_s = (long)(setup->timeout_ms / STEP_PART / 1000);
	CURLcode result = CURLE_OK;

	SET(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NOSIGNAL, 1L);
	/* What looks a name up that is not answered is left to itself. */
	SET(CURLOPT_QUICK_EXIT, 1L);
	SET(CURLOPT_TIMEOUT_MS, (long)setup->timeout_ms);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(connect_ms < CONNECT_MAX_MS ? connect_ms : CONNECT_MAX_MS));
	SET(CURLOPT_SERVER_RESPONSE_TIMEOUT, step_s > 0 ? step_s : 1L);
	SET(CURLOPT_USE_SSL, use_of_tls(setup));
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	if (setup->ca_file[0] != '\0')
		SET(CURLOPT_CAINFO, setup->ca_file);
	if (setup->user[0] != '\0') {
		SET(CURLOPT_USERNAME, setup->user);
		SET(CURLOPT_PASSWORD, setup->password);
	}
	return result;
}

static CURLcode set_up(struct transfer *transfer)
{
	const struct mail_setup *setup = transfer->smtp->setup;
	CURL *easy = transfer->easy;
	CURLcode result = set_connection(easy, setup);

	SET(CURLOPT_URL, transfer->smtp->url);
	SET(CURLOPT_MAIL_FROM, setup->from.address);
	SET(CURLOPT_MAIL_RCPT, transfer->recipients);
	SET(CURLOPT_UPLOAD, 1L);
	SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)transfer->envelope.size);
	SET(CURLOPT_READFUNCTION, give);
	SET(CURLOPT_READDATA, transfer);
	SET(CURLOPT_VERBOSE, 1L);
	SET(CURLOPT_DEBUGFUNCTION, overhear);
	SET(CURLOPT_DEBUGDATA, transfer);
	SET(CURLOPT_ERRORBUFFER, transfer->error);
	SET(CURLOPT_FRESH_CONNECT, transfer->is_over_new ? 1L : 0L);
	return result;
}

static bool is_ascii(const char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text >= 0x80)
			return false;
	}
	return true;
}

static CURLcode try_to_send(struct transfer *transfer)
{
	CURLcode result;

	transfer->given = 0;
	transfer->error[0] = '\0';
	transfer->said = (struct smtp_state){.needs_utf8 = !is_ascii(transfer->envelope.to)};
	/* Connections stay. */
	curl_easy_reset(transfer->easy);
	result = set_up(transfer);
	return result == CURLE_OK ? curl_easy_perform(transfer->easy) : result;
}

/* A connection that was kept, and that the server has closed meanwhile: nothing was asked yet. */
static bool is_to_be_repeated(const struct transfer *transfer, CURLcode result)
{
	long connections = 1;

	return result != CURLE_OK && transfer->said.stage <= SMTP_STAGE_MAIL &&
	       (transfer->said.code == 0 || transfer->said.code == 421) && result != CURLE_OPERATION_TIMEDOUT &&
	       curl_easy_getinfo(transfer->easy, CURLINFO_NUM_CONNECTS, &connections) == CURLE_OK && connections == 0;
}

static void send_one(struct transfer *transfer)
{
	char clean[CURL_ERROR_SIZE];
	CURLcode code = CURLE_OUT_OF_MEMORY;

	transfer->is_over_new = false;
	transfer->recipients = curl_slist_append(NULL, transfer->envelope.to);
	if (transfer->recipients != NULL)
		code = try_to_send(transfer);
	if (transfer->recipients != NULL && is_to_be_repeated(transfer, code)) {
		transfer->is_over_new = true;
		code = try_to_send(transfer);
	}
	utf8_clean(transfer->error[0] != '\0' ? transfer->error : curl_easy_strerror(code), clean, sizeof clean);
	transfer->result = (struct mail_result){.outcome = MAIL_OUTCOME_SENT};
	if (code != CURLE_OK)
		transfer->result = smtp_state_judge(&transfer->said, clean);
	curl_slist_free_all(transfer->recipients);
	transfer->recipients = NULL;
}

/* ---- Threads ------------------------------------------------------------------------------------------------- */

static void *run_transfer(void *context)
{
	struct transfer *transfer = context;
	struct mail_smtp *smtp = transfer->smtp;

	(void)pthread_mutex_lock(&smtp->mutex);
	for (;;) {
		while (transfer->state != TRANSFER_READY && !smtp->is_ending)
			(void)pthread_cond_wait(&smtp->is_ready, &smtp->mutex);
		if (smtp->is_ending)
			break;
		transfer->state = TRANSFER_RUNS;
		(void)pthread_mutex_unlock(&smtp->mutex);
		send_one(transfer);
		(void)pthread_mutex_lock(&smtp->mutex);
		transfer->state = TRANSFER_ENDED;
		(void)pthread_cond_signal(&smtp->has_ended);
	}
	(void)pthread_mutex_unlock(&smtp->mutex);
	/* Says goodbye to the server. */
	curl_easy_cleanup(transfer->easy);
	transfer->easy = NULL;
	return NULL;
}

static int destroy(struct mail_smtp *smtp)
{
	(void)pthread_mutex_lock(&smtp->mutex);
	smtp->is_ending = true;
	(void)pthread_cond_broadcast(&smtp->is_ready);
	(void)pthread_mutex_unlock(&smtp->mutex);
	for (size_t i = 0; i < MAIL_AT_ONCE; i++) {
		if (smtp->transfers[i].has_thread)
			(void)pthread_join(smtp->transfers[i].thread, NULL);
		curl_easy_cleanup(smtp->transfers[i].easy);
	}
	(void)pthread_cond_destroy(&smtp->has_ended);
	(void)pthread_cond_destroy(&smtp->is_ready);
	(void)pthread_mutex_destroy(&smtp->mutex);
	return 0;
}

static bool start(struct mail_smtp *smtp, struct transfer *transfer)
{
	transfer->smtp = smtp;
	transfer->easy = curl_easy_init();
	transfer->has_thread =
		transfer->easy != NULL && pthread_create(&transfer->thread, NULL, run_transfer, transfer) == 0;
	return transfer->has_thread;
}

static char *url_of(TALLOC_CTX *ctx, const struct mail_setup *setup)
{
	const char *scheme = setup->server.transport == MAIL_TRANSPORT_SMTPS ? "smtps" : "smtp";

	/* What is behind the slash is said in EHLO. */
	return talloc_asprintf(ctx, "%s://%s:%d/%s", scheme, setup->server.host, setup->server.port, setup->hello);
}

/* None of these can fail with what they are given (POSIX.1-2017). */
static void init_locks(struct mail_smtp *smtp)
{
	pthread_condattr_t monotonic;

	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_mutex_init(&smtp->mutex, NULL);
	(void)pthread_cond_init(&smtp->is_ready, NULL);
	(void)pthread_cond_init(&smtp->has_ended, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
}

struct mail_smtp *mail_smtp_new(TALLOC_CTX *ctx, const struct mail_setup *setup)
{
	struct mail_smtp *smtp = talloc_zero(ctx, struct mail_smtp);
	bool is_well;

	if (smtp == NULL)
		return NULL;
	init_locks(smtp);
	talloc_set_destructor(smtp, destroy);
	smtp->setup = setup;
	smtp->url = url_of(smtp, setup);
	is_well = smtp->url != NULL;
	for (size_t i = 0; i < MAIL_AT_ONCE && is_well; i++)
		is_well = start(smtp, &smtp->transfers[i]);
	if (!is_well)
		TALLOC_FREE(smtp);
	return smtp;
}

static struct transfer *find(struct mail_smtp *smtp, enum transfer_state state)
{
	for (size_t i = 0; i < MAIL_AT_ONCE; i++) {
		if (smtp->transfers[i].state == state)
			return &smtp->transfers[i];
	}
	return NULL;
}

bool mail_smtp_begin(struct mail_smtp *smtp, const struct mail_envelope *envelope)
{
	struct transfer *transfer;

	(void)pthread_mutex_lock(&smtp->mutex);
	transfer = find(smtp, TRANSFER_FREE);
	if (transfer != NULL) {
		transfer->envelope = *envelope;
		transfer->state = TRANSFER_READY;
		/* All wait for the same. */
		(void)pthread_cond_broadcast(&smtp->is_ready);
	}
	(void)pthread_mutex_unlock(&smtp->mutex);
	return transfer != NULL;
}

bool mail_smtp_step(struct mail_smtp *smtp, int wait_ms, void **ended, struct mail_result *result)
{
	int64_t until_us = clock_monotonic_us() + (int64_t)wait_ms * 1000;
	const struct timespec until = {.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};
	struct transfer *transfer;

	(void)pthread_mutex_lock(&smtp->mutex);
	while ((transfer = find(smtp, TRANSFER_ENDED)) == NULL &&
	       pthread_cond_timedwait(&smtp->has_ended, &smtp->mutex, &until) == 0)
		;
	if (transfer != NULL) {
		*ended = transfer->envelope.context;
		*result = transfer->result;
		transfer->state = TRANSFER_FREE;
	}
	(void)pthread_mutex_unlock(&smtp->mutex);
	return transfer != NULL;
}
