/* The values of every option in force. What each means, its default and range stand in options.c, once. */
#ifndef BASE_SETTINGS_H
#define BASE_SETTINGS_H

#include "base/config_sections.h"
#include "base/log.h"

#include <stdbool.h>
#include <stdint.h>

/* session.cookie_name, and what it was until 0.1: the default name of too many applications' own cookies. */
#define COOKIE_NAME_DEFAULT "onesession"
#define COOKIE_NAME_FORMER  "session"

/* login.name_label: what the word is in English. Left at that, pages have it in their own language. */
#define NAME_LABEL_DEFAULT "Username"

/* A number that is not said but follows from other things (OPTION_AUTO). */
#define SETTING_AUTO (-1)

enum cookie_secure { COOKIE_SECURE_AUTO, COOKIE_SECURE_ALWAYS, COOKIE_SECURE_NEVER };
enum cookie_samesite { COOKIE_SAMESITE_LAX, COOKIE_SAMESITE_STRICT, COOKIE_SAMESITE_NONE };
enum on_limit { ON_LIMIT_DISPLACE, ON_LIMIT_ASK, ON_LIMIT_REFUSE };
enum sharing_action { SHARING_LOG, SHARING_COOLDOWN };
enum signup { SIGNUP_CLOSED, SIGNUP_INVITE, SIGNUP_OPEN };
enum email_need { EMAIL_OPTIONAL, EMAIL_REQUIRED };
enum mail_tls { MAIL_TLS_AUTO, MAIL_TLS_REQUIRED, MAIL_TLS_OPPORTUNISTIC, MAIL_TLS_OFF };

/* Durations are milliseconds, sizes bytes. Strings belong to the talloc context given to config_load(). */
struct settings {
	struct {
		const char *listen;
		int64_t listen_mode;
		const char *listen_owner;
		const char *listen_group;
		const char *allowed_clients;
		const char *allowed_users;
		const char *user;
		const char *group;
		const char *prefix; /* begins with a slash, does not end with one; "" for the root */
		int64_t workers;
		int64_t guard_workers; /* or SETTING_AUTO */
		int64_t max_requests;
		int64_t request_timeout;
		int64_t io_timeout;
		int64_t shutdown_timeout;
		int64_t max_body;
		const char *spool;
		int64_t spool_max;
		int64_t upload_rate;
		const char *operators;
		const char *modules;
	} server;
	struct {
		const char *conninfo;
		int64_t connect_timeout;
		int64_t statement_timeout;
		bool prepare;
	} database;
	struct {
		int64_t lifetime;
		int64_t idle_timeout;
		int64_t touch_interval;
		const char *cookie_name;
		enum cookie_secure cookie_secure;
		enum cookie_samesite cookie_samesite;
		bool cookie_persistent;
		const char *key_from; /* see key_from.h */
		bool bearer;
		int64_t max_sessions;
		enum on_limit on_limit;
		int64_t purge_interval;
		int64_t history;
	} session;
	struct {
		const char *default_next; /* "": the account page */
		int64_t memory;
		int64_t passes;
		int64_t max_hashing;
		int64_t attempts_per_user;
		int64_t attempts_per_address;
		int64_t attempts_window;
		int64_t fresh;
		bool enabled; /* else people sign in elsewhere, and accounts have no passwords here */
		const char *pages;
		const char *site_name; /* "": none is shown */
		const char *name_label;
		const char *links; /* as links_parse() reads them */
	} login;
	struct {
		int64_t takeovers;
		int64_t window;
		enum sharing_action action;
		int64_t cooldown;
	} sharing;
	struct {
		const char *upgrade_url; /* "": none */
		const char *confirm_url; /* "": the daemon's own page */
		const char *login_url;   /* "": none; where login.enabled is off */
		bool require_parameter;
	} access;
	struct {
		enum signup signup;
		enum email_need email;
		int64_t password_strength; /* as password_strength_problem() takes it */
		int64_t reset_lifetime;
		int64_t verify_lifetime;
		int64_t invite_lifetime;
		int64_t deletion_pause;
		const char *notices; /* words, separated by spaces */
	} accounts;
	struct {
		const char *server; /* as mail_server_parse() reads it; "": off */
		enum mail_tls tls;
		const char *ca_file; /* "": what this machine trusts */
		const char *user;    /* "": no AUTH */
		const char *password_file;
		const char *from;          /* as mail_from_parse() reads it */
		const char *site_url;      /* without a slash at its end */
		const char *per_recipient; /* as mail_rate_parse() reads it */
		int64_t per_domain;        /* mails a minute; 0: any number */
		int64_t timeout;
	} mail;
	struct {
		const char *clients;
		int64_t rate; /* calls a second, of each token on this host; 0: any number */
		int64_t webhook_interval;
	} api;
	struct {
		const char *to;
		enum log_level level;
		enum log_format format;
		int64_t slow_request;
	} log;
	struct config_sections *sections; /* of modules */
};

#endif
