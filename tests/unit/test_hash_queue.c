#include "pool/hash_queue.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static struct hash_queue queue;
static struct hash_entry entries[2 * HASH_QUEUE_MAX];

static int set_up(void **state)
{
	(void)state;
	queue = (struct hash_queue){0};
	return 0;
}

static struct hash_entry *put(size_t number, uint32_t rank)
{
	entries[number] = (struct hash_entry){.rank = rank, .since_ms = (int64_t)number};
	return hash_queue_put(&queue, &entries[number]);
}

static void login_that_has_tried_least_is_next_then_the_one_that_came_first(void **state)
{
	(void)state;
	assert_null(put(0, 3));
	assert_null(put(1, 1));
	assert_null(put(2, 2));
	assert_null(put(3, 1));
	assert_ptr_equal(hash_queue_take(&queue), &entries[1]);
	assert_ptr_equal(hash_queue_take(&queue), &entries[3]);
	assert_ptr_equal(hash_queue_take(&queue), &entries[2]);
	assert_ptr_equal(hash_queue_take(&queue), &entries[0]);
	assert_null(hash_queue_take(&queue));
}

static void full_queue_refuses_the_login_that_has_tried_most(void **state)
{
	(void)state;
	for (size_t i = 0; i < HASH_QUEUE_MAX; i++)
		assert_null(put(i, i == 5 || i == 7 ? 9 : 2));
	assert_int_equal(hash_queue_full_from(&queue), 9);
	/* The later one of the two. */
	assert_ptr_equal(put(HASH_QUEUE_MAX, 1), &entries[7]);
	assert_ptr_equal(put(HASH_QUEUE_MAX + 1, 9), &entries[HASH_QUEUE_MAX + 1]);
	assert_ptr_equal(put(HASH_QUEUE_MAX + 2, 8), &entries[5]);
	assert_int_equal(hash_queue_full_from(&queue), 8);
	assert_ptr_equal(put(HASH_QUEUE_MAX + 3, 2), &entries[HASH_QUEUE_MAX + 2]);
	assert_ptr_equal(put(HASH_QUEUE_MAX + 4, 2), &entries[HASH_QUEUE_MAX + 4]);
	assert_int_equal(queue.count, HASH_QUEUE_MAX);
	assert_ptr_equal(hash_queue_take(&queue), &entries[HASH_QUEUE_MAX]);
	assert_int_equal(hash_queue_full_from(&queue), UINT32_MAX);
}

static void entry_that_is_removed_is_there_no_more(void **state)
{
	(void)state;
	assert_null(put(0, 1));
	assert_null(put(1, 1));
	hash_queue_remove(&queue, &entries[0]);
	hash_queue_remove(&queue, &entries[0]);
	assert_ptr_equal(hash_queue_take(&queue), &entries[1]);
	assert_null(hash_queue_take(&queue));
}

#define TEST(function) cmocka_unit_test_setup(function, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(login_that_has_tried_least_is_next_then_the_one_that_came_first),
		TEST(full_queue_refuses_the_login_that_has_tried_most),
		TEST(entry_that_is_removed_is_there_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
