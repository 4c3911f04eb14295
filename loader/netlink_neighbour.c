// SPDX-License-Identifier: GPL-2.0-only
/* Keeping the neighbours of backends resolved, by netlink. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "netlink.h"
#include "netlink_hop.h"

static struct nlmsghdr *neighbour_begin(void *buffer, unsigned type, unsigned flags,
					const struct netlink_hop *hop)
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

static int hop_keep(struct mnl_socket *socket, const struct netlink_hop *hop)
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
	struct netlink_hop hop = { .family = host->family };
	int err;

	memcpy(hop.address, host->address, address_size(host->family));
	err = netlink_hop_find(socket, &hop);
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
