#include "base/job_table.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

static struct job_table *table;

static int make_table(void **state)
{
	(void)state;
	table = calloc(1, sizeof *table);
	return table != NULL ? 0 : -1;
}

static int free_table(void **state)
{
	(void)state;
	free(table);
	return 0;
}

static void name_that_is_not_in_use_makes_room_and_the_others_keep_their_slots(void **state)
{
	struct job_slots_used used = {0};
	uint32_t old = job_table_claim(table, "m", "old");
	uint32_t kept = job_table_claim(table, "m", "kept");

	(void)state;
	used.slots[kept] = true;
	job_slot_count(&table->slots[old], JOB_RESULT_FAILED);
	job_slot_count(&table->slots[kept], JOB_RESULT_FAILED);
	job_table_free_others(table, &used);
	/* It is behind the gap. */
	assert_int_equal(job_table_claim(table, "m", "kept"), kept);
	assert_int_equal(table->slots[kept].failed, 1);
	assert_int_equal(job_table_claim(table, "m", "new"), old);
	assert_int_equal(table->slots[old].failed, 0);
	assert_int_equal(table->slots[old].runs[JOB_RESULT_FAILED], 0);
}

static void name_whose_job_is_run_by_a_process_is_not_freed(void **state)
{
	const struct job_slots_used none = {0};
	uint32_t number = job_table_claim(table, "m", "runs");

	(void)state;
	assert_true(job_slot_take(&table->slots[number], 1));
	job_table_free_others(table, &none);
	assert_int_not_equal(job_table_claim(table, "m", "other"), number);
	assert_int_equal(job_table_claim(table, "m", "runs"), number);
}

static void generations_with_other_names_each_never_fill_it(void **state)
{
	char name[16];

	(void)state;
	for (int generation = 0; generation < 100; generation++) {
		struct job_slots_used used = {0};

		for (int i = 0; i < JOB_COUNT_MAX; i++) {
			(void)snprintf(name, sizeof name, "g%d_%d", generation, i);
			used.slots[job_table_claim(table, "m", name)] = true;
		}
		assert_false(used.slots[JOB_TABLE_SIZE]);
		job_table_free_others(table, &used);
	}
}

static void claim_of_a_former_owner_is_known_until_it_is_given_back(void **state)
{
	struct job_slot *slot = &table->slots[0];
	uint64_t number[2] = {0, 0};

	(void)state;
	assert_true(job_slot_take(slot, 1));
	assert_false(job_slot_has_claim(slot, number));
	job_slot_note_claim(slot, (const uint64_t[]){7, 8});
	job_table_release(table, 1);
	assert_true(job_slot_take(slot, 2));
	assert_true(job_slot_has_claim(slot, number));
	assert_int_equal(number[0], 7);
	assert_int_equal(number[1], 8);
	job_slot_give_back(slot);
	assert_true(job_slot_take(slot, 3));
	assert_false(job_slot_has_claim(slot, number));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(name_that_is_not_in_use_makes_room_and_the_others_keep_their_slots,
	                                        make_table, free_table),
		cmocka_unit_test_setup_teardown(name_whose_job_is_run_by_a_process_is_not_freed, make_table,
	                                        free_table),
		cmocka_unit_test_setup_teardown(generations_with_other_names_each_never_fill_it, make_table,
	                                        free_table),
		cmocka_unit_test_setup_teardown(claim_of_a_former_owner_is_known_until_it_is_given_back, make_table,
	                                        free_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
