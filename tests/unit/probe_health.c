// SPDX-License-Identifier: GPL-2.0-only
/* Tests of loader/probe_health.c: results that count, and waits that differ. */
#include "probe_health.h"
#include "unit.h"

/*
 * Results as letters (u up, w warning, d down, ? unknown) and what each of them makes of
 * a backend: U or D where it changes, else a point.
 */
static void assert_story(bool up, unsigned rise, unsigned fall, const char *results,
			 const char *changes)
{
	struct health health = { .up = up };
	char told[64] = "";

	for (unsigned i = 0; results[i]; i++) {
		enum result result = results[i] == 'u' ? RESULT_UP :
				     results[i] == 'w' ? RESULT_WARNING :
				     results[i] == 'd' ? RESULT_DOWN : RESULT_UNKNOWN;

		told[i] = !health_judge(&health, result, rise, fall) ? '.' : health.up ? 'U' : 'D';
	}
	assert_string_equal(told, changes);
}

static void the_first_result_tells(void **state)
{
	(void)state;
	assert_story(true, 2, 3, "d", "D");
	assert_story(true, 2, 3, "u", ".");
	assert_story(false, 2, 3, "u", "U");
	assert_story(false, 2, 3, "w", "U");
	assert_story(false, 2, 3, "d", ".");
	assert_story(true, 2, 3, "??d", "..D");
}

static void later_ones_have_to_agree(void **state)
{
	(void)state;
	assert_story(true, 2, 3, "udddduu", "...D..U");
	assert_story(true, 1, 1, "udud", ".DUD");
	assert_story(true, 2, 3, "uddudduddd", ".........D");
	assert_story(true, 2, 3, "uddwddwddd", ".........D");
	assert_story(false, 3, 2, "duudduuu", ".......U");
	assert_story(false, 2, 2, "dwu", "..U");
}

static void what_is_unknown_says_nothing(void **state)
{
	(void)state;
	assert_story(true, 2, 2, "ud????d", "......D");
	assert_story(true, 2, 2, "u?????", "......");
	assert_story(true, 2, 2, "?u", "..");
}

static void waits_are_about_the_interval(void **state)
{
	static const struct {
		__u32 interval;
		unsigned jitter;
		__u32 least, most;
	} cases[] = {
		{ 1000, 10, 900, 1100 },
		{ 1000, 0, 1000, 1000 },
		{ 100, 50, 50, 150 },
		{ 3600000, 50, 1800000, 5400000 },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		assert_int_equal(interval_jittered(cases[i].interval, cases[i].jitter, 0),
				 cases[i].least);
		assert_int_equal(interval_jittered(cases[i].interval, cases[i].jitter, ~0U),
				 cases[i].most);
		for (unsigned n = 0; n < 1000; n++)
			assert_in_range(interval_jittered(cases[i].interval, cases[i].jitter,
							  random32()),
					cases[i].least, cases[i].most);
	}
}

static void waits_are_the_interval_in_the_middle(void **state)
{
	__u64 sum = 0;

	(void)state;
	for (unsigned n = 0; n < 100000; n++)
		sum += interval_jittered(1000, 20, random32());
	assert_in_range(sum / 100000, 998, 1002);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_result_tells),
		cmocka_unit_test(later_ones_have_to_agree),
		cmocka_unit_test(what_is_unknown_says_nothing),
		cmocka_unit_test(waits_are_about_the_interval),
		cmocka_unit_test(waits_are_the_interval_in_the_middle),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("probe_health", tests, NULL, NULL);
}
