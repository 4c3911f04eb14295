// SPDX-License-Identifier: GPL-2.0-only
/* Tests of loader/probe_loop.c: timers in their order, descriptors, and neither in vain. */
#include <sys/epoll.h>

#include "probe_loop.h"
#include "unit.h"

#define TIMERS 500

static struct loop loop;
static struct timer timers[TIMERS];
static __u64 ran_at;
static unsigned ran;

/* Due now, but as if on a clock of the test's. */
static void timer_ran(void *context)
{
	struct timer *timer = context;

	assert_int_equal(timer->place, 0);
	assert_true(timer->at >= ran_at);
	ran_at = timer->at;
	ran++;
	loop.stop = !loop.timer_count;
}

static int begin(void **state)
{
	(void)state;
	ran = ran_at = 0;
	memset(timers, 0, sizeof(timers));
	for (unsigned i = 0; i < TIMERS; i++) {
		timers[i].run = timer_ran;
		timers[i].context = &timers[i];
	}
	return loop_open(&loop);
}

static int end(void **state)
{
	(void)state;
	loop_close(&loop);
	return 0;
}

static void timers_run_in_order(void **state)
{
	unsigned set = 0;

	(void)state;
	assert_int_equal(timer_reserve(&loop, TIMERS), 0);
	for (unsigned i = 0; i < 20000; i++) {
		struct timer *timer = &timers[random32() % TIMERS];

		set -= !!timer->place;
		if (random32() % 3) {
			timer_set(&loop, timer, random32() % 1000);
			set++;
		} else {
			timer_unset(&loop, timer);
		}
		assert_int_equal(loop.timer_count, set);
	}
	assert_int_equal(loop_run(&loop), 0);
	assert_int_equal(ran, set);
}

static void timers_wait(void **state)
{
	__u64 begun = loop_now();

	(void)state;
	assert_int_equal(timer_reserve(&loop, 2), 0);
	timer_set(&loop, &timers[0], begun + 30);
	timer_set(&loop, &timers[1], begun + 20);
	assert_int_equal(loop_run(&loop), 0);
	assert_true(loop_now() >= begun + 30);
	assert_int_equal(ran, 2);
}

static int files[2][2];

/* The first that is ready closes the other. */
static void pipe_ready(void *context, int file, __u32 events)
{
	int *other = context;

	assert_int_equal(events, EPOLLIN);
	loop_forget(&loop, file);
	loop_forget(&loop, *other);
	ran++;
}

static void what_is_forgotten_is_not_called(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(pipe(files[i]), 0);
		assert_int_equal(write(files[i][1], "x", 1), 1);
	}
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(loop_watch(&loop, files[i][0], EPOLLIN, pipe_ready,
					    &files[!i][0]), 0);
	assert_int_equal(timer_reserve(&loop, 1), 0);
	timer_set(&loop, &timers[0], loop_now() + 20);
	assert_int_equal(loop_run(&loop), 0);
	assert_int_equal(ran, 2);	/* one of them, and the timer */
	for (unsigned i = 0; i < 2; i++) {
		close(files[i][0]);
		close(files[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(timers_run_in_order, begin, end),
		cmocka_unit_test_setup_teardown(timers_wait, begin, end),
		cmocka_unit_test_setup_teardown(what_is_forgotten_is_not_called, begin, end),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("probe_loop", tests, NULL, NULL);
}
