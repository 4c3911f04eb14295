// SPDX-License-Identifier: GPL-2.0-only
/* One packet's way to one backend: where it ends, how the frame looks then. */
#include <limits.h>
#include <linux/bpf.h>
#include <string.h>

#include "attempt.h"

bool link_takes(const struct court *court, const struct trial *trial, enum link link)
{
	return link == trial->link || (court->world->links[link].redirect &&
				       !trial->view.tagged && trial->link != LINK_LO);
}

/* Put together by the kernel, which takes it apart again. */
static bool is_merged(const struct court *court, const struct trial *trial)
{
	unsigned mtu = court->world->links[trial->link].mtu;

	return mtu && trial->view.total > mtu;
}

struct hop hop_told(const struct trial *trial, const struct address *to)
{
	const bool same = trial->out_size == trial->in_size &&
			  !memcmp(trial->out, trial->in, trial->in_size);
	const bool closed = trial->link == LINK_CLOSED;
	struct hop hop = world_hop(to);

	if (hop.way == WAY_ANY)
		hop = world_hop_default();
	if (closed)
		hop.way = WAY_CLOSED;
	/* What is never forwarded is none that may not be. */
	if (trial->verdict == XDP_PASS)
		hop.way = same || closed ? WAY_LOCAL : WAY_STACK;
	else if (trial->drops[REASON(no_route)])
		hop.way = WAY_BLACKHOLE;
	else if (closed && !trial->drops[REASON(forwarding_disabled)])
		hop.way = WAY_LOCAL;
	return hop;
}

/* Most that goes there, whoever sends it; without a neighbour only the link's is known. */
static unsigned hop_most(const struct trial *trial, const struct hop *hop)
{
	if (trial->link == LINK_LO || (hop->way != WAY_SEND && hop->way != WAY_STACK))
		return UINT_MAX;
	return hop->way == WAY_SEND ? hop->mtu : LINK_MTU;
}

struct end end_by(const struct court *court, const struct trial *trial, const struct hop *hop,
		  unsigned extra, bool divided)
{
	const struct view *view = &trial->view;
	const unsigned most = hop_most(trial, hop);
	struct end end = { .fate = FATE_STACK, .reason = REASON_NONE, .hop = *hop };

	if (hop->way == WAY_BLACKHOLE) {
		end.fate = FATE_DROPPED;
		end.reason = REASON(no_route);
	} else if (view->total + extra > most) {
		if (divided && !trial->error &&
		    (is_merged(court, trial) || (!view->v6 && view->divisible)))
			return end;
		end.fate = FATE_TOO_BIG;
		end.reason = REASON(too_big);
		end.mtu = most - extra;
	} else if (hop->way != WAY_SEND || !link_takes(court, trial, hop->link)) {
		return end;
	} else if (view->hops <= 1) {
		end.fate = FATE_DROPPED;
		end.reason = REASON(ttl);
	} else {
		end.fate = FATE_SENT;
	}
	return end;
}

static unsigned overhead(const struct service *service, const struct backend *backend)
{
	if (service->mode < XLB_IPIP)
		return 0;
	return header_size(backend->address.v6) + (service->mode == XLB_GUE ? 12 : 0);
}

static struct end dropped(int reason)
{
	return (struct end){ .fate = FATE_DROPPED, .reason = reason };
}

struct end attempt_end(const struct court *court, const struct trial *trial,
		       const struct service *service, const struct backend *backend)
{
	struct hop hop = world_hop(&backend->address);
	struct end end;

	if (trial->link == LINK_CLOSED)
		return dropped(REASON(forwarding_disabled));
	if (trial->link == LINK_LO)
		hop.way = WAY_STACK;
	end = end_by(court, trial, &hop, overhead(service, backend),
		     service->mode == XLB_DNAT || service->mode == XLB_NAT);
	/* RFC 2003, 3.1: entering a tunnel is a hop, whoever sends the outer packet. */
	if (service->mode >= XLB_IPIP && end.fate == FATE_STACK && trial->view.hops <= 1)
		return dropped(REASON(ttl));
	if (service->mode != XLB_DR || trial->link == LINK_LO)
		return end;
	if (hop.way == WAY_SEND && (hop.routed || end.fate == FATE_STACK))
		return dropped(REASON(off_link));
	if (end.fate == FATE_STACK)
		end.fate = FATE_RESOLVED;
	return end;
}

