// SPDX-License-Identifier: GPL-2.0-only
/* From backend to client: exactly what the client expects, and only if it is one. */
#include <linux/bpf.h>
#include <string.h>

#include "judge.h"

/* What an answer may become: whom the client sees, and for nat who the client is. */
struct option {
	struct address vip;
	__u16 port;		/* 0: the packet's own */
	bool translated;	/* nat */
	struct address client;
	__u16 client_port;
};

static bool restored(struct court *court, struct trial *trial, const struct option *option,
		     const struct end *end)
{
	struct draft draft;

	draft_begin(&draft, trial);
	draft_end(&draft, trial, true, &option->vip, option->port);
	if (option->translated)
		draft_end(&draft, trial, false, &option->client, option->client_port);
	if (end->fate == FATE_SENT)
		draft_age(&draft, trial);
	court->outcome = option->translated ? "nat reply" : "reply";
	return draft_compare(court, trial, &draft, end, 0, court->outcome);
}

static bool too_big(struct court *court, struct trial *trial, const struct end *end)
{
	court->outcome = "reply too big";
	court->reason = REASON(too_big);
	if (trial->error || trial->view.kind == KIND_LATER || trial->view.divisible)
		return is_dropped(court, trial, REASON(too_big), "reply too big, nobody to tell");
	return is_told_too_big(court, trial, end->mtu);
}

/* Whatever it was dropped for. */
static int reason_counted(const struct court *court, const struct trial *trial)
{
	for (unsigned i = 0; i < court->world->drop_count; i++)
		if (trial->drops[i])
			return i;
	return REASON_NONE;
}

static bool option_judge(struct court *court, struct trial *trial, const struct option *option)
{
	const struct address *to = option->translated ? &option->client
						      : &trial->view.flow.destination;
	struct hop hop = world_hop(to);
	struct end end;

	court->reason = REASON_NONE;
	if (trial->link == LINK_LO)
		hop.way = WAY_STACK;
	/* The kernel is asked for the way from the VIP, too. */
	else if (hop.way == WAY_ANY || world_hop(&option->vip).way == WAY_ANY)
		hop = hop_told(trial, to);
	else if (trial->link == LINK_CLOSED)
		hop.way = WAY_CLOSED;
	if (!option->translated && (hop.way == WAY_LOCAL || hop.way == WAY_CLOSED))
		return is_untouched(court, trial, "an answer to the balancer itself");
	end = end_by(court, trial, &hop, 0, true);
	if (hop.way == WAY_CLOSED)
		return is_dropped(court, trial, REASON(forwarding_disabled), "reply");
	if (hop.way == WAY_BLACKHOLE)
		return is_dropped(court, trial, REASON(no_route), "reply");
	if (trial->view.faults)
		return is_dropped_for_faults(court, trial);
	if (end.fate == FATE_DROPPED)
		return is_dropped(court, trial, end.reason, "reply");
	if (end.fate == FATE_TOO_BIG)
		return too_big(court, trial, &end);
	return restored(court, trial, option, &end);
}

static bool backend_answers(const struct service *service, const struct backend *backend,
			    const struct flow *flow)
{
	return (service->mode == XLB_DNAT || service->mode == XLB_NAT) && backend->state &&
	       service->protocol == flow->protocol &&
	       (!backend->port || backend->port == flow->source_port) &&
	       address_same(&backend->address, &flow->source);
}

static struct option option_by(const struct answer *answer, const struct flow *flow)
{
	return (struct option){
		.vip = answer->restored.source,
		.port = answer->restored.source_port,
		.translated = !address_same(&answer->restored.destination, &flow->destination) ||
			      answer->restored.destination_port != flow->destination_port,
		.client = answer->restored.destination,
		.client_port = answer->restored.destination_port,
	};
}

/* Who has the backend that this comes from: how many, and the last of them. */
struct owners {
	unsigned count;
	bool by_flow, nat;		/* only a record tells */
	struct backend *backends[BACKENDS_MAX];
	const struct service *dnat[SERVICES_MAX];
	unsigned dnats;
};

static void owners_find(struct world *world, const struct flow *flow, struct owners *owners)
{
	static const __u8 any[16];

	*owners = (struct owners){};
	for (unsigned i = 0; i < world->count; i++) {
		struct service *service = &world->services[i];

		for (unsigned j = 0; j < service->count; j++) {
			if (!backend_answers(service, &service->backends[j], flow))
				continue;
			owners->backends[owners->count++] = &service->backends[j];
			owners->nat |= service->mode == XLB_NAT;
			if (service->mode == XLB_NAT ||
			    !memcmp(service->address.bytes, any, sizeof(any)))
				owners->by_flow = true;
			else
				owners->dnat[owners->dnats++] = service;
		}
	}
	owners->by_flow |= owners->count > 1;
}

/* Where several have the backend, the count is with one of them. */
static bool option_stands(struct court *court, struct trial *trial, const struct option *option,
			  const struct owners *owners)
{
	if (!option_judge(court, trial, option))
		return false;
	if (strcmp(court->outcome, "reply") != 0 && strcmp(court->outcome, "nat reply") != 0)
		return true;
	memcpy(court->either, owners->backends, sizeof(court->either));
	court->either_count = owners->count;
	court->either_out = true;
	return true;
}

