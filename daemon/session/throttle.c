/* The throttle: failed logins are counted by account, address and browser, other requests by address. */
#include "session/throttle.h"

#include "base/email.h"
#include "session/events.h"
#include "session/sql.h"
#include "session/transaction.h"
#include "session/users.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define DIGEST_SIZE 32
/* A control character, the digest in hexadecimal digits and the terminating zero. */
#define STAND_IN_SIZE (1 + 2 * DIGEST_SIZE + 1)

/* *v4 is set when it is one of IPv4, in whatever form, else *v6. False for what is no address. */
static bool parse(const char *ip, struct in_addr *v4, bool *is_v4, struct in6_addr *v6)
{
	*is_v4 = inet_pton(AF_INET, ip, v4) == 1;
	if (*is_v4)
		return true;
	if (inet_pton(AF_INET6, ip, v6) != 1)
		return false;
	*is_v4 = IN6_IS_ADDR_V4MAPPED(v6);
	if (*is_v4)
		memcpy(v4, &v6->s6_addr[12], sizeof *v4);
	return true;
}

static bool format_network(const struct in6_addr *v6, size_t bytes, char network[THROTTLE_NETWORK_SIZE])
{
	struct in6_addr first = *v6;
	size_t length;

	memset(&first.s6_addr[bytes], 0, sizeof first.s6_addr - bytes);
	if (inet_ntop(AF_INET6, &first, network, INET6_ADDRSTRLEN) == NULL)
		return false;
	length = strlen(network);
	return snprintf(network + length, THROTTLE_NETWORK_SIZE - length, "/%zu", 8 * bytes) > 0;
}

bool throttle_address(const char *ip, char address[THROTTLE_NETWORK_SIZE])
{
	struct in6_addr v6;
	struct in_addr v4;
	bool is_v4;

	if (!parse(ip, &v4, &is_v4, &v6))
		return false;
	return is_v4 ? inet_ntop(AF_INET, &v4, address, THROTTLE_NETWORK_SIZE) != NULL
	             : format_network(&v6, 8, address);
}

bool throttle_network(const char *ip, char network[THROTTLE_NETWORK_SIZE])
{
	struct in6_addr v6;
	struct in_addr v4;
	bool is_v4;

	return parse(ip, &v4, &is_v4, &v6) && !is_v4 && format_network(&v6, 6, network);
}

/*
 * What can be neither an account's name nor an address is counted, too, but not given to the database, which takes long
 * to normalize text of any length: a digest stands in for it, which cannot be a name either.
 */
static const char *name_to_count(const char *username, char stand_in[STAND_IN_SIZE])
{
	uint8_t digest[DIGEST_SIZE];
	char address[EMAIL_SIZE];

	if (users_name_problem(username) == NULL || email_parse(username, address) == NULL)
		return username;
	(void)crypto_generichash(digest, sizeof digest, (const unsigned char *)username, strlen(username), NULL, 0);
	stand_in[0] = '\x7f';
	(void)sodium_bin2hex(stand_in + 1, STAND_IN_SIZE - 1, digest, sizeof digest);
	return stand_in;
}

struct count {
	TALLOC_CTX *ctx;
	const struct throttle_policy *policy;
	const struct throttle_subject *subject;
	const char *what; /* is asked for; NULL: a login has failed */
	int64_t wait_s;
};

/* What an address or a network is counted under. */
static struct db_value counted_as(TALLOC_CTX *ctx, const char *what, bool is_known, const char *address)
{
	if (!is_known || what == NULL)
		return is_known ? DB_TEXT(address) : DB_NULL;
	return DB_TEXT(talloc_asprintf(ctx, "%s %s", what, address));
}

/* *rows is NULL when both limits that could apply are off: the database is not asked. */
static enum db_status run_throttle_statement(struct db *db, const struct db_statement *statement,
                                             const struct count *count, struct db_result **rows)
{
	const struct throttle_policy *policy = count->policy;
	const struct throttle_subject *subject = count->subject;
	char address[THROTTLE_NETWORK_SIZE], network[THROTTLE_NETWORK_SIZE];
	bool has_address = policy->per_address > 0 && throttle_address(subject->ip, address);
	bool has_network = has_address && throttle_network(subject->ip, network);
	const struct session_key *device = subject->device;
	char stand_in[STAND_IN_SIZE];
	const struct db_value values[] = {
		DB_TEXT(name_to_count(subject->username, stand_in)),
		DB_INT(subject->user_id),
		device != NULL ? DB_KEY(device) : DB_NULL,
		counted_as(count->ctx, count->what, has_address, address),
		DB_INT(policy->per_user),
		DB_INT(policy->per_address),
		DB_INT(policy->window_ms),
		counted_as(count->ctx, count->what, has_network, network),
	};

	*rows = NULL;
	if (policy->per_user == 0 && !has_address)
		return DB_OK;
	return db_query(db, count->ctx, statement, values, sizeof values / sizeof values[0], rows);
}

