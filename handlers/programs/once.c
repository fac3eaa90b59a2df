/*
 * Idempotency-Key: a request that is sent again, because its answer has not arrived, is not done again, but answered as
 * the first time. The answer may hold a session's key, which the database is never to have: so it is encrypted with a
 * key that is made of the program's token, which the database has not, either.
 */
#include "programs.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define KEY_MAX     255
#define CONTEXT     "onesession api_answers"
#define SCHEME_SIZE 7 /* "Bearer " */

/* ---- Hash and cipher -------------------------------------------------------------------------------------------- */

static void secret_of(struct ones_request *req, unsigned char secret[crypto_secretbox_KEYBYTES])
{
	const char *field = ones_request_header(req, "Authorization");
	const char *token = field + SCHEME_SIZE + strspn(field + SCHEME_SIZE, " ");

	(void)crypto_generichash(secret, crypto_secretbox_KEYBYTES, (const unsigned char *)token, strlen(token),
	                         (const unsigned char *)CONTEXT, strlen(CONTEXT));
}

/* Of what was asked for: the body's members in any order. False when out of memory. */
static bool hash_request(struct ones_request *req, unsigned char hash[crypto_hash_sha256_BYTES])
{
	char *text = json_dumps(ones_json(req), JSON_SORT_KEYS | JSON_COMPACT);

	if (text == NULL)
		return false;
	(void)crypto_hash_sha256(hash, (const unsigned char *)text, strlen(text));
	sodium_memzero(text, strlen(text));
	free(text);
	return true;
}

/* Nonce and cipher; to be freed with free(3). NULL when out of memory. */
static unsigned char *seal(struct ones_request *req, const char *text, size_t *size)
{
	const size_t length = strlen(text);
	unsigned char secret[crypto_secretbox_KEYBYTES];
	unsigned char *sealed;

	*size = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + length;
	sealed = malloc(*size);
	if (sealed == NULL)
		return NULL;
	secret_of(req, secret);
	randombytes_buf(sealed, crypto_secretbox_NONCEBYTES);
	(void)crypto_secretbox_easy(sealed + crypto_secretbox_NONCEBYTES, (const unsigned char *)text, length, sealed,
	                            secret);
	sodium_memzero(secret, sizeof secret);
	return sealed;
}

/* The answer; a new reference, NULL when it cannot be read. */
static json_t *unseal(struct ones_request *req, const unsigned char *sealed, size_t size)
{
	const size_t added = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES;
	unsigned char secret[crypto_secretbox_KEYBYTES];
	json_t *answer = NULL;
	char *text;

	if (size < added)
		return NULL;
	text = malloc(size - added + 1);
	if (text == NULL)
		return NULL;
	secret_of(req, secret);
	if (crypto_secretbox_open_easy((unsigned char *)text, sealed + crypto_secretbox_NONCEBYTES,
	                               size - crypto_secretbox_NONCEBYTES, sealed, secret) == 0)
		answer = json_loadb(text, size - added, 0, NULL);
	sodium_memzero(secret, sizeof secret);
	sodium_memzero(text, size - added);
	free(text);
	return answer;
}

/* ---- Claims ----------------------------------------------------------------------------------------------------- */

#define OF_TOKEN "token_id = (SELECT id FROM api_tokens WHERE name = $1) AND request_key = $2"

static enum ones_result claim(struct ones_request *req, struct once *once, const unsigned char *hash)
{
	static const char sql[] =
		"INSERT INTO api_answers AS a (token_id, request_key, request_hash, claim, claimed_until)"
		" SELECT id, $2, $3, gen_random_uuid(), now() + $4::bigint * interval '1 millisecond'"
		"   FROM api_tokens WHERE name = $1"
		" ON CONFLICT (token_id, request_key) DO UPDATE SET request_hash = excluded.request_hash,"
		"    claim = excluded.claim, claimed_until = excluded.claimed_until, answer = NULL, created_at = now()"
		"  WHERE a.created_at <= now() - interval '1 day'"
		"     OR (a.answer IS NULL AND a.claimed_until <= now() AND a.request_hash = excluded.request_hash)"
		" RETURNING claim";
	struct ones_rows *rows;
	enum ones_result result =
		ones_sql(ones_db(req), &rows, sql,
	                 ONES_VALUES(ONES_TEXT(ones_caller(req)), ONES_TEXT(once->key),
	                             ONES_BYTES(hash, crypto_hash_sha256_BYTES),
	                             ONES_INT(ones_option_number(ones_app(req), "server.request_timeout"))));