/* The flow as the frame that came out shows it, that of an error by its quote. */
static struct flow flow_seen(const struct trial *trial)
{
	const struct view *view = &trial->view;
	const unsigned at = source_offset(view->v6), size = address_size(view->v6);
	struct flow flow = view->flow;
	struct view out;

	if (trial->out_size != trial->in_size)
		return flow;
	if (trial->error) {
		flow.source = address_read(trial->out + trial->quoted + at + size, view->v6);
		flow.destination = address_read(trial->out + trial->quoted + at, view->v6);
		flow.source_port = get16(trial->out + trial->quoted_transport + 2);
		flow.destination_port = get16(trial->out + trial->quoted_transport);
		return flow;
	}
	view_read(&out, trial->out, trial->out_size);
	if (out.kind == KIND_PACKET)
		return out.flow;
	flow.source = out.flow.source;
	flow.destination = out.flow.destination;
	return flow;
}

/* May an answer be dropped so, if it is not known to whom it goes? */
static bool untold_reason(const struct trial *trial, int reason)
{
	const struct view *view = &trial->view;

	return reason == REASON(no_route) || (reason == REASON(bad_length) && view->faults) ||
	       (reason == REASON(ttl) && view->hops <= 1) ||
	       (reason == REASON(too_big) && view->total > NARROW_MTU4) ||
	       (reason == REASON(forwarding_disabled) && trial->link == LINK_CLOSED);
}

/* The record of a flow whose first packet was dropped after that was made: whatever it
 * says, it must be one that was tried, and the answer exactly that. */
static bool judge_untold(struct court *court, struct trial *trial, const struct owners *owners)
{
	const struct answer answer = { .restored = flow_seen(trial) };
	struct option option = option_by(&answer, &trial->view.flow);
	struct flow asked = flow_turned(&answer.restored);
	struct known *known;

	court->reason = reason_counted(court, trial);
	if (court->reason != REASON_NONE) {
		court->outcome = "dropped";
		court->memory->closed_unseen |= trial->view.closing && !trial->error;
		return untold_reason(trial, court->reason);
	}
	/* A later fragment does not show its ports. */
	if (trial->view.kind == KIND_LATER) {
		option.port = option.client_port = 0;
		return option_stands(court, trial, &option, owners);
	}
	known = memory_known(court->memory, &asked);
	if (!known) {
		asked.source_port = option.client_port = 0;
		known = memory_known(court->memory, &asked);
	}
	if (!known || known->service->mode != XLB_NAT ||
	    !option_stands(court, trial, &option, owners))
		return false;
	if (trial->view.closing && !trial->error)
		known->closing = true;
	return true;
}

/* Nobody opens a connection by an answer. */
static bool answers_nat_source(const struct world *world, const struct trial *trial)
{
	const struct address *to = &trial->view.flow.destination;
	bool is = false;

	for (unsigned i = 0; i < NAT_SOURCES; i++)
		is |= address_same(to, &nat_sources[to->v6][i]);
	return is && world->sources && !trial->error && !trial->view.opening;
}

/* No record that we know of, and the address alone has to do. */
static bool judge_unrecorded(struct court *court, struct trial *trial, const struct owners *owners)
{
	if (owners->by_flow && answers_nat_source(court->world, trial)) {
		/* Another reason is that of a flow which has a record all the same. */
		if (reason_counted(court, trial) == REASON(no_port))
			return is_dropped(court, trial, REASON(no_port), "an answer without record");
	} else if (owners->by_flow && is_untouched(court, trial, "an answer without record")) {
		return true;
	}
	for (unsigned i = 0; i < owners->dnats; i++) {
		const struct option option = {
			.vip = owners->dnat[i]->address,
			.port = owners->dnat[i]->port,
		};

		if (option_stands(court, trial, &option, owners))
			return true;
	}
	return owners->nat && judge_untold(court, trial, owners);
}

static void answer_seen(struct court *court, const struct trial *trial,
			const struct answer *answer)
{
	const struct flow asked = flow_turned(&answer->restored);
	struct known *known = memory_known(court->memory, &asked);

	if (known && trial->view.closing)
		known->closing = true;
}

enum answers answers(const struct court *court, const struct flow *flow)
{
	const struct answer *answer = memory_answer(court->memory, flow);
	struct owners owners;

	owners_find(court->world, flow, &owners);
	if (!owners.count)
		return ANSWERS_NOT;
	if (!owners.by_flow ||
	    (answer && answer->backend->state && answer->life == answer->backend->life))
		return ANSWERS;
	return ANSWERS_MAYBE;
}

bool judge_reply(struct court *court, struct trial *trial)
{
	const struct flow *flow = &trial->view.flow;
	struct answer *answer = memory_answer(court->memory, flow);
	struct owners owners;
	struct option option;

	owners_find(court->world, flow, &owners);
	if (!owners.count)
		return is_untouched(court, trial, "for no service, nor from a backend");
	if (answer) {
		option = option_by(answer, flow);
		if (option_stands(court, trial, &option, &owners)) {
			if (!trial->error)
				answer_seen(court, trial, answer);
			return true;
		}
		/* What it knew may have gone with the backend. */
		if (answer->backend->state && answer->life == answer->backend->life)
			return false;
	}
	return judge_unrecorded(court, trial, &owners);
}
