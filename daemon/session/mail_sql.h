/* The SQL of mails and of their links and codes. */
#ifndef SESSION_MAIL_SQL_H
#define SESSION_MAIL_SQL_H

#include "session/db.h"

/* ---- Writing and sending ------------------------------------------------------------------------------------- */

extern const struct db_statement sql_add_mail;

enum claimed_mail_column {
	CLAIMED_ID,
	CLAIMED_MESSAGE_ID,
	CLAIMED_MODULE,
	CLAIMED_KIND,
	CLAIMED_USER_ID, /* 0: none */
	CLAIMED_USERNAME,
	CLAIMED_ADDRESS, /* "": there is none to send it to */
	CLAIMED_LANGUAGE,
	CLAIMED_DATA,
	CLAIMED_PURPOSE, /* "": none */
	CLAIMED_LIFETIME,
	CLAIMED_PATH, /* "": none */
	CLAIMED_HAS_SLOT,
};

/* A row, or none. */
extern const struct db_statement sql_claim_mail;

/* A row: whether it may go now. None: it is another's. */
extern const struct db_statement sql_recipient_has_all;
extern const struct db_statement sql_take_mail_slot;

extern const struct db_statement sql_lock_mail_recipient;

/* A row: whether it was begun, how many were sent, how many are under way, whether a newer one was sent. */
extern const struct db_statement sql_begin_mail;

extern const struct db_statement sql_mail_sent;

/* A row: whether it is dead, and milliseconds until the next try. None: it is another's. */
extern const struct db_statement sql_mail_failed;

extern const struct db_statement sql_release_mail;
extern const struct db_statement sql_limit_mail;
extern const struct db_statement sql_forget_mail;

/* A row for each mail that was given up: its number, module, kind, account. */
extern const struct db_statement sql_give_up_mails;

/* A row: how many are queued, and for how many milliseconds the oldest is. */
extern const struct db_statement sql_mail_queue;

/* ---- Links and codes ----------------------------------------------------------------------------------------- */

enum mail_token_column {
	MAIL_TOKEN_KEY,
	MAIL_TOKEN_USER_ID, /* 0: none */
	MAIL_TOKEN_RECIPIENT,
	MAIL_TOKEN_PURPOSE,
	MAIL_TOKEN_DATA,
	MAIL_TOKEN_SENT_AT,
	MAIL_TOKEN_EXPIRES_AT,
	MAIL_TOKEN_IS_RIGHT, /* only of sql_try_mail_code */
};

extern const struct db_statement sql_find_mail_token;
extern const struct db_statement sql_mail_code_account;
extern const struct db_statement sql_hold_code_tries;
extern const struct db_statement sql_try_mail_code;
extern const struct db_statement sql_count_code_try;

/* A row when it was there. */
extern const struct db_statement sql_use_mail_token;

extern const struct db_statement sql_withdraw_mails;
extern const struct db_statement sql_withdraw_mail_tokens;
extern const struct db_statement sql_drop_mails;
extern const struct db_statement sql_drop_mail_tokens;

/* ---- For operators ------------------------------------------------------------------------------------------- */

enum mail_row_column {
	MAIL_ROW_ID,
	MAIL_ROW_STATE,
	MAIL_ROW_MODULE,
	MAIL_ROW_KIND,
	MAIL_ROW_USER_ID, /* 0: none */
	MAIL_ROW_USERNAME,
	MAIL_ROW_ADDRESS,
	MAIL_ROW_LANGUAGE,
	MAIL_ROW_PURPOSE,
	MAIL_ROW_ATTEMPTS,
	MAIL_ROW_CREATED_AT,
	MAIL_ROW_NEXT_AT,
	MAIL_ROW_ENDED_AT, /* NULL: it is queued */
	MAIL_ROW_PROBLEM,
	MAIL_ROW_IS_CLAIMED,
	MAIL_ROW_MESSAGE_ID,
	MAIL_ROW_DATA,
};

extern const struct db_statement sql_list_mails;

/* A row when there was something to do. */
extern const struct db_statement sql_retry_mail;
extern const struct db_statement sql_drop_mail;

#endif
