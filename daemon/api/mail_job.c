/*
 * The job that sends mail. On each host it is a process that stays for some minutes: it claims what is due, one at a
 * time, and has several under way. What became of a mail is written until it is written, for what was sent and is not
 * known to be would be sent once more.
 */
#include "api/mail_job.h"

#include "api/jobs.h"
#include "api/mail_log.h"
#include "api/mail_text.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/client.h"
#include "mail/program.h"
#include "session/module_sql.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* So long no new mail is begun: a new run begins with the configuration, and the log, as they are then. */
#define RUN_MS INT64_C(300000)
/* The time that the last mails, and a server that says nothing to QUIT, take beyond mail.timeout. */
#define END_MS INT64_C(60000)
/* Nobody else takes a mail under way for that long, beyond mail.timeout: until what became of it is written. */
#define LEASE_MORE_MS INT64_C(30000)
/* How often it is looked whether something is due, and while mails are under way. */
#define IDLE_MS INT64_C(500)
#define STEP_MS 100
/* So many are begun at most before it is looked at what is under way. */
#define BEGUN_MAX 64
/* While there is no database. */
#define DATABASE_PAUSE_MS INT64_C(1000)
/* Pauses of a server that is away. */
#define SERVER_PAUSE_MIN_MS INT64_C(2000)
#define SERVER_PAUSE_MAX_MS INT64_C(300000)
#define GAUGES_MS           INT64_C(5000)

/* A mail under way, or one that has ended and is not written yet. */
struct letter {
	struct letter *next; /* of those under way, or of those that are not written */
	struct mail_row *row;
	struct mail_secrets secrets;
	char *text;
	int64_t began_ms;
	bool is_unbegun; /* the database was lost before it was known to be begun: it was not handed over */
	struct mail_result result;
};

struct run {
	struct ones_app *app;
	struct db *db;
	TALLOC_CTX *ctx;
	struct mail_setup setup;
	struct mail_sending sending;
	struct mail_sender *sender;
	struct mail_gauges *gauges;
	struct letter *sent_to_server; /* those under way */
	size_t under_way;
	struct letter *ended;          /* to be written */
	int64_t until_ms;              /* no new one is begun after that */
	int64_t database_again_ms;     /* the database is away: not before */
	int64_t claim_again_ms;        /* nothing was due: likewise */
	int64_t claim_others_again_ms; /* nothing but to a domain that has its share */
	bool has_database;             /* at the last try */
	bool is_server_tried;          /* one mail finds out whether the server is back */
	bool was_empty;                /* nothing was due at the last look */
};

static bool is_to_stop(void)
{
	sigset_t waiting;

	return sigpending(&waiting) == 0 && sigismember(&waiting, SIGTERM) == 1;
}

/* ---- The database, and the server ---------------------------------------------------------------------------- */

/* Whether it has answered; when it has not, nothing is asked for a while. */
static bool note_database(struct run *run, enum db_status status)
{
	bool is_there = status != DB_UNAVAILABLE && status != DB_UNKNOWN;

	if (!is_there && run->has_database)
		log_warning("mail_waiting", LOG_STR("problem", db_problem(run->db)));
	run->has_database = is_there;
	if (status != DB_OK)
		run->database_again_ms = clock_monotonic_ms() + DATABASE_PAUSE_MS;
	return status == DB_OK;
}

/* Whether it may be asked now: after a failure not before its pause is over, and on a new connection. */
static bool database_is_there(struct run *run)
{
	if (clock_until_ms(run->database_again_ms) > 0)
		return false;
	return run->has_database || note_database(run, db_connect(run->db));
}

/* What has waited for the server for too long. */
static enum db_status give_up(struct run *run, const char *problem, bool is_long_past)
{
	TALLOC_CTX *scratch = talloc_new(run->ctx);
	struct mail_row *rows;
	size_t count;
	enum db_status status = mails_give_up(&run->sending, scratch, problem, is_long_past, &rows, &count);

	for (size_t i = 0; status == DB_OK && i < count; i++)
		mail_log_dead(run->app, &rows[i], problem);
	talloc_free(scratch);
	return status;
}

