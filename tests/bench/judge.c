// SPDX-License-Identifier: GPL-2.0-only
/* Makes a frame as it should have come out, and compares. */
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include "judge.h"

#define PUSHED_SIZE 20
/* GUE's header and UDP's before it. */
#define GUE_SIZE 12
#define GUE_PORT_MIN 0xc000
#define FLOW_LABEL 15		/* offset in an IPv6 frame; 20 bits */

/* One frame's case: `expected` starts as `before`, and becomes what `after` must be. */
struct judgement {
	const struct traffic *traffic;
	bool hop;
	const __u8 *after;
	struct result_frame expected;
	unsigned *backend;
};

/* Sets *backend to whose address that is; NULL, or what is wrong with it. */
static const char *backend_find(struct judgement *j, enum family family, enum pool pool,
				const __u8 *address)
{
	unsigned number;
	__u8 candidate[16];

	for (number = 0; number < BACKENDS; number++) {
		address_backend(family, pool, number, candidate);
		if (!memcmp(candidate, address, address_size(family))) {
			*j->backend = number;
			return NULL;
		}
	}
	return "not sent to a backend that it may go to";
}

/* Modes dnat and nat, on the way to the backend. */
static const char *expect_translated(struct judgement *j, enum pool pool)
{
	const struct layout *layout = &layouts[j->traffic->family];
	__u8 *frame = j->expected.bytes, *ports = frame + layout->transport;
	const char *wrong = backend_find(j, j->traffic->family, pool,
					 j->after + layout->destination);

	memcpy(frame + layout->destination, j->after + layout->destination, layout->size);
	put16(ports + 2, BACKEND_PORT);
	frame[layout->hops] -= j->hop;
	return wrong;
}

/* Mode nat: whichever of its addresses xlb chose, and whichever port. */
static const char *expect_source(struct judgement *j)
{
	const struct layout *layout = &layouts[j->traffic->family];
	const __u8 *source = j->after + layout->source;
	__u8 *frame = j->expected.bytes, candidate[16];
	unsigned number;

	memcpy(frame + layout->source, source, layout->size);
	memcpy(frame + layout->transport, j->after + layout->transport, sizeof(__u16));
	for (number = 0; number < XLB_NAT_ADDRESSES; number++) {
		address_nat(j->traffic->family, number, candidate);
		if (!memcmp(candidate, source, layout->size))
			return NULL;
	}
	return "not given an address of xlb's own";
}

static const char *expect_direct(struct judgement *j)
{
	__u8 number = j->after[sizeof(backend_mac)] - 1;

	memcpy(j->expected.bytes, backend_mac, sizeof(backend_mac));
	j->expected.bytes[sizeof(backend_mac)] = number + 1;
	*j->backend = number;
	return number < BACKENDS ? NULL : "not sent to a backend's MAC";
}

/* RFC 768; GUE version 0 without options. */
static const char *expect_gue(struct judgement *j, __u8 *header, unsigned offset)
{
	memcpy(header, j->after + offset, sizeof(__u16));
	put16(header + 2, XLB_GUE_PORT_DEFAULT);
	put16(header + 4, j->expected.length - offset);
	header[9] = j->traffic->family == IPV6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	return get16(header) >= GUE_PORT_MIN ? NULL : "source port not for flows to choose";
}

static const char *expect_tunnelled(struct judgement *j, const struct service_kind *kind)
{
	const enum family family = kind->backends[j->traffic->family];
	const struct layout *layout = &layouts[family], *inner = &layouts[j->traffic->family];
	const unsigned gue = kind->mode == XLB_GUE ? GUE_SIZE : 0;
	const unsigned grown = layout->transport - ETH_HLEN + gue;
	__u8 *frame = j->expected.bytes;
	const char *wrong = backend_find(j, family, kind->pool, j->after + layout->destination);

	frame[inner->hops] -= j->hop;
	frame_checksums(j->traffic, frame);
	memmove(frame + ETH_HLEN + grown, frame + ETH_HLEN, BENCH_FRAME_SIZE - ETH_HLEN);
	memset(frame + ETH_HLEN, 0, grown);
	j->expected.length += grown;
	network_header(family, gue ? IPPROTO_UDP
				   : j->traffic->family == IPV6 ? IPPROTO_IPV6 : IPPROTO_IPIP,
		       j->expected.length - layout->transport, frame);
	if (family == IPV6) {
		frame[FLOW_LABEL] = j->after[FLOW_LABEL] & 0x0f;
		memcpy(frame + FLOW_LABEL + 1, j->after + FLOW_LABEL + 1, 2);
	}
	address_tunnel(family, frame + layout->source);
	memcpy(frame + layout->destination, j->after + layout->destination, layout->size);
	network_checksum(family, frame);
	if (gue && !wrong)
		wrong = expect_gue(j, frame + layout->transport, layout->transport);
	return wrong;
}

