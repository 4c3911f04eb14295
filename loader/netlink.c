// SPDX-License-Identifier: GPL-2.0-only
/* Links and what XDP programs they run, by netlink. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <net/if_arp.h>
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "netlink.h"
#include "netlink_ask.h"

#define DUMP_TRIES 16

/* <linux/netdev.h>, since Linux 6.3. */
#define NETDEV_CMD_DEV_GET 1
#define NETDEV_A_DEV_IFINDEX 1
#define NETDEV_A_DEV_XDP_FEATURES 3
#define NETDEV_XDP_ACT_NDO_XMIT 4
#define NETDEV_XDP_ACT_NDO_XMIT_SG 64

/* A growing list of links while they are dumped. */
struct links {
	struct netlink_link *link;
	unsigned count;
};

static void link_parse_xdp(struct netlink_link *link, const struct nlattr *xdp)
{
	const struct nlattr *attr;
	__u32 ids[] = { [NETLINK_XDP_OFFLOAD] = 0 };
	enum netlink_xdp_mode mode;

	mnl_attr_for_each_nested(attr, xdp) {
		switch (mnl_attr_get_type(attr)) {
		case IFLA_XDP_DRV_PROG_ID:
			ids[NETLINK_XDP_NATIVE] = mnl_attr_get_u32(attr);
			break;
		case IFLA_XDP_SKB_PROG_ID:
			ids[NETLINK_XDP_GENERIC] = mnl_attr_get_u32(attr);
			break;
		case IFLA_XDP_HW_PROG_ID:
			ids[NETLINK_XDP_OFFLOAD] = mnl_attr_get_u32(attr);
			break;
		}
	}
	for (mode = NETLINK_XDP_NATIVE; mode <= NETLINK_XDP_OFFLOAD; mode++) {
		if (!ids[mode])
			continue;
		link->mode = mode;
		link->xdp_id = ids[mode];
		return;
	}
}

static const char *link_kind(const struct nlattr *info)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, info) {
		if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
			return mnl_attr_get_str(attr);
	}
	return "";
}

/*
 * A guess for kernels before 6.3, which don't tell: stacked and virtual devices
 * lose redirected frames in silence, and drivers of real ones (and virtio) have
 * the queues for them only while a program of their own is attached.
 */
static bool link_guess_redirect(const struct netlink_link *link, unsigned type, const char *kind)
{
	if (link->loopback || type != ARPHRD_ETHER)
		return false;
	if (!*kind)
		return link->mode == NETLINK_XDP_NATIVE;
	return link->veth || !strcmp(kind, "tun");
}

void netlink_link_parse(const struct nlmsghdr *answer, struct netlink_link *link)
{
	const struct ifinfomsg *header = mnl_nlmsg_get_payload(answer);
	const struct nlattr *attr;
	const char *kind = "";

	*link = (struct netlink_link){
		.ifindex = header->ifi_index,
		.loopback = header->ifi_flags & IFF_LOOPBACK,
		.up = header->ifi_flags & IFF_UP,
		.running = header->ifi_flags & IFF_RUNNING,
		.resolves = !(header->ifi_flags & IFF_NOARP),
	};
	mnl_attr_for_each(attr, answer, sizeof(*header)) {
		switch (mnl_attr_get_type(attr)) {
		case IFLA_IFNAME:
			snprintf(link->name, sizeof(link->name), "%s", mnl_attr_get_str(attr));
			break;
		case IFLA_MTU:
			link->mtu = mnl_attr_get_u32(attr);
			break;
		case IFLA_XDP:
			link_parse_xdp(link, attr);
			break;
		case IFLA_LINKINFO:
			kind = link_kind(attr);
			break;
		}
	}
	link->veth = !strcmp(kind, "veth");
	link->redirect = link_guess_redirect(link, header->ifi_type, kind);
}

static int on_link(const struct nlmsghdr *answer, void *context)
{
	struct links *links = context;
	struct netlink_link *link;

	link = reallocarray(links->link, links->count + 1, sizeof(*link));
	if (!link)
		return MNL_CB_ERROR;
	links->link = link;
	netlink_link_parse(answer, link + links->count++);
	return MNL_CB_OK;
}

static int on_family(const struct nlmsghdr *answer, void *context)
{
	const struct nlattr *attr;
	__u16 *family = context;

	mnl_attr_for_each(attr, answer, sizeof(struct genlmsghdr)) {
		if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID)
			*family = mnl_attr_get_u16(attr);
	}
	return MNL_CB_OK;
}

static bool link_redirects(const struct netlink_link *link, __u64 features)
{
	if (link->mtu >= NETLINK_MTU_JUMBO && !(features & NETDEV_XDP_ACT_NDO_XMIT_SG))
		return false;
	return features & NETDEV_XDP_ACT_NDO_XMIT;
}

