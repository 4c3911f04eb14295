/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one place where the packet program and the tools agree: what the pinned
 * maps hold.
 *
 * Written for `bpftool map dump`: addresses are bytes in network order, ports
 * and identifiers are numbers in host order, states are enums, counters have
 * names.  Padding is explicit and zero, because hash keys are compared as bytes.
 *
 * map             type             key -> value                        writer
 * xlb_config      array, 1         0 -> xlb_config                     tools
 * xlb_services4   hash             xlb_endpoint4 -> xlb_service        tools
 * xlb_services6   hash             xlb_endpoint6 -> xlb_service        tools
 * xlb_vips        hash             xlb_address -> xlb_vip              tools
 * xlb_backends    hash             xlb_backend_key -> xlb_backend      tools
 * xlb_targets     array            backend id -> xlb_target            tools
 * xlb_slots       array, mmap-able value number -> xlb_slots           tools
 * xlb_links       hash             ifindex -> xlb_link                 tools
 * xlb_replies4    hash             xlb_endpoint4 -> xlb_reply          tools
 * xlb_replies6    hash             xlb_endpoint6 -> xlb_reply          tools
 * xlb_nexthops    array            backend id -> xlb_nexthop           packets
 * xlb_routes      per-CPU array    hash of a client -> xlb_route       packets
 * xlb_flows4      LRU hash         xlb_tuple4 -> xlb_flow              packets
 * xlb_flows6      LRU hash         xlb_tuple6 -> xlb_flow              packets
 * xlb_embryos4    LRU hash         xlb_tuple4 -> xlb_flow              packets
 * xlb_embryos6    LRU hash         xlb_tuple6 -> xlb_flow              packets
 * xlb_fragments   LRU hash         xlb_datagram -> xlb_fragment        packets
 * xlb_budget      per-CPU array, 1 0 -> xlb_budget                     packets
 * xlb_stats       per-CPU array    backend id -> xlb_stats             packets
 * xlb_drops       per-CPU array, 1 0 -> xlb_drops                      packets
 * xlb_acl4        LPM trie         xlb_prefix4 -> xlb_rule             tools
 * xlb_acl6        LPM trie         xlb_prefix6 -> xlb_rule             tools
 * xlb_limits      LRU hash         xlb_source -> xlb_bucket            packets
 * xlb_watch       array, 1         0 -> xlb_watch                      xlb monitor
 * xlb_samples     per-CPU array    xlb_event_kind -> xlb_sample        packets
 * xlb_events      ring buffer      xlb_event                           packets
 *
 * One map per family for what every packet looks up: jhash of an 8-byte IPv4
 * key costs a third of one of 20 bytes.
 */
#ifndef XLB_ABI_H
#define XLB_ABI_H

#include <linux/types.h>

/* xlb_config.abi; 0 is a fresh object that no tool has written to yet. */
#define XLB_ABI 4

/* Backend ids: 1 to XLB_BACKEND_ID_MAX; 0 is none. */
#define XLB_BACKEND_NONE 0
#define XLB_BACKEND_ID_MAX 65534
/* xlb_slot.previous: the slot is marked, but its old owner is no more. */
#define XLB_BACKEND_DELETED 65535

/* Sizes as the object declares them; `xlb load` may set others. */
#define XLB_SERVICES_MAX 4096
#define XLB_BACKENDS_MAX 4095	/* xlb_backends and xlb_replies*; id 0 is none */
#define XLB_TARGETS_MAX (XLB_BACKENDS_MAX + 1)
#define XLB_LINKS_MAX 1024
#define XLB_ROUTES_BITS 10	/* xlb_routes has 2 to the power of these */
#define XLB_FLOWS_MAX 131072
#define XLB_EMBRYOS_MAX 16384
#define XLB_FRAGMENTS_MAX 8192
#define XLB_RULES_MAX 131072	/* of each family; room is taken as they come */
#define XLB_LIMITS_MAX 65536	/* sources that are remembered */
/* 16384 slots for each of 512 services: the default table, rounded up. */
#define XLB_SLOTS_PER_VALUE 16
#define XLB_SLOT_VALUES (512 * 16384 / XLB_SLOTS_PER_VALUE)

