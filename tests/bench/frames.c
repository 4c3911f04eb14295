// SPDX-License-Identifier: GPL-2.0-only
/* Makes the benchmark's frames, and tells whether a program did the right thing to one. */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <string.h>

#include "frames.h"

/* `ip link` gives the interface the one, the gateway's neighbour entry the other. */
const __u8 gateway_mac[6] = { 2, 0, 0, 0, 0, 1 };
static const __u8 own_mac[6] = { 2, 0, 0, 0, 0, 2 };

/* Flow 0's port; the flows' numbers fill the low bits. */
#define CLIENT_PORT (1 << BENCH_PORT_BITS)
/* Client networks are from 20.0.0.0/8 on, one a row. */
#define CLIENT_NETWORK 20
#define HOPS 64
#define TCP_SYN 0x02
#define TCP_ACK 0x10

/* Offsets into the frame. */
static const struct layout {
	__u16 type;
	unsigned hops, source, destination, size, transport;
} layouts[] = {
	[IPV4] = { ETH_P_IP, 22, 26, 30, 4, 34 },
	[IPV6] = { ETH_P_IPV6, 21, 22, 38, 16, 54 },
};

#define IP4_CHECK 24

static void put16(__u8 *at, __u16 value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static __u16 get16(const __u8 *at)
{
	return at[0] << 8 | at[1];
}

unsigned address_size(enum family family)
{
	return layouts[family].size;
}

void address_service(enum family family, enum service service, __u8 *address)
{
	static const char *const services[FAMILIES][SERVICES + 1] = {
		[IPV4] = { "192.0.2.1", "192.0.2.2", "198.51.100.1" },
		[IPV6] = { "2001:db8::1", "2001:db8::2", "2001:db8::ffff" },
	};

	inet_pton(family == IPV6 ? AF_INET6 : AF_INET, services[family][service], address);
}

void address_backend(enum family family, enum owner owner, unsigned number, __u8 *address)
{
	if (family == IPV6) {
		inet_pton(AF_INET6, "2001:db8:b::", address);
		address[7] = owner;
		address[15] = number + 1;
	} else {
		address[0] = 10;
		address[1] = 0;
		address[2] = owner;
		address[3] = number + 1;
	}
}

static void address_client(enum family family, unsigned clients, __u8 *address)
{
	memset(address, 0, layouts[family].size);
	if (family == IPV6) {
		inet_pton(AF_INET6, "2001:db8:c::", address);
		address[7] = clients;
	} else {
		address[0] = CLIENT_NETWORK + clients;
	}
}

static __u32 sum16(const __u8 *at, unsigned size, __u32 sum)
{
	for (; size; at += 2, size -= 2)
		sum += get16(at);
	return sum;
}

static __u16 sum_fold(__u32 sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static unsigned check_offset(const struct traffic *traffic)
{
	return layouts[traffic->family].transport + (traffic->protocol == XLB_TCP ? 16 : 6);
}

/* Computes all checksums from scratch: RFC 791, 768, 9293, 8200 (8.1). */
static void frame_checksums(const struct traffic *traffic, __u8 *frame)
{
	const struct layout *layout = &layouts[traffic->family];
	unsigned length = BENCH_FRAME_SIZE - layout->transport;
	__u8 *check = frame + check_offset(traffic);
	__u32 sum;

	if (traffic->family == IPV4) {
		put16(frame + IP4_CHECK, 0);
		put16(frame + IP4_CHECK, sum_fold(sum16(frame + ETH_HLEN, 20, 0)));
	}
	put16(check, 0);
	sum = sum16(frame + layout->source, 2 * layout->size, traffic->protocol + length);
	put16(check, sum_fold(sum16(frame + layout->transport, length, sum)));
	if (traffic->protocol == XLB_UDP && !get16(check))
		put16(check, 0xffff);
}

static void network_header(const struct traffic *traffic, __u8 *frame)
{
	const struct layout *layout = &layouts[traffic->family];
	__u8 *header = frame + ETH_HLEN;

	memcpy(frame, own_mac, ETH_ALEN);
	memcpy(frame + ETH_ALEN, gateway_mac, ETH_ALEN);
	put16(frame + 2 * ETH_ALEN, layout->type);
	if (traffic->family == IPV6) {
		header[0] = 0x60;
		put16(header + 4, BENCH_FRAME_SIZE - layout->transport);
		header[6] = traffic->protocol;
	} else {
		header[0] = 0x45;
		put16(header + 2, BENCH_FRAME_SIZE - ETH_HLEN);
		header[6] = 0x40;	/* don't fragment */
		header[9] = traffic->protocol;
	}
	frame[layout->hops] = HOPS;
}

static void transport_header(const struct traffic *traffic, __u8 *header)
{
	unsigned length = BENCH_FRAME_SIZE - layouts[traffic->family].transport;

	put16(header, traffic->reply ? BACKEND_PORT : CLIENT_PORT);
	put16(header + 2, traffic->reply ? CLIENT_PORT : SERVICE_PORT);
	if (traffic->protocol == XLB_TCP) {
		header[12] = 0x50;
		header[13] = traffic->opening ? TCP_SYN : TCP_ACK;
	} else {
		put16(header + 4, length);
	}
}

void traffic_source(const struct traffic *traffic, struct bench_source *source)
{
	const struct layout *layout = &layouts[traffic->family];
	__u8 *frame = (__u8 *)source->frame;
	__u8 *from = frame + layout->source;
	__u8 *to = frame + layout->destination;

	memset(source, 0, sizeof(*source));
	network_header(traffic, frame);
	address_client(traffic->family, traffic->clients, traffic->reply ? to : from);
	if (traffic->reply)
		address_backend(traffic->family, OWNER_CURRENT, 0, from);
	else
		address_service(traffic->family, traffic->service, to);
	transport_header(traffic, frame + layout->transport);
	frame_checksums(traffic, frame);

	source->flows = traffic->flows;
	source->zero_check = traffic->protocol == XLB_UDP ? 0xffff : 0;
	source->address = (traffic->reply ? layout->destination : layout->source) +
			  layout->size - 4;
	source->port = layout->transport + (traffic->reply ? 2 : 0);
	source->ip_check = traffic->family == IPV4 ? IP4_CHECK : 0;
	source->check = check_offset(traffic);
}

void frame_tuple(enum family family, const __u8 *frame, void *tuple)
{
	const struct layout *layout = &layouts[family];
	const __u8 *ports = frame + layout->transport;
	/* Ports, protocol and padding follow the addresses in either tuple. */
	struct {
		__u16 source_port, destination_port;
		enum xlb_protocol protocol;
		__u8 reserved[3];
	} rest = {
		.source_port = get16(ports),
		.destination_port = get16(ports + 2),
		.protocol = frame[ETH_HLEN + (family == IPV6 ? 6 : 9)],
	};

	memcpy(tuple, frame + layout->source, 2 * layout->size);
	memcpy((__u8 *)tuple + 2 * layout->size, &rest, sizeof(rest));
}

/* The backend whose address that is, BACKENDS if none's. */
static unsigned backend_find(enum family family, enum owner owner, const __u8 *address)
{
	unsigned number;
	__u8 candidate[16];

	for (number = 0; number < BACKENDS; number++) {
		address_backend(family, owner, number, candidate);
		if (!memcmp(candidate, address, layouts[family].size))
			break;
	}
	return number;
}

const char *frame_judge(const struct traffic *traffic, enum outcome outcome, bool hop,
			const __u8 *before, const __u8 *after, unsigned *backend)
{
	const struct layout *layout = &layouts[traffic->family];
	__u8 expected[BENCH_FRAME_SIZE];
	__u8 *ports = expected + layout->transport;

	memcpy(expected, before, BENCH_FRAME_SIZE);
	frame_checksums(traffic, expected);
	if (memcmp(expected, before, BENCH_FRAME_SIZE))
		return "restored with a wrong checksum";

	if (outcome != UNTOUCHED) {
		memcpy(expected, gateway_mac, ETH_ALEN);
		memcpy(expected + ETH_ALEN, own_mac, ETH_ALEN);
		expected[layout->hops] -= hop;
	}
	if (outcome == TO_CLIENT) {
		address_service(traffic->family, traffic->service, expected + layout->source);
		put16(ports, SERVICE_PORT);
	} else if (outcome == TO_CURRENT || outcome == TO_PREVIOUS) {
		*backend = backend_find(traffic->family,
					outcome == TO_CURRENT ? OWNER_CURRENT : OWNER_PREVIOUS,
					after + layout->destination);
		if (*backend == BACKENDS)
			return "not sent to a backend that it may go to";
		memcpy(expected + layout->destination, after + layout->destination, layout->size);
		put16(ports + 2, BACKEND_PORT);
	}
	frame_checksums(traffic, expected);
	return memcmp(expected, after, BENCH_FRAME_SIZE) ? "not rewritten as it should be" : NULL;
}
