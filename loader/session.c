// SPDX-License-Identifier: GPL-2.0-only
/* The state as commands see it: opened, edited by several, written once. */
#include <errno.h>
#include <string.h>

#include "clock.h"
#include "link.h"
#include "neighbour.h"
#include "service.h"
#include "session.h"
#include "warn.h"

/* The state, or NULL after saying what the error of opening it means. */
static struct state *opened_or_tell(const struct args *args, struct state *state, int error)
{
	static const struct maps none;

	if (!error)
		return state;
	maps_fail(args, state ? &state->maps : &none, error);
	state_free(state);
	return NULL;
}

static struct state *open_or_tell(const struct context *context, const struct args *args,
				  enum maps_use use)
{
	struct state *state;
	int error = state_open(&state, context->pin, use);

	return opened_or_tell(args, state, error);
}

struct state *session_edit(struct context *context, const struct args *args)
{
	if (!context->state)
		context->state = open_or_tell(context, args, MAPS_CHANGE);
	return context->state;
}

struct state *session_view(struct context *context, const struct args *args)
{
	return open_or_tell(context, args, MAPS_LOOK);
}

enum status session_view_service(struct context *context, struct args *args,
				 struct state **state, struct service **only)
{
	struct keyword given[] = { SERVICE_KEYWORD, {} };
	struct endpoint unused;

	if (args_keywords(args, given) || service_argument(args, &given[0], &unused))
		return STATUS_USAGE;
	*state = session_view(context, args);
	if (!*state)
		return STATUS_REFUSED;
	if (service_filter(args, *state, &given[0], only))
		return STATUS_DONE;
	state_free(*state);
	return STATUS_REFUSED;
}

struct state *session_view_locked(struct context *context, const struct args *args)
{
	return open_or_tell(context, args, MAPS_LOOK_LOCKED);
}

struct state *session_blank(struct context *context, const struct args *args)
{
	struct state *state;
	int error = state_blank(&state, context->pin);

	return opened_or_tell(args, state, error);
}

enum status session_commit(struct context *context, const struct args *args)
{
	struct state *state = context->state;
	int error;

	if (!state)
		return STATUS_DONE;
	context->state = NULL;
	error = state_commit(state);
	if (error) {
		state_free(state);
		return args_fail(args, STATUS_REFUSED, "writing the maps: %s: stopped half-way, "
				 "run it again", strerror(-error));
	}
	context->step_at = state->step_due ? clock_milliseconds() + state->step_due : 0;
	neighbours_keep(state, !context->stepping);
	error = link_refresh(&state->maps);
	if (!context->stepping)
		warn_links(&state->maps);
	state_free(state);
	if (error)
		return args_fail(args, STATUS_REFUSED, "done, but not which links take frames: %s",
				 strerror(-error));
	return STATUS_DONE;
}

void session_drop(struct context *context)
{
	state_free(context->state);
	context->state = NULL;
}
