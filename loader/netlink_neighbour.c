// SPDX-License-Identifier: GPL-2.0-only
/* Keeping the neighbours of backends resolved, by netlink. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "netlink.h"
#include "netlink_ask.h"

/* How to reach an address: whom to resolve, and on which link. */
struct hop {
	int family;
	__u8 address[16];
	unsigned ifindex;	/* 0: nobody to resolve */
	bool gateway;		/* it is not the address itself */
};

static size_t address_size(int family)
{
	return family == AF_INET ? 4 : 16;
}

static int on_route(const struct nlmsghdr *answer, void *context)
{
	const struct rtmsg *header = mnl_nlmsg_get_payload(answer);
	const struct nlattr *attr;
	const struct rtvia *via;
	struct hop *hop = context;

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

static int hop_find(struct mnl_socket *socket, struct hop *hop)
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

static struct nlmsghdr *neighbour_begin(void *buffer, unsigned type, unsigned flags,
					const struct hop *hop)
{
	struct nlmsghdr *request = netlink_request(buffer, type, flags | NLM_F_ACK);
	struct ndmsg *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));

	header->ndm_family = hop->family;
	header->ndm_ifindex = hop->ifindex;
	mnl_attr_put(request, NDA_DST, address_size(hop->family), hop->address);
	return request;
}

static int on_neighbour(const struct nlmsghdr *answer, void *context)
{
	const struct ndmsg *header = mnl_nlmsg_get_payload(answer);
	bool *fixed = context;

	*fixed = header->ndm_state & (NUD_PERMANENT | NUD_NOARP) ||
		 header->ndm_flags & NTF_EXT_LEARNED;
	return MNL_CB_OK;
}

static int hop_keep(struct mnl_socket *socket, const struct hop *hop)
{
	char buffer[NETLINK_REQUEST_SIZE];
	struct nlmsghdr *request;
	struct ndmsg *header;
	bool fixed = false;
	int err;

	/* Since 5.16 either flag below would make a permanent entry an ordinary one. */
	request = neighbour_begin(buffer, RTM_GETNEIGH, 0, hop);
	err = netlink_talk(socket, request, on_neighbour, &fixed);
	if (fixed || (err && err != -ENOENT))
		return err;

	request = neighbour_begin(buffer, RTM_NEWNEIGH, NLM_F_CREATE, hop);
	header = mnl_nlmsg_get_payload(request);
	header->ndm_state = NUD_NONE;
	/*
	 * NTF_USE resolves it now; alone, on kernels before 5.16 that don't know
	 * the other, it also keeps them from taking NUD_NONE at its word.
	 */
	header->ndm_flags = NTF_USE;
	mnl_attr_put_u32(request, NDA_FLAGS_EXT, NTF_EXT_MANAGED);
	return netlink_talk(socket, request, NULL, NULL);
}

static int host_keep(struct mnl_socket *socket, struct netlink_host *host)
{
	struct hop hop = { .family = host->family };
	int err;

	memcpy(hop.address, host->address, address_size(host->family));
	err = hop_find(socket, &hop);
	if (err || !hop.ifindex)
		return err;
	if (hop.gateway) {
		host->via_family = hop.family;
		memcpy(host->via, hop.address, address_size(hop.family));
	}
	return hop_keep(socket, &hop);
}

int netlink_neighbours_keep(struct netlink_host *hosts, unsigned count)
{
	struct mnl_socket *socket = netlink_open(NETLINK_ROUTE);
	int err, first = 0;

	if (!socket)
		return -errno;
	for (unsigned i = 0; i < count; i++) {
		err = host_keep(socket, &hosts[i]);
		if (!first)
			first = err;
	}
	mnl_socket_close(socket);
	return first;
}
