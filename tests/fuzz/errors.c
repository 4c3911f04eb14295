// SPDX-License-Identifier: GPL-2.0-only
/* ICMP: echo requests answered, errors translated, those about tunnels told to clients. */
#include <linux/bpf.h>
#include <string.h>

#include "judge.h"
#include "rules.h"

/* Types; RFC 792, RFC 4443. */
enum {
	ECHO4 = 8,
	ECHO6 = 128,
	UNREACHABLE4 = 3,
	EXCEEDED4 = 11,
	PARAMETER4 = 12,
	UNREACHABLE6 = 1,
	TOO_BIG6 = 2,
	PARAMETER6 = 4,
};
#define FRAGMENTATION_NEEDED 4
#define TTL 64

static bool echo_answered(struct court *court, struct trial *trial)
{
	const struct view *view = &trial->view;
	const struct end back = { .fate = FATE_BACK, .hop.link = trial->link };
	const unsigned at = view->network + source_offset(view->v6), size = address_size(view->v6);
	struct draft draft;

	draft_begin(&draft, trial);
	memcpy(draft.bytes + at, trial->in + at + size, size);
	memcpy(draft.bytes + at + size, trial->in + at, size);
	draft.bytes[view->network + (view->v6 ? 7 : 8)] = TTL;
	draft.bytes[view->transport] = view->v6 ? ECHO6 + 1 : 0;
	court->outcome = "echo";
	return icmp_compare(court, trial, &draft, &back, "echo");
}

static bool judge_echo(struct court *court, struct trial *trial)
{
	const struct view *view = &trial->view;

	if (world_is_vip(court->world, &view->flow.destination) &&
	    rules_deny(court->world, &view->flow.source, NULL))
		return is_dropped(court, trial, REASON(denied), "denied");
	if (!world_echoes(court->world, &view->flow.destination) || trial->link == LINK_LO ||
	    view->transport - view->network != header_size(view->v6) || trial->in[0] & 1)
		return is_untouched(court, trial, "an echo request that is not for xlb");
	if (view->faults)
		return is_dropped_for_faults(court, trial);
	return echo_answered(court, trial);
}

static bool is_error(const __u8 *icmp, bool v6)
{
	if (v6)
		return icmp[0] >= UNREACHABLE6 && icmp[0] <= PARAMETER6;
	return icmp[0] == UNREACHABLE4 || icmp[0] == EXCEEDED4 || icmp[0] == PARAMETER4;
}

/* Offset of what our tunnel carried, 0: it was not ours.  `at`: behind the outer header. */
static unsigned tunnel_carried(const struct trial *trial, unsigned at, __u8 protocol,
			       __u8 *inner)
{
	const __u8 *gue = trial->in + at;

	*inner = protocol;
	if (protocol == PROTOCOL_UDP) {
		if (at + 12 > trial->view.end || get16(gue + 2) != GUE_PORT || gue[8] ||
		    get16(gue + 10))
			return 0;
		*inner = gue[9];
		at += 12;
	}
	return *inner == PROTOCOL_IPIP || *inner == PROTOCOL_IPV6 ? at : 0;
}

/* Type, code and the rest, as the client is to have them.  False: there is nothing to tell. */
static bool relayed_begin(const struct trial *trial, unsigned overhead, bool inner6, __u8 *icmp)
{
	const struct view *view = &trial->view;
	const __u8 *from = trial->in + view->transport;
	const unsigned least = inner6 ? 1280 : 68;
	unsigned mtu;

	memset(icmp, 0, 8);
	if (view->v6 ? from[0] != TOO_BIG6
		     : from[0] != UNREACHABLE4 || from[1] != FRAGMENTATION_NEEDED) {
		icmp[0] = inner6 ? UNREACHABLE6 : UNREACHABLE4;
		icmp[1] = inner6 ? 3 : 1;
		return true;
	}
	mtu = view->v6 ? get32(from + 4) : get16(from + 6);
	icmp[0] = inner6 ? TOO_BIG6 : UNREACHABLE4;
	icmp[1] = inner6 ? 0 : FRAGMENTATION_NEEDED;
	if (mtu <= overhead)
		return false;
	put32(icmp + 4, mtu - overhead > least ? mtu - overhead : least);
	return true;
}

