// SPDX-License-Identifier: GPL-2.0-only
/* Makes the benchmark's frames, and the addresses that are in them. */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <string.h>

#include "frames.h"

/* tests/bench/run gives these to the interfaces and neighbours. */
const __u8 gateway_mac[6] = { 2, 0, 0, 0, 0, 1 };
const __u8 own_mac[6] = { 2, 0, 0, 0, 0, 2 };
const __u8 backend_mac[5] = { 2, 0, 0, 0, 1 };

/* Flow 0's port; the flows' numbers fill the low bits. */
#define CLIENT_PORT (1 << BENCH_PORT_BITS)
/* Client networks are from 20.0.0.0/8 on, one a row. */
#define CLIENT_NETWORK 20
/* What backends of mode nat reply to in rows of replies: an address a flow, since
 * only addresses have room for a flow's whole number. */
#define NAT_NETWORK 11
#define HOPS 64
#define TCP_SYN 0x02
#define TCP_ACK 0x10
#define IP4_CHECK 24

const struct layout layouts[FAMILIES] = {
	[IPV4] = { ETH_P_IP, 22, 26, 30, 4, 34 },
	[IPV6] = { ETH_P_IPV6, 21, 22, 38, 16, 54 },
};

const struct service_kind service_kinds[SERVICES] = {
	[SERVICE_STEADY] = { XLB_DNAT, POOL_CURRENT, { IPV4, IPV6 } },
	[SERVICE_MARKED] = { XLB_DNAT, POOL_CURRENT, { IPV4, IPV6 } },
	[SERVICE_NAT] = { XLB_NAT, POOL_NAT, { IPV4, IPV6 } },
	[SERVICE_DR] = { XLB_DR, POOL_ON_LINK, { IPV4, IPV6 } },
	[SERVICE_IPIP4] = { XLB_IPIP, POOL_TUNNEL, { IPV4, IPV4 } },
	[SERVICE_IPIP6] = { XLB_IPIP, POOL_TUNNEL, { IPV6, IPV6 } },
	[SERVICE_GUE4] = { XLB_GUE, POOL_TUNNEL, { IPV4, IPV4 } },
	[SERVICE_GUE6] = { XLB_GUE, POOL_TUNNEL, { IPV6, IPV6 } },
	[SERVICE_RULE] = { XLB_DNAT, POOL_CURRENT, { IPV4, IPV6 } },
	[SERVICE_RULES] = { XLB_DNAT, POOL_CURRENT, { IPV4, IPV6 } },
	[SERVICE_LIMIT] = { XLB_DNAT, POOL_CURRENT, { IPV4, IPV6 } },
};

void put16(__u8 *at, __u16 value)
{
	at[0] = value >> 8;
	at[1] = value;
}

__u16 get16(const __u8 *at)
{
	return at[0] << 8 | at[1];
}

unsigned address_size(enum family family)
{
	return layouts[family].size;
}

static void address_set(enum family family, const char *const *texts, __u8 *address)
{
	inet_pton(family == IPV6 ? AF_INET6 : AF_INET, texts[family], address);
}

void address_service(enum family family, enum service service, __u8 *address)
{
	static const char *const first[] = { "192.0.2.1", "2001:db8::1" };
	static const char *const none[] = { "198.51.100.1", "2001:db8::ffff" };

	address_set(family, service == SERVICE_NONE ? none : first, address);
	if (service != SERVICE_NONE)
		address[layouts[family].size - 1] += service;
}

void address_backend(enum family family, enum pool pool, unsigned number, __u8 *address)
{
	static const char *const first[] = { "10.0.0.1", "2001:db8:b::1" };

	address_set(family, first, address);
	address[family == IPV6 ? 7 : 2] = pool;
	address[layouts[family].size - 1] += number;
}

static void address_network(enum family family, __u8 network, __u8 *address)
{
	static const char *const first[] = { "0.0.0.0", "2001:db8:c::" };

	address_set(family, first, address);
	address[family == IPV6 ? 7 : 0] = network;
}

