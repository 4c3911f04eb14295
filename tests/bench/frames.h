/* SPDX-License-Identifier: GPL-2.0-only */
/* Who is who in the benchmark's network, and the frames that they exchange. */
#ifndef FRAMES_H
#define FRAMES_H

#include <stdbool.h>

#include "bench.h"
#include "xlb_abi.h"

#define SERVICE_PORT 80
#define BACKEND_PORT 8080
/* Each pool has as many backends. */
#define BACKENDS 100

enum family { IPV4, IPV6, FAMILIES };

/* Backends that are alike, by where they are and what xlb knows of them. */
enum pool {
	POOL_CURRENT,	/* of SERVICE_STEADY and SERVICE_MARKED */
	POOL_PREVIOUS,	/* the previous owners of the slots of SERVICE_MARKED */
	POOL_NAT,
	POOL_ON_LINK,	/* with a MAC each; all others are behind the gateway */
	POOL_TUNNEL,
	POOLS,
};

enum service {
	SERVICE_STEADY,	/* dnat, no slot marked, as with those below */
	SERVICE_MARKED,	/* dnat, every slot marked */
	SERVICE_NAT,
	SERVICE_DR,
	SERVICE_IPIP4,	/* ipip to backends over IPv4, */
	SERVICE_IPIP6,	/* over IPv6 */
	SERVICE_GUE4,
	SERVICE_GUE6,
	SERVICE_RULE,	/* dnat, with one rule for sources, */
	SERVICE_RULES,	/* with very many, */
	SERVICE_LIMIT,	/* with a limit */
	SERVICES,
	SERVICE_NONE = SERVICES,	/* an address where none is */
};

struct service_kind {
	enum xlb_mode mode;
	enum pool pool;			/* current owners of its slots */
	enum family backends[FAMILIES];	/* their family, by the service's own */
};

extern const struct service_kind service_kinds[SERVICES];

/* Where things are in a frame of a family without options: offsets. */
struct layout {
	__u16 type;
	unsigned hops, source, destination, size, transport;
};

extern const struct layout layouts[FAMILIES];

/* The packets of one row. */
struct traffic {
	enum family family;
	enum xlb_protocol protocol;
	enum service service;
	bool opening;		/* SYN */
	bool reply;		/* from the first backend to the client */
	__u32 flows;
	__u32 clients;		/* number of their network, so that flows are a row's own */
};

/* Addresses in network order: 4 bytes, or 16. */
unsigned address_size(enum family family);
void address_service(enum family family, enum service service, __u8 *address);
/* number: 0 to BACKENDS - 1. */
void address_backend(enum family family, enum pool pool, unsigned number, __u8 *address);
/* clients: number of their network. */
void address_client(enum family family, unsigned clients, __u32 flow, __u8 *address);
__u16 port_client(__u32 flow);
/* xlb's own: of tunnels, and those (0 to XLB_NAT_ADDRESSES - 1) of mode nat. */
void address_tunnel(enum family family, __u8 *address);
void address_nat(enum family family, unsigned number, __u8 *address);

extern const __u8 gateway_mac[6], own_mac[6];
/* All but the last byte of the MACs of backends on the link, which is number + 1. */
extern const __u8 backend_mac[5];

void put16(__u8 *at, __u16 value);
__u16 get16(const __u8 *at);

/* Writes Ethernet's type and an IP header with no checksum and no addresses; a
 * payload of `length` bytes is to follow.  The frame is zero before. */
void network_header(enum family family, __u8 protocol, unsigned length, __u8 *frame);
/* Computes the checksum of an IPv4 header; there is none with IPv6. */
void network_checksum(enum family family, __u8 *frame);
/* Computes all checksums of one of the traffic's frames from scratch. */
void frame_checksums(const struct traffic *traffic, __u8 *frame);

/* Flow 0 of the traffic, and where the others differ. */
void traffic_source(const struct traffic *traffic, struct bench_source *source);

/* The key under which xlb would keep the flow of a frame. */
void frame_tuple(enum family family, const __u8 *frame, void *tuple);

/* The same, of a flow given by its number. */
void traffic_tuple(const struct traffic *traffic, const struct bench_source *source,
		   __u32 flow, void *tuple);

#endif
