// SPDX-License-Identifier: GPL-2.0-only
/* From a packet's description to its bytes, all of them right. */
#include <string.h>

#include "grammar.h"

static void noise(struct random *random, __u8 *at, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		at[i] = random_word(random) >> 32;
}

static bool often_not(struct random *random)
{
	return !random_once(random, 6);
}

/* Whatever else a packet may have than the usual. */
void spec_decorate(struct spec *spec, struct random *random)
{
	static const __u8 hops[] = { 64, 64, 64, 255, 128, 2, 1, 0 };
	static const unsigned payloads[] = { 0, 1, 7, 64, 100, 500, 540, 560, 580, 1200, 1220,
					     1400, 1408, 1416, 1432, 1440, 1452, 1460, 1472, 3000 };

	spec->hops = hops[random_below(random, sizeof(hops))];
	spec->traffic = random_once(random, 2) ? 0 : random_below(random, 256);
	spec->dont_fragment = random_once(random, 2);
	spec->id = spec->flow.source_port & 0xff;
	spec->payload = random_once(random, 2) ? random_below(random, 64)
					       : payloads[random_below(random, 20)] +
						 random_below(random, 3);
	if (often_not(random))
		return;
	if (random_once(random, 3))
		spec->tags = random_below(random, 4);
	if (random_once(random, 3))
		spec->options = random_below(random, 11);
	if (random_once(random, 3))
		spec->extensions = random_below(random, 11);
	if (random_once(random, 3)) {
		spec->fragment = true;
		spec->more = random_once(random, 2);
		spec->offset = random_once(random, 2) ? 0 : random_below(random, 200);
		spec->dont_fragment = false;
	}
	if (random_once(random, 3))
		spec->checksum = random_below(random, 3);
	if (random_once(random, 4))
		spec->padding = random_below(random, 30);
}

/* The transport header and payload; the sum is over all of it. */
static unsigned transport_write(const struct spec *spec, struct random *random, __u8 *at)
{
	const struct flow *flow = &spec->flow;
	const bool tcp = flow->protocol == PROTOCOL_TCP;
	const unsigned more = tcp && random_once(random, 4) ? 4 * random_below(random, 11) : 0;
	const unsigned header = tcp ? 20 + more : 8, length = header + spec->payload;
	__u8 addresses[32], *checksum = at + (tcp ? 16 : 6);
	const unsigned size = address_size(flow->source.v6);
	unsigned sum;

	noise(random, at, length);
	put16(at, flow->source_port);
	put16(at + 2, flow->destination_port);
	if (tcp) {
		at[12] = header / 4 << 4;
		at[13] = spec->tcp_flags;
	} else {
		put16(at + 4, length);
	}
	put16(checksum, 0);
	memcpy(addresses, flow->source.bytes, size);
	memcpy(addresses + size, flow->destination.bytes, size);
	sum = sum_add(sum_words(at, length),
		      sum_pseudo(addresses, flow->source.v6, flow->protocol, length));
	put16(checksum, sum_checksum(sum));
	if (spec->wanted && spec->payload > 1) {
		unsigned word = get16(at + header) + get16(checksum) + 0xffff - spec->wanted;

		put16(at + header, word % 0xffff);
		put16(checksum, spec->wanted);
	}
	if (!tcp && !get16(checksum))
		put16(checksum, 0xffff);
	if (spec->checksum == CHECKSUM_WRONG)
		put16(checksum, get16(checksum) + 1 + random_below(random, 0xfff0));
	if (spec->checksum == CHECKSUM_NONE && !tcp)
		put16(checksum, 0);
	return length;
}

static unsigned ipv4_write(const struct spec *spec, struct random *random, __u8 *at)
{
	const unsigned header = 20 + 4 * spec->options;
	unsigned length = header;

	memset(at, 0, header);
	at[0] = 0x40 | header / 4;
	at[1] = spec->traffic;
	put16(at + 4, spec->id);
	put16(at + 6, (spec->dont_fragment ? 0x4000 : 0) |
			      (spec->fragment ? (spec->more ? 0x2000 : 0) | spec->offset : 0));
	at[8] = spec->hops;
	at[9] = spec->flow.protocol;
	memcpy(at + 12, spec->flow.source.bytes, 4);
	memcpy(at + 16, spec->flow.destination.bytes, 4);
	/* No operation, as often as need be. */
	memset(at + 20, 1, header - 20);
	length += transport_write(spec, random, at + header);
	put16(at + 2, length);
	put16(at + 10, sum_checksum(sum_words(at, header)));
	return length;
}

/* Extension headers, each saying what comes after it; the bytes they take. */
static unsigned extensions_write(const struct spec *spec, struct random *random, __u8 *at,
				 __u8 *next)
{
	static const __u8 kinds[] = { PROTOCOL_HOP_BY_HOP, PROTOCOL_ROUTING, PROTOCOL_OPTIONS };
	unsigned length = 0, size;

	for (unsigned i = 0; i < spec->extensions; i++) {
		*next = kinds[random_below(random, 3)];
		next = at + length;
		size = 8 * (1 + random_below(random, random_once(random, 4) ? 4 : 1));
		memset(next, 0, size);
		if (*next == PROTOCOL_ROUTING && random_once(random, 8))
			next[3] = 1;
		next[1] = size / 8 - 1;
		length += size;
	}
	if (spec->fragment || random_once(random, 64)) {
		*next = PROTOCOL_FRAGMENT;
		next = at + length;
		memset(next, 0, 8);
		put16(next + 2, spec->fragment ? spec->offset << 3 | spec->more : 0);
		put32(next + 4, spec->id);
		length += 8;
	}
	*next = spec->flow.protocol;
	return length;
}

