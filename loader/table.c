// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who owns which slot of a service: weighted Maglev over what is configured
 * ("Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016),
 * and weighted rendezvous hashing for the slots of those that are not up.
 *
 * What follows is a format.  Nodes of different versions, byte order or word
 * size must agree on it, so all of it is integer arithmetic; a change breaks
 * every cluster that is upgraded node by node, and the unit test.
 *
 *   mix(x)     one-to-one on 64 bits, below
 *   key        mix(mix(mix(a) ^ b) ^ port), where a and b are the first and the
 *              last 8 bytes of the address, most significant byte first
 *   members    backends with a weight, in order of address, then port
 *   quota      share(weights up to and with its own) - share(weights before it),
 *              where share(w) = size * w / (sum of all weights), rounded down
 *   walk       offset, offset + skip, offset + 2 * skip, ... modulo size, with
 *              offset = mix(key + STRIDE) % size
 *              skip = mix(key + 2 * STRIDE) % (size - 1) + 1
 *   rounds     size / members + 1; in round r the members in turn claim the next
 *              free slots of their walks, until each has quota * r / rounds,
 *              rounded to the nearest, half up
 *   kept       a slot whose owner is up and, of `cold` tenths, is cold: if the lower
 *              32 bits of mix(key ^ mix(slot)), times 10 / 2^32, are below 10 - cold
 *   heir       of a slot that is not kept: the member that is up with the least
 *              cost(mix(key ^ mix(slot)) >> 32) / (weight * (10 - cold)), the first
 *              of equals
 *
 * A cold owner is among the heirs of its own slots.  With w its weight, W that of all
 * and f its warmth it has f of its w / W, and of the rest f w / (W - w + f w): together
 * f w / (W - w + f w), as if it weighed f w.
 *
 *   cost(h)    -log2((h + 1) / 2^32), with 32 bits of fraction, below
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"

/* 2^64 divided by the golden ratio: far apart whatever it is added to. */
#define STRIDE 0x9e3779b97f4a7c15ULL

/* A backend that owns slots. */
struct member {
	const struct table_backend *backend;
	__u64 key;
	__u32 position;		/* where its walk stands */
	__u32 skip;
	__u32 quota;
	__u32 claimed;
};

/* Tenths of a weight. */
#define WARM 10U

/* A member that is up, small because a hand-over runs over all of them per slot. */
struct heir {
	__u64 key;
	__u32 weight;
	__u16 id;
};

bool table_size_valid(__u32 size)
{
	if (size < XLB_TABLE_MIN || size > XLB_TABLE_MAX || size % 2 == 0)
		return false;
	for (__u32 divisor = 3; divisor * divisor <= size; divisor += 2)
		if (size % divisor == 0)
			return false;
	return true;
}

/* The output function of splitmix64 (Steele, Lea, Flood, OOPSLA 2014). */
static __u64 mix(__u64 x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static __u64 word(const __u8 *bytes)
{
	__u64 value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | bytes[i];
	return value;
}

static __u64 backend_key(const struct table_backend *backend)
{
	__u64 key = mix(word(backend->address));

	key = mix(key ^ word(backend->address + 8));
	return mix(key ^ backend->port);
}

static int member_compare(const void *a, const void *b)
{
	const struct table_backend *left = ((const struct member *)a)->backend;
	const struct table_backend *right = ((const struct member *)b)->backend;
	int order = memcmp(left->address, right->address, sizeof(left->address));

	return order ? order : (int)left->port - right->port;
}

/* Fills in all of a member but its backend; the quotas add up to `size`. */
static void members_prepare(struct member *members, unsigned count, __u32 size)
{
	__u64 total = 0, before = 0;

	for (unsigned i = 0; i < count; i++)
		total += members[i].backend->weight;
	for (unsigned i = 0; i < count; i++) {
		struct member *member = &members[i];
		__u64 with = before + member->backend->weight;

		member->key = backend_key(member->backend);
		member->position = mix(member->key + STRIDE) % size;
		member->skip = mix(member->key + 2 * STRIDE) % (size - 1) + 1;
		member->quota = with * size / total - before * size / total;
		member->claimed = 0;
		before = with;
	}
}

/* Owners are numbers of members, from 1, until they are translated to ids. */
static void slot_claim(struct member *member, __u16 number, __u32 size, __u16 *owners)
{
	while (owners[member->position]) {
		member->position += member->skip;
		if (member->position >= size)
			member->position -= size;
	}
	owners[member->position] = number;
	member->claimed++;
}

/* Ends with no slot free, because the quotas add up to `size`. */
static void slots_share(struct member *members, unsigned count, __u32 size, __u16 *owners)
{
	__u32 rounds = size / count + 1;

	memset(owners, 0, size * sizeof(*owners));
	for (__u32 round = 1; round <= rounds; round++) {
		for (unsigned i = 0; i < count; i++) {
			__u64 twice = 2ULL * members[i].quota * round;
			__u32 due = (twice + rounds) / (2ULL * rounds);

			while (members[i].claimed < due)
				slot_claim(&members[i], i + 1, size, owners);
		}
	}
}

/*
 * -log2((hash + 1) / 2^32), 0 to 32, times 2^32: the fraction of the logarithm
 * bit by bit, since squaring a number doubles its logarithm.  Rounded up, never
 * down, by at most 2^-30.
 */
static __u64 cost(__u32 hash)
{
	__u64 x = hash + 1ULL;
	__u64 logarithm = 63 - __builtin_clzll(x);
	__u64 mantissa = (x << 31) >> logarithm;	/* 1 to 2, times 2^31 */

	for (int bit = 0; bit < 32; bit++) {
		__u64 carry;

		mantissa = mantissa * mantissa >> 31;
		carry = mantissa >> 32;
		mantissa >>= carry;
		logarithm = logarithm << 1 | carry;
	}
	return (32ULL << 32) - logarithm;
}

/*
 * The one to take over a slot.  -log2(hash) / weight is an exponential variable
 * of rate `weight`, and the least of several is each of them with a probability
 * proportional to its rate.
 */
static __u16 slot_heir(const struct heir *heirs, unsigned count, __u32 slot)
{
	__u64 slot_key = mix(slot), least = 33ULL << 32;
	__u32 weight = 1;
	__u16 id = XLB_BACKEND_NONE;

	for (unsigned i = 0; i < count; i++) {
		__u32 hash = mix(heirs[i].key ^ slot_key) >> 32;
		__u64 bar = least * heirs[i].weight, own;

		/* -log2(x) >= 1 - x spares nearly all of them the logarithm. */
		if ((__u64)~hash * weight >= bar)
			continue;
		own = cost(hash);
		if (own * weight >= bar)
			continue;
		least = own;
		weight = heirs[i].weight;
		id = heirs[i].id;
	}
	return id;
}

static bool slot_kept(const struct member *owner, __u32 slot)
{
	__u32 hash;

	if (owner->backend->state != XLB_UP || !owner->backend->cold)
		return owner->backend->state == XLB_UP;
	hash = mix(owner->key ^ mix(slot));
	return (__u64)hash * WARM >> 32 < WARM - owner->backend->cold;
}

/* From numbers of members to ids, handing over on the way. */
static void owners_translate(const struct member *members, unsigned count,
			     struct heir *heirs, __u32 size, __u16 *owners)
{
	unsigned up = 0;

	for (unsigned i = 0; i < count; i++) {
		const struct table_backend *backend = members[i].backend;

		if (backend->state == XLB_UP)
			heirs[up++] = (struct heir){
				.key = members[i].key,
				.weight = backend->weight * (WARM - backend->cold),
				.id = backend->id,
			};
	}
	for (__u32 slot = 0; slot < size; slot++) {
		const struct member *owner = &members[owners[slot] - 1];

		owners[slot] = slot_kept(owner, slot) ? owner->backend->id :
			       slot_heir(heirs, up, slot);
	}
}

static bool backends_valid(const struct table_backend *backends, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (backends[i].id == XLB_BACKEND_NONE ||
		    backends[i].id > XLB_BACKEND_ID_MAX || backends[i].cold >= WARM ||
		    backends[i].weight > TABLE_WEIGHT_MAX)
			return false;
	return count <= XLB_BACKEND_ID_MAX;
}

/* In order, without those of no weight: how many are left, or -EINVAL. */
static int members_collect(const struct table_backend *backends, unsigned count,
			   struct member *members)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < count; i++)
		members[i].backend = &backends[i];
	qsort(members, count, sizeof(*members), member_compare);
	for (unsigned i = 0; i < count; i++) {
		if (i && !member_compare(&members[i - 1], &members[i]))
			return -EINVAL;
	}
	for (unsigned i = 0; i < count; i++)
		if (members[i].backend->weight)
			members[kept++].backend = members[i].backend;
	return kept;
}

