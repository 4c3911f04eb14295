// SPDX-License-Identifier: GPL-2.0-only
/* Tests of loader/table.c: what moves when backends change, and what slots become. */
#include "table_fixture.h"

/* From `before` to `after` the slots of `id` moved to somebody else, and no other. */
static void assert_moved(__u16 id, __u32 size)
{
	for (__u32 slot = 0; slot < size; slot++)
		if ((before[slot] == id) != (before[slot] != after[slot]) || !after[slot])
			fail_msg("backend %u down: slot %u went from %u to %u", id, slot,
				 before[slot], after[slot]);
}

/* `before` is the table with all up; one goes down and comes back. */
static void fail_one(unsigned count, unsigned victim, enum xlb_state how)
{
	backends[victim].state = how;
	build(count, SIZE, after);
	assert_moved(backends[victim].id, SIZE);
	backends[victim].state = XLB_UP;
	build(count, SIZE, after);
	assert_int_equal(owners_differ(SIZE), 0);
}

static void one_down_moves_its_slots_alone(void **state)
{
	(void)state;
	for (unsigned count = 2; count <= 1000; count += count < 64 ? 1 : 36) {
		unsigned victims = count <= 64 ? count : 8;

		backends_make(count, 10);
		build(count, SIZE, before);
		for (unsigned i = 0; i < victims; i++)
			fail_one(count, count <= 64 ? i : random_below(count),
				 i % 2 ? XLB_DOWN : XLB_DRAIN);
	}
}

/* They fail one by one until one is left, and each time only its slots move. */
static void any_number_down_in_any_order(void **state)
{
	enum { COUNT = 12, ORDERS = 20 };
	static __u16 halfway[SIZE];

	(void)state;
	backends_make(COUNT, 5);
	for (int order = 0; order < ORDERS; order++) {
		unsigned left = COUNT;

		for (unsigned i = 0; i < COUNT; i++)
			backends[i].state = XLB_UP;
		build(COUNT, SIZE, before);
		while (left > 1) {
			/* The first six in any order, so that all meet halfway. */
			unsigned victim = left > 6 ? random_below(6) : random_below(COUNT);

			if (backends[victim].state != XLB_UP)
				continue;
			backends[victim].state = XLB_DOWN;
			build(COUNT, SIZE, after);
			assert_moved(backends[victim].id, SIZE);
			memcpy(before, after, sizeof(*before) * SIZE);
			if (--left == 6 && order == 0)
				memcpy(halfway, after, sizeof(halfway));
			if (left == 6)
				assert_memory_equal(after, halfway, sizeof(halfway));
		}
	}
}

/*
 * Half the weight, in one backend, is down; its slots fall to the others by
 * weight.  Pearson's chi-squared over sets of backends: about as large as its
 * degrees of freedom, with a variance of twice these; 4.5 standard deviations
 * off are not by chance.
 */
static void assert_heirs(const __u32 *weights, unsigned count, unsigned sets)
{
	double squares = 0, total = 0, freedom = sets * (count - 2);

	for (unsigned set = 0; set < sets; set++) {
		unsigned handed;

		backends_make(count, 1);
		for (unsigned i = 0; i < count; i++) {
			backends[i].address[13] = set;
			backends[i].weight = weights[i];
		}
		build(count, SIZE_LARGE, before);
		backends[0].state = XLB_DOWN;
		build(count, SIZE_LARGE, after);
		owners_count(before, SIZE_LARGE);
		handed = counts[backends[0].id];
		memset(counts, 0, sizeof(counts));
		for (__u32 slot = 0; slot < SIZE_LARGE; slot++)
			if (before[slot] != after[slot])
				counts[after[slot]]++;
		total = 0;
		for (unsigned i = 1; i < count; i++)
			total += weights[i];
		for (unsigned i = 1; i < count; i++) {
			double expected = handed * weights[i] / total;
			double off = counts[backends[i].id] - expected;

			squares += off * off / expected;
		}
	}
	printf("# heirs of %u backends: chi-squared %.0f, %.0f degrees of freedom\n",
	       count, squares, freedom);
	assert_true((squares - freedom) * (squares - freedom) < 4.5 * 4.5 * 2 * freedom);
}

