// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whose the packets of backends are, from what all services have there.
 *
 * One service alone needs no records: its VIP stands in xlb_replies*.  That of the
 * first stays there when others come to have the backend, too, because its flows may
 * be older than that and then have no record.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mode.h"
#include "reply.h"

/* All backends that a packet may be from: those with its port, and those with any. */
struct group {
	enum reply_scope scope;
	struct backend **exact, **any;
	unsigned exact_count, any_count;
	const struct xlb_reply *stands, *any_stands;	/* all 0: nothing */
};

static bool backend_has_mode(const struct backend *backend, enum xlb_mode mode,
			     enum reply_scope scope)
{
	return (backend->service && backend->service->value.mode == mode) ||
	       (scope == REPLY_MEANWHILE && backend->stood == mode);
}

static bool backend_replies(const struct backend *backend, enum reply_scope scope)
{
	return backend_has_mode(backend, XLB_DNAT, scope) ||
	       backend_has_mode(backend, XLB_NAT, scope);
}

static int end_order(const void *a, const void *b)
{
	return endpoint_compare(&((const struct reply *)a)->end, &((const struct reply *)b)->end);
}

/* By end, any port before all others; then by VIP. */
static int backend_order(const void *a, const void *b)
{
	const struct backend *left = *(struct backend *const *)a;
	const struct backend *right = *(struct backend *const *)b;
	int order = endpoint_compare(&left->end, &right->end);

	return order ?: memcmp(&left->key, &right->key, sizeof(left->key));
}

int reply_add(struct state *state, const struct endpoint *end, const struct xlb_reply *stands)
{
	if (state->reply_count == state->reply_room) {
		unsigned room = state->reply_room * 2 + 64;
		void *more = reallocarray(state->replies, room, sizeof(*state->replies));

		if (!more)
			return -ENOMEM;
		state->replies = more;
		state->reply_room = room;
	}
	state->replies[state->reply_count++] = (struct reply){ .end = *end, .stands = *stands };
	return 0;
}

void replies_sort(struct state *state)
{
	if (state->reply_count)
		qsort(state->replies, state->reply_count, sizeof(*state->replies), end_order);
}

bool reply_differs(const struct reply *reply)
{
	return memcmp(&reply->stands, &reply->wanted, sizeof(reply->wanted));
}

/* The entry of an end, added if none of the `sorted` first is; NULL: no memory.  Good
 * until the next is added. */
static struct reply *reply_take(struct state *state, const struct endpoint *end, unsigned sorted)
{
	struct reply *found, sought = { .end = *end };

	found = sorted ? bsearch(&sought, state->replies, sorted, sizeof(sought), end_order) : NULL;
	if (found)
		return found;
	return reply_add(state, end, &sought.stands) ? NULL
						     : &state->replies[state->reply_count - 1];
}

/* The VIP as an entry has it. */
static void vip_fill(const struct backend *backend, struct xlb_reply *reply)
{
	const __u8 *address = backend->key.service_address;

	reply->port = backend->key.service_port;
	memcpy(reply->address, address_bytes(address), address_is4(address) ? 4 : 16);
}

static bool vip_stands(const struct backend *backend, const struct xlb_reply *stands)
{
	struct xlb_reply vip = {};

	vip_fill(backend, &vip);
	return vip.port == stands->port &&
	       !memcmp(vip.address, stands->address, sizeof(vip.address));
}

/* Who is to have the packets that no record tells of: the highest. */
static int backend_rank(const struct group *group, const struct backend *backend)
{
	if (!backend_has_mode(backend, XLB_DNAT, group->scope) ||
	    address_is_any(backend->key.service_address))
		return 0;
	if (vip_stands(backend, group->stands))
		return 4;
	/* Until now the entry for any port has told whose they are. */
	if (vip_stands(backend, group->any_stands))
		return 3;
	return backend->written ? 2 : 1;
}

/* Does a flow's VIP differ from one to another, so that the flow has to be asked? */
static bool backends_differ(const struct group *group, const struct backend *first,
			    const struct backend *backend)
{
	__u16 port = group->exact[0]->end.port;

	return !backend_has_mode(first, XLB_DNAT, group->scope) ||
	       backend_has_mode(backend, XLB_NAT, group->scope) ||
	       address_is_any(backend->key.service_address) ||
	       memcmp(first->key.service_address, backend->key.service_address, 16) ||
	       (first->key.service_port ?: port) != (backend->key.service_port ?: port);
}

