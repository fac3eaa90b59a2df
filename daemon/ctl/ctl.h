/* onesessionctl: what its commands share. */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include "base/config.h"
#include "base/settings.h"
#include "session/db.h"
#include "session/signals.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

struct ctl {
	TALLOC_CTX *ctx;
	struct config_source source; /* -c, -o */
	struct settings settings;
	struct db *db;           /* connected, but for `status` */
	struct signals *signals; /* with the receivers that are part of the rule */
	bool json;
	bool is_admin;           /* --admin */
	const char *admin;       /* --admin yes or no, or NULL */
	int64_t limit;           /* --limit, -1 when it was not given */
	const char *email;       /* --email, or NULL */
	const char *plan;        /* --plan, or NULL */
	const char *groups;      /* --groups, or NULL */
	const char *valid_until; /* --valid-until, or NULL */
	const char *scope;       /* --scope, or NULL */
	const char *expires;     /* --expires, or NULL */
	const char *events;      /* --events, or NULL */
	const char *domain;      /* --domain, or NULL */
	const char *role;        /* --grant, or NULL */
	const char *module;      /* --module, or NULL */
	const char *folder;      /* --folder, or NULL */
	const char *from;        /* --from, or NULL */
	const char *map;         /* --map, or NULL */
	const char *ignore;      /* --ignore, or NULL */
	const char *dialect;     /* --dialect, or NULL */
	const char *user;        /* --user, or NULL */
	const char *operand;  /* NAME (that of a new account, and NEW, are plain ones) or ID, or NULL; for `session end`
	                         without --user, and for `webhook retry`, NULL is --all, and for `mail retry` --dead */
	const char *value;    /* what stands behind the operand, or NULL */
	const char *prefix;   /* --prefix, or NULL */
	const char *state;    /* --state, or NULL */
	const char *sessions; /* --sessions, or NULL */
	int64_t first;        /* --first, -1 when it was not given */
	int64_t last;         /* --last, likewise */
	bool follows;         /* --follow */
	bool erases;          /* --erase */
	bool agrees;          /* --yes */
	bool invites;         /* --invite */
};

/* Commands: each returns the exit code, and has said what went wrong. */
int command_migrate(struct ctl *ctl);
int command_purge(struct ctl *ctl);
int command_user_add(struct ctl *ctl);
int command_user_list(struct ctl *ctl);
int command_user_show(struct ctl *ctl);
int command_user_passwd(struct ctl *ctl);
int command_user_enable(struct ctl *ctl);
int command_user_disable(struct ctl *ctl);
int command_user_delete(struct ctl *ctl);
int command_user_unlock(struct ctl *ctl);
int command_user_rename(struct ctl *ctl);
int command_user_set(struct ctl *ctl);
int command_user_invite(struct ctl *ctl);
int command_user_verify(struct ctl *ctl);
int command_user_limit(struct ctl *ctl);
int command_user_exempt(struct ctl *ctl);
int command_plan_set(struct ctl *ctl);
int command_plan_list(struct ctl *ctl);
int command_plan_delete(struct ctl *ctl);
int command_session_list(struct ctl *ctl);
int command_session_history(struct ctl *ctl);
int command_session_end(struct ctl *ctl);
int command_status(struct ctl *ctl);
int command_events(struct ctl *ctl);
int command_sharing(struct ctl *ctl);
int command_mail_list(struct ctl *ctl);
int command_mail_show(struct ctl *ctl);
int command_mail_retry(struct ctl *ctl);
int command_mail_drop(struct ctl *ctl);
int command_mail_test(struct ctl *ctl);
int command_token_add(struct ctl *ctl);
int command_token_list(struct ctl *ctl);
int command_token_revoke(struct ctl *ctl);
int command_webhook_add(struct ctl *ctl);
int command_webhook_list(struct ctl *ctl);
int command_webhook_test(struct ctl *ctl);
int command_webhook_retry(struct ctl *ctl);
int command_webhook_remove(struct ctl *ctl);
int command_import_csv(struct ctl *ctl);
int command_import_django(struct ctl *ctl);
int command_import_htpasswd(struct ctl *ctl);

/*
 * The detail of an operator's event: the system's name of the user who runs this program, and what the object `more`
 * has; takes over that reference, which may be NULL. On `ctx`; NULL when out of memory.
 */
const char *ctl_operator_detail(TALLOC_CTX *ctx, json_t *more);

/* The same as an object, without more: a new reference, NULL when out of memory. */
json_t *ctl_operator_json(TALLOC_CTX *ctx);

/* The account of that name, as it is stored or plain. NULL when there is none, or the database failed: it has said so
 * then. */
struct user *ctl_find_user(struct ctl *ctl, const char *name);

/* Say "onesessionctl: ..." in one line on standard error, whatever is in the names. Returns EXIT_FAILURE. */
__attribute__((format(printf, 1, 2))) int fail(const char *format, ...);

/* Likewise, for what the database answered. */
int fail_database(const struct ctl *ctl, enum db_status status);

#endif