static unsigned ipv6_write(const struct spec *spec, struct random *random, __u8 *at)
{
	unsigned length;

	put32(at, 6U << 28 | (__u32)spec->traffic << 20 | random_below(random, 1 << 20));
	at[7] = spec->hops;
	memcpy(at + 8, spec->flow.source.bytes, 16);
	memcpy(at + 24, spec->flow.destination.bytes, 16);
	length = extensions_write(spec, random, at + 40, at + 6);
	length += transport_write(spec, random, at + 40 + length);
	put16(at + 4, length);
	return 40 + length;
}

/* MACs, tags and type; the offset of what follows. */
static unsigned ethernet_write(struct frame *frame, unsigned tags, bool v6)
{
	static const __u8 to[6] = { 2, 0, 0, 0, 0, 1 }, from[6] = { 2, 0, 0, 0, 1, 2 };
	unsigned at = 12;

	memcpy(frame->bytes, to, 6);
	memcpy(frame->bytes + 6, from, 6);
	for (unsigned i = 0; i < tags; i++, at += 4) {
		put16(frame->bytes + at, i || tags == 1 ? 0x8100 : 0x88a8);
		put16(frame->bytes + at + 2, 7 + i);
	}
	put16(frame->bytes + at, v6 ? 0x86dd : 0x0800);
	return at + 2;
}

void spec_write(struct spec *spec, struct random *random, struct frame *frame)
{
	const bool v6 = spec->flow.source.v6;
	unsigned at = ethernet_write(frame, spec->tags, v6);

	at += v6 ? ipv6_write(spec, random, frame->bytes + at)
		 : ipv4_write(spec, random, frame->bytes + at);
	noise(random, frame->bytes + at, spec->padding);
	frame->size = at + spec->padding;
}

static unsigned icmp_begin(struct random *random, struct frame *frame, bool v6,
			   const struct address *source, const struct address *destination,
			   unsigned length)
{
	static const __u8 hops[] = { 64, 64, 255, 2, 1 };
	const unsigned options = v6 || often_not(random) ? 0 : random_below(random, 4);
	unsigned at = ethernet_write(frame, often_not(random) ? 0 : random_below(random, 3), v6);
	__u8 *ip = frame->bytes + at;

	if (v6) {
		put32(ip, 6U << 28);
		put16(ip + 4, length);
		ip[6] = PROTOCOL_ICMPV6;
		ip[7] = hops[random_below(random, sizeof(hops))];
		memcpy(ip + 8, source->bytes, 16);
		memcpy(ip + 24, destination->bytes, 16);
		return at + 40;
	}
	memset(ip, 0, 20);
	memset(ip + 20, 1, 4 * options);
	ip[0] = 0x45 + options;
	put16(ip + 2, 20 + 4 * options + length);
	put16(ip + 4, random_below(random, 65536));
	ip[8] = hops[random_below(random, sizeof(hops))];
	ip[9] = PROTOCOL_ICMP;
	memcpy(ip + 12, source->bytes, 4);
	memcpy(ip + 16, destination->bytes, 4);
	put16(ip + 10, sum_checksum(sum_words(ip, 20 + 4 * options)));
	return at + 20 + 4 * options;
}

void error_write(struct grammar *grammar, struct frame *frame, bool v6,
		 const struct address *source, const struct address *destination,
		 const __u8 *quote, unsigned quoted)
{
	static const __u8 types4[] = { 3, 3, 3, 11, 12, 5, 4 }, types6[] = { 1, 2, 2, 3, 4, 5 };
	static const unsigned mtus[] = { 0, 20, 68, 576, 1280, 1400, 1480, 9000 };
	struct random *random = &grammar->random;
	const unsigned at = icmp_begin(random, frame, v6, source, destination, 8 + quoted);
	__u8 *icmp = frame->bytes + at;

	memset(icmp, 0, 8);
	icmp[0] = v6 ? types6[random_below(random, 6)] : types4[random_below(random, 7)];
	icmp[1] = v6 ? random_below(random, 5) : random_once(random, 2) ? 4 : random_below(random, 14);
	put32(icmp + 4, mtus[random_below(random, 8)]);
	memcpy(icmp + 8, quote, quoted);
	icmp_finish(icmp, v6, 8 + quoted);
	frame->size = at + 8 + quoted;
	if (random_once(random, 16))
		icmp[2] ^= 1;
}

void echo_write(struct random *random, struct frame *frame, const struct address *source,
		const struct address *destination)
{
	const bool v6 = source->v6;
	const unsigned length = 8 + random_below(random, random_once(random, 8) ? 1400 : 80);
	const unsigned at = icmp_begin(random, frame, v6, source, destination, length);

	noise(random, frame->bytes + at, length);
	frame->bytes[at] = v6 ? 128 : 8;
	frame->bytes[at + 1] = 0;
	icmp_finish(frame->bytes + at, v6, length);
	frame->size = at + length;
}