enum db_status throttle_check(struct db *db, const struct throttle_policy *policy,
                              const struct throttle_subject *subject, int64_t *wait_s)
{
	TALLOC_CTX *scratch = talloc_new(NULL);
	const struct count count = {.ctx = scratch, .policy = policy, .subject = subject};
	struct db_result *rows;
	enum db_status status = run_throttle_statement(db, &sql_throttle_check, &count, &rows);

	*wait_s = 0;
	if (rows != NULL && db_rows(rows) > 0)
		*wait_s = db_int(rows, 0, 0);
	talloc_free(scratch);
	return status;
}

/* Each kind has an event: that of an account names no address, for it may have been several. */
static enum db_status record_throttled(struct db *db, const struct count *count, const struct db_result *rows,
                                       size_t row)
{
	const char *kind = db_text(rows, row, THROTTLE_KIND);
	const struct event_record record = {
		.name = count->what == NULL ? "login_throttled" : "requests_throttled",
		.user_id = count->subject->user_id,
		.username = db_text(rows, row, THROTTLE_USERNAME),
		.ip = count->subject->ip,
		.detail = count->what == NULL
	                          ? talloc_asprintf(count->ctx, "{\"kind\":\"%s\"}", kind)
	                          : talloc_asprintf(count->ctx, "{\"kind\":\"%s\",\"what\":\"%s\"}", kind, count->what),
	};

	return events_record(db, &record);
}

/* The count and the event of the last try: both, or neither, also when the connection is lost in between. */
static enum db_status count_one(struct db *db, void *context)
{
	struct count *count = context;
	struct db_result *rows;
	enum db_status status = run_throttle_statement(db, &sql_throttle_count, count, &rows);

	count->wait_s = 0;
	for (size_t i = 0; rows != NULL && status == DB_OK && i < db_rows(rows); i++) {
		int64_t own_wait_s = db_int(rows, i, THROTTLE_WAIT_S);

		if (own_wait_s > count->wait_s)
			count->wait_s = own_wait_s;
		if (db_bool(rows, i, THROTTLE_IS_USED_UP))
			status = record_throttled(db, count, rows, i);
	}
	return status;
}

static enum db_status count_in_transaction(struct db *db, struct count *count, int64_t *wait_s)
{
	enum db_status status;

	count->ctx = talloc_new(NULL);
	status = transaction_run(db, TRANSACTION_RETRIED, count_one, count);
	*wait_s = count->wait_s;
	talloc_free(count->ctx);
	/* Nothing is gained by counting twice what may have been counted. */
	if (status == DB_UNKNOWN)
		return DB_OK;
	return status == DB_CONFLICT ? DB_UNAVAILABLE : status;
}

enum db_status throttle_count_failure(struct db *db, const struct throttle_policy *policy,
                                      const struct throttle_subject *subject, int64_t *wait_s)
{
	struct count count = {.policy = policy, .subject = subject};

	return count_in_transaction(db, &count, wait_s);
}

enum db_status throttle_count_request(struct db *db, const struct throttle_policy *policy, const char *what,
                                      const char *ip, int64_t *wait_s)
{
	const struct throttle_policy by_address = {.per_address = policy->per_address, .window_ms = policy->window_ms};
	const struct throttle_subject subject = {.username = "", .ip = ip};
	struct count count = {.policy = &by_address, .subject = &subject, .what = what};

	return count_in_transaction(db, &count, wait_s);
}

enum db_status throttle_forget(struct db *db, int64_t user_id, int64_t *count)
{
	const struct db_value values[] = {DB_INT(user_id)};
	TALLOC_CTX *scratch = talloc_new(NULL);
	struct db_result *row;
	enum db_status status = db_query(db, scratch, &sql_forget_failures, values, 1, &row);

	*count = status == DB_OK ? db_int(row, 0, 0) : 0;
	talloc_free(scratch);
	return status;
}
