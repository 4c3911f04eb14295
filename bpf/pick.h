/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a service and a flow to a backend.  The table decides; only where it has
 * lately changed does a flow's own record, or the slot's previous owner.
 */
#ifndef XLB_PICK_H
#define XLB_PICK_H

#include "record.h"

/* Odd constants with bits well spread (fractional parts of square roots of
 * primes), one for each word that is hashed. */
#define HASH_1 0x6a09e667f3bcc909ULL
#define HASH_2 0xbb67ae8584caa73bULL
#define HASH_3 0x3c6ef372fe94f82bULL
#define HASH_4 0xa54ff53a5f1d36f1ULL
#define HASH_5 0x510e527fade682d1ULL
#define HASH_6 0x9b05688c2b3e6c1fULL

struct choice {
	__u32 slot;		/* number within the service's table */
	struct xlb_slot owner;
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
		hash = hash_word(tuple->word[0], seed, HASH_1) +
		       hash_word(tuple->word[1], seed, HASH_2);
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

static __always_inline void flow_record(const union tuple *tuple, const struct packet *p,
					const struct xlb_config *config,
					struct choice *choice, const bool v6, __u64 now)
{
	struct xlb_target *target = target_at(choice->backend);
	struct xlb_flow flow = {
		.seen = now,
		.slot = choice->slot,
		.backend = choice->backend,
		.direction = XLB_FORWARD,
	};

	if (!target || (!p->opening && !record_allowed(config, now)))
		return;
	flow.generation = target->generation;
	record_put(tuple, &flow, v6, p->opening);
	choice->recorded = true;
}

/* Who of the two owners a flow without a usable record belongs to. */
static __always_inline void pick_owner(const struct packet *p, const struct xlb_service *service,
				       struct choice *choice, __u64 now)
{
	bool older = !p->opening;

	/* UDP does not say when a flow begins: until the settle time is over it
	 * is taken to be older, afterwards to be new. */
	if (p->protocol == XLB_UDP)
		older = now < service->settle_until;
	if (older && target_live(choice->owner.previous)) {
		choice->backend = choice->owner.previous;
		choice->how = XLB_CHOICE_PREVIOUS;
	}
}

static __always_inline void pick_marked(const struct packet *p, const struct xlb_config *config,
					const struct xlb_service *service,
					const union tuple *tuple, struct choice *choice,
					const bool v6, const bool dry, __u64 now)
{
	struct xlb_target *target;
	struct xlb_flow *flow;
	bool embryonic;

	flow = record_find(tuple, v6, &embryonic);
	if (flow && flow->direction == XLB_FORWARD) {
		choice->record = flow->backend;
		target = target_at(flow->backend);
		choice->record_usable = target && target->live &&
					target->generation == flow->generation &&
					record_fresh(flow, p->opening, now, config->hz);
		if (choice->record_usable) {
			choice->backend = flow->backend;
			choice->how = XLB_CHOICE_RECORD;
			if (!dry)
				record_touch(tuple, flow, v6, embryonic, p->opening, now);
			return;
		}
	}
	pick_owner(p, service, choice, now);
	if (!dry && choice->backend)
		flow_record(tuple, p, config, choice, v6, now);
}

/* `dry`: look, but record nothing. */
static __always_inline void pick(const struct packet *p, const struct xlb_config *config,
				 const struct xlb_service *service, struct choice *choice,
				 const bool v6, const bool dry, __u64 now)
{
	union {
		__u64 word;
		struct xlb_table table;
	} place = { .word = *(const volatile __u64 *)&service->table };
	union {
		__u32 word;
		struct xlb_slot owner;
	} slot;
	__u32 number, value;
	struct xlb_slots *slots;
	union tuple tuple;

	tuple_of(&tuple, p, v6);
	choice->slot = (__u64)flow_hash(&tuple, config->seed, service->hash, v6) * place.table.size >> 32;
	number = place.table.first + choice->slot;
	value = number / XLB_SLOTS_PER_VALUE;
	slots = bpf_map_lookup_elem(&xlb_slots, &value);
	if (unlikely(!slots))
		return;
	slot.word = *(volatile __u32 *)&slots->slot[number % XLB_SLOTS_PER_VALUE];
	choice->owner = slot.owner;
	choice->backend = slot.owner.current;
	choice->how = XLB_CHOICE_TABLE;
	if (unlikely(slot.owner.previous))
		pick_marked(p, config, service, &tuple, choice, v6, dry, now);
	if (unlikely(!choice->backend))
		choice->how = XLB_CHOICE_NO_BACKEND;
}

#endif
