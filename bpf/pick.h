/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a service and a flow to a backend.  The table decides; only where it has
 * lately changed does a flow's own record, or the slot's previous owner.
 */
#ifndef XLB_PICK_H
#define XLB_PICK_H

#include "event.h"
#include "record.h"

/* Odd constants with bits well spread (fractional parts of square roots of
 * primes), one for each word that is hashed. */
#define HASH_1 0x6a09e667f3bcc909ULL
#define HASH_2 0xbb67ae8584caa73bULL
#define HASH_3 0x3c6ef372fe94f82bULL
#define HASH_4 0xa54ff53a5f1d36f1ULL
#define HASH_5 0x510e527fade682d1ULL
#define HASH_6 0x9b05688c2b3e6c1fULL

union owner {
	__u32 word;
	struct xlb_slot slot;
};

struct choice {
	__u32 slot;		/* number within the service's table */
	__u32 hash;		/* what chose it */
	union owner owner;
	__u16 backend;		/* 0: nobody */
	__u16 record;		/* backend of the flow's record, usable or not */
	bool record_usable;
	bool recorded;		/* this packet made the flow's record */
	enum xlb_choice how;
};

static __always_inline struct xlb_target *target_at(__u32 backend)
{
	return bpf_map_lookup_elem(&xlb_targets, &backend);
}

static __always_inline bool target_live(__u32 backend)
{
	struct xlb_target *target = target_at(backend);

	return target && target->live;
}

/* Independent products, so that they run side by side; the fold brings the high
 * bits, which depend on all of the word, down to where the last product can
 * spread them again. */
static __always_inline __u64 hash_word(__u64 word, __u64 seed, __u64 constant)
{
	__u64 product = (word ^ seed) * constant;

	return product ^ product >> 32;
}

/* 32 well-mixed bits of the flow, or of the client's address alone.  A format: all
 * nodes that serve a VIP must agree on it, of whatever version they are. */
static __always_inline __u32 flow_hash(const union tuple *tuple, __u64 seed, enum xlb_hash kind,
				       const bool v6)
{
	const bool whole = kind != XLB_HASH_SOURCE;
	__u64 hash;

	if (v6) {
		/* One after the other: where networks and hosts are counted up
		 * together, the sum of two would be uneven. */
		hash = hash_word(tuple->word[0], seed, HASH_1);
		hash = hash_word(tuple->word[1] ^ hash, seed, HASH_2);
		if (whole)
			hash += hash_word(tuple->word[2], seed, HASH_3) +
				hash_word(tuple->word[3], seed, HASH_4) +
				hash_word(tuple->word[4], seed, HASH_5);
	} else if (whole) {
		hash = hash_word(tuple->word[0], seed, HASH_1) +
		       hash_word(tuple->word[1], seed, HASH_5);
	} else {
		hash = hash_word((__u32)tuple->word[0], seed, HASH_1);
	}
	return hash * HASH_6 >> 32;
}

static __always_inline void flow_record(const union tuple *tuple, struct choice *choice,
					const struct xlb_config *config, bool opening,
					const bool v6, __u64 now)
{
	struct xlb_target *target = target_at(choice->backend);
	struct xlb_flow flow = {
		.seen = now,
		.slot = choice->slot,
		.backend = choice->backend,
		.direction = XLB_FORWARD,
	};

	if (!target || (!opening && !record_allowed(config, now)))
		return;
	flow.generation = target->generation;
	record_put(tuple, &flow, v6, opening);
	choice->recorded = true;
}

/* May a packet go on to where this record leads? */
static __always_inline bool record_usable(const struct xlb_flow *flow, bool opening, __u32 now,
					  __u32 hz)
{
	struct xlb_target *target = target_at(flow->backend);

	return target && target->live && target->generation == flow->generation &&
	       record_fresh(flow, opening, now, hz);
}

/*
 * The owner of a marked slot's flow.  `older`: without a record it belongs to the
 * slot's previous owner.  `dry`: look, but record nothing.
 */
static __always_inline void pick_marked(const union tuple *tuple, struct choice *choice,
					const struct xlb_config *config, bool opening,
					bool older, const bool v6, const bool dry)
{
	__u64 now = bpf_jiffies64();
	struct xlb_flow *flow;
	bool embryonic;

	flow = record_find(tuple, v6, &embryonic);
	if (flow && flow->direction == XLB_FORWARD) {
		choice->record = flow->backend;
		choice->record_usable = record_usable(flow, opening, now, config->hz);
		if (choice->record_usable) {
			choice->backend = flow->backend;
			choice->how = XLB_CHOICE_RECORD;
			if (!dry)
				record_touch(tuple, flow, v6, embryonic, opening, now);
			return;
		}
	}
	if (older && target_live(choice->owner.slot.previous)) {
		choice->backend = choice->owner.slot.previous;
		choice->how = XLB_CHOICE_PREVIOUS;
	}
	if (!dry && choice->backend)
		flow_record(tuple, choice, config, opening, v6, now);
}