/* Table sizes are prime numbers in this range. */
#define XLB_TABLE_MIN 251
#define XLB_TABLE_MAX 655373

/* What the first writer puts into xlb_config unless told otherwise. */
#define XLB_SEED_DEFAULT 0x786c622d73656564ULL	/* "xlb-seed" */
#define XLB_TABLE_DEFAULT 16381
#define XLB_SETTLE_DEFAULT 30	/* seconds */
#define XLB_IDLE_DEFAULT 900	/* seconds */
#define XLB_RECORDS_DEFAULT 4096	/* per CPU and second, at most */
#define XLB_RECORDS_FILL 16	/* seconds in which all CPUs' do not fill xlb_flows* */
#define XLB_GUE_PORT_DEFAULT 6080	/* IANA: gue */

/* Packets per second, or at once: less than 24 bits. */
#define XLB_LIMIT_MAX 1000000

/* Addresses of each family that mode nat may give to packets. */
#define XLB_NAT_ADDRESSES 8

/* IP protocol numbers (IANA), one byte. */
enum xlb_protocol {
	XLB_TCP = 6,
	XLB_UDP = 17,
} __attribute__((packed));

/* How packets get to a backend, one byte. */
enum xlb_mode {
	XLB_DNAT = 1,	/* destination rewritten, replies come back through xlb */
	XLB_NAT = 2,	/* source too: replies come back from anywhere */
	XLB_DR = 3,	/* only MACs change: the backend has the VIP and replies itself */
	XLB_IPIP = 4,	/* IP in IP (RFC 2003, 2473, 4213), replies as with dr */
	XLB_GUE = 5,	/* Generic UDP Encapsulation version 0, replies as with dr */
} __attribute__((packed));

/* What of a packet chooses its slot, one byte. */
enum xlb_hash {
	XLB_HASH_FLOW = 1,	/* addresses, ports and protocol */
	XLB_HASH_SOURCE = 2,	/* the client's address alone: affinity */
} __attribute__((packed));

/* What an operator wants of a backend, or, up and down alone, a checker found; one byte. */
enum xlb_state {
	XLB_UP = 1,	/* takes its share */
	XLB_DRAIN = 2,	/* keeps the flows it has, gets no new ones */
	XLB_DOWN = 3,	/* gets nothing */
} __attribute__((packed));

/* What becomes of a service none of whose backends is healthy, one byte. */
enum xlb_fail {
	XLB_FAIL_CLOSED = 0,	/* its packets are dropped */
	XLB_FAIL_OPEN = 1,	/* health counts for nothing: all serve that the
				 * operator has up */
} __attribute__((packed));

/* Which look-ups beyond the exact one any service needs; 0 or 1. */
struct xlb_needs {
	__u8 any_address4;	/* some IPv4 service has address 0.0.0.0 */
	__u8 any_port4;		/* some IPv4 service has port 0 */
	__u8 any_address6;	/* some IPv6 service has address :: */
	__u8 any_port6;		/* some IPv6 service has port 0 */
};

struct xlb_config {
	__u32 abi;		/* XLB_ABI, written last; else everything passes */
	__u32 hz;		/* jiffies per second of this kernel */
	__u64 seed;		/* key of the flow hash; the same on every node */
	__u32 settle;		/* seconds; default for new services */
	__u32 idle;		/* seconds a flow is silent before its record may go */
	__u32 table;		/* slots; default for new services */
	__u32 records;		/* records of older flows, per CPU and second */
	struct xlb_needs needs;
	__u16 gue_port;		/* host order; UDP port that GUE packets are sent to */
	__u8 nat4_count;	/* addresses in nat4 and nat6 */
	__u8 nat6_count;
	__u32 rules4;		/* in xlb_acl4 and xlb_acl6, for all services; may be more */
	__u32 rules6;		/* than there are while rules_updating */
	__u8 tunnel4[4];	/* outer source of tunnels over IPv4; 0: none set */
	__u8 tunnel6[16];	/* and over IPv6 */
	__u8 nat4[XLB_NAT_ADDRESSES][4];	/* sources for mode nat */
	__u8 nat6[XLB_NAT_ADDRESSES][16];
	__u8 rules_updating;	/* 1 while a tool writes rules, left by one that died */
	__u8 reserved[3];
};

