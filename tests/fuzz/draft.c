// SPDX-License-Identifier: GPL-2.0-only
/* Frames as they should come out, and whether they have: bytes, lengths, checksums. */
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>

#include "judge.h"

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
	} else if (end->fate == FATE_BACK) {
		memcpy(draft->bytes, trial->in + 6, 6);
		memcpy(draft->bytes + 6, trial->in, 6);
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
	return (view->v6 || ip_keeps(court, trial, draft, "IP checksum", view->network,
				     view->header, 0)) &&
	       message_keeps(court, trial, draft, &sum, view->network, view->transport, view->room,
			     view->v6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP, 0) &&
	       bytes_as(court, trial, draft, what);
}
