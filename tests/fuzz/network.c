// SPDX-License-Identifier: GPL-2.0-only
/*
 * A network in which every way is known: links that lead nowhere, neighbours that are
 * permanent.  What the kernel will say of an address stands here a second time, in C.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "network.h"

#define HOSTS 210		/* backends at a place, at most */
#define ROUTER 250
#define OWN 254

const char *const link_names[LINKS] = { "lo", "left", "right", "slow", "closed" };

static const __u8 macs[LINKS][6] = {
	[LINK_LEFT] = { 2, 0, 0, 0, 0, 1 },
	[LINK_RIGHT] = { 2, 0, 0, 0, 0, 2 },
	[LINK_SLOW] = { 2, 0, 0, 0, 0, 3 },
	[LINK_CLOSED] = { 2, 0, 0, 0, 0, 4 },
};
static const __u8 client_router[6] = { 2, 0, 0, 0, 1, 2 };
static const __u8 backend_router[6] = { 2, 0, 0, 0, 1, 3 };

static const enum link place_links[PLACES] = {
	[PLACE_RIGHT] = LINK_RIGHT,  [PLACE_RIGHT_TOO] = LINK_RIGHT, [PLACE_LEFT] = LINK_LEFT,
	[PLACE_SLOW] = LINK_SLOW,    [PLACE_FAR] = LINK_RIGHT,	     [PLACE_MUTE] = LINK_RIGHT,
	[PLACE_BLACK] = LINK_RIGHT,  [PLACE_NARROW] = LINK_RIGHT,
};

static bool place_neighbours(enum place place)
{
	return place != PLACE_FAR && place != PLACE_MUTE && place != PLACE_BLACK;
}

/* 10.P.0.H or 2001:db8:P::H, where P counts from 1. */
struct address place_address(bool v6, enum place place, unsigned host)
{
	const __u8 number = place + 1;

	if (v6)
		return (struct address){ { 0x20, 0x01, 0x0d, 0xb8, 0, number, [15] = host }, true };
	return (struct address){ { 10, number, 0, host }, false };
}

void place_mac(bool v6, enum place place, unsigned host, __u8 *mac)
{
	const __u8 bytes[6] = { 2, 0, v6 ? 6 : 4, 1, place + 1, host };

	memcpy(mac, bytes, 6);
}

const __u8 *link_mac(enum link link)
{
	return macs[link];
}

/* The place and host of an address; false: it is of none. */
static bool address_place(const struct address *address, unsigned *number, unsigned *host)
{
	static const __u8 prefix[5] = { 0x20, 0x01, 0x0d, 0xb8, 0 };
	static const __u8 zeros[9];
	const __u8 *bytes = address->bytes;

	*number = address->v6 ? bytes[5] : bytes[1];
	*host = address->v6 ? bytes[15] : bytes[3];
	if (address->v6)
		return !memcmp(bytes, prefix, 5) && (*number == 0x10 || *number - 1U < PLACES) &&
		       !memcmp(bytes + 6, zeros, 9);
	return bytes[0] == 10 && bytes[2] == 0 && (*number == 0x10 || *number - 1U < PLACES);
}

/* IPv6 has whole networks of /64 here, and nothing but those hosts in them. */
static bool address_placed6(const struct address *address)
{
	const __u8 *bytes = address->bytes;

	return address->v6 && get32(bytes) == 0x20010db8 && !bytes[4] &&
	       (bytes[5] == 0x10 || bytes[5] - 1U < PLACES) && !get16(bytes + 6);
}

/* What only the kernel knows. */
static bool address_special(const struct address *address)
{
	const __u8 *bytes = address->bytes;

	if (address->v6)
		return bytes[0] == 0xff || (bytes[0] == 0xfe && bytes[1] & 0x80) ||
		       (!get32(bytes) && !get32(bytes + 4) && !get32(bytes + 8));
	return bytes[0] == 127 || bytes[0] >= 224 || !bytes[0];
}

