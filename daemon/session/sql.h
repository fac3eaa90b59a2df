/* The SQL that is not the rule's, by table; the rule's statements stand in rule_sql.h. */
#ifndef SESSION_SQL_H
#define SESSION_SQL_H

#include "session/db.h"

/* ---- users -------------------------------------------------------------------------------------------------- */

/* What all that find accounts return; the last two columns only sql_list_users. */
enum plan_column {
	PLAN_NAME,
	PLAN_SESSION_LIMIT, /* -1 when it has none */
	PLAN_CREATED_AT,
	PLAN_ACCOUNTS,
};

extern const struct db_statement sql_list_plans;
extern const struct db_statement sql_find_plan;
extern const struct db_statement sql_lock_plan;
extern const struct db_statement sql_set_plan;
extern const struct db_statement sql_delete_plan;

enum user_column {
	USER_ID,
	USER_USERNAME,
	USER_PASSWORD,
	USER_IS_ACTIVE,
	USER_IS_ADMIN,
	USER_SESSION_LIMIT,
	USER_CREATED_AT,
	USER_EMAIL,
	USER_EMAIL_VERIFIED_AT,
	USER_DELETE_AT,
	USER_PLAN,
	USER_GROUPS,
	USER_VALID_UNTIL,
	USER_EXTERNAL_ID,
	USER_LAST_LOGIN_AT,
	USER_LIVE_SESSIONS,
	USER_PLAN_LIMIT,
	USER_HAS_PLAN_ENDED,
};

extern const struct db_statement sql_find_user;
extern const struct db_statement sql_find_login;
extern const struct db_statement sql_find_user_by_id;
extern const struct db_statement sql_list_users;

/* A row: the id, 0 when the name or the address is taken; whether it is the address. */
extern const struct db_statement sql_add_user;

/* A row: whether the account is there, whether it was changed; if not, the address is taken. */
extern const struct db_statement sql_set_email;

extern const struct db_statement sql_unverified_emails;
extern const struct db_statement sql_verify_emails;

extern const struct db_statement sql_hold_terms;
enum terms_column {
	TERMS_ID,
	TERMS_USERNAME,
	TERMS_IS_ADMIN,
	TERMS_HAS_PLAN, /* there is the plan that was asked for */
	TERMS_ALL,      /* as JSON */
};

extern const struct db_statement sql_change_terms;

/* A row when it was changed. */
extern const struct db_statement sql_give_password;

extern const struct db_statement sql_set_deletion;
extern const struct db_statement sql_due_accounts;
extern const struct db_statement sql_hold_due_account;
extern const struct db_statement sql_erase_account;

extern const struct db_statement sql_unusable_names;
extern const struct db_statement sql_names_like_emails;

extern const struct db_statement sql_watch_user;
enum watch_column {
	WATCH_TAKEOVERS,
	WATCH_LAST_AT,
	WATCH_SHARED_AT,
	WATCH_COOLDOWN_UNTIL,
	WATCH_FAILURES,
	WATCH_FAILURES_UNTIL,
};

extern const struct db_statement sql_set_password;
extern const struct db_statement sql_upgrade_password;
extern const struct db_statement sql_set_active;
extern const struct db_statement sql_delete_user;

/* A row when the account is there; of the last two with what it was before, a limit of -1 being the default. */
extern const struct db_statement sql_rename_user;
extern const struct db_statement sql_set_admin;
extern const struct db_statement sql_set_limit;

/* ---- sessions, ended_sessions and events, as operators and the purge see them ------------------------------- */

extern const struct db_statement sql_list_sessions;
enum session_column {
	SESSION_ID,
	SESSION_USER_ID,
	SESSION_USERNAME,
	SESSION_CREATED_AT,
	SESSION_LAST_SEEN_AT,
	SESSION_EXPIRES_AT,
	SESSION_IP,
	SESSION_USER_AGENT,
};

/* The same of one account, for its user: SESSION_INFO_* of session_info_sql.h. */
extern const struct db_statement sql_session_info_live;

