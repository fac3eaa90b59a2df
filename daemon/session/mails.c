/* Mails as rows of `mails`. */
#include "session/mails.h"

#include "session/mail_sql.h"
#include "session/transaction.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* A mail that has failed is tried again after this, twice this and so on. */
#define PAUSE_MIN_MS INT64_C(30000)
#define PAUSE_MAX_MS (INT64_C(3) * 3600 * 1000)
/* When others to the same recipient are under way. */
#define PAUSE_POSTPONED_MS INT64_C(2000)
/* As in the default of mails.give_up_at. */
#define GIVE_UP_MS (INT64_C(48) * 3600 * 1000)
/* How many are given up at once. */
#define GIVE_UP_MAX 1000

struct uuid {
	char text[37];
};

/* A random one (RFC 9562, 5.4). */
static struct uuid make_uuid(void)
{
	unsigned char bytes[16];
	struct uuid uuid;

	randombytes_buf(bytes, sizeof bytes);
	bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40);
	bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
	(void)snprintf(uuid.text, sizeof uuid.text,
	               "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", bytes[0], bytes[1],
	               bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7], bytes[8], bytes[9], bytes[10],
	               bytes[11], bytes[12], bytes[13], bytes[14], bytes[15]);
	return uuid;
}

enum db_status mails_add(struct db *db, const struct mail_draft *draft)
{
	const struct uuid message_id = make_uuid();
	const struct db_value values[] = {
		DB_TEXT(message_id.text),  DB_TEXT(draft->module),
		DB_TEXT(draft->kind),      draft->user_id != 0 ? DB_INT(draft->user_id) : DB_NULL,
		DB_TEXT(draft->login),     DB_TEXT(draft->recipient),
		DB_TEXT(draft->language),  DB_TEXT(draft->data),
		DB_TEXT(draft->purpose),   draft->purpose != NULL ? DB_INT(draft->lifetime_ms) : DB_NULL,
		DB_TEXT(draft->path),      DB_TEXT(draft->kind_if_taken),
		DB_BOOL(draft->is_notice),
	};

	return db_query(db, NULL, &sql_add_mail, values, 13, NULL);
}

/* ---- Sending ------------------------------------------------------------------------------------------------- */

static struct mail_row claimed_row(const struct db_result *found)
{
	return (struct mail_row){
		.id = db_int(found, 0, CLAIMED_ID),
		.message_id = db_text(found, 0, CLAIMED_MESSAGE_ID),
		.module = db_text(found, 0, CLAIMED_MODULE),
		.kind = db_text(found, 0, CLAIMED_KIND),
		.user_id = db_int(found, 0, CLAIMED_USER_ID),
		.username = db_text(found, 0, CLAIMED_USERNAME),
		.address = db_text(found, 0, CLAIMED_ADDRESS),
		.language = db_text(found, 0, CLAIMED_LANGUAGE),
		.data = db_text(found, 0, CLAIMED_DATA),
		.purpose = db_text(found, 0, CLAIMED_PURPOSE),
		.lifetime_ms = db_int(found, 0, CLAIMED_LIFETIME),
		.path = db_text(found, 0, CLAIMED_PATH),
		.has_slot = db_bool(found, 0, CLAIMED_HAS_SLOT),
	};
}

enum db_status mails_claim(const struct mail_sending *sending, TALLOC_CTX *ctx, const char *but_domain,
                           struct mail_row **row)
{
	const struct db_value values[] = {DB_TEXT(sending->claim), DB_INT(sending->lease_ms), DB_TEXT(but_domain)};
	struct db_result *found;
	enum db_status status = db_query(sending->db, ctx, &sql_claim_mail, values, 3, &found);

	*row = NULL;
	if (status != DB_OK || db_rows(found) == 0)
		return status;
	*row = talloc(ctx, struct mail_row);
	if (*row == NULL)
		return db_out_of_memory(sending->db);
	**row = claimed_row(found);
	return DB_OK;
}

void mail_secrets_make(struct mail_secrets *secrets)
{
	uint32_t number = randombytes_uniform(100000000);

	token_generate(secrets->token);
	secrets->token_key = token_key(secrets->token);
	(void)snprintf(secrets->code, sizeof secrets->code, "%0*u", MAIL_CODE_LENGTH, number);
	(void)crypto_hash_sha256(secrets->code_key.bytes, (const unsigned char *)secrets->code, MAIL_CODE_LENGTH);
}

