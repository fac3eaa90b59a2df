/* The throttle: failed logins are counted by account, address and browser. */
#include "session/throttle.h"

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
 * What cannot be an account's name is counted, too, but not given to the database, which takes long to normalize text
 * of any length: a digest stands in for it, which cannot be a name either.
 */
static const char *name_to_count(const char *username, char stand_in[STAND_IN_SIZE])
{
	uint8_t digest[DIGEST_SIZE];

	if (users_name_problem(username) == NULL)
		return username;
	(void)crypto_generichash(digest, sizeof digest, (const unsigned char *)username, strlen(username), NULL, 0);
	stand_in[0] = '\x7f';
	(void)sodium_bin2hex(stand_in + 1, STAND_IN_SIZE - 1, digest, sizeof digest);
	return stand_in;
}

/* *rows is NULL when both limits that could apply are off: the database is not asked. */
static enum db_status run_throttle_statement(struct db *db, TALLOC_CTX *ctx, const struct db_statement *statement,
                                             const struct throttle_policy *policy,
                                             const struct throttle_subject *subject, struct db_result **rows)
{
	char address[THROTTLE_NETWORK_SIZE], network[THROTTLE_NETWORK_SIZE];
	bool has_address = policy->per_address > 0 && throttle_address(subject->ip, address);
	bool has_network = has_address && throttle_network(subject->ip, network);
	const struct session_key *device = subject->device;
	char stand_in[STAND_IN_SIZE];
	const struct db_value values[] = {
		DB_TEXT(name_to_count(subject->username, stand_in)),
		DB_INT(subject->user_id),
		device != NULL ? DB_BYTES(device->bytes, sizeof device->bytes) : DB_NULL,
		has_address ? DB_TEXT(address) : DB_NULL,
		DB_INT(policy->per_user),
		DB_INT(policy->per_address),
		DB_INT(policy->window_ms),
		has_network ? DB_TEXT(network) : DB_NULL,
	};

	*rows = NULL;
	if (policy->per_user == 0 && !has_address)
		return DB_OK;
	return db_query(db, ctx, statement, values, sizeof values / sizeof values[0], rows);
}

enum db_status throttle_check(struct db *db, const struct throttle_policy *policy,
                              const struct throttle_subject *subject, int64_t *wait_s)
{
	TALLOC_CTX *scratch = talloc_new(NULL);
	struct db_result *rows;
	enum db_status status = run_throttle_statement(db, scratch, &sql_throttle_check, policy, subject, &rows);

	*wait_s = 0;
	if (rows != NULL && db_rows(rows) > 0)
		*wait_s = db_int(rows, 0, 0);
	talloc_free(scratch);
	return status;
}

/* Each kind has an event: that of an account names no address, for it may have been several. */
static enum db_status record_throttled(struct db *db, TALLOC_CTX *ctx, const struct throttle_subject *subject,
                                       const struct db_result *rows, size_t row)
{
	const struct event_record record = {
		.name = "login_throttled",
		.user_id = subject->user_id,
		.username = db_text(rows, row, THROTTLE_USERNAME),
		.ip = subject->ip,
		.detail = talloc_asprintf(ctx, "{\"kind\":\"%s\"}", db_text(rows, row, THROTTLE_KIND)),
	};

	return events_record(db, &record);
}

struct failure {
	TALLOC_CTX *ctx;
	const struct throttle_policy *policy;
	const struct throttle_subject *subject;
	int64_t wait_s;
};

/* The count and the event of the last try: both, or neither, also when the connection is lost in between. */
static enum db_status count_failure(struct db *db, void *context)
{
	struct failure *failure = context;
	struct db_result *rows;
	enum db_status status =
		run_throttle_statement(db, failure->ctx, &sql_throttle_count, failure->policy, failure->subject, &rows);

	failure->wait_s = 0;
	for (size_t i = 0; rows != NULL && status == DB_OK && i < db_rows(rows); i++) {
		int64_t own_wait_s = db_int(rows, i, THROTTLE_WAIT_S);

		if (own_wait_s > failure->wait_s)
			failure->wait_s = own_wait_s;
		if (db_bool(rows, i, THROTTLE_IS_USED_UP))
			status = record_throttled(db, failure->ctx, failure->subject, rows, i);
	}
	return status;
}

enum db_status throttle_count_failure(struct db *db, const struct throttle_policy *policy,
                                      const struct throttle_subject *subject, int64_t *wait_s)
{
	struct failure failure = {.ctx = talloc_new(NULL), .policy = policy, .subject = subject};
	enum db_status status = transaction_run(db, TRANSACTION_RETRIED, count_failure, &failure);

	*wait_s = failure.wait_s;
	talloc_free(failure.ctx);
	/* Nothing is gained by counting a failure twice of which it is not known whether it was counted. */
	if (status == DB_UNKNOWN)
		return DB_OK;
	return status == DB_CONFLICT ? DB_UNAVAILABLE : status;
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