/* An ICMP message's sum: 0 is right. */
static unsigned icmp_sum(const __u8 *ip, bool v6, unsigned header, unsigned length)
{
	unsigned sum = sum_words(ip + header, length);

	return v6 ? sum_add(sum, sum_pseudo(ip + 8, true, PROTOCOL_ICMPV6, length)) : sum;
}

static bool relay_compare(struct court *court, struct trial *trial, struct draft *draft,
			  const struct end *end, bool inner6, unsigned length)
{
	const struct view *view = &trial->view;
	const unsigned header = header_size(inner6), at = view->network + header + 2;
	unsigned was, is;

	if (trial->out_size == draft->size)
		memcpy(draft->bytes + at, trial->out + at, 2);
	if (!draft_same(court, trial, draft, end, "relay"))
		return false;
	was = icmp_sum(trial->in + view->network, view->v6, view->header, view->room);
	is = icmp_sum(trial->out + view->network, inner6, header, length);
	return was == is || complain(court, "relay: ICMP checksum off by 0x%04x, was by 0x%04x", is,
				     was);
}

/* As any answer to the client, but that it is xlb's own. */
static struct end relay_end(struct court *court, const struct trial *trial,
			    const struct address *client)
{
	struct hop hop = world_hop(client);
	struct end end = { .fate = FATE_STACK };

	if (trial->link == LINK_LO)
		return end;
	if (hop.way == WAY_ANY)
		hop = hop_told(trial, client);
	else if (trial->link == LINK_CLOSED)
		return end;
	end.hop = hop;
	if (hop.way == WAY_BLACKHOLE)
		end.fate = FATE_DROPPED;
	else if (hop.way == WAY_SEND && link_takes(court, trial, hop.link))
		end.fate = FATE_SENT;
	return end;
}

/* Is the packet in the tunnel one to a service?  Where that is on any address, its port has
 * to be seen, right behind the header. */
static bool relay_ours(const struct court *court, const __u8 *inner, bool inner6)
{
	const unsigned header = header_size(inner6), at = source_offset(inner6);
	struct flow flow = {
		.source = address_read(inner + at, inner6),
		.destination = address_read(inner + at + address_size(inner6), inner6),
		.source_port = get16(inner + header),
		.destination_port = get16(inner + header + 2),
		.protocol = inner[inner6 ? 6 : 9],
	};
	const struct service *service;

	if (world_is_vip(court->world, &flow.destination))
		return true;
	if (!inner6 && (inner[0] != 0x45 || get16(inner + 6) & 0x1fff))
		return false;
	service = world_service(court->world, &flow);
	return service && service->mode >= XLB_IPIP && !address_impossible(&flow.destination);
}

/* The error without the outer packet: from the VIP to the client. */
static bool judge_relay(struct court *court, struct trial *trial, unsigned carried, bool inner6)
{
	const struct view *view = &trial->view;
	const unsigned header = header_size(inner6), size = address_size(inner6);
	const __u8 *inner = trial->in + carried;
	const unsigned overhead = carried - view->transport - 8;
	struct address client, vip;
	struct draft draft;
	struct end end;
	__u8 icmp[8];

	if (carried + header + 8 > view->end)
		return is_untouched(court, trial, "a tunnel's error that quotes too little");
	client = address_read(inner + source_offset(inner6), inner6);
	vip = address_read(inner + source_offset(inner6) + size, inner6);
	if (!relay_ours(court, inner, inner6) || !relayed_begin(trial, overhead, inner6, icmp))
		return is_untouched(court, trial, "a tunnel's error about nothing of ours");
	if (view->faults)
		return is_dropped_for_faults(court, trial);
	end = relay_end(court, trial, &client);
	if (end.fate == FATE_DROPPED)
		return is_dropped(court, trial, REASON(no_route), "relay");
	court->outcome = "relay";
	court->reason = REASON_NONE;
	memcpy(draft.bytes, trial->in, view->network);
	put16(draft.bytes + view->network - 2, inner6 ? 0x86dd : 0x0800);
	header_write(draft.bytes + view->network, inner6, 0, 0,
		     header + view->room - overhead, inner6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP,
		     &vip, &client);
	memcpy(draft.bytes + view->network + header, icmp, 8);
	memcpy(draft.bytes + view->network + header + 8, inner, trial->in_size - carried);
	draft.size = view->network + header + 8 + trial->in_size - carried;
	return relay_compare(court, trial, &draft, &end, inner6, view->room - overhead);
}