/* What one transaction of mails_begin() does. */
struct beginning {
	const struct mail_sending *sending;
	const struct mail_row *row;
	const struct mail_secrets *secrets;
	enum mail_begun begun;
};

static struct db_value account_of(const struct mail_row *row)
{
	return row->user_id != 0 ? DB_INT(row->user_id) : DB_NULL;
}

static enum db_status release(const struct mail_sending *sending, const struct mail_row *row,
                              const struct session_key *void_token, const char *problem, bool was_no_try,
                              int64_t wait_ms)
{
	const struct db_value values[] = {
		DB_INT(row->id),  DB_TEXT(sending->claim), void_token != NULL ? DB_KEY(void_token) : DB_NULL,
		DB_TEXT(problem), DB_BOOL(was_no_try),     DB_INT(wait_ms),
	};

	return db_query(sending->db, NULL, &sql_release_mail, values, 6, NULL);
}

static enum db_status limit(const struct mail_sending *sending, const struct mail_row *row)
{
	const struct db_value values[] = {DB_INT(row->id), DB_TEXT(sending->claim), account_of(row),
	                                  DB_TEXT(row->address)};

	return db_query(sending->db, NULL, &sql_limit_mail, values, 4, NULL);
}

/* Why it was not begun, which the same transaction writes. */
static enum db_status end_of_beginning(struct beginning *beginning, int64_t sent, int64_t under_way, bool is_superseded)
{
	const struct mail_sending *sending = beginning->sending;

	if (is_superseded) {
		beginning->begun = MAIL_SUPERSEDED;
		return mails_forget(sending, beginning->row);
	}
	if (sending->per_recipient > 0 && sent >= sending->per_recipient) {
		beginning->begun = MAIL_LIMITED;
		return limit(sending, beginning->row);
	}
	if (sending->per_recipient > 0 && sent + under_way >= sending->per_recipient) {
		beginning->begun = MAIL_POSTPONED;
		return release(sending, beginning->row, NULL, "", false, PAUSE_POSTPONED_MS);
	}
	beginning->begun = MAIL_NOT_OURS;
	return DB_OK;
}

static enum db_status begin(struct db *db, void *context)
{
	struct beginning *beginning = context;
	const struct mail_sending *sending = beginning->sending;
	const struct mail_row *row = beginning->row;
	const struct db_value address[] = {DB_TEXT(row->address)};
	const struct db_value values[] = {
		DB_INT(row->id),
		DB_TEXT(sending->claim),
		DB_INT(sending->lease_ms),
		DB_TEXT(row->kind),
		account_of(row),
		DB_TEXT(row->address),
		DB_INT(sending->per_recipient),
		DB_INT(sending->per_recipient_ms),
		DB_KEY(&beginning->secrets->token_key),
		DB_KEY(&beginning->secrets->code_key),
	};
	TALLOC_CTX *scratch = talloc_new(NULL);
	struct db_result *found;
	enum db_status status = db_query(db, NULL, &sql_lock_mail_recipient, address, 1, NULL);

	if (status == DB_OK)
		status = db_query(db, scratch, &sql_begin_mail, values, 10, &found);
	if (status == DB_OK && db_bool(found, 0, 0))
		beginning->begun = MAIL_BEGUN;
	else if (status == DB_OK)
		status = end_of_beginning(beginning, db_int(found, 0, 1), db_int(found, 0, 2), db_bool(found, 0, 3));
	talloc_free(scratch);
	return status;
}

/*
 * It will not be sent, as far as is known before its recipient is locked. Whoever asks for mails that are not sent must
 * not use up the turns of others at the same domain.
 */
static enum db_status recipient_has_all(const struct mail_sending *sending, const struct mail_row *row, bool *has_all)
{
	const struct db_value values[] = {DB_TEXT(row->address), DB_TEXT(row->kind), DB_INT(sending->per_recipient),
	                                  DB_INT(sending->per_recipient_ms)};
	TALLOC_CTX *scratch = talloc_new(NULL);
	struct db_result *found;
	enum db_status status = DB_OK;

