/* A reload, in steps. */
#include "pool/reload.h"

#include "base/clock.h"
#include "base/log.h"
#include "pool/probe.h"
#include "pool/service.h"
#include "pool/supervision.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long the workers of a new configuration may take to come up, besides connecting to the database. */
#define COME_UP_MS 10000

/* ---- Ends --------------------------------------------------------------------------------------------------- */

static void refuse_reload(struct master *master, const char *why)
{
	log_error("reload_refused", LOG_STR("problem", why), LOG_STR("in_force", "the former configuration"));
	counters_add(&master->setup->board->counters, COUNTER_RELOADS_REFUSED);
	if (master->is_announced)
		service_ready();
}

/* Its workers finish what they have and end; after the last of them it is freed. */
static void retire_generation(struct master *master, struct generation *generation)
{
	size_t at = 0;

	while (master->reload.retired[at] != NULL)
		at++;
	master->reload.retired[at] = generation;
	children_retire(master->children, generation, CHILDREN_ALL,
	                clock_monotonic_ms() + master_settings(master)->server.shutdown_timeout);
}

static void give_up_reload(struct master *master, const char *why)
{
	struct problem problem = {0};

	retire_generation(master, master->reload.next);
	master->reload.next = NULL;
	if (generation_open_log(master->current, &problem) != 0)
		log_error("log_not_reopened", LOG_STR("problem", problem.text));
	refuse_reload(master, why);
}

static void complete_reload(struct master *master)
{
	retire_generation(master, master->current);
	master->current = master->reload.next;
	master->reload.next = NULL;
	/* Else they have not been started, and are when the workers have come up for the first time. */
	if (master->is_announced)
		children_spawn_jobs(master->children, master->current);
	counters_add(&master->setup->board->counters, COUNTER_RELOADS);
	log_info("reloaded", LOG_INT("workers", master_settings(master)->server.workers));
	service_ready();
}

static bool has_room_to_retire(const struct master *master)
{
	for (size_t i = 0; i < RETIRED_MAX; i++) {
		if (master->reload.retired[i] == NULL)
			return true;
	}
	return false;
}

void reload_free_retired(struct master *master)
{
	for (size_t i = 0; i < RETIRED_MAX; i++) {
		struct generation **retired = &master->reload.retired[i];

		if (*retired != NULL && children_count(master->children, *retired, CHILDREN_ALL) == 0)
			TALLOC_FREE(*retired);
	}
}

/* ---- The new configuration ---------------------------------------------------------------------------------- */

static void warn_fixed(const char *section, const char *key)
{
	log_warning("needs_restart", LOG_STR("section", section), LOG_STR("key", key),
	            LOG_STR("problem", "the new value takes effect when the daemon is restarted"));
}

/* The complaints about a configuration, a line of the log each. */
static void log_complaints(char *complaints)
{
	const char *line;

	while ((line = strsep(&complaints, "\n")) != NULL) {
		if (*line != '\0')
			log_error("configuration_wrong", LOG_STR("problem", line));
	}
}

static_assert((RETIRED_MAX + 2) * JOB_COUNT_MAX <= JOB_TABLE_SIZE, "jobs of a generation could share a slot");

static void add_used(struct job_slots_used *used, const struct generation *generation)
{
	for (size_t i = 0; generation != NULL && i <= JOB_TABLE_SIZE; i++)
		used->slots[i] |= generation->jobs.slots[i];
}

/* Names that no generation has any more make room for new ones. */
static void free_job_slots(const struct master *master)
{
	struct job_slots_used used = {0};

	add_used(&used, master->current);
	for (size_t i = 0; i < RETIRED_MAX; i++)
		add_used(&used, master->reload.retired[i]);
	job_table_free_others(&master->setup->board->jobs, &used);
}

static struct generation *load_next(const struct master *master)
{
	struct generation *next;
	char *complaints = NULL;
	size_t size;
	FILE *stream = open_memstream(&complaints, &size);

