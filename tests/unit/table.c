// SPDX-License-Identifier: GPL-2.0-only
/* Tests of loader/table.c: which tables there are, and whose share is how large. */
#include <errno.h>
#include <time.h>

#include "table_fixture.h"
#include "table_golden.h"

static void size_is_a_prime_in_range(void **state)
{
	static bool composite[XLB_TABLE_MAX + 1000];

	(void)state;
	composite[0] = composite[1] = true;
	for (__u32 i = 2; i < sizeof(composite); i++) {
		bool prime = !composite[i];

		for (__u32 multiple = 2 * i; prime && multiple < sizeof(composite);
		     multiple += i)
			composite[multiple] = true;
	}
	for (__u32 size = 0; size < sizeof(composite); size++) {
		bool valid = !composite[size] && size >= 251 && size <= 655373;

		if (table_size_valid(size) != valid)
			fail_msg("size %u is %s", size, valid ? "refused" : "accepted");
	}
	assert_false(table_size_valid(4294967291));	/* a prime */
	assert_true(table_size_valid(XLB_TABLE_DEFAULT));
}

/* FNV-1a, 32 bits, one step an owner. */
static __u32 owners_digest(const __u16 *owners, __u32 size)
{
	__u32 digest = 0x811c9dc5;

	for (__u32 slot = 0; slot < size; slot++)
		digest = (digest ^ owners[slot]) * 0x01000193;
	return digest;
}

static void tables_are_those_of_the_reference(void **state)
{
	unsigned count = sizeof(golden_backends) / sizeof(*golden_backends);

	(void)state;
	memcpy(backends, golden_backends, sizeof(golden_backends));
	build(count, GOLDEN_SIZE, after);
	assert_memory_equal(after, golden_handed, sizeof(golden_handed));
	build(count, GOLDEN_LARGE, after);
	assert_int_equal(owners_digest(after, GOLDEN_LARGE), GOLDEN_LARGE_HANDED);

	for (unsigned i = 0; i < count; i++)
		backends[i].cold = golden_cold[i];
	build(count, GOLDEN_SIZE, after);
	assert_memory_equal(after, golden_warming, sizeof(golden_warming));
	build(count, GOLDEN_LARGE, after);
	assert_int_equal(owners_digest(after, GOLDEN_LARGE), GOLDEN_LARGE_WARMING);

	for (unsigned i = 0; i < count; i++) {
		backends[i].state = XLB_UP;
		backends[i].cold = 0;
	}
	build(count, GOLDEN_SIZE, after);
	assert_memory_equal(after, golden_up, sizeof(golden_up));
	build(count, GOLDEN_LARGE, after);
	assert_int_equal(owners_digest(after, GOLDEN_LARGE), GOLDEN_LARGE_UP);
}

static void order_and_ids_are_irrelevant(void **state)
{
	unsigned count = 200;

	(void)state;
	backends_make(count, 10);
	for (unsigned i = 0; i < count; i += 3) {
		backends[i].state = XLB_DOWN;
		backends[i + 1].cold = i % 10;
	}
	/* Those of one address differ in port alone. */
	memcpy(backends[1].address, backends[0].address, sizeof(backends[0].address));
	backends[1].port = backends[0].port + 1;
	build(count, SIZE, before);

	for (int shuffle = 0; shuffle < 20; shuffle++) {
		for (unsigned i = count - 1; i > 0; i--) {
			unsigned other = random_below(i + 1);
			struct table_backend backend = backends[i];

			backends[i] = backends[other];
			backends[other] = backend;
		}
		build(count, SIZE, after);
		assert_int_equal(owners_differ(SIZE), 0);
	}
	for (unsigned i = 0; i < count; i++)
		backends[i].id = XLB_BACKEND_ID_MAX + 1 - backends[i].id;
	build(count, SIZE, after);
	for (__u32 slot = 0; slot < SIZE; slot++)
		assert_int_equal(after[slot], XLB_BACKEND_ID_MAX + 1 - before[slot]);
}

static void equal_backends_have_equal_shares(void **state)
{
	unsigned least = SIZE_LARGE, most = 0;

	(void)state;
	backends_make(100, 1);
	build(100, SIZE_LARGE, after);
	owners_count(after, SIZE_LARGE);
	for (unsigned id = 1; id <= 100; id++) {
		least = counts[id] < least ? counts[id] : least;
		most = counts[id] > most ? counts[id] : most;
	}
	printf("# 100 backends, %u slots: largest/smallest share %u/%u\n", (unsigned)SIZE_LARGE,
	       most, least);
	assert_true(most - least <= 1);
	assert_true(most * 100 <= least * 102);
}

/* Less than one slot off the proportional share, whoever is not up. */
static void assert_shares(unsigned count, __u32 size)
{
	__u64 total = 0;

	for (unsigned i = 0; i < count; i++)
		total += backends[i].weight;
	build(count, size, after);
	owners_count(after, size);
	assert_int_equal(counts[XLB_BACKEND_NONE], 0);
	for (unsigned i = 0; i < count; i++) {
		__u64 share = (__u64)size * backends[i].weight;
		__u64 slots = counts[backends[i].id] * total;

		if (slots >= share + total || share >= slots + total)
			fail_msg("weight %u of %llu: %u of %u slots", backends[i].weight,
				 total, counts[backends[i].id], size);
	}
}

