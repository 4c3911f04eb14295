// SPDX-License-Identifier: GPL-2.0-only
/* The records that the packet path keeps of single flows. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>

#include "clock.h"
#include "record.h"

static void record_ends(struct record *record, const void *key, bool v6)
{
	const struct xlb_tuple6 *tuple6 = key;
	const struct xlb_tuple4 *tuple4 = key;

	if (v6) {
		memcpy(record->from.address, tuple6->source, 16);
		memcpy(record->to.address, tuple6->destination, 16);
		record->from.port = tuple6->source_port;
		record->to.port = tuple6->destination_port;
		record->to.protocol = tuple6->protocol;
	} else {
		address_from4(record->from.address, tuple4->source);
		address_from4(record->to.address, tuple4->destination);
		record->from.port = tuple4->source_port;
		record->to.port = tuple4->destination_port;
		record->to.protocol = tuple4->protocol;
	}
	record->from.protocol = record->to.protocol;
}

static void record_resolve(const struct state *state, struct record *record)
{
	__u16 id = record->flow->backend;

	if (id < state->maps.entries[MAP_TARGETS] &&
	    state->targets[id].generation == record->flow->generation)
		record->backend = state->by_id[id];
	if (record->flow->direction == XLB_FORWARD || record->flow->direction == XLB_NAT_FORWARD)
		record->service = state_service_match(state, &record->to);
	else if (record->backend)
		record->service = record->backend->service;
}

/* May the record that is there now still be deleted because of the one that was read? */
static bool record_same(struct xlb_flow *now, const struct xlb_flow *read, enum record_fate fate)
{
	/* What each packet may change. */
	if (fate == RECORD_GOES) {
		now->seen = read->seen;
		now->closing = read->closing;
	}
	return !memcmp(now, read, sizeof(*now));
}

static int record_delete(int map, const void *key, const struct xlb_flow *read,
			 enum record_fate fate)
{
	struct xlb_flow now;
	int error = bpf_map_lookup_elem(map, key, &now);

	if (!error && !record_same(&now, read, fate))
		return 0;
	error = error ?: bpf_map_delete_elem(map, key);
	/* The map may have dropped it itself. */
	return error == -ENOENT ? 0 : error;
}

static int record_each_of(const struct state *state, enum map map,
			  enum record_fate (*visit)(const struct state *,
						    const struct record *, void *),
			  void *context)
{
	bool v6 = map == MAP_FLOWS6 || map == MAP_EMBRYOS6;
	size_t size = v6 ? sizeof(struct xlb_tuple6) : sizeof(struct xlb_tuple4);
	struct xlb_flow *flows;
	unsigned count;
	char *keys;
	int error = map_read(&state->maps, map, (void **)&keys, (void **)&flows, &count);

	for (unsigned i = 0; !error && i < count; i++) {
		struct record record = {
			.flow = &flows[i],
			.embryonic = map == MAP_EMBRYOS4 || map == MAP_EMBRYOS6,
		};
		enum record_fate fate;

		record_ends(&record, keys + i * size, v6);
		record_resolve(state, &record);
		fate = visit(state, &record, context);
		if (fate != RECORD_STAYS)
			error = record_delete(state->maps.fd[map], keys + i * size, &flows[i],
					      fate);
	}
	free(keys);
	free(flows);
	return error;
}

int record_each(const struct state *state,
		enum record_fate (*visit)(const struct state *, const struct record *, void *),
		void *context)
{
	static const enum map maps[] = { MAP_FLOWS4, MAP_FLOWS6, MAP_EMBRYOS4, MAP_EMBRYOS6 };
	int error = 0;

	for (unsigned i = 0; !error && i < sizeof(maps) / sizeof(maps[0]); i++)
		error = record_each_of(state, maps[i], visit, context);
	return error;
}

__u32 record_silence(const struct record *record, __u64 now)
{
	__u32 silence = (__u32)now - record->flow->seen;

	/* A packet may have come since. */
	return silence < 0xffff0000 ? silence : 0;
}

/* Mode nat has a record of every flow, for as long as that may go on. */
static bool record_is_nat(const struct record *record)
{
	return record->flow->direction == XLB_NAT_FORWARD ||
	       record->flow->direction == XLB_NAT_REPLY;
}

static bool record_closed(const struct record *record)
{
	const enum xlb_closing both = XLB_CLOSING_CLIENT | XLB_CLOSING_BACKEND;

	return record->flow->closing & XLB_CLOSING_RESET ||
	       (record->flow->closing & both) == both;
}

/* An unmarked slot has no records: the next mark must not find old ones. */
static bool record_unmarked(const struct state *state, const struct record *record)
{
	const struct service *service = record->service;

	return record->flow->direction == XLB_FORWARD &&
	       (record->flow->slot >= service->value.table.size ||
		!state_slots(state, service)[record->flow->slot].previous);
}

static bool record_lost(const struct state *state, const struct record *record)
{
	return !record->service || !record->backend ||
	       (record->flow->direction == XLB_REPLY &&
		!state->targets[record->backend->value.id].by_flow);
}

static enum record_fate record_judge(const struct state *state, const struct record *record,
				     void *context)
{
	const struct service *service = record->service;
	const __u64 *now = context;

	if (record_lost(state, record))
		return RECORD_GOES;
	if (record_is_nat(record) != (service->value.mode == XLB_NAT))
		return RECORD_GOES;
	if (service->flush)
		return RECORD_GOES;
	if (!service->collect)
		return RECORD_STAYS;
	if (record_unmarked(state, record))
		return RECORD_GOES;
	if (record_closed(record) &&
	    record_silence(record, *now) > XLB_CLOSED_SECONDS * state->config.hz)
		return RECORD_EXPIRES;
	if (record_silence(record, *now) > state->config.idle * state->config.hz)
		return RECORD_EXPIRES;
	return RECORD_STAYS;
}

int record_collect(const struct state *state)
{
	__u64 now;
	int error = clock_jiffies(&now);

	return error ?: record_each(state, record_judge, &now);
}

static enum record_fate record_judge_lost(const struct state *state, const struct record *record,
					  void *context)
{
	(void)context;
	return record_lost(state, record) ? RECORD_GOES : RECORD_STAYS;
}

int record_collect_lost(const struct state *state)
{
	return record_each(state, record_judge_lost, NULL);
}
