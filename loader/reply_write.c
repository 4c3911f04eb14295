// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writing whose the packets of backends are, such that it is true at any time of all
 * flows: before a change also for what it brings, and afterwards for what it leaves.
 *
 * Where a reply asks records, all flows it could be of are recorded: so targets change
 * first on the way there, and last on the way back.
 */
#include "clock.h"
#include "record.h"
#include "reply.h"
#include "write.h"

static int target_begin(struct state *state, const struct backend *backend, bool *changed)
{
	__u16 id = backend->value.id;

	if (!backend->written)
		return write_target(state, backend);
	if (!backend->by_flow || state->targets[id].by_flow)
		return 0;
	*changed = true;
	return write_by_flow(state, id, true);
}

static int targets_begin(struct state *state, bool *changed)
{
	const struct backend *backend;
	int error = 0;

	for (unsigned i = 0; !error && i < state->count; i++)
		for (backend = state->list[i]->backends; !error && backend; backend = backend->next)
			error = target_begin(state, backend, changed);
	for (backend = state->deleted_backends; !error && backend; backend = backend->next)
		error = target_begin(state, backend, changed);
	return error;
}

/* What begins to ask records must not find one that a dead writer has left. */
static bool replies_begin_to_ask(const struct state *state)
{
	for (unsigned i = 0; i < state->reply_count; i++)
		if (state->replies[i].wanted.by_flow && !state->replies[i].stands.by_flow)
			return true;
	return false;
}

static int replies_write(struct state *state, bool *changed)
{
	int error = 0;

	for (unsigned i = 0; !error && i < state->reply_count; i++) {
		struct reply *reply = &state->replies[i];

		if (!reply_differs(reply))
			continue;
		*changed |= reply->stands.backend;
		error = write_reply(state, reply);
	}
	return error;
}

int replies_write_meanwhile(struct state *state)
{
	bool changed = false;
	int error = replies_plan(state, REPLY_MEANWHILE);

	error = error ?: targets_begin(state, &changed);
	if (!error && replies_begin_to_ask(state))
		error = record_collect_lost(state);
	error = error ?: replies_write(state, &changed);
	return error || !changed ? error : clock_grace();
}

int replies_write_afterwards(struct state *state, bool *changed)
{
	int error = replies_plan(state, REPLY_AFTERWARDS);

	error = error ?: replies_write(state, changed);
	for (__u32 id = 1; !error && id < state->maps.entries[MAP_TARGETS]; id++) {
		const struct backend *backend = state->by_id[id];

		if (!state->targets[id].by_flow || !backend || backend->by_flow)
			continue;
		*changed = state->untold = true;
		error = write_by_flow(state, id, false);
	}
	for (const struct backend *backend = state->deleted_backends; backend;
	     backend = backend->next)
		state->untold |= state->targets[backend->value.id].by_flow;
	return error;
}
