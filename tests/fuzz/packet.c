// SPDX-License-Identifier: GPL-2.0-only
/* Frames read and summed up by the RFCs. */
#include <string.h>

#include "packet.h"

#define TYPE_IPV4 0x0800
#define TYPE_IPV6 0x86dd
#define TYPE_VLAN 0x8100
#define TYPE_QINQ 0x88a8

/* Beyond that xlb does not follow extension headers. */
#define TRANSPORT_MAX 1020

struct address address_read(const __u8 *at, bool v6)
{
	struct address address = { .v6 = v6 };

	memcpy(address.bytes, at, address_size(v6));
	return address;
}

bool address_same(const struct address *a, const struct address *b)
{
	return a->v6 == b->v6 && !memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

bool flow_same(const struct flow *a, const struct flow *b)
{
	return address_same(&a->source, &b->source) &&
	       address_same(&a->destination, &b->destination) &&
	       a->source_port == b->source_port && a->destination_port == b->destination_port &&
	       a->protocol == b->protocol;
}

struct flow flow_turned(const struct flow *flow)
{
	return (struct flow){
		.source = flow->destination,
		.destination = flow->source,
		.source_port = flow->destination_port,
		.destination_port = flow->source_port,
		.protocol = flow->protocol,
	};
}

bool address_impossible(const struct address *address)
{
	static const __u8 zeros[16];
	const __u8 *bytes = address->bytes;

	if (address->v6)
		return bytes[0] == 0xff || (!memcmp(bytes, zeros, 15) && bytes[15] <= 1);
	return bytes[0] == 0 || bytes[0] == 127 || bytes[0] >= 224;
}

static void addresses_read(struct view *view, const __u8 *ip)
{
	const __u8 *at = ip + source_offset(view->v6);
	struct flow *flow = &view->flow;

	flow->source = address_read(at, view->v6);
	flow->destination = address_read(at + address_size(view->v6), view->v6);
	if (address_impossible(&flow->source))
		view->faults |= FAULT_SOURCE;
	if (address_same(&flow->source, &flow->destination))
		view->faults |= FAULT_LAND;
}

/* At a TCP or UDP header, unless the frame ends before. */
static void transport_read(struct view *view, const __u8 *frame, unsigned size)
{
	const __u8 *at = frame + view->transport;
	const bool tcp = view->flow.protocol == PROTOCOL_TCP;
	const unsigned least = tcp ? 20 : 8;
	unsigned said;

	if (view->transport + least > size) {
		view->kind = KIND_CUT;
		return;
	}
	view->kind = KIND_PACKET;
	view->flow.source_port = get16(at);
	view->flow.destination_port = get16(at + 2);
	if (tcp) {
		view->opening = (at[13] & 0x12) == 0x02;
		view->closing = at[13] & 0x05;
	}
	/* A first fragment has only the beginning of what its header tells of. */
	said = tcp ? (at[12] >> 4) * 4 : get16(at + 4);
	if (view->room < least || (!view->fragment && (said < least || said > view->room)))
		view->faults |= FAULT_LENGTH;
}

static void icmp_read(struct view *view)
{
	/* One that ends within its own header is nobody's. */
	if (view->room >= 8)
		view->kind = KIND_ICMP;
}

static void ipv4_read(struct view *view, const __u8 *frame, unsigned size)
{
	const __u8 *ip = frame + view->network;
	unsigned there = size - view->network, header, offset;

	if (there < 20)
		return;
	addresses_read(view, ip);
	header = (ip[0] & 15) * 4;
	if (ip[0] >> 4 != 4 || header < 20) {
		view->kind = KIND_BAD_HEADER;
		return;
	}
	view->header = header;
	view->traffic = ip[1];
	view->total = get16(ip + 2);
	view->room = view->total > header ? view->total - header : 0;
	if (view->total > there || view->total < header)
		view->faults |= FAULT_LENGTH;
	view->hops = ip[8];
	view->flow.protocol = ip[9];
	view->divisible = !(ip[6] & 0x40);
	view->id = get16(ip + 4);
	view->transport = view->network + header;
	offset = get16(ip + 6) & 0x1fff;
	view->fragment = offset || ip[6] & 0x20;
	if (ip[9] == PROTOCOL_ICMP && !view->fragment)
		icmp_read(view);
	else if (ip[9] != PROTOCOL_TCP && ip[9] != PROTOCOL_UDP)
		return;
	else if (offset)
		view->kind = KIND_LATER;
	else
		transport_read(view, frame, size);
}

static bool is_extension(__u8 protocol)
{
	return protocol == PROTOCOL_HOP_BY_HOP || protocol == PROTOCOL_ROUTING ||
	       protocol == PROTOCOL_FRAGMENT || protocol == PROTOCOL_OPTIONS;
}

/* One extension header.  False: the walk is over, and the kind says why. */
static bool extension_read(struct view *view, const __u8 *frame, unsigned size)
{
	const __u8 *at = frame + view->transport, protocol = view->flow.protocol;
	unsigned length;

	if (view->transport + 8 > size || view->room < 8) {
		view->kind = KIND_CUT;
		return false;
	}
	length = protocol == PROTOCOL_FRAGMENT ? 8 : 8 + at[1] * 8;
	if (protocol == PROTOCOL_ROUTING && at[3])
		return false;
	if (protocol == PROTOCOL_FRAGMENT) {
		view->id = get32(at + 4);
		view->fragment |= get16(at + 2) & 0xfff9;
		if (get16(at + 2) & 0xfff8) {
			view->flow.protocol = at[0];
			view->kind = KIND_LATER;
			return false;
		}
	}
	if (view->transport - view->begin + length > TRANSPORT_MAX)
		return false;
	if (view->room < length) {
		view->kind = KIND_CUT;
		return false;
	}
	view->room -= length;
	view->transport += length;
	view->flow.protocol = at[0];
	return true;
}

static void ipv6_read(struct view *view, const __u8 *frame, unsigned size)
{
	const __u8 *ip = frame + view->network;
	unsigned there = size - view->network;
	__u8 *protocol = &view->flow.protocol;

	if (there < 40)
		return;
	addresses_read(view, ip);
	if (ip[0] >> 4 != 6) {
		view->kind = KIND_BAD_HEADER;
		return;
	}
	view->header = 40;
	view->traffic = get16(ip) >> 4;
	view->room = get16(ip + 4);
	view->total = 40 + view->room;
	if (view->total > there)
		view->faults |= FAULT_LENGTH;
	view->hops = ip[7];
	*protocol = ip[6];
	view->transport = view->network + 40;
	for (int i = 0; i < EXTENSIONS_MAX && is_extension(*protocol); i++)
		if (!extension_read(view, frame, size))
			break;
	if (view->kind == KIND_LATER && *protocol != PROTOCOL_TCP && *protocol != PROTOCOL_UDP)
		view->kind = KIND_STRANGER;
	if (view->kind || is_extension(*protocol))
		return;
	if (*protocol == PROTOCOL_ICMPV6 && !view->fragment)
		icmp_read(view);
	else if (*protocol == PROTOCOL_TCP || *protocol == PROTOCOL_UDP)
		transport_read(view, frame, size);
}

void view_read(struct view *view, const __u8 *frame, unsigned size)
{
	unsigned type, tags;

	*view = (struct view){ .network = ETHERNET };
	if (size < ETHERNET)
		return;
	type = get16(frame + 12);
	for (tags = 0; tags < TAGS_MAX && (type == TYPE_VLAN || type == TYPE_QINQ); tags++) {
		view->network += 4;
		if (view->network > size)
			return;
		type = get16(frame + view->network - 2);
	}
	view->begin = view->network;
	view->tagged = tags;
	view->v6 = type == TYPE_IPV6;
	if (view->v6)
		ipv6_read(view, frame, size);
	else if (type == TYPE_IPV4)
		ipv4_read(view, frame, size);
	view->end = view->network + view->total < size ? view->network + view->total : size;
}

void view_read_quoted(struct view *view, const struct view *error, const __u8 *frame,
		      unsigned network)
{
	const __u8 *ip = frame + network;
	const bool v6 = error->v6;
	__u8 *protocol = &view->flow.protocol;

	*view = (struct view){ .begin = error->begin, .network = network, .v6 = v6, .room = 65535 };
	addresses_read(view, ip);
	*protocol = ip[v6 ? 6 : 9];
	view->transport = network + (v6 ? 40 : (ip[0] & 15) * 4);
	for (int i = 0; v6 && i < EXTENSIONS_MAX && is_extension(*protocol); i++)
		if (!extension_read(view, frame, error->end))
			break;
	if (view->kind == KIND_LATER || (*protocol != PROTOCOL_TCP && *protocol != PROTOCOL_UDP))
		view->transport = 0;
}

unsigned sum_add(unsigned a, unsigned b)
{
	return (a + b) % 0xffff;
}

/* 2^16 is 1 modulo 65535, and so is the sum what the remainder is. */
unsigned sum_words(const __u8 *from, unsigned bytes)
{
	__u64 sum = 0;
	unsigned i;

	for (i = 0; i + 1 < bytes; i += 2)
		sum += get16(from + i);
	if (i < bytes)
		sum += from[i] << 8;
	return sum % 0xffff;
}

unsigned sum_pseudo(const __u8 *addresses, bool v6, __u8 protocol, unsigned length)
{
	return sum_add(sum_words(addresses, 2 * address_size(v6)), (protocol + length) % 0xffff);
}

/* Data is never all zero, and so its sum is 1 to 0xffff. */
__u16 sum_checksum(unsigned sum)
{
	return ~(sum ?: 0xffff);
}

void icmp_finish(__u8 *icmp, const __u8 *ip, unsigned length)
{
	const bool v6 = ip[0] >> 4 == 6;
	unsigned sum;

	put16(icmp + 2, 0);
	sum = sum_words(icmp, length);
	if (v6)
		sum = sum_add(sum, sum_pseudo(ip + 8, true, PROTOCOL_ICMPV6, length));
	put16(icmp + 2, sum_checksum(sum));
}