static bool too_big(struct court *court, struct trial *trial, const struct end *end)
{
	const struct view *view = &trial->view;

	court->outcome = "too big";
	court->reason = REASON(too_big);
	if (trial->error || view->kind == KIND_LATER || view->divisible)
		return is_dropped(court, trial, REASON(too_big), "too big, and nobody to be told");
	return is_told_too_big(court, trial, end->mtu);
}

/* Mode dr: the kernel gets a packet that makes it ask for the backend, and that nobody
 * there can take for good. */
static bool resolved(struct court *court, struct trial *trial, struct attempt *attempt)
{
	const struct view *view = &trial->view;
	const struct end up = { .fate = FATE_STACK };
	unsigned field = view->transport + (view->flow.protocol == PROTOCOL_UDP ? 6 : 16);
	struct draft draft;

	court->reason = REASON(no_neighbour);
	if (view->kind != KIND_PACKET)
		return is_dropped(court, trial, REASON(no_neighbour), "dr, no neighbour");
	court->outcome = "resolve";
	draft_begin(&draft, trial);
	draft_end(&draft, trial, false, &attempt->backend->address, 0);
	if (trial->out_size == draft.size) {
		if (!view->v6)
			memcpy(draft.bytes + view->network + 10, trial->out + view->network + 10, 2);
		memcpy(draft.bytes + field, trial->out + field, 2);
	}
	return draft_same(court, trial, &draft, &up, "resolve");
}

/* nat: whichever of its sources and ports, but one flow always the same. */
static bool source_taken(struct court *court, struct trial *trial, struct attempt *attempt)
{
	const struct view *view = &trial->view;
	const struct known *known = attempt->known;
	const __u8 *out = trial->out;
	bool own = false;

	if (trial->out_size != trial->in_size)
		return complain(court, "nat: another size");
	attempt->source = address_read(out + view->network + source_offset(view->v6), view->v6);
	for (unsigned i = 0; i < NAT_SOURCES; i++)
		own |= address_same(&attempt->source, &nat_sources[view->v6][i]);
	if (!own)
		return complain(court, "nat: not a source of ours");
	if (trial->error)
		attempt->source_port = get16(out + trial->quoted_transport + 2);
	else if (view->kind == KIND_PACKET)
		attempt->source_port = get16(out + view->transport);
	if (known && known->source_port &&
	    (!address_same(&known->source, &attempt->source) ||
	     (attempt->source_port && known->source_port != attempt->source_port)))
		return complain(court, "nat: a flow's source port was %u, and is %u",
				known->source_port, attempt->source_port);
	return true;
}

/* It went on, to this backend. */
static bool went(struct court *court, struct trial *trial, struct attempt *attempt)
{
	static const char *const outcomes[] = { [XLB_DNAT] = "dnat", [XLB_NAT] = "nat",
						[XLB_DR] = "dr", [XLB_IPIP] = "ipip",
						[XLB_GUE] = "gue" };
	const struct service *service = attempt->service;
	const struct backend *backend = attempt->backend;
	const struct end *end = &attempt->end;
	const bool sent = end->fate == FATE_SENT;
	struct draft draft;

	court->outcome = outcomes[service->mode];
	if (service->mode >= XLB_IPIP) {
		if (!court->world->sources)
			return is_dropped(court, trial, REASON(no_source), "no source for tunnels");
		return is_tunnelled(court, trial, service, backend, end, attempt->known,
				    &attempt->label);
	}
	draft_begin(&draft, trial);
	if (service->mode != XLB_DR) {
		draft_end(&draft, trial, false, &backend->address, backend->port);
		if (sent)
			draft_age(&draft, trial);
	}
	if (service->mode == XLB_NAT) {
		if (!source_taken(court, trial, attempt))
			return false;
		draft_end(&draft, trial, true, &attempt->source, attempt->source_port);
	}
	return draft_compare(court, trial, &draft, end, 0, outcomes[service->mode]);
}

/* The answer that is to be expected, and whose it would be. */
static struct flow answer_to(const struct flow *flow, const struct attempt *attempt)
{
	struct flow answer = flow_turned(flow);

	answer.source = attempt->backend->address;
	if (attempt->backend->port)
		answer.source_port = attempt->backend->port;
	if (attempt->service->mode == XLB_NAT) {
		answer.destination = attempt->source;
		answer.destination_port = attempt->source_port;
	}
	return answer;
}