static int on_features(const struct nlmsghdr *answer, void *context)
{
	const struct nlattr *attr;
	struct links *links = context;
	__u64 features = 0;
	unsigned ifindex = 0, i;

	mnl_attr_for_each(attr, answer, sizeof(struct genlmsghdr)) {
		if (mnl_attr_get_type(attr) == NETDEV_A_DEV_IFINDEX)
			ifindex = mnl_attr_get_u32(attr);
		else if (mnl_attr_get_type(attr) == NETDEV_A_DEV_XDP_FEATURES)
			features = mnl_attr_get_u64(attr);
	}
	for (i = 0; i < links->count; i++) {
		if (links->link[i].ifindex == ifindex)
			links->link[i].redirect = link_redirects(&links->link[i], features);
	}
	return MNL_CB_OK;
}

static struct nlmsghdr *generic_begin(void *buffer, unsigned family, unsigned flags, __u8 command)
{
	struct nlmsghdr *request = netlink_request(buffer, family, flags);
	struct genlmsghdr *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));

	header->cmd = command;
	header->version = 1;
	return request;
}

/*
 * Since 6.3 the kernel tells which devices take redirected frames, and itself
 * goes by that; a veth does only while its peer has a program or GRO on.
 */
static int links_ask_redirect(struct links *links)
{
	char buffer[NETLINK_REQUEST_SIZE];
	struct nlmsghdr *request;
	__u16 family = 0;
	int err;

	request = generic_begin(buffer, GENL_ID_CTRL, NLM_F_ACK, CTRL_CMD_GETFAMILY);
	mnl_attr_put_strz(request, CTRL_ATTR_FAMILY_NAME, "netdev");
	err = netlink_ask(NETLINK_GENERIC, request, on_family, &family);
	if (err == -ENOENT)
		return 0;
	if (err)
		return err;
	request = generic_begin(buffer, family, NLM_F_DUMP, NETDEV_CMD_DEV_GET);
	return netlink_ask(NETLINK_GENERIC, request, on_features, links);
}

static int links_dump(struct links *links)
{
	char buffer[NETLINK_REQUEST_SIZE];
	struct nlmsghdr *request = netlink_request(buffer, RTM_GETLINK, NLM_F_DUMP);
	struct ifinfomsg *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
	int err;

	header->ifi_family = AF_UNSPEC;
	mnl_attr_put_u32(request, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	err = netlink_ask(NETLINK_ROUTE, request, on_link, links);
	return err ? err : links_ask_redirect(links);
}

int netlink_links(struct netlink_link **link, unsigned *count)
{
	struct links links;
	int err, tries = DUMP_TRIES;

	/* The kernel says EINTR when links came or went during the dump. */
	do {
		links = (struct links){ 0 };
		err = links_dump(&links);
		if (err)
			free(links.link);
	} while (err == -EINTR && --tries);
	if (err)
		return err;
	*link = links.link;
	*count = links.count;
	return 0;
}

int netlink_link(const char *name, struct netlink_link *link)
{
	unsigned i, count, ifindex = if_nametoindex(name);
	struct netlink_link *links;
	int err;

	if (!ifindex)
		return -errno;
	err = netlink_links(&links, &count);
	if (err)
		return err;
	for (i = 0; i < count && links[i].ifindex != ifindex; i++)
		;
	if (i < count)
		*link = links[i];
	else
		err = -ENODEV;
	free(links);
	return err;
}

int netlink_xdp_set(unsigned ifindex, int prog_fd, int expected_fd, enum netlink_xdp_mode mode)
{
	static const __u32 flags[] = {
		[NETLINK_XDP_NATIVE] = XDP_FLAGS_DRV_MODE,
		[NETLINK_XDP_GENERIC] = XDP_FLAGS_SKB_MODE,
		[NETLINK_XDP_OFFLOAD] = XDP_FLAGS_HW_MODE,
	};
	char buffer[NETLINK_REQUEST_SIZE];
	struct nlmsghdr *request = netlink_request(buffer, RTM_SETLINK, NLM_F_ACK);
	struct ifinfomsg *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
	__u32 how = expected_fd < 0 ? XDP_FLAGS_UPDATE_IF_NOEXIST : XDP_FLAGS_REPLACE;
	struct nlattr *xdp;

	header->ifi_index = ifindex;
	xdp = mnl_attr_nest_start(request, IFLA_XDP);
	mnl_attr_put_u32(request, IFLA_XDP_FD, prog_fd);
	mnl_attr_put_u32(request, IFLA_XDP_FLAGS, flags[mode] | how);
	if (expected_fd >= 0)
		mnl_attr_put_u32(request, IFLA_XDP_EXPECTED_FD, expected_fd);
	mnl_attr_nest_end(request, xdp);
	return netlink_ask(NETLINK_ROUTE, request, NULL, NULL);
}