extern const struct db_statement sql_session_info_ended;
enum ended_info_column {
	ENDED_INFO_ID,
	ENDED_INFO_CREATED_AT,
	ENDED_INFO_LAST_SEEN_AT,
	ENDED_INFO_USER_AGENT,
	ENDED_INFO_IP,
	ENDED_INFO_REASON,
	ENDED_INFO_ENDED_AT,
	ENDED_INFO_BY_USER_AGENT,
	ENDED_INFO_BY_IP,
};

extern const struct db_statement sql_list_endings;
enum ending_column {
	ENDING_ID,
	ENDING_CREATED_AT,
	ENDING_LAST_SEEN_AT,
	ENDING_USER_AGENT,
	ENDING_IP,
	ENDING_REASON,
	ENDING_ENDED_AT,
	ENDING_BY_ID,
	ENDING_BY_USER_AGENT,
	ENDING_BY_IP,
	ENDING_OPERATOR,
};

/* One row, one column: how many sessions are live, over all accounts. */
extern const struct db_statement sql_count_live_sessions;

/* One row, one column: true when this transaction may purge. */
extern const struct db_statement sql_lock_purge;

/* A row: the account and its name. */
extern const struct db_statement sql_session_owner_by_id;

/* Each does one batch; one row, one column: how many rows it took. */
extern const struct db_statement sql_purge_sessions;
extern const struct db_statement sql_purge_ended_sessions;
extern const struct db_statement sql_purge_events;
extern const struct db_statement sql_purge_login_tickets;
extern const struct db_statement sql_purge_login_failures;
extern const struct db_statement sql_purge_known_browsers;
extern const struct db_statement sql_purge_anonymous_sessions;
extern const struct db_statement sql_purge_signups;
extern const struct db_statement sql_purge_mails;
extern const struct db_statement sql_purge_mail_tokens;
extern const struct db_statement sql_purge_code_tries;
extern const struct db_statement sql_purge_mail_domains;
extern const struct db_statement sql_purge_api_answers;

extern const struct db_statement sql_record_event;
extern const struct db_statement sql_own_event_payload;

extern const struct db_statement sql_latest_events;
extern const struct db_statement sql_events_within;
enum event_column {
	EVENT_ID,
	EVENT_AT,
	EVENT_NAME,
	EVENT_USER_ID,
	EVENT_USERNAME,
	EVENT_SESSION_ID,
	EVENT_IP,
	EVENT_USER_AGENT,
	EVENT_DETAIL,
};

/* One row, one column: a list of transactions. */
extern const struct db_statement sql_events_writers;

/* One row, one column: is one of those on the list still under way? */
extern const struct db_statement sql_events_are_written;

/* Rows of two ids, in ascending order: from which to which no event is to be seen; the last has no end. */
extern const struct db_statement sql_events_gaps;

/* One row, one column: an id. */
extern const struct db_statement sql_events_last;

/* ---- takeovers and login_tickets ---------------------------------------------------------------------------- */

/* One row, one column: seconds to wait; no row: none. */
extern const struct db_statement sql_takeover_wait;

/* One row: how many there were in the window, and whether account_shared is emitted now. */
extern const struct db_statement sql_count_takeover;

extern const struct db_statement sql_list_sharing;
enum sharing_column {
	SHARING_USER_ID,
	SHARING_USERNAME,
	SHARING_IN_WINDOW,
	SHARING_IN_HISTORY,
	SHARING_LAST_AT,
	SHARING_SHARED_AT,
	SHARING_COOLDOWN_UNTIL,
};

extern const struct db_statement sql_issue_ticket;

/* As sql_find_user. */
extern const struct db_statement sql_find_ticket;

/* A row when it was there. */
extern const struct db_statement sql_use_ticket;

/* ---- login_failures and known_browsers ---------------------------------------------------------------------- */

/* One row, one column: seconds until the next try; no row: it may be now. */
extern const struct db_statement sql_throttle_check;

/* A row for each of what was counted. */
extern const struct db_statement sql_throttle_count;
enum throttle_column {
	THROTTLE_KIND,
	THROTTLE_IS_USED_UP, /* by this very failure */
	THROTTLE_WAIT_S,     /* 0: it had a try */
	THROTTLE_USERNAME,   /* the account's, "" without one */
};

/* One row, one column: how many failures were forgotten. */
extern const struct db_statement sql_forget_failures;

