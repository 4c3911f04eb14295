// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the helper asks of the network and of clocks, answered the same each time, in
 * place of loader/netlink*.c, loader/clock.c, and what of loader/monitor*.c waits: two
 * links, no neighbour, no packet, and a time that stands still.
 */
#include <errno.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "helper.h"
#include "kernel.h"
#include "monitor.h"
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

__u64 clock_nanoseconds(clockid_t clock)
{
	(void)clock;
	return 1700000000123456789;
}

/* --- of xlb monitor --- */

/* One that says nothing; it is to be closed. */
struct mnl_socket *netlink_open(int bus)
{
	(void)bus;
	return malloc(1);
}

struct mnl_socket *netlink_listen(const unsigned *groups)
{
	return netlink_open(groups[0]);
}

int kernel_mnl_socket_close(struct mnl_socket *socket)
{
	free(socket);
	return 0;
}

enum status monitor_netlink_fail(const struct monitor *monitor, int error)
{
	return args_fail(monitor->args, STATUS_REFUSED, "interfaces and neighbours: %s",
			 strerror(-error));
}

enum status events_open(struct monitor *monitor, const struct maps *maps)
{
	(void)monitor;
	(void)maps;
	return STATUS_DONE;
}

void events_close(struct monitor *monitor)
{
	(void)monitor;
}

void hosts_free(struct monitor *monitor)
{
	(void)monitor;
}

void links_free(struct monitor *monitor)
{
	(void)monitor;
}

static void wishes_judge(const struct monitor *monitor)
{
	bool some = false;

	for (int kind = 0; kind < MONITOR_KINDS; kind++)
		some |= monitor->wanted[kind];
	holds(some, "something is watched", NULL);
	holds(!monitor->backend || !address_is_any(monitor->backend->address),
	      "a backend that is watched is a host", NULL);
	holds(!monitor->service || monitor->service->protocol == XLB_TCP ||
	      monitor->service->protocol == XLB_UDP, "a service that is watched is one", NULL);
}

/* Nothing happens, but for what is there having come. */
enum status monitor_watch(struct monitor *monitor)
{
	static const struct maps none;
	struct state *blank;
	int error;

	wishes_judge(monitor);
	error = monitor_read(monitor);
	if (!error)
		error = monitor_read(monitor);
	if (error)
		return maps_fail(monitor->args, &none, error);
	if (state_blank(&blank, monitor->pin))
		abort();
	if (monitor->wanted[MONITOR_CHANGE])
		changes_tell(monitor, blank, monitor->state);
	state_free(blank);
	holds(!monitor->failed, "what happens is told", NULL);
	return STATUS_DONE;
}