static void address_flow(enum family family, __u32 flow, __u8 *address)
{
	__u8 *low = address + layouts[family].size - 4;

	put16(low, get16(low) | flow >> 16);
	put16(low + 2, get16(low + 2) | flow);
}

void address_client(enum family family, unsigned clients, __u32 flow, __u8 *address)
{
	address_network(family, CLIENT_NETWORK + clients, address);
	address_flow(family, flow, address);
}

void address_tunnel(enum family family, __u8 *address)
{
	static const char *const own[] = { "10.255.0.2", "2001:db8:ffff::2" };

	address_set(family, own, address);
}

void address_nat(enum family family, unsigned number, __u8 *address)
{
	static const char *const first[] = { "10.254.0.1", "2001:db8:fffe::1" };

	address_set(family, first, address);
	address[layouts[family].size - 1] += number;
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

void network_checksum(enum family family, __u8 *frame)
{
	if (family == IPV6)
		return;
	put16(frame + IP4_CHECK, 0);
	put16(frame + IP4_CHECK, sum_fold(sum16(frame + ETH_HLEN, 20, 0)));
}

/* RFC 791, 768, 9293, 8200 (8.1). */
void frame_checksums(const struct traffic *traffic, __u8 *frame)
{
	const struct layout *layout = &layouts[traffic->family];
	unsigned length = BENCH_FRAME_SIZE - layout->transport;
	__u8 *check = frame + check_offset(traffic);
	__u32 sum;

	network_checksum(traffic->family, frame);
	put16(check, 0);
	sum = sum16(frame + layout->source, 2 * layout->size, traffic->protocol + length);
	put16(check, sum_fold(sum16(frame + layout->transport, length, sum)));
	if (traffic->protocol == XLB_UDP && !get16(check))
		put16(check, 0xffff);
}

void network_header(enum family family, __u8 protocol, unsigned length, __u8 *frame)
{
	__u8 *header = frame + ETH_HLEN;

	put16(frame + 2 * ETH_ALEN, layouts[family].type);
	if (family == IPV6) {
		header[0] = 0x60;
		put16(header + 4, length);
		header[6] = protocol;
	} else {
		header[0] = 0x45;
		put16(header + 2, 20 + length);
		header[6] = 0x40;	/* don't fragment */
		header[9] = protocol;
	}
	frame[layouts[family].hops] = HOPS;
}

__u16 port_client(__u32 flow)
{
	return CLIENT_PORT | (flow & (CLIENT_PORT - 1));
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

/* Who sends flow 0's packets to whom. */
static void traffic_addresses(const struct traffic *traffic, __u8 *from, __u8 *to)
{
	if (!traffic->reply) {
		address_client(traffic->family, traffic->clients, 0, from);
		address_service(traffic->family, traffic->service, to);
		return;
	}
	address_backend(traffic->family, service_kinds[traffic->service].pool, 0, from);
	if (traffic->service == SERVICE_NAT)
		address_network(traffic->family, NAT_NETWORK, to);
	else
		address_client(traffic->family, traffic->clients, 0, to);
}

void traffic_source(const struct traffic *traffic, struct bench_source *source)
{
	const struct layout *layout = &layouts[traffic->family];
	__u8 *frame = (__u8 *)source->frame;

	memset(source, 0, sizeof(*source));
	memcpy(frame, own_mac, ETH_ALEN);
	memcpy(frame + ETH_ALEN, gateway_mac, ETH_ALEN);
	network_header(traffic->family, traffic->protocol,
		       BENCH_FRAME_SIZE - layout->transport, frame);
	traffic_addresses(traffic, frame + layout->source, frame + layout->destination);
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

void traffic_tuple(const struct traffic *traffic, const struct bench_source *source,
		   __u32 flow, void *tuple)
{
	const struct layout *layout = &layouts[traffic->family];
	__u8 frame[BENCH_FRAME_SIZE], *port = frame + source->port;

	memcpy(frame, source->frame, sizeof(frame));
	address_flow(traffic->family, flow, frame + source->address + 4 - layout->size);
	put16(port, port_client(flow));
	frame_tuple(traffic->family, frame, tuple);
}