/* Finds the ports of the quoted packet; the flow is that of an answer to it. */
static bool quote_read(struct trial *trial)
{
	struct view *view = &trial->view, quote = {};
	struct flow *flow = &view->flow;
	const __u8 *ports;

	view_read_quoted(&quote, view, trial->in, trial->quoted);
	if (!quote.transport || quote.transport + 8 > view->end)
		return false;
	ports = trial->in + quote.transport;
	trial->error = true;
	trial->quoted_transport = quote.transport;
	*flow = flow_turned(&quote.flow);
	flow->source_port = get16(ports + 2);
	flow->destination_port = get16(ports);
	return true;
}

static bool quote_runs_over(const struct trial *trial)
{
	return trial->view.flow.protocol == PROTOCOL_TCP &&
	       trial->quoted_transport + 20 > trial->view.end &&
	       trial->quoted_transport + 20 <= trial->in_size;
}

static bool judge_error(struct court *court, struct trial *trial)
{
	const struct view *view = &trial->view;
	const unsigned quoted = view->transport + 8, header = header_size(view->v6);
	const __u8 *ip = trial->in + quoted;
	struct address sender;
	unsigned carried = 0;
	__u8 inner = 0;

	trial->quoted = quoted;
	if (quoted + header > view->end || ip[0] >> 4 != (view->v6 ? 6 : 4) ||
	    (!view->v6 && (ip[0] & 15) < 5))
		return is_untouched(court, trial, "an error that quotes no packet");
	sender = address_read(ip + source_offset(view->v6), view->v6);
	if (!address_same(&sender, &view->flow.destination))
		return is_untouched(court, trial, "an error about somebody else's packet");
	if (!view->v6 && get16(ip + 6) & 0x1fff)
		return is_untouched(court, trial, "an error about a later fragment");
	if (court->world->sources && address_same(&sender, &tunnel_sources[view->v6]) &&
	    (view->v6 || (ip[0] == 0x45 && view->header == 20)))
		carried = tunnel_carried(trial, quoted + header, ip[view->v6 ? 6 : 9], &inner);
	if (carried)
		return judge_relay(court, trial, carried, inner == PROTOCOL_IPV6);
	if (!quote_read(trial))
		return is_untouched(court, trial, "an error about no flow");
	/* What looks like the quote's checksum may stand behind the packet. */
	if (quote_runs_over(trial) && is_untouched(court, trial, "an error that is longer"))
		return true;
	return judge_flow(court, trial);
}

bool judge_icmp(struct court *court, struct trial *trial)
{
	const struct view *view = &trial->view;
	const __u8 *icmp = trial->in + view->transport;

	if (view->transport + 8 > trial->in_size ||
	    (view->v6 && view->transport - view->network != 40))
		return is_untouched(court, trial, "ICMP, and no whole header of it");
	if (icmp[0] == (view->v6 ? ECHO6 : ECHO4))
		return judge_echo(court, trial);
	if (!is_error(icmp, view->v6))
		return is_untouched(court, trial, "some other ICMP");
	return judge_error(court, trial);
}