static void heirs_share_by_weight(void **state)
{
	static const __u32 few[] = { 10, 1, 2, 3, 4 };
	static const __u32 far[] = { 65535, 1000, 30, 65000, 300, 10000 };
	static __u32 many[500] = { 65535 };

	(void)state;
	assert_heirs(few, 5, 40);
	assert_heirs(far, 6, 40);
	for (unsigned i = 1; i < 500; i++)
		many[i] = 100 + i % 3 * 100;
	assert_heirs(many, 500, 10);
}

/*
 * Backend 1 of `weight` among others of 100 together, from cold to warm: slots go to it
 * alone, from step to step, and each time it has the share of the warm part of its
 * weight, as near as four standard deviations over all sets of backends.
 */
static void assert_warms(__u32 weight, __u8 set, __u32 *shares)
{
	enum { OTHERS = 4 };

	backends_make(1 + OTHERS, 1);
	for (unsigned i = 0; i <= OTHERS; i++) {
		backends[i].weight = i ? 10 * i : weight;
		backends[i].address[13] = set;
	}
	backends[0].state = XLB_DOWN;
	build(1 + OTHERS, SIZE, before);
	backends[0].state = XLB_UP;
	for (unsigned warm = 1; warm <= 10; warm++) {
		backends[0].cold = 10 - warm;
		build(1 + OTHERS, SIZE, after);
		owners_count(after, SIZE);
		shares[warm] += counts[1];
		for (__u32 slot = 0; slot < SIZE; slot++)
			if (after[slot] != before[slot] && after[slot] != 1)
				fail_msg("warm %u: slot %u went from %u to %u", warm, slot,
					 before[slot], after[slot]);
		memcpy(before, after, sizeof(*before) * SIZE);
	}
	backends[0].cold = 0;
}

static void share_grows_with_warmth(void **state)
{
	static const __u32 weights[] = { 1, 25, 100, 1000 };
	enum { SETS = 40 };

	(void)state;
	for (unsigned w = 0; w < sizeof(weights) / sizeof(*weights); w++) {
		__u32 shares[11] = {};

		for (unsigned set = 0; set < SETS; set++)
			assert_warms(weights[w], set, shares);
		for (unsigned warm = 1; warm <= 10; warm++) {
			double part = weights[w] * warm / 10.0;
			double share = part / (100 + part), got = shares[warm] / 1.0 / SETS / SIZE;
			double variance = share * (1 - share) / SETS / SIZE;

			if ((got - share) * (got - share) > 16 * variance + 1e-8)
				fail_msg("weight %u, warm %u: %f, not %f", weights[w], warm, got,
					 share);
		}
	}
}

/* Whoever is the only one up has all, and those that warm up together their shares. */
static void cold_ones_serve_where_nobody_is_warm(void **state)
{
	(void)state;
	backends_make(3, 1);
	for (unsigned i = 0; i < 3; i++)
		backends[i].cold = 9;
	build(3, SIZE, after);
	owners_count(after, SIZE);
	for (unsigned id = 1; id <= 3; id++)
		if (counts[id] < SIZE / 3 * 95 / 100 || counts[id] > SIZE / 3 * 105 / 100)
			fail_msg("backend %u has %u slots", id, counts[id]);
	backends[1].state = backends[2].state = XLB_DOWN;
	build(3, SIZE, after);
	owners_count(after, SIZE);
	assert_int_equal(counts[1], SIZE);
}

static void others_hardly_move_when_one_is_added(void **state)
{
	(void)state;
	for (unsigned count = 2; count <= 1000; count = count < 10 ? 10 : count * 10) {
		unsigned moved;

		backends_make(count + 1, 1);
		backends[count].address[12] = 9;	/* the first in order */
		build(count, SIZE_LARGE, before);
		build(count + 1, SIZE_LARGE, after);
		moved = owners_differ(SIZE_LARGE);
		owners_count(after, SIZE_LARGE);
		printf("# backend %u added or removed: %.2f %% move, %.2f %% its own\n",
		       count + 1, 100.0 * moved / SIZE_LARGE,
		       100.0 * counts[count + 1] / SIZE_LARGE);
		assert_true(moved < counts[count + 1] + SIZE_LARGE * 3 / 100);
	}
}

/* Fates, as sets: what a case holds for. */
enum { LIVE = 1 << TABLE_LIVE, DOWN = 1 << TABLE_DOWN, DELETED = 1 << TABLE_DELETED };
enum { ENDED = DOWN | DELETED, KNOWN = LIVE | DOWN, ANY = LIVE | DOWN | DELETED };
enum { A = 1, B, C, GONE = XLB_BACKEND_DELETED };

