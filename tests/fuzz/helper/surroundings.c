// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the helper asks of the network and of clocks, answered the same each time, in
 * place of loader/netlink*.c and loader/clock.c: two links, no neighbour, and a time that
 * stands still.
 */
#include <errno.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "command.h"
#include "kernel.h"
#include "netlink.h"

static const struct netlink_link links_here[] = {
	{ .ifindex = 1, .mtu = 65536, .name = "lo", .loopback = true },
	{ .ifindex = 2, .mtu = 1500, .name = "eth0", .redirect = true },
};

#define LINKS (sizeof(links_here) / sizeof(links_here[0]))

int netlink_links(struct netlink_link **links, unsigned *count)
{
	*links = malloc(sizeof(links_here));
	if (!*links)
		return -ENOMEM;
	memcpy(*links, links_here, sizeof(links_here));
	*count = LINKS;
	return 0;
}

int netlink_link(const char *name, struct netlink_link *link)
{
	for (unsigned i = 0; i < LINKS; i++) {
		if (strcmp(links_here[i].name, name))
			continue;
		*link = links_here[i];
		return 0;
	}
	return -ENODEV;
}

int netlink_xdp_set(unsigned ifindex, int prog_fd, int expected_fd, enum netlink_xdp_mode mode)
{
	(void)ifindex;
	(void)prog_fd;
	(void)expected_fd;
	(void)mode;
	return -EPERM;
}

const char *netlink_explanation(void)
{
	return "";
}

int netlink_neighbours_keep(struct netlink_host *hosts, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		hosts[i].via_family = 0;
	return 0;
}

/* No address is this machine's own. */
int kernel_getifaddrs(struct ifaddrs **list)
{
	*list = NULL;
	errno = EPERM;
	return -1;
}

__u32 clock_hz(void)
{
	return 250;
}

int clock_jiffies(__u64 *jiffies)
{
	*jiffies = 4300000000;
	return 0;
}

int clock_jiffies_about(__u64 *jiffies)
{
	return clock_jiffies(jiffies);
}

__s64 clock_milliseconds(void)
{
	return 1000000;
}

int clock_grace(void)
{
	return 0;
}

/* Waits for what happens; here nothing does. */
static enum status monitor_run(struct context *context, struct args *args)
{
	(void)context;
	return args_fail(args, STATUS_REFUSED, "no events");
}

const struct object monitor_object = { .name = "monitor", .usage = "", .run = monitor_run };
