/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the fuzzer balances in: a network of its own, services of every mode and family
 * with backends at every sort of place, all made by ip(8) and xlb(8) from the tables
 * here, by which the judge then judges.
 */
#ifndef FUZZ_WORLD_H
#define FUZZ_WORLD_H

#include <stdio.h>

#include "packet.h"
#include "random.h"
#include "xlb_abi.h"

enum link {
	LINK_LO,
	LINK_LEFT,	/* to the clients, by a router */
	LINK_RIGHT,	/* to most backends */
	LINK_SLOW,	/* takes no redirected frames */
	LINK_CLOSED,	/* nothing that comes in there is forwarded */
	LINKS,
};

/* Where a backend is. */
enum place {
	PLACE_RIGHT,
	PLACE_RIGHT_TOO,
	PLACE_LEFT,
	PLACE_SLOW,
	PLACE_FAR,	/* behind a router */
	PLACE_MUTE,	/* no neighbour entry */
	PLACE_BLACK,	/* a blackhole route */
	PLACE_NARROW,	/* a route of a small MTU */
	PLACES,
};

#define NARROW_MTU4 600
#define NARROW_MTU6 1280
#define LINK_MTU 1500

#define BACKENDS_MAX 12
#define SERVICES_MAX 64
#define NAT_SOURCES 2
#define GUE_PORT 6080

struct backend {
	struct address address;
	__u16 port;		/* 0: the packet's own */
	enum xlb_state state;	/* 0: not configured */
	unsigned weight;
	unsigned life;		/* raised when it comes or is down: flows begin anew */
	__u16 id;
	struct xlb_stats counted;	/* as it should be; of connections at least */
	__u64 connections_most;
};

struct service {
	struct address address;
	__u16 port;		/* 0: any */
	__u8 protocol;
	enum xlb_mode mode;
	bool by_source, echo, limited;
	struct backend backends[BACKENDS_MAX];
	unsigned count;
};

/* Of all services if it has none of its own. */
struct rule {
	struct address prefix;
	unsigned length;	/* in bits */
	bool deny;
	struct service *service;
};

#define RULES_MAX 256

enum way {
	WAY_SEND,
	WAY_STACK,		/* finished, and up to the kernel */
	WAY_LOCAL,		/* to the balancer itself */
	WAY_BLACKHOLE,
	WAY_CLOSED,		/* forwarding is off */
	WAY_ANY,		/* link-local, multicast: whatever the kernel says */
};

/* How the kernel would send to an address. */
struct hop {
	enum way way;
	enum link link;
	__u8 mac[6];
	bool routed;		/* by a router */
	unsigned mtu;
};

struct world {
	struct service services[SERVICES_MAX];
	unsigned count;
	struct rule rules[RULES_MAX];
	unsigned rule_count;
	unsigned ifindex[LINKS];
	struct xlb_link links[LINKS];	/* as the map has them */
	struct xlb_config config;	/* with sources */
	__u32 hz;			/* as it has been set; 0: not yet */
	bool sources;			/* tunnels and nat have sources */
	bool veth;			/* links are told to be veths: no XDP_TX */
	int program, maps[32];
	const char *drops[64];		/* names of reasons */
	unsigned drop_count;
	FILE *said;			/* by xlb */
};

enum world_map {
	MAP_CONFIG, MAP_SERVICES4, MAP_SERVICES6, MAP_LIMITS, MAP_LINKS, MAP_BACKENDS, MAP_NEXTHOPS, MAP_ROUTES, MAP_FLOWS4, MAP_FLOWS6, MAP_EMBRYOS4,
	MAP_EMBRYOS6, MAP_FRAGMENTS, MAP_BUDGET, MAP_STATS, MAP_DROPS, WORLD_MAPS,
};

extern const char *const link_names[LINKS];
extern const struct address nat_sources[2][NAT_SOURCES], tunnel_sources[2];

/* Namespaces, links, maps and programs; 0, or -1 after saying what failed. */
int world_open(struct world *world, const char *object);

/* Everything as at first, but for what `number` varies; nothing is remembered. */
int world_reset(struct world *world, unsigned number);

/* The ways to backends are asked for again. */
void world_forget_hops(struct world *world);

/* Some backends come, go, drain, are down or weigh otherwise. */
int world_change(struct world *world, struct random *random);

struct hop world_hop(const struct address *to);
/* By the default route. */
struct hop world_hop_default(void);
const __u8 *link_mac(enum link link);
void place_mac(bool v6, enum place place, unsigned host, __u8 *mac);

/* As the command line has it. */
void service_name(const struct service *service, char *to);

/* Is that an address of some service?  Any address is none. */
bool world_is_vip(const struct world *world, const struct address *address);

/* An address of some service that answers echo requests. */
bool world_echoes(const struct world *world, const struct address *address);

/* Who listens there, the most exact first; NULL: nobody. */
struct service *world_service(struct world *world, const struct flow *flow);

#endif