static void note_server_failed(struct run *run, const char *problem)
{
	int64_t now = clock_monotonic_ms();
	int64_t pause = atomic_load(&run->gauges->pause_ms);

	run->is_server_tried = false;
	/* Several have found out at the same time. */
	if (now < atomic_load(&run->gauges->again_ms))
		return;
	pause = pause == 0 ? SERVER_PAUSE_MIN_MS : 2 * pause;
	pause = pause < SERVER_PAUSE_MAX_MS ? pause : SERVER_PAUSE_MAX_MS;
	atomic_store(&run->gauges->pause_ms, pause);
	atomic_store(&run->gauges->again_ms, now + pause);
	log_warning("mail_server_failed", LOG_STR("server", run->app->settings->mail.server),
	            LOG_STR("problem", problem), LOG_INT("again_in_ms", pause));
}

static void note_server(struct run *run)
{
	if (atomic_load(&run->gauges->pause_ms) != 0)
		log_info("mail_server_back", LOG_STR("server", run->app->settings->mail.server));
	atomic_store(&run->gauges->pause_ms, 0);
	atomic_store(&run->gauges->again_ms, 0);
	run->is_server_tried = false;
}

/* How many may be begun: of a server that was away one has to find out whether it is back. */
static size_t room(const struct run *run)
{
	if (atomic_load(&run->gauges->pause_ms) == 0)
		return mail_sender_room(run->sender);
	return run->is_server_tried || clock_until_ms(atomic_load(&run->gauges->again_ms)) > 0 ? 0 : 1;
}

/* ---- What became of a mail ----------------------------------------------------------------------------------- */

static enum db_status write_failure(struct run *run, struct letter *letter)
{
	const struct mail_failure failure = {
		.problem = letter->result.problem,
		.is_final = letter->result.outcome == MAIL_OUTCOME_REFUSED,
		.may_have_arrived = letter->result.outcome == MAIL_OUTCOME_UNKNOWN,
	};
	bool is_dead;
	int64_t pause_ms;
	enum db_status status =
		mails_failed(&run->sending, letter->row, &letter->secrets, &failure, &is_dead, &pause_ms);

	if (status == DB_OK && is_dead)
		mail_log_dead(run->app, letter->row, letter->result.problem);
	else if (status == DB_OK)
		mail_log_deferred(run->app, letter->row, &letter->result, pause_ms);
	return status;
}

static enum db_status write_result(struct run *run, struct letter *letter)
{
	enum db_status status;

	if (letter->is_unbegun)
		return mails_release(&run->sending, letter->row, &letter->secrets, NULL);
	switch (letter->result.outcome) {
	case MAIL_OUTCOME_SENT:
		status = mails_sent(&run->sending, letter->row);
		if (status == DB_OK)
			mail_log_sent(run->app, letter->row, clock_monotonic_ms() - letter->began_ms);
		return status;
	case MAIL_OUTCOME_SERVER:
		status = mails_release(&run->sending, letter->row, &letter->secrets, letter->result.problem);
		return status == DB_OK ? give_up(run, letter->result.problem, false) : status;
	default: return write_failure(run, letter);
	}
}

/*
 * Those that have ended, as far as the database is there. What it refuses for good is left to the end of the claim;
 * what it has undone for the sake of another transaction, such as that of the link in the same mail, is written again.
 */
static void write_results(struct run *run)
{
	while (run->ended != NULL && database_is_there(run)) {
		struct letter *letter = run->ended;
		enum db_status status = write_result(run, letter);

		if (!note_database(run, status) && (status == DB_CONFLICT || !run->has_database))
			return;
		run->ended = letter->next;
		talloc_free(letter);
	}
}

static void keep(struct run *run, struct letter *letter)
{
	letter->next = run->ended;
	run->ended = letter;
}

static void end(struct run *run, struct letter *letter, const struct mail_result *result)
{
	letter->result = *result;
	keep(run, letter);
}

static void take_ended(struct run *run, struct letter *letter, const struct mail_result *result)
{
	struct letter **link = &run->sent_to_server;

	while (*link != letter)
		link = &(*link)->next;
	*link = letter->next;
	run->under_way--;
	if (result->outcome == MAIL_OUTCOME_SERVER)
		note_server_failed(run, result->problem);
	else
		note_server(run);
	end(run, letter, result);
}

/* ---- Beginning ----------------------------------------------------------------------------------------------- */

/* What does not depend on the server goes the same way as what the server says of it. */
static void fail_here(struct run *run, struct letter *letter, const char *problem)
{
	struct mail_result result = {.outcome = MAIL_OUTCOME_DEFERRED};

	(void)snprintf(result.problem, sizeof result.problem, "%s", problem);
	end(run, letter, &result);
}

/* This host can send none now, which is not the mail's fault. */
static void fail_server(struct run *run, struct letter *letter, const char *problem)
{
	struct mail_result result = {.outcome = MAIL_OUTCOME_SERVER};

	(void)snprintf(result.problem, sizeof result.problem, "%s", problem);
	note_server_failed(run, problem);
	end(run, letter, &result);
}

