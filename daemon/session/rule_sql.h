/* The statements of the rule, on logged_in_user, sessions and ended_sessions. */
#ifndef SESSION_RULE_SQL_H
#define SESSION_RULE_SQL_H

#include "session/db.h"

extern const struct db_statement sql_check;
enum check_column {
	CHECK_NUMBER, /* of the key in the list, from 1 on */
	CHECK_NOW,
	CHECK_USER_ID, /* NULL, as are the next columns, when there is no such session */
	CHECK_ID,
	CHECK_LOGIN_ORDER,
	CHECK_CREATED_AT,
	CHECK_LAST_SEEN_AT,
	CHECK_EXPIRES_AT,
	CHECK_PROVED_AT,
	CHECK_USERNAME,
	CHECK_IS_ADMIN,
	CHECK_IS_ACTIVE,
	CHECK_LIMIT,
	CHECK_NEWER,        /* how many live sessions of the account are newer, counted up to the limit */
	CHECK_STORED_ORDER, /* the order of the stored login, NULL when none is stored */
	CHECK_IS_STORED,    /* the stored key is the presented one */
	CHECK_ENDED_REASON, /* NULL, as are the next columns, when it was never ended either */
	CHECK_ENDED_AT,
	CHECK_BY_USER_AGENT,
	CHECK_BY_IP,
	CHECK_ENDED_USER_AGENT,
	CHECK_ENDED_IP,
	CHECK_ENDED_USER_ID,
	CHECK_EMAIL, /* of a session again: the verified address; NULL when there is none */
	CHECK_PLAN,  /* NULL when there is none */
	CHECK_VALID_UNTIL,
	CHECK_GROUPS, /* separated by commas */
	CHECK_COLUMNS,
};

/* Likewise, and behind CHECK_COLUMNS those of enum caller_column, NULL where the token is not good. */
extern const struct db_statement sql_check_called;

extern const struct db_statement sql_lock_account;
extern const struct db_statement sql_confirm;
extern const struct db_statement sql_store_key;
extern const struct db_statement sql_clear_key;
extern const struct db_statement sql_drop_lock_row;
extern const struct db_statement sql_recheck_account;
extern const struct db_statement sql_change_password;
extern const struct db_statement sql_own_sessions;
enum own_column {
	OWN_KEY,
	OWN_DEVICE,       /* NULL: none was given with it */
	OWN_IS_PRESENTED, /* by its key */
	OWN_IS_OF_FORM,
};

extern const struct db_statement sql_conflicting; /* SESSION_INFO_*, see session_info_sql.h */
extern const struct db_statement sql_insert_session;
extern const struct db_statement sql_confirm_session;
enum confirmed_column {
	CONFIRMED_ID,
	CONFIRMED_CREATED_AT,
	CONFIRMED_LAST_SEEN_AT,
	CONFIRMED_EXPIRES_AT,
	CONFIRMED_PROVED_AT,
};

extern const struct db_statement sql_session_owner;
extern const struct db_statement sql_session_exists;
extern const struct db_statement sql_key_has_ended;
extern const struct db_statement sql_touch;
extern const struct db_statement sql_accounts_with_sessions;

/* Each of these deletes rows of one account's sessions, leaves them in ended_sessions and returns ENDED_*. */
enum ended_column {
	ENDED_ID,
	ENDED_KEY,
	ENDED_REASON,
	ENDED_CREATED_AT,
	ENDED_LAST_SEEN_AT,
	ENDED_USER_AGENT,
	ENDED_IP,
	ENDED_BY_ID,
};

extern const struct db_statement sql_end_by_key;
extern const struct db_statement sql_end_by_id;
extern const struct db_statement sql_end_beyond_limit;

#endif
