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
	json_t *modules = json_array();
	enum db_status status = schema_migrate(ctl->db, ctl->json ? NULL : tell_applied);
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
			return fail("cannot give the role %s its rights: %s", ctl->role, db_problem(ctl->db));
	}
	status = users_unusable_names(ctl->db, ctl->ctx, &unusable);
	if (status != DB_OK)
		return fail_database(ctl, status);
	if (!ctl->json)
		(void)output_line("The schema is at version %d.", schema_version());
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
	                          counts->anonymous_sessions));
}

int command_purge(struct ctl *ctl)
{
	const struct purge_policy policy = {
		.idle_timeout_ms = ctl->settings.session.idle_timeout,
		.history_ms = ctl->settings.session.history,
		.attempts_window_ms = ctl->settings.login.attempts_window,
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
		return output_json(json_pack(
			"{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "sessions", (json_int_t)counts.sessions,
			"ended_sessions", (json_int_t)counts.ended_sessions, "events", (json_int_t)counts.events,
			"login_tickets", (json_int_t)counts.login_tickets, "login_failures",
			(json_int_t)counts.login_failures, "known_browsers", (json_int_t)counts.known_browsers,
			"anonymous_sessions", (json_int_t)counts.anonymous_sessions, "busy", busy));
	if (busy)
		(void)output_line("Another process is purging: the rest is left to it.");
	return output_line("Purged %s, %s, %s, %s, %s, %s and %s.",
	                   output_count(ctl->ctx, counts.sessions, "expired session"),
	                   output_count(ctl->ctx, counts.ended_sessions, "old ended session"),
	                   output_count(ctl->ctx, counts.events, "old event"),
	                   output_count(ctl->ctx, counts.login_tickets, "login ticket"),
	                   output_count(ctl->ctx, counts.login_failures, "outdated count"),
	                   output_count(ctl->ctx, counts.known_browsers, "forgotten browser"),
	                   output_count(ctl->ctx, counts.anonymous_sessions, "anonymous session"));
}
