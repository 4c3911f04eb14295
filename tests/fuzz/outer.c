// SPDX-License-Identifier: GPL-2.0-only
/* Headers that xlb puts before a packet: those of tunnels, and of its own errors. */
#include <string.h>

#include "judge.h"

#define OUTER_TTL 64
#define GUE_PORT_MIN 0xc000

/* IPv4 without options, nor fragments; the checksum made from scratch. */
static void outer4_write(__u8 *at, __u8 traffic, unsigned length, __u8 protocol,
			 const struct address *source, const struct address *destination)
{
	memset(at, 0, 20);
	at[0] = 0x45;
	at[1] = traffic;
	put16(at + 2, length);
	at[6] = 0x40;
	at[8] = OUTER_TTL;
	at[9] = protocol;
	memcpy(at + 12, source->bytes, 4);
	memcpy(at + 16, destination->bytes, 4);
	put16(at + 10, sum_checksum(sum_words(at, 20)));
}

static void outer6_write(__u8 *at, __u8 traffic, __u32 label, unsigned length, __u8 protocol,
			 const struct address *source, const struct address *destination)
{
	put32(at, 6U << 28 | (__u32)traffic << 20 | label);
	put16(at + 4, length - 40);
	at[6] = protocol;
	at[7] = OUTER_TTL;
	memcpy(at + 8, source->bytes, 16);
	memcpy(at + 24, destination->bytes, 16);
}

void header_write(__u8 *at, bool v6, __u8 traffic, __u32 label, unsigned length, __u8 protocol,
		  const struct address *source, const struct address *destination)
{
	if (v6)
		outer6_write(at, traffic, label, length, protocol, source, destination);
	else
		outer4_write(at, traffic, length, protocol, source, destination);
}

/* What tells flows apart in a tunnel: any will do, but always the same. */
static bool label_as(struct court *court, const struct known *known, __u32 label)
{
	return !known || !known->labelled || known->label == label ||
	       complain(court, "a flow's label or port in the tunnel was 0x%x, and is 0x%x",
			known->label, label);
}

bool is_tunnelled(struct court *court, struct trial *trial, const struct service *service,
		  const struct backend *backend, const struct end *end, struct known *known,
		  __u32 *label)
{
	const struct view *view = &trial->view;
	const bool outer6 = backend->address.v6, gue = service->mode == XLB_GUE;
	const unsigned header = header_size(outer6), extra = gue ? 12 : 0;
	const __u8 inner = view->v6 ? PROTOCOL_IPV6 : PROTOCOL_IPIP;
	const __u8 *outer = trial->out + view->network;
	struct draft inside, draft;
	__u8 *at;

	draft_begin(&inside, trial);
	draft_age(&inside, trial);
	draft.size = inside.size + header + extra;
	if (trial->out_size != draft.size)
		return complain(court, "tunnel: %u bytes, wanted %u", trial->out_size, draft.size);
	memcpy(draft.bytes, inside.bytes, view->network);
	put16(draft.bytes + view->network - 2, outer6 ? 0x86dd : 0x0800);
	at = draft.bytes + view->network;
	*label = outer6 ? get32(outer) & 0xfffff : 0;
	header_write(at, outer6, view->traffic, *label, header + extra + view->total,
		     gue ? PROTOCOL_UDP : inner, &tunnel_sources[outer6], &backend->address);
	if (gue) {
		*label |= (get16(outer + header) & 0xfff) << 20;
		if (get16(outer + header) < GUE_PORT_MIN)
			return complain(court, "tunnel: source port %u", get16(outer + header));
		put16(at + header, get16(outer + header));
		put16(at + header + 2, GUE_PORT);
		put16(at + header + 4, 12 + view->total);
		put16(at + header + 6, 0);
		put32(at + header + 8, inner << 16);
	}
	memcpy(at + header + extra, inside.bytes + view->network, inside.size - view->network);
	return draft_compare(court, trial, &draft, end, header + extra, "tunnel") &&
	       label_as(court, known, *label);
}

bool is_told_too_big(struct court *court, struct trial *trial, unsigned mtu)
{
	const struct view *view = &trial->view;
	const unsigned header = header_size(view->v6), most = view->v6 ? 1280 : 576;
	const unsigned front = view->network + header + 8;
	const struct end end = { .fate = FATE_BACK, .hop.link = trial->link };
	struct draft draft;
	unsigned quoted;
	__u8 *icmp;

	if (trial->out_size < front + header + 8 || trial->out_size - view->network > most ||
	    trial->out_size - front > trial->in_size - view->network)
		return complain(court, "too big: an error of %u bytes", trial->out_size);
	quoted = trial->out_size - front;
	draft.size = trial->out_size;
	memcpy(draft.bytes, trial->in, view->network);
	header_write(draft.bytes + view->network, view->v6, 0, 0, header + 8 + quoted,
		     view->v6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP, &view->flow.destination,
		     &view->flow.source);
	icmp = draft.bytes + view->network + header;
	icmp[0] = view->v6 ? 2 : 3;
	icmp[1] = view->v6 ? 0 : 4;
	put16(icmp + 2, 0);
	put32(icmp + 4, view->v6 && mtu < 1280 ? 1280 : mtu);
	memcpy(icmp + 8, trial->in + view->network, quoted);
	icmp_finish(icmp, draft.bytes + view->network, 8 + quoted);
	return draft_same(court, trial, &draft, &end, "too big");
}
