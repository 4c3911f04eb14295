// SPDX-License-Identifier: GPL-2.0-only
/*
 * Slow start: how much of the weight of a backend counts that has come up again.
 *
 * A tenth at once, the rest in nine steps until the service's warmup is over.  Which
 * step it is depends on the time alone, so whoever commits anything takes what is due.
 */
#include "clock.h"
#include "state.h"

#define STEPS 9

bool backend_up(const struct xlb_backend *value)
{
	return value->admin == XLB_UP && value->health == XLB_UP;
}

/* Steps not taken yet, which are tenths of the weight; 0 once warm. */
static __u8 cold_at(const struct state *state, const struct service *service, __u64 since,
		    __u64 now)
{
	__u64 warmup = (__u64)service->value.warmup * state->config.hz;
	__u64 elapsed = now > since ? now - since : 0;

	return elapsed < warmup ? STEPS - elapsed * STEPS / warmup : 0;
}

/* Since when the backend warms up; 0: it does not. */
static __u64 warming_since(const struct backend *backend, __u64 now)
{
	if (!backend->service->value.warmup || !backend_up(&backend->value))
		return 0;
	return backend->written && !backend->stood_up ? now : backend->value.recovered;
}

/* What is left of the step that the backend is at counts for state->step_due. */
static void step_await(struct state *state, const struct backend *backend, __u64 now)
{
	const struct xlb_backend *value = &backend->value;
	__u64 warmup = (__u64)backend->service->value.warmup * state->config.hz;
	__u64 end = value->recovered + (warmup * (STEPS + 1 - value->cold) + STEPS - 1) / STEPS;
	__u32 left = ((end - now) * 1000 + state->config.hz - 1) / state->config.hz;

	if (!state->step_due || left < state->step_due)
		state->step_due = left;
}

static void backend_warm(struct state *state, struct backend *backend, __u64 now)
{
	struct xlb_backend *value = &backend->value;
	__u64 since = warming_since(backend, now);
	__u8 cold = since ? cold_at(state, backend->service, since, now) : 0;

	if (!cold)
		since = 0;
	if (value->recovered != since || value->cold != cold) {
		value->recovered = since;
		value->cold = cold;
		state_backend_touch(backend);
	}
	if (cold)
		step_await(state, backend, now);
}

/* Is the time needed? */
static bool anybody_warms(const struct state *state)
{
	for (unsigned i = 0; i < state->count; i++)
		for (const struct backend *backend = state->list[i]->backends; backend;
		     backend = backend->next)
			if (backend->value.recovered || warming_since(backend, 1))
				return true;
	return false;
}

int state_warm(struct state *state)
{
	__u64 now;
	int error;

	if (!anybody_warms(state))
		return 0;
	error = clock_jiffies(&now);
	for (unsigned i = 0; !error && i < state->count; i++)
		for (struct backend *backend = state->list[i]->backends; backend;
		     backend = backend->next)
			backend_warm(state, backend, now);
	return error;
}