static void shares_are_proportional_to_weights(void **state)
{
	static const __u32 heaviest[] = { 1, 2, 3, 10, 100, TABLE_WEIGHT_MAX };

	(void)state;
	for (unsigned h = 0; h < sizeof(heaviest) / sizeof(*heaviest); h++) {
		for (unsigned count = 1; count < BACKENDS; count += 1 + count / 8) {
			backends_make(count, heaviest[h]);
			assert_shares(count, XLB_TABLE_MIN);
			assert_shares(count, SIZE);
			/* One outweighs all the others. */
			backends[count / 2].weight = TABLE_WEIGHT_MAX;
			assert_shares(count, SIZE);
		}
	}
}

static void assert_sole_owner(unsigned count, __u16 id)
{
	build(count, XLB_TABLE_MIN, after);
	owners_count(after, XLB_TABLE_MIN);
	assert_int_equal(counts[id], XLB_TABLE_MIN);
}

static void weight_0_owns_nothing(void **state)
{
	(void)state;
	backends_make(3, 1);
	build(2, XLB_TABLE_MIN, before);
	backends[2].weight = 0;
	build(3, XLB_TABLE_MIN, after);
	assert_int_equal(owners_differ(XLB_TABLE_MIN), 0);

	backends[0].weight = 0;
	assert_sole_owner(3, 2);
	backends[1].state = XLB_DOWN;
	assert_sole_owner(3, XLB_BACKEND_NONE);
	backends[1].weight = 0;
	assert_sole_owner(3, XLB_BACKEND_NONE);
}

static void the_only_one_up_owns_all(void **state)
{
	(void)state;
	assert_sole_owner(0, XLB_BACKEND_NONE);
	backends_make(3, 10);
	assert_sole_owner(1, 1);
	backends[0].state = XLB_DOWN;
	backends[1].state = XLB_DRAIN;
	assert_sole_owner(1, XLB_BACKEND_NONE);
	assert_sole_owner(2, XLB_BACKEND_NONE);
	assert_sole_owner(3, 3);

	/* Even one whose share is less than a slot. */
	backends[0].weight = TABLE_WEIGHT_MAX;
	backends[2].weight = 1;
	assert_sole_owner(3, 3);
}

static void assert_refused(unsigned count, __u32 size)
{
	memset(after, 0x5a, sizeof(after));
	assert_int_equal(table_build(backends, count, size, after), -EINVAL);
	for (__u32 slot = 0; slot < XLB_TABLE_MAX; slot++)
		assert_int_equal(after[slot], 0x5a5a);
}

static void nonsense_is_refused(void **state)
{
	(void)state;
	backends_make(3, 1);
	assert_refused(3, 0);
	assert_refused(3, 241);
	assert_refused(3, 16383);
	assert_refused(3, 655379);

	backends[1].id = XLB_BACKEND_NONE;
	assert_refused(3, XLB_TABLE_MIN);
	backends[1].id = XLB_BACKEND_DELETED;
	assert_refused(3, XLB_TABLE_MIN);
	backends[1].id = XLB_BACKEND_ID_MAX;
	build(3, XLB_TABLE_MIN, after);

	backends[1].weight = TABLE_WEIGHT_MAX + 1;
	assert_refused(3, XLB_TABLE_MIN);
	backends[1].weight = 0;
	backends[2].cold = 10;
	assert_refused(3, XLB_TABLE_MIN);
	backends[2].cold = 0;
	memcpy(backends[2].address, backends[1].address, sizeof(backends[1].address));
	assert_refused(3, XLB_TABLE_MIN);
	backends[2].port++;
	build(3, XLB_TABLE_MIN, after);
}

static void print_time(unsigned down, __u32 size)
{
	double best = 0;

	backends_make(1000, 10);
	for (unsigned i = 0; i < down; i++)
		backends[i].state = XLB_DOWN;
	for (int run = 0; run < 3; run++) {
		struct timespec start, end;
		double took;

		clock_gettime(CLOCK_MONOTONIC, &start);
		build(1000, size, after);
		clock_gettime(CLOCK_MONOTONIC, &end);
		took = (end.tv_sec - start.tv_sec) * 1e3 +
		       (end.tv_nsec - start.tv_nsec) / 1e6;
		best = run && best < took ? best : took;
	}
	printf("# 1000 backends, %u down, %u slots: %.1f ms\n", down, size, best);
}

static void times_are_printed(void **state)
{
	(void)state;
	print_time(0, SIZE);
	print_time(0, SIZE_LARGE);
	print_time(1, SIZE_LARGE);
	print_time(500, SIZE_LARGE);
	print_time(0, XLB_TABLE_MAX);
	print_time(500, XLB_TABLE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(size_is_a_prime_in_range),
		cmocka_unit_test(tables_are_those_of_the_reference),
		cmocka_unit_test(order_and_ids_are_irrelevant),
		cmocka_unit_test(equal_backends_have_equal_shares),
		cmocka_unit_test(shares_are_proportional_to_weights),
		cmocka_unit_test(weight_0_owns_nothing),
		cmocka_unit_test(the_only_one_up_owns_all),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(times_are_printed),
	};

	setbuf(stdout, NULL);	/* comments in their places, even in a pipe */
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