/*
 * An address, port and protocol: a service, or the backend end of a reply.
 * Address 0.0.0.0 or :: is any address, port 0 is any port.
 */
struct xlb_endpoint4 {
	__u8 address[4];
	__u16 port;		/* host order */
	enum xlb_protocol protocol;
	__u8 reserved;
};

struct xlb_endpoint6 {
	__u8 address[16];
	__u16 port;		/* host order */
	enum xlb_protocol protocol;
	__u8 reserved;
};

/* Where a service's slots are; read as one 8-byte word. */
struct xlb_table {
	__u32 first;		/* slot number, a multiple of XLB_SLOTS_PER_VALUE */
	__u32 size;		/* slots, prime */
} __attribute__((aligned(8)));

/* xlb_service.updating: one service takes the place of another, and what stands among its
 * backends may be of either. */
#define XLB_REPLACING 2

struct xlb_service {
	struct xlb_table table;
	__u64 settle_until;	/* jiffies: UDP in marked slots stays until then */
	__u64 changed;		/* jiffies of the last change of a slot */
	__u32 settle;		/* seconds */
	enum xlb_mode mode;
	enum xlb_hash hash;
	__u8 updating;		/* 1 or XLB_REPLACING while a tool writes slots, left by
				 * one that died */
	__u8 echo;		/* 1: echo requests to its address are answered */
	__u32 rules;		/* of its own, as config.rules4 */
	__u32 limit;		/* packets that open connections, per source and second;
				 * 0: as many as come */
	__u32 burst;		/* of them at once; both up to XLB_LIMIT_MAX */
	__u16 number;		/* what its rules and sources are kept under; 0: it has
				 * had none yet */
	/* Not for packets. */
	__u16 warmup;		/* seconds until a backend that is up again has its
				 * whole share; 0: at once */
	enum xlb_fail fail;
	__u8 reserved[7];
};

/* An address that some service has (any address is none), IPv4 as ::ffff:a.b.c.d. */
struct xlb_address {
	__u8 address[16];
};

/* What a packet is about that has no port, or none that can be read. */
struct xlb_vip {
	__u32 services;		/* how many have the address */
	__u32 echo;		/* how many of them answer echo requests: they have a
				 * backend that takes new flows */
};

/* Who owns a slot; read and written as one 4-byte word. */
struct xlb_slot {
	__u16 current;		/* backend id for new flows */
	__u16 previous;		/* 0: unmarked; else backend id for older flows,
				 * or XLB_BACKEND_DELETED */
} __attribute__((aligned(4)));

/* An array element is rounded up to 8 bytes, so one slot each would waste half. */
struct xlb_slots {
	struct xlb_slot slot[XLB_SLOTS_PER_VALUE];
};

/* What is configured.  IPv4 addresses are ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). */
struct xlb_backend_key {
	__u8 service_address[16];
	__u8 address[16];
	__u16 service_port;	/* host order */
	__u16 port;		/* host order; 0 with a service on any port */
	enum xlb_protocol protocol;
	__u8 reserved[3];
};

struct xlb_backend {
	__u32 weight;		/* 0 to 65535; 0 has no slots of its own */
	__u16 id;		/* place in xlb_targets, xlb_nexthops, xlb_stats */
	enum xlb_state admin;	/* what the operator wants */
	enum xlb_state health;	/* what a checker found: up or down */
	__u64 recovered;	/* jiffies when it began to warm up; 0: it is warm */
	__u8 cold;		/* tenths of its weight that the slots do not count yet */
	__u8 reserved[7];
};

