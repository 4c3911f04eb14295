// SPDX-License-Identifier: GPL-2.0-only
/* Frames as they should come out, and whether they have: bytes, lengths, checksums. */
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>

#include "judge.h"

#define OUTER_TTL 64
#define GUE_PORT_MIN 0xc000

void draft_begin(struct draft *draft, const struct trial *trial)
{
	memcpy(draft->bytes, trial->in, trial->in_size);
	draft->size = trial->in_size;
}

void draft_end(struct draft *draft, const struct trial *trial, bool source,
	       const struct address *address, __u16 port)
{
	const struct view *view = &trial->view;
	const unsigned size = address_size(view->v6), at = source_offset(view->v6);

	memcpy(draft->bytes + view->network + at + (source ? 0 : size), address->bytes, size);
	if (trial->error) {
		memcpy(draft->bytes + trial->quoted + at + (source ? size : 0), address->bytes,
		       size);
		if (port)
			put16(draft->bytes + trial->quoted_transport + (source ? 2 : 0), port);
	} else if (port && view->kind == KIND_PACKET) {
		put16(draft->bytes + view->transport + (source ? 0 : 2), port);
	}
}

void draft_age(struct draft *draft, const struct trial *trial)
{
	draft->bytes[trial->view.network + (trial->view.v6 ? 7 : 8)]--;
}

/* A checksum of the frame, as it stood and as it stands. */
struct sum {
	const char *name;
	unsigned field;		/* offset in the frame that came */
	unsigned before, after;	/* with the field itself: 0 is right */
	bool optional;		/* UDP's: zero says that there is none */
};

/* What was right is right, and what was wrong is so by as much as before. */
static bool sum_keeps(struct court *court, const struct trial *trial, struct draft *draft,
		      const struct sum *sum, unsigned moved)
{
	unsigned was = get16(trial->in + sum->field);
	unsigned is = get16(trial->out + sum->field + moved);

	put16(draft->bytes + sum->field + moved, is);
	if (sum->optional && !was)
		return !is || complain(court, "%s: made, where there was none", sum->name);
	if (sum->optional && !is)
		return complain(court, "%s: zero, which says that there is none", sum->name);
	if (sum->before != sum->after)
		return complain(court, "%s: 0x%04x, off by 0x%04x, where it was off by 0x%04x",
				sum->name, is, sum->after, sum->before);
	if (!sum->before && is == 0xffff && !sum->optional)
		return complain(court, "%s: 0xffff, which no sum is", sum->name);
	return true;
}

static bool ip_keeps(struct court *court, const struct trial *trial, struct draft *draft,
		     const char *name, unsigned network, unsigned header, unsigned moved)
{
	const struct sum sum = {
		.name = name,
		.field = network + 10,
		.before = sum_words(trial->in + network, header),
		.after = sum_words(trial->out + network + moved, header),
	};

	return sum_keeps(court, trial, draft, &sum, moved);
}

/* `length` bytes of a message whose pseudo-header is that of the packet at `network`. */
static bool message_keeps(struct court *court, const struct trial *trial, struct draft *draft,
			  struct sum *sum, unsigned network, unsigned at, unsigned length,
			  __u8 protocol, unsigned moved)
{
	const bool v6 = trial->view.v6;
	const unsigned addresses = network + source_offset(v6);

	sum->before = sum_words(trial->in + at, length);
	sum->after = sum_words(trial->out + at + moved, length);
	if (protocol != PROTOCOL_ICMP) {
		sum->before = sum_add(sum->before, sum_pseudo(trial->in + addresses, v6, protocol,
							      length));
		sum->after = sum_add(sum->after, sum_pseudo(trial->out + addresses + moved, v6,
							    protocol, length));
	}
	return sum_keeps(court, trial, draft, sum, moved);
}

static bool transport_keeps(struct court *court, const struct trial *trial, struct draft *draft,
			    unsigned moved)
{
	const struct view *view = &trial->view;
	const bool udp = view->flow.protocol == PROTOCOL_UDP;
	unsigned length = view->room;
	struct sum sum = {
		.name = udp ? "UDP checksum" : "TCP checksum",
		.field = view->transport + (udp ? 6 : 16),
		.optional = udp,
	};

	if (view->kind != KIND_PACKET)
		return true;
	if (udp && !view->fragment)
		length = get16(trial->in + view->transport + 4);
	return message_keeps(court, trial, draft, &sum, view->network, view->transport, length,
			     view->flow.protocol, moved);
}