/* What a called function can answer with. */
union picked {
	__u64 word;
	struct {
		__u16 backend;
		bool recorded;
	};
};

/* UDP does not say when a flow begins: until the settle time is over it is taken to
 * be older than the change, afterwards to be new. */
static __always_inline bool flow_older(const struct xlb_service *service, __u8 protocol,
				       bool opening)
{
	return protocol == XLB_UDP ? bpf_jiffies64() < service->settle_until : !opening;
}

static __always_inline __u64 pick_recorded_in(struct xdp_md *ctx, __u64 shape, __u32 slot,
					      __u32 owner, bool older, const bool v6)
{
	struct xlb_config *config = config_current();
	struct choice choice = { .slot = slot, .owner.word = owner };
	union picked picked = {};
	struct packet p = {};
	union tuple tuple;

	choice.backend = choice.owner.slot.current;
	if (config && packet_find(&p, ctx, shape, v6)) {
		tuple_of(&tuple, &p, v6);
		pick_marked(&tuple, &choice, config, packet_opens(&p), older, v6, false);
	}
	picked.backend = choice.backend;
	picked.recorded = choice.recorded;
	return picked.word;
}

/* A packet of a marked slot: union picked. */
__noinline __u64 pick_recorded(struct xdp_md *ctx, __u64 shape, __u32 slot, __u32 owner,
			       bool older)
{
	union shape of = { .word = shape };

	return of.flags & SHAPE_V6 ? pick_recorded_in(ctx, shape, slot, owner, older, true)
				   : pick_recorded_in(ctx, shape, slot, owner, older, false);
}

/* Who would get the flow if all slots were unmarked; 0 in choice->backend: nobody. */
static __always_inline void pick_slot(const union tuple *tuple, struct choice *choice,
				      const struct xlb_config *config,
				      const struct xlb_service *service, const bool v6)
{
	union {
		__u64 word;
		struct xlb_table table;
	} place = { .word = *(const volatile __u64 *)&service->table };
	__u32 number, value;
	struct xlb_slots *slots;

	choice->hash = flow_hash(tuple, config->seed, service->hash, v6);
	choice->slot = (__u64)choice->hash * place.table.size >> 32;
	number = place.table.first + choice->slot;
	value = number / XLB_SLOTS_PER_VALUE;
	slots = bpf_map_lookup_elem(&xlb_slots, &value);
	if (unlikely(!slots))
		return;
	choice->owner.word = *(volatile __u32 *)&slots->slot[number % XLB_SLOTS_PER_VALUE];
	choice->backend = choice->owner.slot.current;
	choice->how = XLB_CHOICE_TABLE;
}

/* Completes pick_slot()'s choice: this packet makes or confirms its flow's record
 * if need be.  An error does not: anybody can send one. */
static __always_inline void pick(const struct packet *p, const union tuple *tuple,
				 struct choice *choice, const struct xlb_config *config,
				 const struct xlb_service *service, const bool v6)
{
	union picked picked;

	if (likely(!choice->owner.slot.previous))
		return;
	if (packet_is_error(p)) {
		pick_marked(tuple, choice, config, false,
			    flow_older(service, p->shape.protocol, false), v6, true);
		return;
	}
	picked.word = pick_recorded(p->ctx, p->shape.word, choice->slot, choice->owner.word,
				    flow_older(service, p->shape.protocol, packet_opens(p)));
	choice->backend = picked.backend;
	choice->recorded = picked.recorded;
	event_flow(p->ctx, choice->backend, choice->recorded);
}

/* The same where mode nat has a record of each flow, whatever its slot. */
static __always_inline void pick_nat_dry(const union tuple *tuple, struct choice *choice,
					 const struct xlb_config *config, bool opening,
					 const bool v6)
{
	struct xlb_flow *flow;
	bool embryonic;

	flow = record_find(tuple, v6, &embryonic);
	if (!flow || flow->direction != XLB_NAT_FORWARD)
		return;
	choice->record = flow->backend;
	choice->record_usable = record_usable(flow, opening, bpf_jiffies64(), config->hz) &&
				!(opening && record_closed(flow));
	if (!choice->record_usable)
		return;
	choice->backend = flow->backend;
	choice->how = XLB_CHOICE_RECORD;
}

/* The backend that a packet of this flow would get now. */
static __always_inline void pick_dry(const union tuple *tuple, struct choice *choice,
				     const struct xlb_config *config,
				     const struct xlb_service *service, bool opening,
				     const bool v6)
{
	pick_slot(tuple, choice, config, service, v6);
	if (choice->owner.slot.previous)
		pick_marked(tuple, choice, config, opening,
			    flow_older(service, tuple_protocol(tuple, v6), opening), v6, true);
	if (service->mode == XLB_NAT)
		pick_nat_dry(tuple, choice, config, opening, v6);
	if (!choice->backend)
		choice->how = XLB_CHOICE_NO_BACKEND;
}

#endif
