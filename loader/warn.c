// SPDX-License-Identifier: GPL-2.0-only
/* What keeps traffic from flowing, told on stderr with the line to type. */
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <bpf/bpf.h>

#include "mode.h"
#include "netlink.h"
#include "program.h"
#include "sysctl.h"
#include "warn.h"

/* What the services want of the kernel, where it forwards for xlb. */
struct wants {
	bool forward4, forward6;
	bool replies4;		/* replies from VIPs, IPv4 */
	bool own4;		/* frames with a source of this machine's own, IPv4 */
};

/* Is it an IPv4 address of this machine's own, or any address, which may be? */
static bool address_own(const struct ifaddrs *list, const __u8 address[4])
{
	static const __u8 any[4];
	bool own = !memcmp(address, any, sizeof(any));

	for (; list && !own; list = list->ifa_next)
		own = list->ifa_addr && list->ifa_addr->sa_family == AF_INET &&
		      !memcmp(&((struct sockaddr_in *)list->ifa_addr)->sin_addr, address, 4);
	return own;
}

static void wants_add(struct wants *wants, const struct xlb_config *config,
		      const struct xlb_service *service, bool v4)
{
	static const __u8 none[16];
	bool tunnels = mode_tunnels(service->mode);
	bool tunnels4 = tunnels && memcmp(config->tunnel4, none, sizeof(config->tunnel4));

	wants->forward4 |= v4 || tunnels4;
	wants->forward6 |= !v4 || (tunnels && memcmp(config->tunnel6, none, sizeof(none)));
	wants->own4 |= tunnels4 || (v4 && service->mode == XLB_NAT);
}

/* Who answers clients by xlb may have to be sent by the kernel, as a VIP. */
static void wants_add_vip(struct wants *wants, const struct xlb_service *service,
			  const struct xlb_endpoint4 *vip, const struct ifaddrs *list)
{
	if (service->mode != XLB_DNAT)
		return;
	wants->replies4 = true;
	wants->own4 |= address_own(list, vip->address);
}

static void wants_read(const struct maps *maps, struct wants *wants)
{
	static const enum map families[] = { MAP_SERVICES4, MAP_SERVICES6 };
	struct xlb_config config = {};
	struct ifaddrs *list = NULL;
	__u32 zero = 0;

	*wants = (struct wants){};
	getifaddrs(&list);
	bpf_map_lookup_elem(maps->fd[MAP_CONFIG], &zero, &config);
	for (unsigned i = 0; i < 2; i++) {
		struct xlb_service *services;
		unsigned count;
		void *keys;

		map_read(maps, families[i], &keys, (void **)&services, &count);
		for (unsigned j = 0; j < count; j++) {
			wants_add(wants, &config, &services[j], families[i] == MAP_SERVICES4);
			if (families[i] == MAP_SERVICES4)
				wants_add_vip(wants, &services[j],
					      &((struct xlb_endpoint4 *)keys)[j], list);
		}
		free(keys);
		free(services);
	}
	freeifaddrs(list);
}

static void warn_forwarding(int family, const char *dev)
{
	char settings[256];

	sysctl_missing_forwarding(family, dev, settings, sizeof(settings));
	if (*settings)
		args_warn(NULL, "warning: %s: forwarding is off: sysctl -w %s", dev, settings);
}

static void warn_own_source(const char *dev)
{
	char settings[256];

	sysctl_missing_own_source(dev, settings, sizeof(settings));
	if (*settings)
		args_warn(NULL, "warning: %s: the kernel drops frames from addresses of its own: "
			  "sysctl -w %s", dev, settings);
}

static void warn_replies(const char *dev)
{
	char settings[256];

	sysctl_missing_filter(dev, settings, sizeof(settings));
	if (*settings)
		args_warn(NULL, "warning: %s: the kernel may drop replies from VIPs: sysctl -w %s",
			  dev, settings);
}

static void warn_link(const struct netlink_link *link, const struct wants *wants)
{
	if (wants->forward4)
		warn_forwarding(AF_INET, link->name);
	if (wants->forward6)
		warn_forwarding(AF_INET6, link->name);
	if (wants->own4)
		warn_own_source(link->name);
	else if (wants->replies4)
		warn_replies(link->name);
	if (link->veth && !link->redirect && link->mode == NETLINK_XDP_NATIVE)
		args_warn(NULL, "warning: %s: its peer takes no frames that XDP sends: "
			  "ethtool -K PEER gro on", link->name);
}

void warn_links(const struct maps *maps)
{
	__u32 config = program_map_id(maps->fd[MAP_CONFIG]);
	struct netlink_link *links;
	struct program program;
	struct wants wants;
	unsigned i, count;

	if (netlink_links(&links, &count))
		return;
	wants_read(maps, &wants);
	for (i = 0; i < count; i++) {
		if (!links[i].xdp_id || links[i].loopback ||
		    program_open(links[i].xdp_id, &program))
			continue;
		program_close(&program);
		if (program.config == config)
			warn_link(&links[i], &wants);
	}
	free(links);
}
