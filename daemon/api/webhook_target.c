/* A webhook in the process that sends to it. */
#include "api/webhook_target.h"

#include "base/clock.h"

struct target *target_new(TALLOC_CTX *ctx, const struct webhook_claimed *claimed)
{
	struct target *target = talloc_zero(ctx, struct target);

	if (target == NULL)
		return NULL;
	target->id = claimed->id;
	target->failures = claimed->failures;
	target->url = talloc_strdup(target, claimed->url);
	target->secret = talloc_strdup(target, claimed->secret);
	if (target->url == NULL || target->secret == NULL)
		TALLOC_FREE(target);
	return target;
}

char *target_known(const struct target *target, TALLOC_CTX *ctx)
{
	int64_t *ids = talloc_array(ctx, int64_t, (unsigned)target->count);
	size_t count = 0;

	if (ids == NULL)
		return NULL;
	for (const struct delivery *one = target->deliveries; one != NULL; one = one->next)
		ids[count++] = one->due.id;
	return webhook_ids_text(ctx, ids, count);
}

static bool is_known(const struct target *target, int64_t id)
{
	for (const struct delivery *one = target->deliveries; one != NULL; one = one->next) {
		if (one->due.id == id)
			return true;
	}
	return false;
}

static bool has_room_for(const struct target *target, int64_t user_id)
{
	size_t count = 0;

	for (const struct delivery *one = user_id != 0 ? target->deliveries : NULL; one != NULL; one = one->next)
		count += one->due.user_id == user_id;
	return count < WEBHOOK_OF_ACCOUNT;
}

bool target_add(struct target *target, const struct webhook_due *due, bool *is_out_of_memory)
{
	struct delivery **link = &target->deliveries;
	struct delivery *delivery;

	if ((due->previous != 0 && !is_known(target, due->previous)) || !has_room_for(target, due->user_id))
		return false;
	delivery = talloc_zero(target, struct delivery);
	if (delivery != NULL) {
		delivery->target = target;
		delivery->due = *due;
		delivery->due.message_id = talloc_strdup(delivery, due->message_id);
		delivery->due.body = talloc_strdup(delivery, due->body);
	}
	*is_out_of_memory = delivery == NULL || delivery->due.message_id == NULL || delivery->due.body == NULL;
	if (*is_out_of_memory) {
		talloc_free(delivery);
		return true;
	}
	while (*link != NULL && (*link)->due.id < due->id)
		link = &(*link)->next;
	delivery->next = *link;
	*link = delivery;
	delivery->turn = target->turns++;
	target->count++;
	return true;
}

/* Is another of its account still to be sent, of those up to `end`? */
static bool has_other(const struct delivery *delivery, const struct delivery *end)
{
	if (delivery->due.user_id == 0)
		return false;
	for (const struct delivery *one = delivery->target->deliveries; one != end; one = one->next) {
		if (one != delivery && one->due.user_id == delivery->due.user_id && one->state != DELIVERY_TAKEN)
			return true;
	}
	return false;
}

struct delivery *target_next(const struct target *target)
{
	struct delivery *next = NULL;

	for (struct delivery *one = target->deliveries; one != NULL; one = one->next) {
		if (one->state == DELIVERY_WAITS && (next == NULL || one->turn < next->turn) && !has_other(one, one))
			next = one;
	}
	return next;
}

void target_note(struct delivery *delivery, const struct webhook_result *result)
{
	struct target *target = delivery->target;

	delivery->result = *result;
	target->is_multiplexed = result->is_multiplexed;
	target->under_way--;
	if (result->problem[0] != '\0') {
		delivery->state = DELIVERY_FAILED;
		target->failed++;
		return;
	}
	delivery->state = DELIVERY_TAKEN;
	target->failures = 0;
	if (target->taken++ == 0)
		target->taken_since_ms = clock_monotonic_ms();
}

struct delivery *target_failed(const struct target *target)
{
	struct delivery *one = target->failed > 0 ? target->deliveries : NULL;

	while (one != NULL && one->state != DELIVERY_FAILED)
		one = one->next;
	return one;
}

void target_drop(struct delivery *delivery)
{
	struct target *target = delivery->target;
	struct delivery **link = &target->deliveries;

	while (*link != delivery)
		link = &(*link)->next;
	*link = delivery->next;
	target->count--;
	target->taken -= delivery->state == DELIVERY_TAKEN;
	target->failed -= delivery->state == DELIVERY_FAILED;
	talloc_free(delivery);
}

void target_drop_account(struct delivery *delivery)
{
	struct target *target = delivery->target;
	int64_t user_id = delivery->due.user_id;
	struct delivery *next;

	target_drop(delivery);
	for (struct delivery *one = user_id != 0 ? target->deliveries : NULL; one != NULL; one = next) {
		next = one->next;
		if (one->due.user_id == user_id && one->state == DELIVERY_WAITS)
			target_drop(one);
	}
}

void target_taken(const struct target *target, TALLOC_CTX *ctx, char **ids, char **drained)
{
	int64_t *numbers = talloc_array(ctx, int64_t, (unsigned)target->taken);
	int64_t *accounts = talloc_array(ctx, int64_t, (unsigned)target->taken);
	size_t count = 0, account_count = 0;

	*ids = *drained = NULL;
	if (numbers == NULL || accounts == NULL)
		return;
	for (const struct delivery *one = target->deliveries; one != NULL; one = one->next) {
		if (one->state != DELIVERY_TAKEN)
			continue;
		numbers[count++] = one->due.id;
		if (one->due.user_id != 0 && !has_other(one, NULL))
			accounts[account_count++] = one->due.user_id;
	}
	*ids = webhook_ids_text(ctx, numbers, count);
	*drained = webhook_ids_text(ctx, accounts, account_count);
}

static void drop_all(struct target *target, enum delivery_state state)
{
	struct delivery *next;

	for (struct delivery *one = target->deliveries; one != NULL; one = next) {
		next = one->next;
		if (one->state == state)
			target_drop(one);
	}
}

void target_drop_taken(struct target *target)
{
	drop_all(target, DELIVERY_TAKEN);
}

void target_drop_waiting(struct target *target)
{
	drop_all(target, DELIVERY_WAITS);
}
