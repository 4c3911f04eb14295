// SPDX-License-Identifier: GPL-2.0-only
/* xlb flow: the records of single flows, and the marks that call for them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "record.h"
#include "service.h"
#include "session.h"

/* What a walk over the records is for. */
struct walk {
	struct output *output;
	struct service *only;	/* NULL: all */
	__u64 now;
	__u64 records, embryonic, replies, gone;	/* counted */
};

static bool record_replies(const struct record *record)
{
	return record->flow->direction == XLB_REPLY ||
	       record->flow->direction == XLB_NAT_REPLY;
}

/* An address that a record holds, of the family of its ends. */
static void recorded_address(const struct record *record, __u8 *address, const __u8 *bytes)
{
	if (address_is4(record->from.address))
		address_from4(address, bytes);
	else
		memcpy(address, bytes, 16);
}

/* The flow as its client sees it, whichever way the record runs. */
static void flow_ends(const struct record *record, struct endpoint *client,
		      struct endpoint *vip)
{
	const struct xlb_flow *flow = record->flow;

	*client = record->from;
	*vip = record->to;
	if (!record_replies(record))
		return;
	*client = record->to;
	vip->port = flow->port;
	recorded_address(record, vip->address, flow->address);
	if (flow->direction == XLB_NAT_REPLY) {
		client->port = flow->client_port;
		recorded_address(record, client->address, flow->client);
	}
}

/* Mode nat: whom the backend takes the flow's packets to be from. */
static void source_print(struct output *output, const struct record *record)
{
	struct endpoint source = record->to;
	char text[ENDPOINT_TEXT];

	if (record->flow->direction == XLB_NAT_FORWARD) {
		source.port = record->flow->port;
		recorded_address(record, source.address, record->flow->address);
	} else if (record->flow->direction != XLB_NAT_REPLY) {
		return;
	}
	output_string(output, "source", backend_text(&source, text));
}

static void record_print(struct walk *walk, const struct state *state,
			 const struct record *record)
{
	struct endpoint client, vip;
	char text[ENDPOINT_TEXT];

	flow_ends(record, &client, &vip);
	output_line(walk->output, 0);
	output_object(walk->output, NULL);
	output_subject(walk->output, "client", backend_text(&client, text));
	output_string(walk->output, "to", service_text(&vip, text));
	output_string(walk->output, "backend",
		      record->backend ? backend_text(&record->backend->end, text) : NULL);
	source_print(walk->output, record);
	output_string(walk->output, "direction", record_replies(record) ? "reply" : "forward");
	if (!record_replies(record))
		output_number(walk->output, "slot", record->flow->slot);
	output_number(walk->output, "silent",
		      record_silence(record, walk->now) / state->config.hz);
	output_flag(walk->output, "embryonic", record->embryonic);
	output_flag(walk->output, "gone", !record->backend);
	output_close(walk->output);
}

static enum record_fate record_show(const struct state *state, const struct record *record,
				    void *context)
{
	struct walk *walk = context;

	if (!walk->only || walk->only == record->service)
		record_print(walk, state, record);
	return RECORD_STAYS;
}

static enum record_fate record_count(const struct state *state, const struct record *record,
				     void *context)
{
	struct walk *walk = context;

	(void)state;
	if (walk->only && walk->only != record->service)
		return RECORD_STAYS;
	walk->records++;
	walk->embryonic += record->embryonic;
	walk->replies += record_replies(record);
	walk->gone += !record->backend;
	return RECORD_STAYS;
}

static int records_show(struct walk *walk, const struct state *state)
{
	int error;

	output_list(walk->output, NULL);
	error = record_each(state, record_show, walk);
	output_close(walk->output);
	return error;
}

/* Packets that were forwarded without a record they should have had. */
static int refused_count(const struct state *state, __u64 *refused)
{
	struct xlb_budget *budgets;
	unsigned count;
	int error = map_read_percpu(&state->maps, MAP_BUDGET, 0, (void **)&budgets, &count);

	*refused = 0;
	for (unsigned i = 0; !error && i < count; i++)
		*refused += budgets[i].refused;
	free(budgets);
	return error;
}

static int records_count(struct walk *walk, const struct state *state)
{
	struct output *output = walk->output;
	__u64 marked = 0, refused;
	int error = record_each(state, record_count, walk);

	error = error ?: refused_count(state, &refused);
	if (error)
		return error;
	for (unsigned i = 0; i < state->count; i++)
		if (!walk->only || walk->only == state->list[i])
			marked += service_marks(state, state->list[i]);
	output_line(output, 0);
	output_object(output, NULL);
	output_number(output, "records", walk->records);
	output_number(output, "embryonic", walk->embryonic);
	output_number(output, "reply", walk->replies);
	output_number(output, "gone", walk->gone);
	output_number(output, "marked", marked);
	output_number(output, "refused", refused);
	output_close(output);
	return 0;
}

static enum status walk_run(struct context *context, struct args *args,
			    int (*walk_state)(struct walk *walk, const struct state *state))
{
	struct walk walk = { .output = &context->output };
	struct state *state;
	enum status status;
	int error;

	status = session_view_service(context, args, &state, &walk.only);
	if (status)
		return status;
	error = clock_jiffies_about(&walk.now);
	error = error ?: walk_state(&walk, state);
	if (error)
		status = args_fail(args, STATUS_REFUSED, "records: %s", strerror(-error));
	state_free(state);
	return status;
}

static enum status cmd_show(struct context *context, struct args *args)
{
	return walk_run(context, args, records_show);
}

static enum status cmd_count(struct context *context, struct args *args)
{
	return walk_run(context, args, records_count);
}

/* The records go when the state is written. */
static enum status drop_run(struct context *context, struct args *args, bool flush)
{
	struct keyword given[] = { SERVICE_KEYWORD, {} };
	struct endpoint unused;
	struct service *only;
	struct state *state;

	if (args_keywords(args, given) || service_argument(args, &given[0], &unused))
		return STATUS_USAGE;
	state = session_edit(context, args);
	if (!state || !service_filter(args, state, &given[0], &only))
		return STATUS_REFUSED;
	for (unsigned i = 0; i < state->count; i++) {
		if (only && only != state->list[i])
			continue;
		state->list[i]->collect = true;
		state->list[i]->flush |= flush;
	}
	return STATUS_DONE;
}

static enum status cmd_gc(struct context *context, struct args *args)
{
	return drop_run(context, args, false);
}

/* On its own: a slot that is newly marked in the same stage must keep the records
 * that packets have made since. */
static enum status cmd_flush(struct context *context, struct args *args)
{
	enum status status = session_commit(context, args);

	if (!status)
		status = drop_run(context, args, true);
	return status ? status : session_commit(context, args);
}

static const struct command commands[] = {
	{ "show", cmd_show, false },
	{ "count", cmd_count, false },
	{ "gc", cmd_gc, true },
	{ "flush", cmd_flush, true },
	{},
};

const struct object flow_object = {
	.name = "flow",
	.usage = "xlb flow [ { show | count | gc | flush } [ service SERVICE ] ]\n"
		 "gc drops what is not needed any more; flush drops all, and breaks the\n"
		 "connections that the records keep\n",
	.commands = commands,
};