	*has_all = false;
	if (sending->per_recipient > 0)
		status = db_query(sending->db, scratch, &sql_recipient_has_all, values, 4, &found);
	if (sending->per_recipient > 0 && status == DB_OK)
		*has_all = db_bool(found, 0, 0);
	talloc_free(scratch);
	return status;
}

const char *mail_row_domain(const struct mail_row *row)
{
	const char *at = strrchr(row->address, '@');

	return at != NULL ? at + 1 : "";
}

/* MAIL_BEGUN: it has its turn among the mails to its domain. */
static enum db_status take_slot(const struct mail_sending *sending, const struct mail_row *row, enum mail_begun *begun)
{
	const struct db_value values[] = {DB_INT(row->id), DB_TEXT(sending->claim), DB_TEXT(mail_row_domain(row)),
	                                  DB_INT(sending->per_domain_ms)};
	TALLOC_CTX *scratch = talloc_new(NULL);
	struct db_result *slot;
	enum db_status status = db_query(sending->db, scratch, &sql_take_mail_slot, values, 4, &slot);

	if (status == DB_OK && db_rows(slot) > 0)
		*begun = db_bool(slot, 0, 0) ? MAIL_BEGUN : MAIL_POSTPONED;
	talloc_free(scratch);
	return status;
}

enum db_status mails_begin(const struct mail_sending *sending, const struct mail_row *row,
                           const struct mail_secrets *secrets, enum mail_begun *begun)
{
	struct beginning beginning = {.sending = sending, .row = row, .secrets = secrets};
	enum mail_begun slot = MAIL_NOT_OURS;
	bool needs_slot = sending->per_domain_ms > 0 && !row->has_slot, has_all = false;
	enum db_status status = needs_slot ? recipient_has_all(sending, row, &has_all) : DB_OK;

	*begun = MAIL_NOT_OURS;
	if (status != DB_OK)
		return status;
	if (needs_slot && !has_all) {
		status = take_slot(sending, row, &slot);
		if (status != DB_OK || slot != MAIL_BEGUN) {
			*begun = slot;
			return status;
		}
	}
	status = transaction_run(sending->db, TRANSACTION_RETRIED, begin, &beginning);
	if (status == DB_OK)
		*begun = beginning.begun;
	return status;
}

/* ---- What became of it --------------------------------------------------------------------------------------- */

enum db_status mails_sent(const struct mail_sending *sending, const struct mail_row *row)
{
	const struct db_value values[] = {DB_INT(row->id)};

	return db_query(sending->db, NULL, &sql_mail_sent, values, 1, NULL);
}

enum db_status mails_failed(const struct mail_sending *sending, const struct mail_row *row,
                            const struct mail_secrets *secrets, const struct mail_failure *failure, bool *is_dead,
                            int64_t *pause_ms)
{
	const struct db_value values[] = {
		DB_INT(row->id),
		DB_TEXT(sending->claim),
		failure->may_have_arrived ? DB_NULL : DB_KEY(&secrets->token_key),
		DB_TEXT(failure->problem),
		DB_BOOL(failure->is_final),
		DB_INT(PAUSE_MIN_MS),
		DB_INT(PAUSE_MAX_MS),
	};
	TALLOC_CTX *scratch = talloc_new(NULL);
	struct db_result *ended;
	enum db_status status = db_query(sending->db, scratch, &sql_mail_failed, values, 7, &ended);

	*is_dead = false;
	*pause_ms = 0;
	if (status == DB_OK && db_rows(ended) > 0) {
		*is_dead = db_bool(ended, 0, 0);
		*pause_ms = db_int(ended, 0, 1);
	}
	talloc_free(scratch);
	return status;
}

enum db_status mails_release(const struct mail_sending *sending, const struct mail_row *row,
                             const struct mail_secrets *secrets, const char *problem)
{
	return release(sending, row, &secrets->token_key, problem != NULL ? problem : "", true, 0);
}

enum db_status mails_forget(const struct mail_sending *sending, const struct mail_row *row)
{
	const struct db_value values[] = {DB_INT(row->id), DB_TEXT(sending->claim)};

	return db_query(sending->db, NULL, &sql_forget_mail, values, 2, NULL);
}

