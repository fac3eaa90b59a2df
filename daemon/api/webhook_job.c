/*
 * The job that sends events to webhooks. On each host it is a process that stays for some minutes, where there are
 * webhooks: it claims those for which something is due, and has several events under way for each. What became of them
 * is written until it is written, for what was taken and is not known to be would be sent once more.
 *
 * It is the daemon's own, beside the one that sends mail: what modules may call are services of the configuration, one
 * call at a time, and their jobs do not stay.
 */
#include "api/webhook_job.h"

#include "api/jobs.h"
#include "api/webhook_log.h"
#include "api/webhook_run.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/client.h"
#include "session/module_sql.h"

#include <signal.h>
#include <string.h>

/* So long the process stays where there are webhooks. */
#define RUN_MS INT64_C(300000)
/* What is under way at the end is waited for that long, and then it is sent once more by the next one. */
#define END_MS INT64_C(2000)
/* Nobody else takes a webhook for so long after its claim was renewed last; no event is begun near its end. */
#define LEASE_MS        INT64_C(15000)
#define LEASE_MARGIN_MS INT64_C(3000)
#define RENEW_MS        INT64_C(3000)
/* How often it is looked for what is due, at a webhook that is claimed, and at all others. */
#define READ_MS  INT64_C(200)
#define CLAIM_MS INT64_C(500)
/* A webhook for which nothing was due for so long is given back. */
#define IDLE_MS INT64_C(5000)
#define STEP_MS 20
/* While there is no database. */
#define DATABASE_PAUSE_MS INT64_C(1000)
#define GAUGES_MS         INT64_C(15000)
/* What keeps the rows in order takes this part of the time at the most, and is looked for so often. */
#define UPKEEP_SHARE INT64_C(10)
#define UPKEEP_MS    INT64_C(60000)
/* As many rows of a webhook, or accounts, at once. */
#define UPKEEP_PORTION INT64_C(500)
/* What looking a name up in vain takes at the start. */
#define NAMES_MAX_MS INT64_C(1000)

static bool is_to_stop(void)
{
	sigset_t waiting;

	return sigpending(&waiting) == 0 && sigismember(&waiting, SIGTERM) == 1;
}

/* ---- The database -------------------------------------------------------------------------------------------- */

bool webhook_run_note_database(struct webhook_run *run, enum db_status status)
{
	bool is_there = status != DB_UNAVAILABLE && status != DB_UNKNOWN;

	if (!is_there && run->has_database)
		log_warning("webhooks_waiting", LOG_STR("problem", db_problem(run->claim.db)));
	run->has_database = is_there;
	if (status != DB_OK)
		run->database_again_ms = clock_monotonic_ms() + DATABASE_PAUSE_MS;
	return status == DB_OK;
}

static bool database_is_there(struct webhook_run *run)
{
	if (clock_until_ms(run->database_again_ms) > 0)
		return false;
	return run->has_database || webhook_run_note_database(run, db_connect(run->claim.db));
}

/* ---- Webhooks that this process has -------------------------------------------------------------------------- */

static void drop_target(struct webhook_run *run, struct target *target)
{
	struct target **link = &run->targets;

	while (*link != target)
		link = &(*link)->next;
	*link = target->next;
	talloc_free(target);
}

/* It is left to whoever looks first, once nothing of it is under way, and all is written. */
static void give_back(struct webhook_run *run, struct target *target)
{
	target_drop_waiting(target);
	if (target->count > 0)
		return;
	if (target->pause_ms > 0 && !target->is_lost) {
		if (!webhook_run_note_database(run, webhooks_pause(&run->claim, target->id, target->pause_ms)))
			return;
		webhook_log_paused(target);
	}
	/* Also of one that is lost, for it may be disabled: nobody is to wait for the end of the claim. Another's
	 * stays. */
	if (webhook_run_note_database(run, webhooks_release(&run->claim, target->id)))
		drop_target(run, target);
}