/* One row, one column. */
extern const struct db_statement sql_browser_is_known;
extern const struct db_statement sql_browser_is_new;

extern const struct db_statement sql_add_browser;
extern const struct db_statement sql_move_browser;
extern const struct db_statement sql_forget_browsers;

/* ---- Session data: sessions.data and anonymous_sessions ---------------------------------------------------------- */

/* One column: the JSON object. No row when there is no such session. */
extern const struct db_statement sql_read_data;
extern const struct db_statement sql_read_anonymous_data;

extern const struct db_statement sql_write_data;
extern const struct db_statement sql_write_anonymous_data;
extern const struct db_statement sql_begin_anonymous_data;

/* ---- schema_migrations -------------------------------------------------------------------------------------- */

extern const struct db_statement sql_lock_migrations;

/* One row: server_encoding, and whether schema_migrations is there. */
extern const struct db_statement sql_inspect_database;

/* One row, one column: the version, 0 when nothing was applied. */
extern const struct db_statement sql_schema_version;

/* One row, one column. */
extern const struct db_statement sql_connection_limit;

extern const struct db_statement sql_record_migration;

/* One row, one column. */
extern const struct db_statement sql_sequences_are_free;

/* A row for each sequence that is behind: its name and its table's; the second then sets it to the highest number. */
extern const struct db_statement sql_sequences_behind;
extern const struct db_statement sql_advance_sequences;

/* ---- module_migrations -------------------------------------------------------------------------------------- */

/* A row for each that was applied, in their order: version, name, SHA-256. */
extern const struct db_statement sql_module_migrations;

enum module_state_column {
	MODULE_STATE_CREATE, /* a script that makes the schema */
	MODULE_STATE_ENTER,  /* a script: from now on as the owner of the tables, and in that schema */
	MODULE_STATE_EXISTS, /* the schema is there */
	MODULE_STATE_IS_FREE /* and has nothing in it, and is the owner's; true as well when it is not there */
};

/* One row. */
extern const struct db_statement sql_module_state;

/* One row, one column, as text: which transaction this is. */
extern const struct db_statement sql_transaction_state;

extern const struct db_statement sql_record_module_migration;

/* As sql_compose_grants, for the role's rights in a module's schema; no row when there is no such schema either. */
extern const struct db_statement sql_compose_module_grants;

/* ---- jobs --------------------------------------------------------------------------------------------------- */

enum job_claim_column {
	JOB_CLAIM_IS_KNOWN,   /* it had a row; one that is new can be claimed from the next statement on */
	JOB_CLAIM_IS_TAKEN,   /* by this run */
	JOB_CLAIM_IS_RUNNING, /* another run has it */
	JOB_CLAIM_WAIT_MS,    /* until it can be claimed, when it was not */
	JOB_CLAIM_LOST_HOST,  /* whose run has not ended in time, "" for none: it was taken over */
};

/* One row. */
extern const struct db_statement sql_claim_job;

/* No row. */
extern const struct db_statement sql_keep_job;

/* A row, if the run had it still: how long until it is due again, in milliseconds. */
extern const struct db_statement sql_finish_job;

/* ---- Rights ------------------------------------------------------------------------------------------------- */

/* The role's row, if there is such a role: the GRANTs as a script; whether it has the rights of the tables' owner. */
extern const struct db_statement sql_compose_grants;
extern const struct db_statement sql_missing_rights;

extern const struct db_statement sql_find_token;
/* Also behind the columns of sql_check_called, see rule_sql.h. */
enum caller_column {
	CALLER_ID,
	CALLER_NAME,
	CALLER_SCOPES, /* separated by commas */
	CALLER_TOUCH_IS_DUE,
	CALLER_COLUMNS,
};

extern const struct db_statement sql_touch_token;
extern const struct db_statement sql_add_token;
extern const struct db_statement sql_list_tokens;
enum token_column {
	TOKEN_ID,
	TOKEN_NAME,
	TOKEN_SCOPES,
	TOKEN_CREATED_AT,
	TOKEN_EXPIRES_AT,
	TOKEN_LAST_USED_AT,
	TOKEN_REVOKED_AT,
	TOKEN_HAS_EXPIRED, /* in a list only */
};

extern const struct db_statement sql_revoke_token;

#endif