/* What a packet needs of a backend. */
struct xlb_target {
	__u8 address[16];	/* IPv4 in the first 4 bytes, the rest 0 */
	__u16 port;		/* host order; 0: the packet's own */
	__u16 generation;	/* raised whenever the id is given out again */
	__u8 live;		/* 1: up or draining, records may lead here */
	__u8 v6;		/* 1: the address is IPv6 */
	__u8 by_flow;		/* 1: replies are told by records, as xlb_reply says */
	__u8 reserved[9];
};

/* Of every link, while there is room for all; else of those that take frames. */
struct xlb_link {
	__u8 redirect;		/* 1: takes frames that XDP redirects */
	__u8 veth;		/* 1: does, and is a veth, which may lose those of XDP_TX */
	__u16 mtu;		/* bytes; 65535: that or more */
};

/*
 * Where a packet from this backend seems to come from.  With `by_flow` its flow's
 * record says so: the service is on any address or of mode nat, or several
 * services have this backend.  A packet of no recorded flow then gets the
 * address here, if there is one: the VIP of the dnat service that had the backend
 * first, whose flows may be older than that others have it.
 */
struct xlb_reply {
	__u8 address[16];	/* VIP; IPv4 in the first 4 bytes, the rest 0; 0: none */
	__u16 port;		/* VIP's, host order; 0: the packet's own */
	__u16 backend;		/* id */
	__u8 by_flow;
	__u8 reserved[3];
};

/*
 * How to send to a backend: three 8-byte words, each written at once.  Valid
 * while `generation` is the target's and `stamp` is not over a second old.
 */
struct xlb_nexthop {
	__u8 destination[6];	/* MAC */
	__u16 ifindex;		/* 0: nothing cached */
	__u8 source[6];		/* MAC */
	__u8 redirect;		/* 1: xlb_links lets other interfaces send here */
	__u8 veth;		/* 1: as xlb_links says */
	__u32 stamp;		/* low 32 bits of jiffies at the last FIB look-up */
	__u16 generation;
	__u16 mtu;		/* of the route, bytes; 65535: that, more, or unknown */
} __attribute__((aligned(8)));

/*
 * How this CPU last sent a reply to a client.  Valid while all of client, backend, ingress
 * and, where the backend may answer for several, VIP are those of the packet and `stamp` is
 * not over a second old.
 */
struct xlb_route {
	__u8 client[16];	/* IPv4 in the first 4 bytes, the rest 0 */
	__u8 destination[6];	/* MAC */
	__u16 ifindex;
	__u8 source[6];		/* MAC */
	__u8 redirect;		/* 1: xlb_links lets other interfaces send here */
	__u8 veth;		/* 1: as xlb_links says */
	__u32 stamp;		/* low 32 bits of jiffies at the FIB look-up */
	__u32 ingress;		/* ifindex */
	__u16 backend;		/* id */
	__u16 mtu;		/* as in xlb_nexthop */
	__u8 reserved[4];
	__u8 vip[16];		/* the source that the look-up was made with */
} __attribute__((aligned(8)));

/* A flow as its packets show it: from client to VIP, or from backend to client. */
struct xlb_tuple4 {
	__u8 source[4];
	__u8 destination[4];
	__u16 source_port;	/* host order */
	__u16 destination_port;	/* host order */
	enum xlb_protocol protocol;
	__u8 reserved[3];
};

struct xlb_tuple6 {
	__u8 source[16];
	__u8 destination[16];
	__u16 source_port;	/* host order */
	__u16 destination_port;	/* host order */
	enum xlb_protocol protocol;
	__u8 reserved[3];
};

/* Which way the tuple of a record runs, one byte. */
enum xlb_direction {
	XLB_FORWARD = 1,	/* client to VIP: which backend */
	XLB_REPLY = 2,		/* backend to client: which VIP */
	XLB_NAT_FORWARD = 3,	/* client to VIP: which backend, from which source */
	XLB_NAT_REPLY = 4,	/* backend to that source: which client, which VIP */
} __attribute__((packed));

/* How far a translated TCP connection is closed, one byte; bits. */
enum xlb_closing {
	XLB_CLOSING_CLIENT = 1,		/* the client has sent FIN */
	XLB_CLOSING_BACKEND = 2,	/* the backend has sent FIN */
	XLB_CLOSING_RESET = 4,		/* either has sent RST */
} __attribute__((packed));

