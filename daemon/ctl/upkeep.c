/* onesessionctl migrate and purge */
#include "ctl/help.h"
#include "ctl/modules.h"
#include "ctl/output.h"
#include "session/schema.h"
#include "session/sessions.h"
#include "session/users.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void tell_applied(const struct schema_migration *migration)
{
	(void)output_line("Applied %s.", migration->name);
}

static json_t *names_json(const struct sequence_list *sequences)
{
	json_t *names = json_array();

	for (size_t i = 0; i < sequences->count; i++) {
		if (json_array_append_new(names, json_string(sequences->all[i].name)) != 0) {
			json_decref(names);
			return NULL;
		}
	}
	return names;
}

/* The daemon's own tables, and those of the modules that it loads. */
static int migrate_all(struct ctl *ctl)
{
	struct sequence_list advanced = {0};
	struct unusable_names unusable = {0};
	enum db_status status = schema_migrate(ctl->db, ctl->json ? NULL : tell_applied);
	json_t *modules;
	int result;

	if (status == DB_OK)
		status = schema_advance_sequences(ctl->db, ctl->ctx, &advanced);
	if (status != DB_OK)
		return fail_database(ctl, status);
	for (size_t i = 0; i < advanced.count && !ctl->json; i++)
		(void)output_line("Set the sequence %s forward, which was behind the rows of %s.", advanced.all[i].name,
		                  advanced.all[i].table);
	if (ctl->role != NULL) {
		status = schema_grant(ctl->db, ctl->role);
		if (status != DB_OK)
			return fail("the schema is at version %d; cannot give the role %s its rights: %s",
			            schema_version(), ctl->role, db_problem(ctl->db));
	}
	status = users_unusable_names(ctl->db, ctl->ctx, &unusable);
	if (status != DB_OK)
		return fail_database(ctl, status);
	if (!ctl->json)
		(void)output_line("The schema is at version %d.", schema_version());
	modules = json_array();
	result = modules_migrate(ctl, modules);
	if (result != EXIT_SUCCESS) {
		json_decref(modules);
		return result;
	}
	if (ctl->json)
		return output_json(json_pack("{s:i, s:o, s:o, s:I, s:o}", "version", schema_version(),
		                             "sequences_advanced", names_json(&advanced), "unusable_names",
		                             output_names((const char *const *)unusable.first, unusable.count),
		                             "unusable_count", (json_int_t)unusable.all, "modules", modules));
	json_decref(modules);
	if (ctl->role != NULL)
		(void)output_line("The role %s may read and write its rows.", ctl->role);
	if (unusable.count > 0)
		(void)output_line("Beware: %s", users_unusable_problem(ctl->ctx, &unusable));
	return EXIT_SUCCESS;
}

int command_migrate(struct ctl *ctl)
{
	json_t *modules;
	int result;

	if (ctl->folder != NULL && ctl->module == NULL)
		return help_usage_error("--module is missing beside", "--folder");
	if (ctl->module == NULL)
		return migrate_all(ctl);
	modules = json_array();
	result = modules_migrate_one(ctl, modules);
	if (result == EXIT_SUCCESS && ctl->json)
		return output_json(json_pack("{s:o}", "modules", modules));
	json_decref(modules);
	return result;
}

static void show_progress(const struct purge_counts *counts)
{
	(void)fprintf(stderr, "\rexpired sessions %lld, ended sessions %lld, events %lld, others %lld",
	              (long long)counts->sessions, (long long)counts->ended_sessions, (long long)counts->events,
	              (long long)(counts->login_tickets + counts->login_failures + counts->known_browsers +
	                          counts->anonymous_sessions + counts->signups + counts->mails + counts->mail_tokens +
	                          counts->code_tries + counts->mail_domains + counts->api_answers));
}

/* A new reference, NULL when out of memory. */
static json_t *counts_json(const struct purge_counts *counts, bool busy)
{
	const struct {
		const char *name;
		int64_t count;
	} all[] = {
		{"sessions", counts->sessions},
		{"ended_sessions", counts->ended_sessions},
		{"events", counts->events},
		{"login_tickets", counts->login_tickets},
		{"login_failures", counts->login_failures},
		{"known_browsers", counts->known_browsers},
		{"anonymous_sessions", counts->anonymous_sessions},
		{"signups", counts->signups},
		{"mails", counts->mails},
		{"mail_tokens", counts->mail_tokens},
		{"code_tries", counts->code_tries},
		{"mail_domains", counts->mail_domains},
		{"api_answers", counts->api_answers},
		{"accounts", counts->accounts},
	};
	json_t *json = json_pack("{s:b}", "busy", busy);

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		if (json_object_set_new(json, all[i].name, json_integer(all[i].count)) != 0) {
			json_decref(json);
			return NULL;
		}
	}
	return json;
}

int command_purge(struct ctl *ctl)
{
	const struct purge_policy policy = {
		.idle_timeout_ms = ctl->settings.session.idle_timeout,
		.history_ms = ctl->settings.session.history,
		.attempts_window_ms = ctl->settings.login.attempts_window,
		.signals = ctl->signals,
	};
	bool is_watched = !ctl->json && isatty(STDERR_FILENO);
	struct purge_counts counts;
	bool busy;
	enum db_status status;

	status = sessions_purge(ctl->db, &policy, &counts, &busy, is_watched ? show_progress : NULL);
	if (is_watched)
		(void)fputc('\n', stderr);
	if (status != DB_OK)
		return fail_database(ctl, status);
	if (ctl->json)
		return output_json(counts_json(&counts, busy));
	if (busy)
		(void)output_line("Another process is purging: the rest is left to it.");
	return output_line("Purged %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s and %s.",
	                   output_count(ctl->ctx, counts.sessions, "expired session"),
	                   output_count(ctl->ctx, counts.ended_sessions, "old ended session"),
	                   output_count(ctl->ctx, counts.events, "old event"),
	                   output_count(ctl->ctx, counts.login_tickets, "login ticket"),
	                   output_count(ctl->ctx, counts.login_failures + counts.code_tries + counts.mail_domains,
	                                "outdated count"),
	                   output_count(ctl->ctx, counts.known_browsers, "forgotten browser"),
	                   output_count(ctl->ctx, counts.anonymous_sessions, "anonymous session"),
	                   output_count(ctl->ctx, counts.signups, "outdated sign-up"),
	                   output_count(ctl->ctx, counts.mails, "old mail"),
	                   output_count(ctl->ctx, counts.mail_tokens, "outdated link"),
	                   output_count(ctl->ctx, counts.api_answers, "old API answer"),
	                   output_count(ctl->ctx, counts.accounts, "deleted account"));
}