static void claim_targets(struct webhook_run *run)
{
	int64_t now = clock_monotonic_ms();
	struct webhook_claimed *rows;
	TALLOC_CTX *scratch;
	size_t count;

	if (now < run->claim_again_ms)
		return;
	scratch = talloc_new(run->ctx);
	if (webhook_run_note_database(run, webhooks_claim(&run->claim, scratch, &rows, &count))) {
		run->claim_again_ms = now + CLAIM_MS;
		run->was_empty = count == 0 && run->targets == NULL;
		for (size_t i = 0; i < count; i++) {
			struct target *target = target_new(run->ctx, &rows[i]);

			/* Without memory its claim runs out, for only what is known is renewed. */
			if (target == NULL)
				break;
			target->until_ms = now + LEASE_MS;
			target->busy_ms = now;
			target->next = run->targets;
			run->targets = target;
		}
	}
	talloc_free(scratch);
}

/* As an array of PostgreSQL, on `ctx`; NULL when out of memory. */
static char *targets_text(const struct webhook_run *run, TALLOC_CTX *ctx)
{
	int64_t ids[WEBHOOKS_MAX];
	size_t count = 0;

	for (const struct target *one = run->targets; one != NULL && count < WEBHOOKS_MAX; one = one->next)
		ids[count++] = one->id;
	return webhook_ids_text(ctx, ids, count);
}

static void renew_targets(struct webhook_run *run)
{
	int64_t now = clock_monotonic_ms();
	TALLOC_CTX *scratch;
	int64_t *ids;
	size_t count;

	if (run->targets == NULL || now < run->renew_again_ms)
		return;
	scratch = talloc_new(run->ctx);
	if (webhook_run_note_database(run,
	                              webhooks_renew(&run->claim, scratch, targets_text(run, scratch), &ids, &count))) {
		run->renew_again_ms = now + RENEW_MS;
		for (struct target *one = run->targets; one != NULL; one = one->next) {
			bool is_own = false;

			for (size_t i = 0; i < count; i++)
				is_own = is_own || ids[i] == one->id;
			if (!one->is_lost && !is_own)
				webhook_log_lost(one);
			one->is_lost = one->is_lost || !is_own;
			one->until_ms = now + LEASE_MS;
		}
	}
	talloc_free(scratch);
}

/* What was read, and cannot be sent yet, or not any more. */
struct aside {
	int64_t behind[TARGET_ROOM], gone[TARGET_ROOM], accounts_of_gone[TARGET_ROOM];
	size_t behind_count, gone_count;
};

static void put_aside(struct webhook_run *run, const struct target *target, TALLOC_CTX *ctx, const struct aside *aside)
{
	int64_t woken;

	if (aside->behind_count > 0 &&
	    !webhook_run_note_database(run, webhooks_park(&run->claim, target->id,
	                                                  webhook_ids_text(ctx, aside->behind, aside->behind_count))))
		return;
	/* What waits for one that is gone is read once more, and waits for what else is before it. */
	if (aside->gone_count > 0)
		(void)webhook_run_note_database(
			run, webhooks_delivered(
				     &run->claim, target->id, webhook_ids_text(ctx, aside->gone, aside->gone_count),
				     webhook_ids_text(ctx, aside->accounts_of_gone, aside->gone_count), &woken));
}

static void read_due(struct webhook_run *run, struct target *target)
{
	int64_t now = clock_monotonic_ms(), room = TARGET_ROOM - (int64_t)target->count;
	struct aside aside = {.behind_count = 0};
	size_t count;
	bool is_out_of_memory = false;
	struct webhook_due *rows;
	TALLOC_CTX *scratch;

	if (target->count > TARGET_ROOM / 2 || now < target->read_again_ms)
		return;
	scratch = talloc_new(run->ctx);
	if (webhook_run_note_database(run, webhooks_due(&run->claim, scratch, target->id, target_known(target, scratch),
	                                                room, &rows, &count))) {
		for (size_t i = 0; i < count && !is_out_of_memory; i++) {
			/* Its event is past session.history. */
			if (rows[i].message_id == NULL) {
				aside.accounts_of_gone[aside.gone_count] = rows[i].user_id;
				aside.gone[aside.gone_count++] = rows[i].id;
			} else if (!target_add(target, &rows[i], &is_out_of_memory)) {
				aside.behind[aside.behind_count++] = rows[i].id;
			}
		}
		target->read_again_ms = (int64_t)count < room ? now + READ_MS : 0;
		target->busy_ms = count > 0 ? now : target->busy_ms;
		put_aside(run, target, scratch, &aside);
	}
	talloc_free(scratch);
}