static void hop_by(struct hop *hop, enum link link, const __u8 *mac, bool routed)
{
	hop->way = WAY_SEND;
	hop->link = link;
	hop->routed = routed;
	memcpy(hop->mac, mac, 6);
}

/* The balancer's own, IPv4's broadcast address, IPv6's for any router. */
static bool host_own(bool v6, unsigned host)
{
	return host == OWN || host == (v6 ? 0 : 255);
}

/* The network of the clients on the link itself: 10.16.0.0/24, 2001:db8:10::/64. */
static void hop_near(struct hop *hop, bool v6, unsigned host)
{
	const __u8 mac[6] = { 2, 0, v6 ? 6 : 4, 1, 0x10, host };

	hop_by(hop, LINK_LEFT, mac, false);
	if (host_own(v6, host))
		hop->way = WAY_LOCAL;
	else if (host == 2)
		memcpy(hop->mac, client_router, 6);
	else if (host < 10 || host > 20)
		hop->way = WAY_STACK;
}

static void hop_place(struct hop *hop, bool v6, enum place place, unsigned host)
{
	__u8 mac[6];

	place_mac(v6, place, host, mac);
	hop_by(hop, place_links[place], mac, false);
	if (place == PLACE_NARROW)
		hop->mtu = v6 ? NARROW_MTU6 : NARROW_MTU4;
	if (place == PLACE_BLACK)
		hop->way = WAY_BLACKHOLE;
	else if (place == PLACE_FAR)
		hop_by(hop, LINK_RIGHT, backend_router, true);
	else if (place == PLACE_RIGHT && host_own(v6, host))
		hop->way = WAY_LOCAL;
	else if (place == PLACE_RIGHT && host == ROUTER)
		memcpy(hop->mac, backend_router, 6);
	else if (!place_neighbours(place) || host < 1 || host > HOSTS)
		hop->way = WAY_STACK;
}

struct hop world_hop_default(void)
{
	struct hop hop = { .mtu = LINK_MTU };

	hop_by(&hop, LINK_LEFT, client_router, true);
	return hop;
}

struct hop world_hop(const struct address *to)
{
	struct hop hop = { .mtu = LINK_MTU };
	unsigned number, host;

	if (address_special(to)) {
		hop.way = WAY_ANY;
	} else if (address_place(to, &number, &host)) {
		if (number == 0x10)
			hop_near(&hop, to->v6, host);
		else
			hop_place(&hop, to->v6, number - 1, host);
	} else if (address_placed6(to)) {
		hop.way = to->bytes[5] == PLACE_BLACK + 1 ? WAY_BLACKHOLE : WAY_STACK;
		hop.link = to->bytes[5] == 0x10 ? LINK_LEFT : place_links[to->bytes[5] - 1];
		if (to->bytes[5] == PLACE_FAR + 1)
			hop_by(&hop, LINK_RIGHT, backend_router, true);
	} else {
		hop = world_hop_default();
	}
	return hop;
}

static void place_tell(FILE *batch, bool v6, enum place place)
{
	const char *network = v6 ? "2001:db8:%x::/64" : "10.%d.0.0/24";
	const char *link = link_names[place_links[place]];
	char plain[INET6_ADDRSTRLEN];
	struct address address;
	__u8 mac[6];

	fputs(place == PLACE_RIGHT ? "route replace " : "route add ", batch);
	if (place == PLACE_BLACK)
		fputs("blackhole ", batch);
	fprintf(batch, network, place + 1);
	if (place == PLACE_FAR)
		fputs(v6 ? " via 2001:db8:1::fa" : " via 10.1.0.250", batch);
	if (place != PLACE_BLACK)
		fprintf(batch, " dev %s", link);
	/* IPv4 heeds a route's MTU in what it forwards only if it is locked. */
	if (place == PLACE_NARROW)
		fprintf(batch, " mtu lock %d", v6 ? NARROW_MTU6 : NARROW_MTU4);
	fputc('\n', batch);
	for (unsigned host = 1; place_neighbours(place) && host <= HOSTS; host++) {
		address = place_address(v6, place, host);
		place_mac(v6, place, host, mac);
		inet_ntop(v6 ? AF_INET6 : AF_INET, address.bytes, plain, sizeof(plain));
		fprintf(batch, "neighbour add %s dev %s nud permanent lladdr "
			"%02x:%02x:%02x:%02x:%02x:%02x\n", plain, link, mac[0], mac[1], mac[2],
			mac[3], mac[4], mac[5]);
	}
}