	if (stream == NULL)
		return NULL;
	next = generation_load(master->setup->ctx, master->setup->source, stream);
	if (fclose(stream) == 0)
		log_complaints(complaints);
	free(complaints);
	if (next != NULL && config_keep_fixed(next, &next->settings, master_settings(master), warn_fixed) != 0)
		TALLOC_FREE(next);
	return next;
}

/* ---- The steps ---------------------------------------------------------------------------------------------- */

/* Each step connects to the database, and may take this long. */
static void extend(struct master *master)
{
	master->reload.give_up_at =
		clock_monotonic_ms() + master->reload.next->settings.database.connect_timeout + COME_UP_MS;
}

static void start_probe(struct master *master)
{
	master->reload.probe = probe_start(master->reload.next, master->setup->board);
	if (master->reload.probe < 0) {
		master->reload.probe = 0;
		give_up_reload(master, "no process could be started to probe the database");
		return;
	}
	extend(master);
}

void reload_begin(struct master *master)
{
	struct problem problem = {0};

	if (master->reload.next != NULL || master->upgrade.successor.pid != 0 || !has_room_to_retire(master) ||
	    !children_have_room(master->children)) {
		master->reload.is_requested_again = true;
		return;
	}
	master->reload.is_requested_again = false;
	log_info("reloading", LOG_STR("how", "new workers come up before the old ones go"));
	service_reloading();
	master->reload.next = load_next(master);
	if (master->reload.next == NULL) {
		refuse_reload(master, "the configuration is wrong");
		return;
	}
	free_job_slots(master);
	if (generation_prepare(master->reload.next, master->setup->own, master->setup->board, master->setup->starter,
	                       &problem) != 0 ||
	    generation_open_log(master->reload.next, &problem) != 0) {
		TALLOC_FREE(master->reload.next);
		refuse_reload(master, problem.text);
		return;
	}
	if (master->reload.next->modules->count == 0)
		start_probe(master);
	else if (module_check_start(&master->reload.check, master->reload.next) != 0)
		give_up_reload(master, "there is no process to check modules with");
}

/* What its modules are is known, and that they can be served. */
static void read_check(struct master *master, int status)
{
	struct problem problem = {0};
	bool is_well = module_check_end(&master->reload.check, status, master->reload.next, &problem) == 0;

	if (is_well && !master->stop.is_begun)
		start_probe(master);
	else
		give_up_reload(master, problem.text);
}

/* The database of the new configuration has been probed: its workers may be started. */
static void read_probe(struct master *master, enum probe_result found)
{
	const char *conninfo = master_settings(master)->database.conninfo;

	if (master->reload.next == NULL)
		return;
	if (found == PROBE_WRONG_SCHEMA) {
		give_up_reload(master, "the database's schema has another version");
	} else if (found == PROBE_WRONG_TABLES) {
		give_up_reload(master, "the database lacks tables of a module");
	} else if (found != PROBE_OK && strcmp(conninfo, master->reload.next->settings.database.conninfo) != 0) {
		give_up_reload(master, "the database of the new database.conninfo cannot be reached");
	} else {
		extend(master);
		children_spawn_workers(master->children, master->reload.next);
	}
}

bool reload_reap(struct master *master, pid_t pid, int status)
{
	if (pid == master->reload.check.pid) {
		read_check(master, status);
		return true;
	}
	if (pid != master->reload.probe)
		return false;
	master->reload.probe = 0;
	read_probe(master, probe_result(status));
	return true;
}

void reload_step(struct master *master)
{
	const struct reload *reload = &master->reload;

	if (reload->next == NULL) {
		if (reload->is_requested_again)
			reload_begin(master);
		return;
	}
	if (reload->check.pid > 0) {
		module_check_step(&master->reload.check);
		return;
	}
	if (reload->probe > 0) {
		if (clock_until_ms(reload->give_up_at) == 0)
			(void)kill(reload->probe, SIGKILL);
		return;
	}
	if (children_have_failed(master->children, reload->next))
		give_up_reload(master, "a new worker did not come up");
	else if (children_are_up(master->children, reload->next))
		complete_reload(master);
	else if (clock_until_ms(reload->give_up_at) == 0)
		give_up_reload(master, "the new workers did not come up in time");
}
