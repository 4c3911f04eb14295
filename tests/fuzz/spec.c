// SPDX-License-Identifier: GPL-2.0-only
/* From a packet's description to its bytes, all of them right. */
#include <string.h>

#include "grammar.h"

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

	noise_write(random, at, length);
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

void spec_write(const struct spec *spec, struct random *random, struct frame *frame)
{
	const unsigned at = ethernet_write(frame, spec->tags, spec->flow.source.v6);
	__u8 *ip = frame->bytes + at;
	unsigned length = ip_begin(spec, random, ip);

	length += transport_write(spec, random, ip + length);
	ip_end(ip, length);
	noise_write(random, ip + length, spec->padding);
	frame->size = at + length + spec->padding;
}

/* Everything up to an ICMP message; where that begins.  `ip`: the header's place. */
static unsigned icmp_begin(struct random *random, struct frame *frame, unsigned *ip,
			   const struct address *source, const struct address *destination)
{
	struct spec spec = {
		.flow = { .source = *source, .destination = *destination },
	};

	spec.flow.protocol = source->v6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP;
	spec_decorate(&spec, random);
	spec.id = random_below(random, 65536);
	if (random_once(random, 64))
		spec.foreign = PROTOCOL_AUTHENTICATION;
	*ip = ethernet_write(frame, spec.tags, source->v6);
	return *ip + ip_begin(&spec, random, frame->bytes + *ip);
}

/* It has so many bytes, and may be followed by some that are not its own. */
static void icmp_end(struct random *random, struct frame *frame, unsigned ip, unsigned icmp,
		     unsigned length)
{
	icmp_finish(frame->bytes + icmp, frame->bytes + ip, length);
	ip_end(frame->bytes + ip, icmp - ip + length);
	frame->size = icmp + length;
	if (random_once(random, 32)) {
		const unsigned padding = random_below(random, 30);

		noise_write(random, frame->bytes + frame->size, padding);
		frame->size += padding;
	}
}

void error_write(struct grammar *grammar, struct frame *frame, bool v6,
		 const struct address *source, const struct address *destination,
		 const __u8 *quote, unsigned quoted)
{
	static const __u8 types4[] = { 3, 3, 3, 11, 12, 5, 4 }, types6[] = { 1, 2, 2, 3, 4, 5 };
	static const unsigned mtus[] = { 0, 20, 68, 576, 1280, 1400, 1480, 9000 };
	struct random *random = &grammar->random;
	unsigned ip;
	const unsigned at = icmp_begin(random, frame, &ip, source, destination);
	__u8 *icmp = frame->bytes + at;

	memset(icmp, 0, 8);
	icmp[0] = v6 ? types6[random_below(random, 6)] : types4[random_below(random, 7)];
	icmp[1] = v6 ? random_below(random, 5) : random_once(random, 2) ? 4 : random_below(random, 14);
	put32(icmp + 4, mtus[random_below(random, 8)]);
	memcpy(icmp + 8, quote, quoted);
	icmp_end(random, frame, ip, at, 8 + quoted);
	if (random_once(random, 16))
		icmp[2] ^= 1;
}

void echo_write(struct random *random, struct frame *frame, const struct address *source,
		const struct address *destination)
{
	const unsigned length = 8 + random_below(random, random_once(random, 8) ? 1400 : 80);
	unsigned ip;
	const unsigned at = icmp_begin(random, frame, &ip, source, destination);

	noise_write(random, frame->bytes + at, length);
	frame->bytes[at] = source->v6 ? 128 : 8;
	frame->bytes[at + 1] = 0;
	icmp_end(random, frame, ip, at, length);
}