static void links_tell(FILE *batch)
{
	static const char addresses[] =
		"link set lo up\n"
		"address add 10.16.0.254/24 dev left\n"
		"address add 2001:db8:10::fe/64 dev left nodad\n"
		"neighbour add 10.16.0.2 lladdr 02:00:00:00:01:02 nud permanent dev left\n"
		"neighbour add 2001:db8:10::2 lladdr 02:00:00:00:01:02 nud permanent dev left\n"
		"route add default via 10.16.0.2\n"
		"route add default via 2001:db8:10::2\n"
		"address add 10.1.0.254/24 dev right\n"
		"address add 2001:db8:1::fe/64 dev right nodad\n"
		"neighbour add 10.1.0.250 lladdr 02:00:00:00:01:03 nud permanent dev right\n"
		"neighbour add 2001:db8:1::fa lladdr 02:00:00:00:01:03 nud permanent dev right\n";

	for (enum link link = LINK_LEFT; link < LINKS; link++)
		fprintf(batch, "link add %s address 02:00:00:00:00:%02x type veth peer name %s-peer\n"
			"link set %s-peer up\nlink set %s up\n", link_names[link], link,
			link_names[link], link_names[link], link_names[link]);
	fputs(addresses, batch);
	for (unsigned host = 10; host <= 20; host++)
		for (int v6 = 0; v6 < 2; v6++)
			fprintf(batch, v6 ? "neighbour add 2001:db8:10::%x lladdr "
					    "02:00:06:01:10:%02x nud permanent dev left\n"
					  : "neighbour add 10.16.0.%u lladdr "
					    "02:00:04:01:10:%02x nud permanent dev left\n",
				host, host);
}

static int setting(const char *name, const char *value)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	file = fopen(path, "w");
	if (!file || fputs(value, file) < 0 || fclose(file)) {
		fprintf(stderr, "fuzz: %s: %s\n", path, strerror(errno));
		return -1;
	}
	return 0;
}

/* A veth takes redirected frames where its peer has GRO, and has queues that a program
 * can be run for where it has that itself. */
static int receivers_make(void)
{
	static const char *const devices[] = { "left", "left-peer", "right", "right-peer",
					       "slow", "closed", "closed-peer" };
	char command[64];

	for (unsigned i = 0; i < sizeof(devices) / sizeof(*devices); i++) {
		snprintf(command, sizeof(command), "ethtool -K %s gro on", devices[i]);
		if (system(command))
			return -1;
	}
	return 0;
}

int network_make(struct world *world)
{
	FILE *batch;

	if (unshare(CLONE_NEWNS | CLONE_NEWNET) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("bpf", "/sys/fs/bpf", "bpf", 0, "mode=0700")) {
		perror("fuzz: namespaces");
		return -1;
	}
	batch = popen("ip -batch -", "w");
	if (!batch)
		return -1;
	links_tell(batch);
	for (enum place place = 0; place < PLACES; place++)
		for (int v6 = 0; v6 < 2; v6++)
			place_tell(batch, v6, place);
	if (pclose(batch) || receivers_make() || setting("ipv4/conf/all/forwarding", "1") ||
	    setting("ipv6/conf/all/forwarding", "1") ||
	    setting("ipv4/conf/closed/forwarding", "0") ||
	    setting("ipv6/conf/closed/forwarding", "0"))
		return -1;
	for (enum link link = 0; link < LINKS; link++)
		world->ifindex[link] = if_nametoindex(link_names[link]);
	return 0;
}
