/* What became of events that were sent to webhooks: it is written until it is written. */
#include "api/webhook_run.h"

#include "api/webhook_log.h"
#include "base/clock.h"

#include <sodium.h>

/* So many that were taken are written together, or what was taken in this time. */
#define WRITE_MAX 64
#define WRITE_MS  INT64_C(20)

/* Pauses after each try that has failed: with what is added to them by chance ten tries take less than a day. */
static const int64_t pauses_s[] = {5, 60, 300, 1800, 3600, 7200, 14400, 21600, 28800};
#define PAUSE_COUNT ((int64_t)(sizeof pauses_s / sizeof pauses_s[0]))

/* A webhook that gives no answer is left alone for 5 s, 10 s and so on; so is one that fails for many events. */
#define AWAY_MIN_MS INT64_C(5000)
#define AWAY_MAX_MS INT64_C(300000)
/* What a webhook may ask for by Retry-After. */
#define RETRY_AFTER_MAX_S INT64_C(3600)

static int64_t at_most(int64_t number, int64_t limit)
{
	return number < limit ? number : limit;
}

static bool is_away(const struct target *target, const struct webhook_result *result)
{
	return result->status == 0 || target->failures >= WEBHOOK_FAILURES_TO_BE_AWAY;
}

static int64_t retry_after_ms(const struct webhook_result *result)
{
	if (result->status != 429 && result->status != 503)
		return 0;
	/* Any number may come, also one below nothing. */
	return result->retry_after_s > 0 ? at_most(result->retry_after_s, RETRY_AFTER_MAX_S) * 1000 : 0;
}

static void note_failure(struct delivery *delivery)
{
	const struct webhook_result *result = &delivery->result;
	struct target *target = delivery->target;
	int64_t asked_ms = retry_after_ms(result), away_ms = AWAY_MIN_MS;

	/* The first one may be the event's fault, so it has its pauses and cannot hold up all others for ever. */
	delivery->is_no_try = result->status == 0 && target->failures > 0;
	target->failures++;
	for (int64_t i = result->status == 0 ? 1 : WEBHOOK_FAILURES_TO_BE_AWAY;
	     i < target->failures && away_ms < AWAY_MAX_MS; i++)
		away_ms *= 2;
	if (!is_away(target, result))
		away_ms = 0;
	away_ms = at_most(away_ms, AWAY_MAX_MS);
	away_ms = away_ms > asked_ms ? away_ms : asked_ms;
	target->pause_ms = away_ms > target->pause_ms ? away_ms : target->pause_ms;
}

static int64_t pause_of(const struct delivery *delivery)
{
	int64_t attempts = at_most(delivery->due.attempts, PAUSE_COUNT - 1);
	int64_t pause_ms = pauses_s[attempts] * 1000;
	int64_t asked_ms = retry_after_ms(&delivery->result);

	/* It may be the one that finds out whether the webhook is back. */
	if (delivery->is_no_try)
		return delivery->target->pause_ms;
	pause_ms += (int64_t)randombytes_uniform((uint32_t)(pause_ms / 10));
	return pause_ms > asked_ms ? pause_ms : asked_ms;
}

/* It has said that it is gone, by the status for that. */
static bool write_gone(struct webhook_run *run, struct delivery *delivery)
{
	struct target *target = delivery->target;
	int64_t dead;

	if (!webhook_run_note_database(run, webhooks_disable(&run->claim, target->id, delivery->result.problem, &dead)))
		return false;
	if (dead >= 0)
		webhook_log_disabled(run->app, delivery, dead);
	target->is_lost = true;
	/* What is left of it is given up now. */
	run->give_up_again_ms = 0;
	target_drop(delivery);
	return true;
}

static bool write_failure(struct webhook_run *run, struct delivery *delivery)
{
	struct target *target = delivery->target;
	bool is_counted = !delivery->is_no_try;
	bool is_last = is_counted && delivery->due.attempts >= PAUSE_COUNT;
	int64_t pause_ms = pause_of(delivery);
	bool is_written, is_dead;

	if (delivery->result.status == 410)
		return write_gone(run, delivery);
	if (!webhook_run_note_database(run, webhooks_failed(&run->claim, target->id, &delivery->due,
	                                                    delivery->result.problem, pause_ms, is_last, is_counted,
	                                                    &is_written, &is_dead)))
		return false;
	if (is_written)
		webhook_log_failed(run->app, delivery, pause_ms, is_dead);
	if (is_dead)
		target_drop(delivery);
	else
		target_drop_account(delivery);
	return true;
}

static bool write_taken(struct webhook_run *run, struct target *target)
{
	TALLOC_CTX *scratch = talloc_new(run->ctx);
	int64_t woken;
	char *ids, *drained;
	bool is_written;

	target_taken(target, scratch, &ids, &drained);
	is_written = ids != NULL && drained != NULL &&
	             webhook_run_note_database(run, webhooks_delivered(&run->claim, target->id, ids, drained, &woken));
	talloc_free(scratch);
	if (!is_written)
		return false;
	if (woken > 0)
		target->read_again_ms = 0;
	webhook_log_delivered(run->app, target, target->taken);
	target_drop_taken(target);
	return true;
}

static bool is_to_be_written(const struct target *target)
{
	if (target->taken == 0)
		return false;
	/* What was taken comes first: it may be of the account of one that has failed. */
	return target->failed > 0 || target->taken >= WRITE_MAX ||
	       (target->under_way == 0 && target_next(target) == NULL) ||
	       clock_monotonic_ms() - target->taken_since_ms >= WRITE_MS;
}

bool webhook_run_write(struct webhook_run *run, struct target *target)
{
	struct delivery *failed;

	if (is_to_be_written(target) && !write_taken(run, target))
		return false;
	while ((failed = target_failed(target)) != NULL) {
		if (!write_failure(run, failed))
			return false;
	}
	return true;
}

void webhook_run_take_ended(struct webhook_run *run, void *context, const struct webhook_result *result)
{
	struct delivery *delivery = context;

	run->under_way--;
	target_note(delivery, result);
	if (result->problem[0] != '\0')
		note_failure(delivery);
}
