// SPDX-License-Identifier: GPL-2.0-only
/* What the way of probes by the VIP asks of the kernel by netlink. */
#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#include "netlink_ask.h"
#include "probe_mark.h"
#include "probe_route.h"

#define DEVICE "xlb-probe"
#define PEER "xlb-probe-peer"
#define TABLE 0x786c62		/* "xlb" */
/* So that what it carries fits into a tunnel, on links of 1500 bytes. */
#define DEVICE_MTU 1400

static const int families[] = { AF_INET, AF_INET6 };

#define FAMILIES (sizeof(families) / sizeof(*families))

static int ask(struct nlmsghdr *request)
{
	return netlink_ask(NETLINK_ROUTE, request, NULL, NULL);
}

static void link_put(struct nlmsghdr *request, const char *name)
{
	struct ifinfomsg *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));

	header->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(request, IFLA_IFNAME, name);
	mnl_attr_put_u32(request, IFLA_MTU, DEVICE_MTU);
	/* Segments are cut before they get here: a tunnel would have to, else. */
	mnl_attr_put_u32(request, IFLA_GSO_MAX_SEGS, 1);
}

static int veth_make(void)
{
	char buffer[NETLINK_REQUEST_SIZE];
	struct nlmsghdr *request = netlink_request(buffer, RTM_NEWLINK,
						   NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK);
	struct nlattr *info, *data, *peer;

	link_put(request, DEVICE);
	info = mnl_attr_nest_start(request, IFLA_LINKINFO);
	mnl_attr_put_strz(request, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(request, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(request, VETH_INFO_PEER);
	link_put(request, PEER);
	mnl_attr_nest_end(request, peer);
	mnl_attr_nest_end(request, data);
	mnl_attr_nest_end(request, info);
	return ask(request);
}

/* Up, and needing no neighbours. */
static int link_up(const char *name)
{
	char buffer[NETLINK_REQUEST_SIZE];
	struct nlmsghdr *request = netlink_request(buffer, RTM_NEWLINK, NLM_F_ACK);
	struct ifinfomsg *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));

	header->ifi_family = AF_UNSPEC;
	header->ifi_flags = header->ifi_change = IFF_UP | IFF_NOARP;
	mnl_attr_put_strz(request, IFLA_IFNAME, name);
	return ask(request);
}

static int route_add(int family, unsigned ifindex)
{
	char buffer[NETLINK_REQUEST_SIZE];
	struct nlmsghdr *request = netlink_request(buffer, RTM_NEWROUTE,
						   NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK);
	struct rtmsg *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));

	header->rtm_family = family;
	header->rtm_protocol = RTPROT_STATIC;
	header->rtm_scope = RT_SCOPE_LINK;
	header->rtm_type = RTN_UNICAST;
	mnl_attr_put_u32(request, RTA_TABLE, TABLE);
	mnl_attr_put_u32(request, RTA_OIF, ifindex);
	return ask(request);
}

/* The kernel, or this device, has no IPv6: then no VIP has it either. */
static bool lacks_family(int family, int error)
{
	return family == AF_INET6 && (error == -EAFNOSUPPORT || error == -EOPNOTSUPP ||
				      error == -EACCES || error == -EINVAL);
}

int route_device_make(void)
{
	int error = veth_make(), ifindex = error ? 0 : if_nametoindex(DEVICE);

	if (!error && !ifindex)
		error = -errno;
	error = error ?: link_up(DEVICE);
	error = error ?: link_up(PEER);
	for (unsigned i = 0; !error && i < FAMILIES; i++) {
		error = route_add(families[i], ifindex);
		if (lacks_family(families[i], error))
			error = 0;
	}
	return error ?: ifindex;
}

int route_device_delete(void)
{
	char buffer[NETLINK_REQUEST_SIZE];
	struct nlmsghdr *request = netlink_request(buffer, RTM_DELLINK, NLM_F_ACK);
	struct ifinfomsg *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));

	header->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(request, IFLA_IFNAME, DEVICE);
	return ask(request);
}

/* A rule of the first priority that looks up a table. */
static struct nlmsghdr *rule_request(void *buffer, unsigned type, unsigned flags, int family,
				     unsigned table)
{
	struct nlmsghdr *request = netlink_request(buffer, type, flags | NLM_F_ACK);
	struct fib_rule_hdr *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));

	header->family = family;
	header->action = FR_ACT_TO_TBL;
	mnl_attr_put_u32(request, FRA_PRIORITY, 0);
	mnl_attr_put_u32(request, FRA_TABLE, table);
	return request;
}

static int mark_rule(unsigned type, unsigned flags, int family)
{
	char buffer[NETLINK_REQUEST_SIZE];
	struct nlmsghdr *request = rule_request(buffer, type, flags, family, TABLE);

	mnl_attr_put_u32(request, FRA_FWMARK, PROBE_MARK);
	mnl_attr_put_u32(request, FRA_FWMASK, PROBE_MARK_MASK);
	return ask(request);
}

/*
 * Rules of one priority stand in the order that they came in, and a deletion takes the
 * first: another rule for local addresses, of the same priority as the kernel's, and then
 * the first of them away, leaves it behind the rule for marks.
 */
static int local_rule_behind(int family)
{
	char buffer[NETLINK_REQUEST_SIZE];
	struct nlmsghdr *request = rule_request(buffer, RTM_NEWRULE, NLM_F_CREATE, family,
						RT_TABLE_LOCAL);
	int error;

	mnl_attr_put_u8(request, FRA_PROTOCOL, RTPROT_KERNEL);
	error = ask(request);
	if (error)
		return error;
	return ask(rule_request(buffer, RTM_DELRULE, 0, family, RT_TABLE_LOCAL));
}

int route_rules_add(void)
{
	int error = 0;

	for (unsigned i = 0; !error && i < FAMILIES; i++) {
		error = mark_rule(RTM_NEWRULE, NLM_F_CREATE, families[i]);
		error = error ?: local_rule_behind(families[i]);
		if (lacks_family(families[i], error))
			error = 0;
	}
	return error;
}

void route_rules_delete(void)
{
	for (unsigned i = 0; i < FAMILIES; i++)
		while (!mark_rule(RTM_DELRULE, 0, families[i]))
			;
}

static int on_route(const struct nlmsghdr *answer, void *context)
{
	const struct nlattr *attr;
	unsigned *ifindex = context;

	mnl_attr_for_each(attr, answer, sizeof(struct rtmsg))
		if (mnl_attr_get_type(attr) == RTA_OIF)
			*ifindex = mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

unsigned route_families(void)
{
	/* Any address: the device's table leads it there. */
	static const __u8 somewhere[16] = { 192, 0, 2, 1 };
	unsigned device = if_nametoindex(DEVICE), found = 0;

	for (unsigned i = 0; device && i < FAMILIES; i++) {
		char buffer[NETLINK_REQUEST_SIZE];
		struct nlmsghdr *request = netlink_request(buffer, RTM_GETROUTE, NLM_F_ACK);
		struct rtmsg *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
		size_t size = families[i] == AF_INET ? 4 : 16;
		unsigned ifindex = 0;

		header->rtm_family = families[i];
		header->rtm_dst_len = size * 8;
		mnl_attr_put(request, RTA_DST, size, somewhere);
		mnl_attr_put_u32(request, RTA_MARK, PROBE_MARK);
		if (!netlink_ask(NETLINK_ROUTE, request, on_route, &ifindex) && ifindex == device)
			found |= 1U << i;
	}
	return found;
}
