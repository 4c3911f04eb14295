// SPDX-License-Identifier: GPL-2.0-only
/* Hash tables with open addressing, emptied by counting up what an entry must have. */
#include <stdlib.h>
#include <string.h>

#include "memory.h"

#define TABLE_BITS 17
#define TABLE_SIZE (1U << TABLE_BITS)

/* Entries begin with their key. */
struct table {
	unsigned entry_size, era, used;
	unsigned eras[TABLE_SIZE];
	char *entries;
};

struct fragment {
	struct flow datagram;	/* key: the id stands in its ports */
	__u16 source_port, destination_port;
};

static struct table *table_new(unsigned entry_size)
{
	struct table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->entry_size = entry_size;
	table->era = 1;
	table->entries = calloc(TABLE_SIZE, entry_size);
	return table->entries ? table : NULL;
}

static __u64 flow_hash(const struct flow *flow)
{
	__u64 words[4], hash = flow->source_port | (__u64)flow->destination_port << 16 |
			       (__u64)flow->protocol << 32;

	memcpy(words, flow->source.bytes, 16);
	memcpy(words + 2, flow->destination.bytes, 16);
	for (int i = 0; i < 4; i++)
		hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15ULL, hash ^= hash >> 29;
	return hash * 0xbf58476d1ce4e5b9ULL >> (64 - TABLE_BITS);
}

/* The entry, or with `make` a new one that is all zero but for the key. */
static void *table_at(struct table *table, const struct flow *flow, bool make)
{
	unsigned at = flow_hash(flow);
	void *entry;

	for (;; at = (at + 1) % TABLE_SIZE) {
		entry = table->entries + (size_t)at * table->entry_size;
		if (table->eras[at] != table->era)
			break;
		if (flow_same(entry, flow))
			return entry;
	}
	if (!make || table->used > TABLE_SIZE / 2)
		return NULL;
	table->used++;
	table->eras[at] = table->era;
	memset(entry, 0, table->entry_size);
	memcpy(entry, flow, sizeof(*flow));
	return entry;
}

static void table_clear(struct table *table)
{
	table->era++;
	table->used = 0;
}

int memory_open(struct memory *memory)
{
	memory->known = table_new(sizeof(struct known));
	memory->answers = table_new(sizeof(struct answer));
	memory->fragments = table_new(sizeof(struct fragment));
	return memory->known && memory->answers && memory->fragments ? 0 : -1;
}

void memory_clear(struct memory *memory)
{
	table_clear(memory->known);
	table_clear(memory->answers);
	table_clear(memory->fragments);
	memory->closed_unseen = false;
}

struct known *memory_known(struct memory *memory, const struct flow *flow)
{
	return table_at(memory->known, flow, false);
}

struct known *memory_know(struct memory *memory, const struct flow *flow)
{
	return table_at(memory->known, flow, true);
}

struct answer *memory_answer(struct memory *memory, const struct flow *flow)
{
	return table_at(memory->answers, flow, false);
}

struct answer *memory_expect(struct memory *memory, const struct flow *flow)
{
	return table_at(memory->answers, flow, true);
}

static struct flow datagram(const struct view *view)
{
	struct flow key = view->flow;

	key.source_port = view->id;
	key.destination_port = view->id >> 16;
	return key;
}

void memory_fragment_first(struct memory *memory, const struct view *view)
{
	struct flow key = datagram(view);
	struct fragment *fragment = table_at(memory->fragments, &key, true);

	if (!fragment)
		return;
	fragment->source_port = view->flow.source_port;
	fragment->destination_port = view->flow.destination_port;
}

bool memory_fragment_later(struct memory *memory, struct view *view)
{
	struct flow key = datagram(view);
	const struct fragment *fragment = table_at(memory->fragments, &key, false);

	if (!fragment)
		return false;
	view->flow.source_port = fragment->source_port;
	view->flow.destination_port = fragment->destination_port;
	return true;
}
