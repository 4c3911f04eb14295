// SPDX-License-Identifier: GPL-2.0-only
/* The kernel's ways to addresses, by netlink. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "netlink_hop.h"

/* <net/neighbour.h>: NUD_VALID, by which the kernel and bpf_fib_lookup() go. */
#define STATES_VALID \
	(NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY)

size_t address_size(int family)
{
	return family == AF_INET ? 4 : 16;
}

static int on_route(const struct nlmsghdr *answer, void *context)
{
	const struct rtmsg *header = mnl_nlmsg_get_payload(answer);
	const struct nlattr *attr;
	const struct rtvia *via;
	struct netlink_hop *hop = context;

	if (header->rtm_type != RTN_UNICAST)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, answer, sizeof(*header)) {
		switch (mnl_attr_get_type(attr)) {
		case RTA_OIF:
			hop->ifindex = mnl_attr_get_u32(attr);
			break;
		case RTA_GATEWAY:
			hop->gateway = true;
			memcpy(hop->address, mnl_attr_get_payload(attr), address_size(hop->family));
			break;
		case RTA_VIA:
			hop->gateway = true;
			via = mnl_attr_get_payload(attr);
			hop->family = via->rtvia_family;
			memcpy(hop->address, via->rtvia_addr, address_size(hop->family));
			break;
		}
	}
	return MNL_CB_OK;
}

int netlink_hop_find(struct mnl_socket *socket, struct netlink_hop *hop)
{
	char buffer[NETLINK_REQUEST_SIZE];
	struct nlmsghdr *request = netlink_request(buffer, RTM_GETROUTE, NLM_F_ACK);
	struct rtmsg *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
	size_t size = address_size(hop->family);

	header->rtm_family = hop->family;
	header->rtm_dst_len = size * 8;
	mnl_attr_put(request, RTA_DST, size, hop->address);
	return netlink_talk(socket, request, on_route, hop);
}

/* A growing list of neighbours while they are dumped. */
struct neighbours {
	struct netlink_neighbour *list;
	unsigned count, room;
};

static bool room_make(struct neighbours *neighbours)
{
	struct netlink_neighbour *more;

	if (neighbours->count < neighbours->room)
		return true;
	neighbours->room = neighbours->room * 2 + 64;
	more = reallocarray(neighbours->list, neighbours->room, sizeof(*more));
	if (more)
		neighbours->list = more;
	return more;
}

static void bytes_take(__u8 *to, size_t size, const struct nlattr *attr)
{
	if (mnl_attr_get_payload_len(attr) == size)
		memcpy(to, mnl_attr_get_payload(attr), size);
}

static int on_dumped(const struct nlmsghdr *answer, void *context)
{
	const struct ndmsg *header = mnl_nlmsg_get_payload(answer);
	struct neighbours *neighbours = context;
	struct netlink_neighbour *neighbour;
	const struct nlattr *attr;

	if (header->ndm_family != AF_INET && header->ndm_family != AF_INET6)
		return MNL_CB_OK;
	if (!room_make(neighbours)) {
		errno = ENOMEM;
		return MNL_CB_ERROR;
	}
	neighbour = &neighbours->list[neighbours->count++];
	*neighbour = (struct netlink_neighbour){
		.ifindex = header->ndm_ifindex,
		.family = header->ndm_family,
		.valid = header->ndm_state & STATES_VALID,
		.failed = header->ndm_state & NUD_FAILED,
	};
	mnl_attr_for_each(attr, answer, sizeof(*header)) {
		if (mnl_attr_get_type(attr) == NDA_DST)
			bytes_take(neighbour->address, address_size(header->ndm_family), attr);
		else if (mnl_attr_get_type(attr) == NDA_LLADDR)
			bytes_take(neighbour->lladdr, ETH_ALEN, attr);
	}
	return MNL_CB_OK;
}

int netlink_neighbour_order(const void *a, const void *b)
{
	const struct netlink_neighbour *left = a, *right = b;

	if (left->ifindex != right->ifindex)
		return left->ifindex < right->ifindex ? -1 : 1;
	if (left->family != right->family)
		return left->family - right->family;
	return memcmp(left->address, right->address, sizeof(left->address));
}

int netlink_neighbours(struct mnl_socket *socket, struct netlink_neighbour **list,
		       unsigned *count)
{
	char buffer[NETLINK_REQUEST_SIZE];
	struct neighbours neighbours = {};
	struct nlmsghdr *request;
	struct ndmsg *header;
	int error;

	/* The kernel says EINTR when some came or went during the dump: what was told is true
	 * of each, and whoever listens asks again. */
	request = netlink_request(buffer, RTM_GETNEIGH, NLM_F_DUMP);
	header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
	header->ndm_family = AF_UNSPEC;
	error = netlink_talk(socket, request, on_dumped, &neighbours);
	if (error && error != -EINTR) {
		free(neighbours.list);
		return error;
	}
	if (neighbours.count)
		qsort(neighbours.list, neighbours.count, sizeof(*neighbours.list),
		      netlink_neighbour_order);
	*list = neighbours.list;
	*count = neighbours.count;
	return 0;
}