int table_build(const struct table_backend *backends, unsigned count, __u32 size,
		__u16 *owners)
{
	struct member *members;
	struct heir *heirs;
	int kept;

	if (!table_size_valid(size) || !backends_valid(backends, count))
		return -EINVAL;
	/* One more than needed, because calloc may refuse to allocate nothing. */
	members = calloc(count + 1, sizeof(*members));
	heirs = calloc(count + 1, sizeof(*heirs));
	kept = members && heirs ? members_collect(backends, count, members) : -ENOMEM;
	if (kept > 0) {
		members_prepare(members, kept, size);
		slots_share(members, kept, size, owners);
		owners_translate(members, kept, heirs, size, owners);
	} else if (kept == 0) {
		memset(owners, 0, size * sizeof(*owners));
	}
	free(heirs);
	free(members);
	return kept < 0 ? kept : 0;
}

struct xlb_slot table_slot_next(struct xlb_slot old, __u16 owner,
				enum table_fate current_fate,
				enum table_fate previous_fate)
{
	struct xlb_slot next = { .current = owner, .previous = old.previous };

	/* A mark stays: newer flows have records, older ones belong to `previous`. */
	if (old.previous) {
		if (previous_fate == TABLE_DELETED)
			next.previous = XLB_BACKEND_DELETED;
	} else if (owner != old.current && current_fate == TABLE_LIVE) {
		next.previous = old.current;	/* which may be nobody */
	}
	return next;
}