static void read_given_up(const struct db_result *rows, size_t row, void *item)
{
	*(struct mail_row *)item = (struct mail_row){
		.id = db_int(rows, row, 0),
		.module = db_text(rows, row, 1),
		.kind = db_text(rows, row, 2),
		.user_id = db_int(rows, row, 3),
		.address = "",
	};
}

enum db_status mails_give_up(const struct mail_sending *sending, TALLOC_CTX *ctx, const char *problem,
                             bool is_long_past, struct mail_row **rows, size_t *count)
{
	const struct db_value values[] = {DB_TEXT(problem), DB_INT(GIVE_UP_MAX),
	                                  DB_INT(is_long_past ? PAUSE_MAX_MS : 0)};
	enum db_status status;

	*rows = db_query_list(sending->db, ctx, &sql_give_up_mails, values, 3, sizeof **rows, read_given_up, count,
	                      &status);
	return status;
}

enum db_status mails_queue(struct db *db, struct mail_queue *queue)
{
	TALLOC_CTX *scratch = talloc_new(NULL);
	struct db_result *row;
	enum db_status status = db_query(db, scratch, &sql_mail_queue, NULL, 0, &row);

	if (status == DB_OK)
		*queue = (struct mail_queue){.count = db_int(row, 0, 0), .oldest_ms = db_int(row, 0, 1)};
	talloc_free(scratch);
	return status;
}

/* ---- For operators ------------------------------------------------------------------------------------------- */

static void read_shown(const struct db_result *found, size_t at, void *item)
{
	*(struct mail_shown *)item = (struct mail_shown){
		.id = db_int(found, at, MAIL_ROW_ID),
		.state = db_text(found, at, MAIL_ROW_STATE),
		.module = db_text(found, at, MAIL_ROW_MODULE),
		.kind = db_text(found, at, MAIL_ROW_KIND),
		.user_id = db_int(found, at, MAIL_ROW_USER_ID),
		.username = db_text(found, at, MAIL_ROW_USERNAME),
		.address = db_text(found, at, MAIL_ROW_ADDRESS),
		.language = db_text(found, at, MAIL_ROW_LANGUAGE),
		.purpose = db_text(found, at, MAIL_ROW_PURPOSE),
		.attempts = db_int(found, at, MAIL_ROW_ATTEMPTS),
		.created_at = db_time(found, at, MAIL_ROW_CREATED_AT),
		.next_at = db_time(found, at, MAIL_ROW_NEXT_AT),
		.ended_at = db_time_or_never(found, at, MAIL_ROW_ENDED_AT),
		.problem = db_text(found, at, MAIL_ROW_PROBLEM),
		.is_being_sent = db_bool(found, at, MAIL_ROW_IS_CLAIMED),
		.message_id = db_text(found, at, MAIL_ROW_MESSAGE_ID),
		.data = db_text(found, at, MAIL_ROW_DATA),
	};
}

enum db_status mails_list(struct db *db, TALLOC_CTX *ctx, const struct mail_filter *filter, struct mail_shown **rows,
                          size_t *count)
{
	const struct db_value values[] = {
		DB_INT(filter->id),
		DB_TEXT(filter->state),
		DB_INT(filter->user_id),
		filter->max >= 0 ? DB_INT(filter->max) : DB_NULL,
	};
	enum db_status status;

	*rows = db_query_list(db, ctx, &sql_list_mails, values, 4, sizeof **rows, read_shown, count, &status);
	return status;
}

enum db_status mails_retry(struct db *db, int64_t id, size_t *count)
{
	const struct db_value values[] = {DB_INT(id), DB_INT(GIVE_UP_MS)};
	TALLOC_CTX *scratch = talloc_new(NULL);
	struct db_result *queued;
	enum db_status status = db_query(db, scratch, &sql_retry_mail, values, 2, &queued);

	*count = status == DB_OK ? db_rows(queued) : 0;
	talloc_free(scratch);
	return status;
}

enum db_status mails_drop(struct db *db, int64_t id, bool *was_there)
{
	const struct db_value values[] = {DB_INT(id)};
	TALLOC_CTX *scratch = talloc_new(NULL);
	struct db_result *gone;
	enum db_status status = db_query(db, scratch, &sql_drop_mail, values, 1, &gone);

	*was_there = status == DB_OK && db_rows(gone) > 0;
	talloc_free(scratch);
	return status;
}