/* True: somebody else's answers would look the same. */
static bool answer_taken(struct court *court, const struct flow *flow,
			 const struct attempt *attempt, bool alive)
{
	struct flow key = answer_to(flow, attempt), restored = flow_turned(flow);
	const struct answer *old = memory_answer(court->memory, &key);

	if (old && alive && (!old->backend->state || old->life != old->backend->life))
		return false;
	/* A backend that has come to be of several services had nothing to record before. */
	if (old && alive && old->change != court->memory->change)
		return false;
	return old && !flow_same(&old->restored, &restored);
}

static bool learn(struct court *court, struct trial *trial, const struct attempt *attempt)
{
	const struct service *service = attempt->service;
	const struct flow *flow = &trial->view.flow;
	struct memory *memory = court->memory;
	struct known *known;
	struct answer *answer;
	struct flow key;

	if (trial->error)
		return true;
	if ((service->mode == XLB_DNAT || (service->mode == XLB_NAT && attempt->source_port)) &&
	    answer_taken(court, flow, attempt, true))
		return complain(court, "two flows have the same answers");
	court->learnt = true;
	known = memory_know(memory, flow);
	if (!known)
		return true;
	/* A later fragment may be the first to come there, and does not show its port. */
	if (attempt->backend != known->backend || attempt->backend->life != known->life) {
		known->labelled = false;
		known->source_port = 0;
	}
	known->service = attempt->service;
	known->backend = attempt->backend;
	known->life = attempt->backend->life;
	known->change = memory->change;
	known->closing = trial->view.closing || (known->closing && !trial->view.opening);
	if (service->mode >= XLB_IPIP && attempt->end.fate <= FATE_STACK) {
		known->label = attempt->label;
		known->labelled = true;
	}
	if (service->mode == XLB_NAT) {
		known->source = attempt->source;
		known->source_port = attempt->source_port ?: known->source_port;
	}
	if (service->mode > XLB_NAT || (service->mode == XLB_NAT && !attempt->source_port))
		return true;
	key = answer_to(flow, attempt);
	answer = memory_expect(memory, &key);
	if (!answer)
		return true;
	answer->restored = flow_turned(flow);
	answer->backend = attempt->backend;
	answer->life = attempt->backend->life;
	answer->change = memory->change;
	return true;
}

bool attempt_judge(struct court *court, struct trial *trial, struct attempt *attempt)
{
	const struct view *view = &trial->view;

	court->reason = REASON_NONE;
	switch (attempt->end.fate) {
	case FATE_DROPPED:
		return is_dropped(court, trial, attempt->end.reason, "the way to the backend");
	case FATE_TOO_BIG:
		return too_big(court, trial, &attempt->end);
	case FATE_RESOLVED:
		if (!resolved(court, trial, attempt))
			return false;
		return trial->verdict == XDP_DROP || learn(court, trial, attempt);
	default:
		if (!went(court, trial, attempt))
			return false;
	}
	if (trial->verdict == XDP_DROP)
		return true;
	court->in = attempt->backend;
	if (!trial->error && (view->opening || view->flow.protocol == PROTOCOL_UDP))
		court->connection = attempt->backend;
	court->connection_maybe = !view->opening || attempt->service->mode == XLB_NAT;
	/* Nothing in the frame tells which backend it was. */
	if (attempt->service->mode == XLB_DR && attempt->end.fate == FATE_STACK) {
		court->in = court->connection = NULL;
		for (unsigned i = 0; i < attempt->service->count; i++)
			if (attempt->service->backends[i].state)
				court->either[court->either_count++] =
					&attempt->service->backends[i];
		return true;
	}
	return learn(court, trial, attempt);
}

bool attempt_conflicts(struct court *court, struct trial *trial, const struct attempt *attempt)
{
	const struct flow *flow = &trial->view.flow;
	const struct flow key = answer_to(flow, attempt);
	/* Or that backend itself has asked from there, for all that anybody could tell. */
	bool taken = answer_taken(court, flow, attempt, false) ||
		     memory_known(court->memory, &key);

	/* A client of that address looks like a flow of mode nat, of which nobody told. */
	for (unsigned i = 0; i < NAT_SOURCES; i++)
		taken |= address_same(&flow->source, &nat_sources[flow->source.v6][i]);
	return attempt->service->mode == XLB_DNAT && trial->verdict == XDP_DROP && taken &&
	       is_dropped(court, trial, REASON(record_conflict), "another VIP");
}