	once->claim = result == ONES_RESULT_OK && ones_rows_count(rows) > 0 ? ones_text(rows, 0, "claim") : NULL;
	return result;
}

/* The request came before. */
static void reply_again(struct ones_request *req, const struct once *once, const unsigned char *hash)
{
	struct ones_rows *rows;
	enum ones_result result = ones_sql(
		ones_db(req), &rows, "SELECT request_hash = $3 AS is_same, answer FROM api_answers WHERE " OF_TOKEN,
		ONES_VALUES(ONES_TEXT(ones_caller(req)), ONES_TEXT(once->key),
	                    ONES_BYTES(hash, crypto_hash_sha256_BYTES)));
	const void *sealed;
	size_t size;

	if (result != ONES_RESULT_OK) {
		ones_reply_failure(req, result, NULL);
		return;
	}
	if (ones_rows_count(rows) > 0 && !ones_bool(rows, 0, "is_same")) {
		ones_reply_problem(req, 422, "idempotency_key_reused",
		                   "There was another request with that Idempotency-Key.");
		return;
	}
	sealed = ones_rows_count(rows) > 0 ? ones_bytes(rows, 0, "answer", &size) : NULL;
	if (sealed == NULL) {
		ones_retry_after(req, 1);
		ones_reply_problem(req, 409, "idempotency_key_in_use",
		                   "The request with that Idempotency-Key is still under way.");
		return;
	}
	ones_header(req, "Idempotent-Replayed", "true");
	ones_reply_json(req, 201, unseal(req, sealed, size));
}

static bool is_key(const char *text)
{
	size_t length = strlen(text);

	for (size_t i = 0; i < length; i++) {
		if (text[i] < '!' || text[i] > '~')
			return false;
	}
	return length > 0 && length <= KEY_MAX;
}

bool once_begin(struct ones_request *req, struct once *once)
{
	unsigned char hash[crypto_hash_sha256_BYTES];
	enum ones_result result;

	*once = (struct once){.key = ones_request_header(req, "Idempotency-Key")};
	if (once->key == NULL)
		return true;
	if (!is_key(once->key)) {
		reply_bad_request(req, "Idempotency-Key is of 1 to 255 characters of ASCII, without spaces.");
		return false;
	}
	result = hash_request(req, hash) ? claim(req, once, hash) : ONES_RESULT_FAILED;
	if (result != ONES_RESULT_OK)
		ones_reply_failure(req, result, NULL);
	else if (once->claim == NULL)
		reply_again(req, once, hash);
	return once->claim != NULL;
}

void once_reply(struct ones_request *req, const struct once *once, int status, json_t *answer)
{
	char *text = once->key != NULL && answer != NULL ? json_dumps(answer, JSON_COMPACT) : NULL;
	unsigned char *sealed;
	size_t size;

	sealed = text != NULL ? seal(req, text, &size) : NULL;
	/* If that fails the next one is done anew: a login once more, whose key nobody has. */
	if (sealed != NULL)
		(void)ones_sql(ones_db(req), NULL,
		               "UPDATE api_answers SET answer = $4 WHERE " OF_TOKEN " AND claim = $3",
		               ONES_VALUES(ONES_TEXT(ones_caller(req)), ONES_TEXT(once->key), ONES_TEXT(once->claim),
		                           ONES_BYTES(sealed, size)));
	if (text != NULL)
		sodium_memzero(text, strlen(text));
	free(text);
	free(sealed);
	ones_reply_json(req, status, answer);
}

void once_give_up(struct ones_request *req, const struct once *once)
{
	if (once->key != NULL)
		(void)ones_sql(ones_db(req), NULL, "DELETE FROM api_answers WHERE " OF_TOKEN " AND claim = $3",
		               ONES_VALUES(ONES_TEXT(ones_caller(req)), ONES_TEXT(once->key), ONES_TEXT(once->claim)));
}