static void begin_next(struct webhook_run *run, struct target *target)
{
	size_t room = target->failures > 0 || !target->is_multiplexed ? 1 : TARGET_AT_ONCE;
	struct delivery *next;

	while (target->under_way < room && (next = target_next(target)) != NULL) {
		const struct webhook_call call = {
			.url = target->url,
			.secret = target->secret,
			.id = next->due.message_id,
			.body = next->due.body,
			.size = strlen(next->due.body),
			.context = next,
		};

		if (!webhook_sender_begin(run->sender, &call))
			return;
		next->state = DELIVERY_UNDER_WAY;
		target->under_way++;
		run->under_way++;
	}
}

static bool may_send(const struct webhook_run *run, const struct target *target)
{
	return run->end_ms == 0 && run->has_database && !target->is_lost && target->pause_ms == 0 &&
	       target->failed == 0 && clock_monotonic_ms() < target->until_ms - LEASE_MARGIN_MS;
}

static void attend(struct webhook_run *run, struct target *target)
{
	int64_t idle_ms = run->app->runs_one_job ? READ_MS : IDLE_MS;
	bool is_idle = target->count == 0 && clock_monotonic_ms() - target->busy_ms > idle_ms;

	if (!database_is_there(run) || !webhook_run_write(run, target))
		return;
	if (is_idle || target->is_lost || target->pause_ms > 0 || run->end_ms != 0) {
		give_back(run, target);
		return;
	}
	read_due(run, target);
	if (may_send(run, target))
		begin_next(run, target);
}

/* ---- The run ------------------------------------------------------------------------------------------------- */

/*
 * When a part of the upkeep is done next that began at `began_ms`. One that fails, as its statement takes too long, is
 * left for a while and holds nothing up: whether the database is there is seen at what is sent.
 */
static int64_t upkeep_again_ms(int64_t began_ms, bool has_more)
{
	int64_t now = clock_monotonic_ms();

	return has_more ? now + UPKEEP_SHARE * (now - began_ms) : now + UPKEEP_MS;
}

static void look_at_queue(struct webhook_run *run)
{
	int64_t now = clock_monotonic_ms();
	struct webhook_queue queue;
	enum db_status status;

	if (now < run->look_again_ms || now < atomic_load(&run->gauges->looked_at_ms) + GAUGES_MS)
		return;
	status = webhooks_queue(run->claim.db, &queue);
	run->look_again_ms = upkeep_again_ms(now, status == DB_OK);
	if (status != DB_OK)
		return;
	atomic_store(&run->gauges->webhooks, queue.webhooks);
	atomic_store(&run->gauges->pending, queue.pending);
	atomic_store(&run->gauges->dead, queue.dead);
	atomic_store(&run->gauges->oldest_ms, queue.oldest_ms);
	atomic_store(&run->gauges->looked_at_ms, now);
}

static void give_up_old(struct webhook_run *run)
{
	int64_t now = clock_monotonic_ms();
	int64_t count;

	if (now < run->give_up_again_ms)
		return;
	(void)webhooks_give_up(run->claim.db, &count);
	run->give_up_again_ms = upkeep_again_ms(now, count == WEBHOOK_GIVE_UP_MAX);
	if (count > 0)
		webhook_log_given_up(run->app, count);
}

static void drop_lost(struct webhook_run *run)
{
	int64_t now = clock_monotonic_ms();
	int64_t count;

	if (now < run->drop_again_ms)
		return;
	(void)webhooks_drop_lost(run->claim.db, UPKEEP_PORTION, &count);
	run->drop_again_ms = upkeep_again_ms(now, count > 0);
}

/* All accounts once in a run. */
static void wake_lost(struct webhook_run *run)
{
	int64_t now = clock_monotonic_ms();
	enum db_status status;

	if (run->wake.is_over || now < run->wake_again_ms)
		return;
	status = webhooks_wake(run->claim.db, UPKEEP_PORTION, &run->wake);
	run->wake_again_ms = upkeep_again_ms(now, status == DB_OK);
}

static void keep_in_order(struct webhook_run *run)
{
	look_at_queue(run);
	give_up_old(run);
	drop_lost(run);
	wake_lost(run);
}

/* Returns whether there is nothing to do here. */
static bool attend_all(struct webhook_run *run)
{
	struct target *next;

	if (!database_is_there(run))
		return false;
	if (run->end_ms == 0) {
		claim_targets(run);
		renew_targets(run);
		if (run->has_database)
			keep_in_order(run);
	}
	for (struct target *one = run->targets; one != NULL; one = next) {
		next = one->next;
		attend(run, one);
	}
	return run->targets == NULL;
}

