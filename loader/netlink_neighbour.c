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
			memcpy(hop->address, mnl_attr_get_payload(attr), address_size(hop->family));
			break;
		case RTA_VIA:
			via = mnl_attr_get_payload(attr);
			hop->family = via->rtvia_family;
			memcpy(hop->address, via->rtvia_addr, address_size(hop->family));
			break;
		}
	}
	return MNL_CB_OK;
}

static int hop_find(struct hop *hop)
{
	char buffer[NETLINK_REQUEST_SIZE];
	struct nlmsghdr *request = netlink_request(buffer, RTM_GETROUTE, NLM_F_ACK);
	struct rtmsg *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
	size_t size = address_size(hop->family);

	header->rtm_family = hop->family;
	header->rtm_dst_len = size * 8;
	mnl_attr_put(request, RTA_DST, size, hop->address);
	return netlink_ask(NETLINK_ROUTE, request, on_route, hop);
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

int netlink_neighbour_keep(int family, const __u8 *address)
{
	char buffer[NETLINK_REQUEST_SIZE];
	struct hop hop = { .family = family };
	struct nlmsghdr *request;
	struct ndmsg *header;
	bool fixed = false;
	int err;

	memcpy(hop.address, address, address_size(family));
	err = hop_find(&hop);
	if (err || !hop.ifindex)
		return err;

	/* Since 5.16 either flag below would make a permanent entry an ordinary one. */
	request = neighbour_begin(buffer, RTM_GETNEIGH, 0, &hop);
	err = netlink_ask(NETLINK_ROUTE, request, on_neighbour, &fixed);
	if (fixed || (err && err != -ENOENT))
		return err;

	request = neighbour_begin(buffer, RTM_NEWNEIGH, NLM_F_CREATE, &hop);
	header = mnl_nlmsg_get_payload(request);
	header->ndm_state = NUD_NONE;
	/*
	 * NTF_USE resolves it now; alone, on kernels before 5.16 that don't know
	 * the other, it also keeps them from taking NUD_NONE at its word.
	 */
	header->ndm_flags = NTF_USE;
	mnl_attr_put_u32(request, NDA_FLAGS_EXT, NTF_EXT_MANAGED);
	return netlink_ask(NETLINK_ROUTE, request, NULL, NULL);
}