static const struct slot_case {
	const char *what;
	struct xlb_slot old;
	__u16 owner;
	int current_fates, previous_fates;
	struct xlb_slot next;
} slot_cases[] = {
	{ "new table", { 0, 0 }, A, ANY, ANY, { A, 0 } },
	{ "nobody as before", { 0, 0 }, 0, ANY, ANY, { 0, 0 } },
	{ "no change", { A, 0 }, A, ANY, ANY, { A, 0 } },
	{ "A lives: marked", { A, 0 }, B, LIVE, ANY, { B, A } },
	{ "A does not: nothing to keep", { A, 0 }, B, ENDED, ANY, { B, 0 } },
	{ "A drains, nobody is up", { A, 0 }, 0, LIVE, ANY, { 0, A } },
	{ "A is down, nobody is up", { A, 0 }, 0, ENDED, ANY, { 0, 0 } },

	{ "marked, no change", { B, A }, B, ANY, KNOWN, { B, A } },
	{ "marked, no change, A deleted", { B, A }, B, ANY, DELETED, { B, GONE } },
	{ "back to A: still marked", { B, A }, A, ANY, KNOWN, { A, A } },
	{ "marked, new owner", { B, A }, C, ANY, KNOWN, { C, A } },
	{ "marked, new owner, A deleted", { B, A }, C, ANY, DELETED, { C, GONE } },
	{ "marked, nobody is up", { B, A }, 0, ANY, KNOWN, { 0, A } },
	{ "marked, nobody is up, A deleted", { B, A }, 0, ANY, DELETED, { 0, GONE } },

	{ "back at A, no change", { A, A }, A, ANY, KNOWN, { A, A } },
	{ "back at A, new owner", { A, A }, B, ANY, KNOWN, { B, A } },
	{ "back at A, A deleted", { A, A }, B, ANY, DELETED, { B, GONE } },
	{ "back at A, nobody is up", { A, A }, 0, ANY, KNOWN, { 0, A } },
	{ "back at A, all deleted", { A, A }, 0, ANY, DELETED, { 0, GONE } },

	{ "nobody, then B", { 0, A }, B, ANY, KNOWN, { B, A } },
	{ "nobody, then A", { 0, A }, A, ANY, KNOWN, { A, A } },
	{ "nobody still", { 0, A }, 0, ANY, KNOWN, { 0, A } },
	{ "nobody, A deleted, then B", { 0, A }, B, ANY, DELETED, { B, GONE } },
	{ "nobody still, A deleted", { 0, A }, 0, ANY, DELETED, { 0, GONE } },

	{ "GONE stays, no change", { B, GONE }, B, ANY, ANY, { B, GONE } },
	{ "GONE stays, new owner", { B, GONE }, C, ANY, ANY, { C, GONE } },
	{ "GONE stays, nobody is up", { B, GONE }, 0, ANY, ANY, { 0, GONE } },
	{ "GONE stays, then B", { 0, GONE }, B, ANY, ANY, { B, GONE } },
	{ "GONE stays, nobody still", { 0, GONE }, 0, ANY, ANY, { 0, GONE } },
};

static void slots_change_by_the_rules(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(slot_cases) / sizeof(*slot_cases); i++) {
		const struct slot_case *c = &slot_cases[i];

		for (int fates = 0; fates < 9; fates++) {
			enum table_fate current = fates / 3, previous = fates % 3;
			struct xlb_slot next;

			if (!(c->current_fates & 1 << current) ||
			    !(c->previous_fates & 1 << previous))
				continue;
			next = table_slot_next(c->old, c->owner, current, previous);
			if (memcmp(&next, &c->next, sizeof(next)))
				fail_msg("%s: {%u, %u} with fates %u, %u", c->what,
					 next.current, next.previous, current, previous);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_down_moves_its_slots_alone),
		cmocka_unit_test(any_number_down_in_any_order),
		cmocka_unit_test(heirs_share_by_weight),
		cmocka_unit_test(share_grows_with_warmth),
		cmocka_unit_test(cold_ones_serve_where_nobody_is_warm),
		cmocka_unit_test(others_hardly_move_when_one_is_added),
		cmocka_unit_test(slots_change_by_the_rules),
	};

	setbuf(stdout, NULL);	/* comments in their places, even in a pipe */
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("table_change", tests, NULL, NULL);
}