/* Is there a webhook for which more is due than was read, and room for it? */
static bool has_more(const struct webhook_run *run)
{
	bool may_read = run->end_ms == 0 && run->has_database && clock_until_ms(run->database_again_ms) == 0;

	for (const struct target *one = run->targets; may_read && one != NULL; one = one->next) {
		if (one->read_again_ms == 0 && one->count <= TARGET_ROOM / 2 && one->pause_ms == 0 && !one->is_lost)
			return true;
	}
	return false;
}

static void step(struct webhook_run *run)
{
	int wait_ms = has_more(run) ? 0 : STEP_MS;
	struct webhook_result result;
	void *ended;

	if (run->under_way == 0) {
		clock_sleep_us(1000 * wait_ms);
		return;
	}
	if (!webhook_sender_step(run->sender, wait_ms, &ended, &result))
		return;
	do
		webhook_run_take_ended(run, ended, &result);
	while (run->under_way > 0 && webhook_sender_step(run->sender, 0, &ended, &result));
}

/* What is under way for too long is broken off, and sent once more by whoever has its webhook next. */
static void break_off(struct webhook_run *run)
{
	TALLOC_FREE(run->sender);
	for (struct target *one = run->targets; one != NULL && database_is_there(run); one = one->next) {
		if (webhook_run_write(run, one))
			(void)webhook_run_note_database(run, webhooks_release(&run->claim, one->id));
	}
}

static void run_until_over(struct webhook_run *run)
{
	for (;;) {
		bool is_done = attend_all(run);

		if (run->end_ms == 0 && (is_to_stop() || clock_until_ms(run->until_ms) == 0 ||
		                         (run->app->runs_one_job && is_done && run->was_empty)))
			run->end_ms = clock_monotonic_ms() + END_MS;
		else if (run->end_ms != 0 && (is_done || clock_until_ms(run->end_ms) == 0))
			return;
		else
			step(run);
	}
}

static enum ones_result send_events(struct ones_db *db, void *context)
{
	struct ones_app *app = context;
	struct webhook_run run = {
		.app = app,
		.ctx = db->ctx,
		.gauges = &app->board->webhooks,
		.until_ms = clock_monotonic_ms() + RUN_MS,
		.has_database = true,
	};
	bool are_there;
	sigset_t stop;

	/* From here on it is only looked at. */
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &stop, NULL) != 0)
		return ONES_RESULT_FAILED;
	webhook_claim_init(&run.claim, db->db, LEASE_MS);
	if (!webhook_run_note_database(&run, webhooks_are_there(db->db, &are_there)))
		return ONES_RESULT_UNAVAILABLE;
	if (!are_there)
		return ONES_RESULT_OK;
	run.sender = webhook_sender_new(db->ctx);
	if (run.sender == NULL)
		return ONES_RESULT_FAILED;
	run_until_over(&run);
	break_off(&run);
	return ONES_RESULT_OK;
}

int webhook_job_prepare(const struct ones_app *app, int64_t patience_ms, struct problem *problem)
{
	/* There is no such name (RFC 6761, 6.4): all that names are looked up in is asked for it. */
	static const char *const nowhere = "https://webhooks.invalid.";

	if (app->settings->api.webhook_interval == 0)
		return 0;
	if (webhook_sender_prepare() == 0 &&
	    http_client_prepare(&nowhere, 1, patience_ms < NAMES_MAX_MS ? patience_ms : NAMES_MAX_MS) == 0)
		return 0;
	return problem_set(problem, "sending to webhooks cannot be prepared: out of memory or of threads");
}

int webhook_job_add(struct ones_app *app, struct problem *problem)
{
	const int64_t interval = app->settings->api.webhook_interval;
	const struct ones_job job = {
		.name = "webhook",
		.every_ms = interval < JOB_EVERY_MIN_MS ? JOB_EVERY_MIN_MS : interval,
		.timeout_ms = RUN_MS + LEASE_MS + END_MS,
		.on_every_host = true,
		.run = send_events,
		.context = app,
	};

	return interval == 0 || jobs_add_own(app, &job, true) == 0 ? 0 : problem_set(problem, "out of memory");
}
