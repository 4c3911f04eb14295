// SPDX-License-Identifier: GPL-2.0-only
/* Tests of loader/probe_loop.c: timers in their order, descriptors, and neither in vain. */
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/time.h>

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

#define CROWD 600	/* more than are taken at once */

static int crowd[CROWD];
static unsigned met;

/* Ready or not; what is, stays so. */
static void crowd_watch(loop_ready *ready, unsigned full)
{
	met = 0;
	for (unsigned i = 0; i < CROWD; i++) {
		crowd[i] = eventfd(full, 0);
		assert_true(crowd[i] >= 0);
		assert_int_equal(loop_watch(&loop, crowd[i], EPOLLIN, ready, NULL), 0);
	}
}

static void crowd_close(void)
{
	for (unsigned i = 0; i < CROWD; i++)
		close(crowd[i]);
}

static void crowd_ready(void *context, int file, __u32 events)
{
	(void)context;
	(void)events;
	loop_forget(&loop, file);
	met++;
}

/* Its time was over before the loop ran. */
static void late_timer_set(void)
{
	assert_int_equal(timer_reserve(&loop, 1), 0);
	timer_set(&loop, &timers[0], loop_now() - 1000);
}

static void what_has_come_goes_before_timers(void **state)
{
	(void)state;
	crowd_watch(crowd_ready, 1);
	late_timer_set();
	assert_int_equal(loop_run(&loop), 0);
	assert_int_equal(ran, 1);
	assert_int_equal(met, CROWD);
	crowd_close();
}

/* In the midst of waiting, until what was waited for is over. */
static void stand_still(int number)
{
	const __u64 one = 1;

	(void)number;
	poll(NULL, 0, 150);
	for (unsigned i = 0; i < CROWD; i++)
		(void)!write(crowd[i], &one, sizeof(one));
}

static void what_comes_with_a_signal_goes_before_timers(void **state)
{
	const struct itimerval soon = { .it_value.tv_usec = 10000 };

	(void)state;
	crowd_watch(crowd_ready, 0);
	assert_int_equal(timer_reserve(&loop, 1), 0);
	timer_set(&loop, &timers[0], loop_now() + 100);
	signal(SIGALRM, stand_still);
	assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
	assert_int_equal(loop_run(&loop), 0);
	signal(SIGALRM, SIG_DFL);
	assert_int_equal(ran, 1);
	assert_int_equal(met, CROWD);
	crowd_close();
}

static void crowd_stays(void *context, int file, __u32 events)
{
	(void)context;
	(void)file;
	(void)events;
	met++;
}

static void what_stays_ready_does_not_stop_timers(void **state)
{
	(void)state;
	crowd_watch(crowd_stays, 1);
	late_timer_set();
	alarm(10);
	assert_int_equal(loop_run(&loop), 0);
	alarm(0);
	assert_int_equal(ran, 1);
	assert_true(met >= CROWD);
	crowd_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(timers_run_in_order, begin, end),
		cmocka_unit_test_setup_teardown(timers_wait, begin, end),
		cmocka_unit_test_setup_teardown(what_is_forgotten_is_not_called, begin, end),
		cmocka_unit_test_setup_teardown(what_has_come_goes_before_timers, begin, end),
		cmocka_unit_test_setup_teardown(what_comes_with_a_signal_goes_before_timers,
						begin, end),
		cmocka_unit_test_setup_teardown(what_stays_ready_does_not_stop_timers, begin, end),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("probe_loop", tests, NULL, NULL);
}