static void hand_over(struct run *run, struct letter *letter)
{
	struct mail_envelope envelope = {.to = letter->row->address, .context = letter};
	const char *problem;

	letter->text =
		mail_text_write(letter, run->app, &run->setup, letter->row, &letter->secrets, &envelope.size, &problem);
	envelope.message = letter->text;
	if (letter->text == NULL) {
		fail_here(run, letter, problem);
		return;
	}
	if (!mail_sender_begin(run->sender, &envelope)) {
		fail_server(run, letter, "it could not be begun: out of memory, or of processes");
		return;
	}
	letter->next = run->sent_to_server;
	run->sent_to_server = letter;
	run->under_way++;
	run->is_server_tried = atomic_load(&run->gauges->pause_ms) != 0;
}

static void begin(struct run *run, struct letter *letter)
{
	enum mail_begun begun = MAIL_NOT_OURS;
	enum db_status status;

	if (letter->row->address[0] == '\0') {
		if (note_database(run, mails_forget(&run->sending, letter->row)))
			mail_log_forgotten(letter->row, "nobody has that name or address, or it is not verified");
		talloc_free(letter);
		return;
	}
	mail_secrets_make(&letter->secrets);
	status = mails_begin(&run->sending, letter->row, &letter->secrets, &begun);
	(void)note_database(run, status);
	/* What the database refuses for good is left to the end of the claim. */
	letter->is_unbegun = status != DB_OK && status != DB_ERROR;
	if (letter->is_unbegun) {
		keep(run, letter);
		return;
	}
	if (begun == MAIL_BEGUN) {
		hand_over(run, letter);
		return;
	}
	if (begun == MAIL_LIMITED)
		mail_log_limited(run->app, letter->row);
	if (begun == MAIL_SUPERSEDED)
		mail_log_forgotten(letter->row, "a newer one was sent");
	talloc_free(letter);
}

/*
 * The domain that has its share of what is under way, NULL: none has. Whoever signs up with addresses at a server that
 * takes long is not to hold up others.
 */
static const char *full_domain(const struct run *run)
{
	for (const struct letter *one = run->sent_to_server; one != NULL; one = one->next) {
		const char *domain = mail_row_domain(one->row);
		int count = 0;

		for (const struct letter *other = one; other != NULL; other = other->next)
			count += strcasecmp(domain, mail_row_domain(other->row)) == 0;
		if (count >= MAIL_AT_ONCE_TO_DOMAIN)
			return domain;
	}
	return NULL;
}

static void note_empty(struct run *run, bool was_for_all)
{
	if (was_for_all)
		run->claim_again_ms = clock_monotonic_ms() + IDLE_MS;
	else
		run->claim_others_again_ms = clock_monotonic_ms() + IDLE_MS;
	run->was_empty = was_for_all;
}

/* Returns whether there was one that is due. */
static bool begin_next(struct run *run)
{
	const char *but_domain = full_domain(run);
	struct letter *letter = talloc_zero(run->ctx, struct letter);

	if (letter == NULL || (but_domain != NULL && clock_until_ms(run->claim_others_again_ms) > 0)) {
		talloc_free(letter);
		return false;
	}
	letter->began_ms = clock_monotonic_ms();
	if (!note_database(run, mails_claim(&run->sending, letter, but_domain, &letter->row)) || letter->row == NULL) {
		if (run->has_database)
			note_empty(run, but_domain == NULL);
		talloc_free(letter);
		return false;
	}
	begin(run, letter);
	return true;
}

/* As many as there is room for, and are due; but those that nobody is to get do not hold up what is under way. */
static void begin_due(struct run *run)
{
	run->was_empty = false;
	for (int begun = 0; begun < BEGUN_MAX && run->ended == NULL && room(run) > 0; begun++) {
		if (clock_until_ms(run->claim_again_ms) > 0 || !database_is_there(run) || !begin_next(run))
			return;
	}
}

/* ---- The run ------------------------------------------------------------------------------------------------- */

static void look_at_queue(struct run *run)
{
	int64_t now = clock_monotonic_ms();
	struct mail_queue queue;

	if (now < atomic_load(&run->gauges->looked_at_ms) + GAUGES_MS || !database_is_there(run) ||
	    !note_database(run, mails_queue(run->db, &queue)))
		return;
	atomic_store(&run->gauges->queued, queue.count);
	atomic_store(&run->gauges->oldest_ms, queue.oldest_ms);
	atomic_store(&run->gauges->looked_at_ms, now);
}