/* The service on a port has its packets before one of that address on any port, as
 * service_find() of the packet program says. */
static bool backend_precedes(const struct group *group, const struct backend *backend,
			     const struct backend *first)
{
	return !first->key.service_port && backend->key.service_port &&
	       backend->key.service_port == group->exact[0]->end.port &&
	       backend_has_mode(backend, XLB_DNAT, group->scope) &&
	       !memcmp(first->key.service_address, backend->key.service_address, 16);
}

static struct backend *group_member(const struct group *group, unsigned index)
{
	return index < group->exact_count ? group->exact[index]
					  : group->any[index - group->exact_count];
}

static void group_plan(const struct group *group, struct xlb_reply *reply)
{
	unsigned count = group->exact_count + group->any_count;
	const struct backend *first = group_member(group, 0);
	bool by_flow = false;

	for (unsigned i = 1; i < count; i++) {
		const struct backend *backend = group_member(group, i);

		if (backend_rank(group, backend) > backend_rank(group, first))
			first = backend;
	}
	for (unsigned i = 0; i < count; i++)
		if (backend_precedes(group, group_member(group, i), first))
			first = group_member(group, i);
	for (unsigned i = 0; i < count; i++)
		by_flow |= backends_differ(group, first, group_member(group, i));
	for (unsigned i = 0; by_flow && i < count; i++)
		group_member(group, i)->by_flow |= backend_has_mode(group_member(group, i),
								    XLB_DNAT, group->scope);
	*reply = (struct xlb_reply){ .backend = first->value.id, .by_flow = by_flow };
	if (backend_has_mode(first, XLB_DNAT, group->scope))
		vip_fill(first, reply);
}

/* The backends of one address and protocol, sorted. */
static int host_plan(struct state *state, struct backend **backends, unsigned count,
		     enum reply_scope scope, unsigned sorted)
{
	struct group group = { .any = backends, .scope = scope };
	struct xlb_reply any_stands = {};
	unsigned next;

	group.any_stands = &any_stands;
	for (unsigned i = 0; i < count; i = next) {
		const struct endpoint *end = &backends[i]->end;
		struct reply *reply = reply_take(state, end, sorted);

		if (!reply)
			return -ENOMEM;
		for (next = i; next < count && backends[next]->end.port == end->port;)
			next++;
		group.exact = backends + i;
		group.exact_count = next - i;
		group.stands = &reply->stands;
		group_plan(&group, &reply->wanted);
		if (end->port)
			continue;
		group.any_count = next;
		any_stands = reply->stands;
	}
	return 0;
}

/* Those that may send replies, sorted; the caller frees. */
static struct backend **backends_collect(const struct state *state, enum reply_scope scope,
					 unsigned *count)
{
	struct backend **backends, *backend;
	unsigned room = 1;

	for (unsigned i = 0; i < state->count; i++)
		room += state->list[i]->count;
	for (backend = state->deleted_backends; backend; backend = backend->next)
		room++;
	backends = calloc(room, sizeof(*backends));
	*count = 0;
	for (unsigned i = 0; backends && i <= state->count; i++) {
		backend = i < state->count ? state->list[i]->backends : state->deleted_backends;
		for (; backend; backend = backend->next) {
			backend->by_flow = false;
			if (backend_replies(backend, scope))
				backends[(*count)++] = backend;
		}
	}
	if (backends)
		qsort(backends, *count, sizeof(*backends), backend_order);
	return backends;
}

int replies_plan(struct state *state, enum reply_scope scope)
{
	unsigned count, next, sorted = state->reply_count;
	struct backend **backends = backends_collect(state, scope, &count);
	int error = backends ? 0 : -ENOMEM;

	for (unsigned i = 0; i < sorted; i++)
		state->replies[i].wanted = (struct xlb_reply){};
	for (unsigned i = 0; !error && i < count; i = next) {
		const struct endpoint *end = &backends[i]->end;

		for (next = i; next < count; next++)
			if (memcmp(backends[next]->end.address, end->address, 16) ||
			    backends[next]->end.protocol != end->protocol)
				break;
		error = host_plan(state, backends + i, next - i, scope, sorted);
	}
	free(backends);
	replies_sort(state);
	return error;
}