/* A closed connection's source port may be given out again after this silence. */
#define XLB_CLOSED_SECONDS 60

struct xlb_flow {
	__u32 seen;		/* low 32 bits of jiffies at the last packet */
	__u32 slot;		/* number within the service's table (forward) */
	__u16 backend;		/* id */
	__u16 generation;	/* of the backend's target when recorded */
	enum xlb_direction direction;
	enum xlb_closing closing;	/* nat: bits */
	__u16 port;		/* reply: the VIP's; nat forward: the source's; host order */
	__u8 address[16];	/* as the port; IPv4 in the first 4 bytes, the rest 0 */
	__u8 client[16];	/* nat reply: whom it is for, in the same form */
	__u16 client_port;	/* nat reply: host order */
	__u8 reserved[2];
};

/* What all fragments of a packet have in common (RFC 791, RFC 8200 4.5). */
struct xlb_datagram {
	__u8 source[16];	/* IPv4 as ::ffff:a.b.c.d */
	__u8 destination[16];
	__u32 id;		/* as on the wire */
	enum xlb_protocol protocol;
	__u8 reserved[3];
};

/* What only the first fragment has. */
struct xlb_fragment {
	__u16 source_port;	/* host order */
	__u16 destination_port;
	__u32 seen;		/* low 32 bits of jiffies at the first fragment */
};

/* What a CPU may still record of flows older than a change. */
struct xlb_budget {
	__u32 since;		/* low 32 bits of jiffies when the count began */
	__u32 made;		/* records since then, a second at most */
	__u64 refused;		/* records that did not fit, ever */
	__u64 refused_at;	/* jiffies of the last of them */
	__u32 errors_since;	/* low 32 bits of jiffies when their count began */
	__u32 errors;		/* ICMP errors since then, a second at most */
};

/* ICMP errors of xlb's own, per CPU and second. */
#define XLB_ERRORS_MAX 1000

struct xlb_stats {
	__u64 connections;	/* SYNs, or first packets of recorded UDP flows */
	__u64 in_packets;	/* client to backend */
	__u64 in_bytes;		/* frames without FCS, as received */
	__u64 out_packets;	/* backend to client */
	__u64 out_bytes;
};

/*
 * Packets dropped.  The reasons are the fields, and so their names are in BTF:
 * a reason's number is its field's place.
 */
struct xlb_drops {
	__u64 no_backend;		/* the service has nobody to serve it */
	__u64 fragment;			/* later fragment of which no first was seen */
	__u64 bad_header;		/* IP version or header length */
	__u64 bad_length;		/* a length that lies, or a packet cut short */
	__u64 bad_source;		/* loopback, multicast, broadcast, unspecified */
	__u64 bad_destination;		/* the same, for a service on any address */
	__u64 land;			/* from the very address that it is for */
	__u64 ttl;			/* TTL or hop limit used up */
	__u64 too_big;			/* larger than the MTU of its way; xlb told the
					 * sender so unless errors were too many */
	__u64 no_route;			/* blackhole, unreachable or prohibit */
	__u64 no_neighbour;		/* dr: spent on having the kernel resolve it */
	__u64 off_link;			/* dr: the backend is behind a router */
	__u64 forwarding_disabled;	/* sysctl forwarding is 0 where it came in */
	__u64 fib_failed;		/* the FIB look-up itself failed */
	__u64 no_headroom;		/* no room for the outer header in the buffer */
	__u64 record_conflict;		/* the client's port is in use towards another
					 * VIP at this backend */
	__u64 no_port;			/* nat: no source port is free, or none has the reply */
	__u64 no_source;		/* nat, tunnels: no source address configured */
	__u64 denied;			/* by a rule (xlb acl) */
	__u64 limited;			/* beyond the service's limit for one source */
};

/* What becomes of packets from a prefix, one byte. */
enum xlb_action {
	XLB_ALLOW = 1,
	XLB_DENY = 2,
} __attribute__((packed));