static const char *expect_backend(struct judgement *j)
{
	const struct service_kind *kind = &service_kinds[j->traffic->service];
	const char *wrong;

	switch (kind->mode) {
	case XLB_DR:
		return expect_direct(j);
	case XLB_IPIP:
	case XLB_GUE:
		return expect_tunnelled(j, kind);
	case XLB_NAT:
		wrong = expect_translated(j, kind->pool) ?: expect_source(j);
		break;
	default:
		wrong = expect_translated(j, kind->pool);
	}
	frame_checksums(j->traffic, j->expected.bytes);
	return wrong;
}

/* A reply; in mode nat the client is another, with the same flow's number. */
static const char *expect_client(struct judgement *j)
{
	const struct traffic *traffic = j->traffic;
	const struct layout *layout = &layouts[traffic->family];
	__u8 *frame = j->expected.bytes, *client = frame + layout->destination;
	const __u8 *low = client + layout->size - 4;
	__u32 flow = get16(low) << 16 | get16(low + 2);

	if (traffic->service == SERVICE_NAT)
		address_client(traffic->family, traffic->clients, flow & 0xffffff, client);
	address_service(traffic->family, traffic->service, frame + layout->source);
	put16(frame + layout->transport, SERVICE_PORT);
	frame[layout->hops] -= j->hop;
	frame_checksums(traffic, frame);
	return NULL;
}

static const char *expect(struct judgement *j, enum outcome outcome)
{
	__u8 *frame = j->expected.bytes;
	const char *wrong = NULL;

	switch (outcome) {
	case UNTOUCHED:
		return NULL;
	case PUSHED:
		memmove(frame + PUSHED_SIZE, frame, BENCH_FRAME_SIZE);
		memcpy(frame, j->after, PUSHED_SIZE);
		j->expected.length += PUSHED_SIZE;
		return NULL;
	case BOUNCED:
		break;
	case TO_CLIENT:
		wrong = expect_client(j);
		break;
	case TO_PREVIOUS:
		wrong = expect_translated(j, POOL_PREVIOUS);
		frame_checksums(j->traffic, frame);
		break;
	case TO_BACKEND:
		wrong = expect_backend(j);
		break;
	}
	if (outcome != TO_BACKEND || service_kinds[j->traffic->service].mode != XLB_DR)
		memcpy(frame, gateway_mac, ETH_ALEN);
	memcpy(frame + ETH_ALEN, own_mac, ETH_ALEN);
	return wrong;
}

const char *frame_judge(const struct traffic *traffic, enum outcome outcome, bool hop,
			const struct result_frame *before, const struct result_frame *after,
			unsigned *backend)
{
	struct judgement j = {
		.traffic = traffic,
		.hop = hop,
		.after = after->bytes,
		.expected = *before,
		.backend = backend,
	};
	const char *wrong;

	if (before->length != BENCH_FRAME_SIZE)
		return "restored with a wrong length";
	frame_checksums(traffic, j.expected.bytes);
	if (memcmp(j.expected.bytes, before->bytes, BENCH_FRAME_SIZE))
		return "restored with a wrong checksum";
	wrong = expect(&j, outcome);
	if (wrong)
		return wrong;
	if (after->length != j.expected.length)
		return "not as long as it should be";
	return memcmp(j.expected.bytes, after->bytes, after->length) ? "not as it should be"
								      : NULL;
}