/* Of an error and what it quotes, of which the end is missing. */
static bool error_keeps(struct court *court, const struct trial *trial, struct draft *draft,
			unsigned moved)
{
	const struct view *view = &trial->view;
	const bool udp = view->flow.protocol == PROTOCOL_UDP;
	const unsigned at = trial->quoted_transport, least = udp ? 8 : 20;
	struct sum icmp = { .name = "ICMP checksum", .field = view->transport + 2 };
	struct sum quoted = {
		.name = "quoted checksum",
		.field = at + (udp ? 6 : 16),
		.optional = udp,
	};

	if (!view->v6 && !ip_keeps(court, trial, draft, "quoted IP checksum", trial->quoted,
				   (trial->in[trial->quoted] & 15) * 4, moved))
		return false;
	if (at + least <= view->end &&
	    !message_keeps(court, trial, draft, &quoted, trial->quoted, at, least,
			   view->flow.protocol, moved))
		return false;
	return message_keeps(court, trial, draft, &icmp, view->network, view->transport,
			     view->room, view->v6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP, moved);
}

static bool left_as(struct court *court, const struct trial *trial, struct draft *draft,
		    const struct end *end, const char *what)
{
	const bool back = end->hop.link == trial->link && !court->world->links[trial->link].veth;
	const __u32 verdict = end->fate == FATE_STACK ? XDP_PASS : back ? XDP_TX : XDP_REDIRECT;

	if (trial->verdict != verdict)
		return complain(court, "%s: verdict %u, wanted %u", what, trial->verdict, verdict);
	if (end->fate == FATE_SENT) {
		memcpy(draft->bytes, end->hop.mac, 6);
		memcpy(draft->bytes + 6, link_mac(end->hop.link), 6);
	}
	if (trial->out_size != draft->size)
		return complain(court, "%s: %u bytes, wanted %u", what, trial->out_size,
				draft->size);
	return true;
}

static bool bytes_as(struct court *court, const struct trial *trial, const struct draft *draft,
		     const char *what)
{
	for (unsigned i = 0; i < draft->size; i++)
		if (draft->bytes[i] != trial->out[i])
			return complain(court, "%s: byte %u is 0x%02x, wanted 0x%02x", what, i,
					trial->out[i], draft->bytes[i]);
	return true;
}

/* The checksum of an ICMP message that its IP header precedes. */
static void icmp_finish(__u8 *icmp, bool v6, unsigned length)
{
	unsigned sum = sum_words(icmp, length);

	if (v6)
		sum = sum_add(sum, sum_pseudo(icmp - 32, true, PROTOCOL_ICMPV6, length));
	put16(icmp + 2, sum_checksum(sum));
}

bool draft_same(struct court *court, struct trial *trial, struct draft *draft,
		const struct end *end, const char *what)
{
	return left_as(court, trial, draft, end, what) && bytes_as(court, trial, draft, what);
}

bool draft_compare(struct court *court, struct trial *trial, struct draft *draft,
		   const struct end *end, unsigned moved, const char *what)
{
	const struct view *view = &trial->view;
	char sums[sizeof(court->complaint)];
	bool keeps;

	if (!left_as(court, trial, draft, end, what))
		return false;
	keeps = (view->v6 || ip_keeps(court, trial, draft, "IP checksum", view->network,
				      view->header, moved)) &&
		(trial->error ? error_keeps(court, trial, draft, moved)
			      : transport_keeps(court, trial, draft, moved));
	if (keeps)
		return bytes_as(court, trial, draft, what);
	/* An address or port tells more than the sum that it spoils. */
	memcpy(sums, court->complaint, sizeof(sums));
	return bytes_as(court, trial, draft, what) && complain(court, "%s: %.400s", what, sums);
}

bool icmp_compare(struct court *court, struct trial *trial, struct draft *draft,
		  const struct end *end, const char *what)
{
	const struct view *view = &trial->view;
	struct sum sum = { .name = "ICMP checksum", .field = view->transport + 2 };

	if (!left_as(court, trial, draft, end, what))
		return false;
	if (end->fate == FATE_SENT) {
		memcpy(draft->bytes, trial->in + 6, 6);
		memcpy(draft->bytes + 6, trial->in, 6);
	}
	return (view->v6 || ip_keeps(court, trial, draft, "IP checksum", view->network,
				     view->header, 0)) &&
	       message_keeps(court, trial, draft, &sum, view->network, view->transport, view->room,
			     view->v6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP, 0) &&
	       bytes_as(court, trial, draft, what);
}

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

/* From whom to whom the error is, and what it quotes, were dropped in the draft. */
bool is_told_too_big(struct court *court, struct trial *trial, unsigned mtu)
{
	const struct view *view = &trial->view;
	const unsigned header = header_size(view->v6), most = view->v6 ? 1280 : 576;
	const unsigned front = view->network + header + 8;
	const struct end end = { .fate = FATE_SENT, .hop.link = trial->link };
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
	icmp_finish(icmp, view->v6, 8 + quoted);
	if (!left_as(court, trial, &draft, &end, "too big"))
		return false;
	memcpy(draft.bytes, trial->in + 6, 6);
	memcpy(draft.bytes + 6, trial->in, 6);
	return bytes_as(court, trial, &draft, "too big");
}