static void step(struct run *run)
{
	struct mail_result result;
	void *ended;

	if (run->under_way == 0) {
		clock_sleep_us(1000 * STEP_MS);
		return;
	}
	if (!mail_sender_step(run->sender, STEP_MS, &ended, &result))
		return;
	do
		take_ended(run, ended, &result);
	while (run->under_way > 0 && mail_sender_step(run->sender, 0, &ended, &result));
}

static void run_until_over(struct run *run)
{
	bool is_over = false;

	while (!is_over || run->under_way > 0 || run->ended != NULL) {
		write_results(run);
		is_over = is_to_stop() || clock_until_ms(run->until_ms) == 0 ||
		          (run->app->runs_one_job && run->was_empty);
		if (!is_over && run->ended == NULL) {
			begin_due(run);
			look_at_queue(run);
		}
		if (run->ended == NULL)
			step(run);
		else
			clock_sleep_us(1000 * STEP_MS);
	}
}

static struct mail_sending sending_of(const struct settings *settings, struct db *db)
{
	struct mail_sending sending = {
		.db = db,
		.lease_ms = settings->mail.timeout + LEASE_MORE_MS,
		.per_domain_ms = settings->mail.per_domain > 0 ? 60000 / settings->mail.per_domain : 0,
	};

	(void)mail_rate_parse(settings->mail.per_recipient, &sending.per_recipient, &sending.per_recipient_ms);
	claim_generate(sending.claim);
	return sending;
}

static enum ones_result send_mail(struct ones_db *db, void *context)
{
	struct ones_app *app = context;
	struct run run = {
		.app = app,
		.db = db->db,
		.ctx = db->ctx,
		.sending = sending_of(app->settings, db->db),
		.gauges = &app->board->mail,
		.until_ms = clock_monotonic_ms() + RUN_MS,
		.has_database = true,
	};
	const char *problem;
	sigset_t stop;

	/* From here on it is only looked at. */
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &stop, NULL) != 0)
		return ONES_RESULT_FAILED;
	problem = mail_setup_load(db->ctx, app->settings, &run.setup);
	run.setup.program = app->mail_program;
	if (problem == NULL && (run.sender = mail_sender_new(db->ctx, &run.setup)) == NULL)
		problem = "out of memory";
	if (problem != NULL) {
		log_error("mail_not_sent", LOG_STR("problem", problem));
		return ONES_RESULT_FAILED;
	}
	/* As after a time without a mail server: whoever asked for it then has no use for its link any more. */
	(void)note_database(&run, give_up(&run, "it was not sent in time", true));
	run_until_over(&run);
	talloc_free(run.sender);
	return ONES_RESULT_OK;
}

int mail_job_prepare(struct ones_app *app, int64_t patience_ms, struct problem *problem)
{
	const char *address = app->settings->mail.server;
	struct mail_server server;

	(void)mail_server_parse(address, &server);
	if (server.transport == MAIL_TRANSPORT_OFF)
		return 0;
	if (server.transport == MAIL_TRANSPORT_SENDMAIL) {
		app->mail_program = mail_program_serve(server.program, &app->mail_program_pid);
		return app->mail_program >= 0 ? 0 : problem_set_errno(problem);
	}
	if (http_client_prepare(&address, 1, patience_ms) == 0)
		return 0;
	return problem_set(problem, "sending mail cannot be prepared: out of memory or of threads");
}

/* The password is not kept where modules run. */
static int check_setup(const struct settings *settings, struct problem *problem)
{
	TALLOC_CTX *scratch = talloc_new(NULL);
	struct mail_setup setup;
	const char *wrong = mail_setup_load(scratch, settings, &setup);
	int status = wrong != NULL ? problem_set(problem, "%s", wrong) : 0;

	mail_setup_forget(&setup);
	talloc_free(scratch);
	return status;
}

int mail_job_add(struct ones_app *app, struct problem *problem)
{
	const struct ones_job job = {
		.name = "mail",
		.every_ms = JOB_EVERY_MIN_MS,
		.timeout_ms = RUN_MS + app->settings->mail.timeout + END_MS,
		.on_every_host = true,
		.run = send_mail,
		.context = app,
	};
	if (!ones_can_mail(app))
		return 0;
	if (check_setup(app->settings, problem) != 0)
		return -1;
	return jobs_add_own(app, &job, true) == 0 ? 0 : problem_set(problem, "out of memory");
}