/* Which rule a packet finds: the longest prefix that has its source. */
struct xlb_prefix4 {
	__u32 bits;		/* that count, those of `service` included */
	__u32 service;		/* its number; 0: all services */
	__u8 address[4];
};

struct xlb_prefix6 {
	__u32 bits;
	__u32 service;
	__u8 address[16];
};

/* Of these the first are always compared: the service. */
#define XLB_PREFIX_BITS 32

struct xlb_rule {
	enum xlb_action action;
	__u8 length;		/* of the address that count */
	__u8 reserved[2];
};

/* Whose packets a service counts: an IPv4 address, or the first half of one of IPv6,
 * since a host has all of those that begin so. */
struct xlb_source {
	__u8 address[16];	/* IPv4 as ::ffff:a.b.c.d */
	__u32 service;		/* its number */
};

/*
 * A token bucket (as the virtual scheduling algorithm of ITU-T I.371, annex A, has it):
 * a packet takes the time that it needs to fill up by one.
 */
struct xlb_bucket {
	__u64 full_at;		/* nanoseconds of CLOCK_MONOTONIC */
};

/* What single packets are told of to whoever watches, one byte. */
enum xlb_event_kind {
	XLB_EVENT_DROP = 0,	/* a packet counts as dropped */
	XLB_EVENT_FLOW = 1,	/* a packet made a record of its flow */
	XLB_EVENT_KINDS,
} __attribute__((packed));

/* What is to be told: nothing, unless somebody has lately asked for it. */
struct xlb_watch {
	__u64 until;		/* jiffies: nobody watches from then on */
	__u32 interval;		/* jiffies in which each CPU tells XLB_EVENTS_MAX of a kind */
	__u32 kinds;		/* 1 << enum xlb_event_kind */
};

#define XLB_EVENTS_MAX 1000

/* What a CPU has told of a kind. */
struct xlb_sample {
	__u32 since;		/* low 32 bits of jiffies when the interval began */
	__u32 sent;		/* events since then, XLB_EVENTS_MAX at most */
	__u64 missed;		/* events that were left out, ever */
};

#define XLB_EVENTS_SIZE (512 * 1024)	/* bytes of xlb_events: some 3000 events */
/* Ethernet with two tags, IPv6, ICMPv6, IPv6 and ports are 118 bytes. */
#define XLB_EVENT_FRAME 128

struct xlb_event {
	__u64 time;		/* nanoseconds of CLOCK_MONOTONIC */
	__u32 ifindex;		/* where the packet came in */
	__u16 backend;		/* id; 0: not known, as with drops */
	__u16 length;		/* bytes of the frame that stand here */
	enum xlb_event_kind kind;
	__u8 reason;		/* of a drop: a field's place in struct xlb_drops */
	__u8 action;		/* enum xdp_action; of a drop other than XDP_DROP: the frame is
				 * not the packet, but what was made of it */
	__u8 reserved[5];
	__u8 frame[XLB_EVENT_FRAME];
};

/* How the answer of xlb_lookup came about. */
enum xlb_choice {
	XLB_CHOICE_NO_SERVICE = 0,	/* nobody listens: the packet passes */
	XLB_CHOICE_NO_BACKEND = 1,	/* dropped */
	XLB_CHOICE_TABLE = 2,		/* the slot's current owner */
	XLB_CHOICE_PREVIOUS = 3,	/* the slot's owner before the last change */
	XLB_CHOICE_RECORD = 4,		/* the flow's own record */
	XLB_CHOICE_DENIED = 5,		/* dropped by a rule */
};

/* What xlb_lookup leaves at the start of its packet (BPF_PROG_TEST_RUN). */
struct xlb_lookup {
	enum xlb_choice choice;
	__u32 slot;		/* number within the service's table */
	struct xlb_slot owner;
	__u16 backend;		/* id, 0: none */
	__u16 record;		/* backend of the flow's record, 0: none */
	__u8 record_usable;	/* 1: live, of the right generation, recent */
	__u8 reserved[3];
};

#endif
