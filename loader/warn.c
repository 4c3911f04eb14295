// SPDX-License-Identifier: GPL-2.0-only
/* What keeps traffic from flowing, told with the line to type. */
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <bpf/bpf.h>

#include "mode.h"
#include "netlink.h"
#include "program.h"
#include "sysctl.h"
#include "warn.h"

#define SETTINGS_TEXT 256

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

/* Whom to tell. */
struct teller {
	warning_handler *tell;
	void *context;
};

/* About settings that are missing, if any are. */
static void tell_settings(const struct teller *teller, const char *settings, struct warning warning)
{
	char mend[sizeof("sysctl -w ") + SETTINGS_TEXT];

	if (!*settings)
		return;
	snprintf(mend, sizeof(mend), "sysctl -w %s", settings);
	warning.mend = mend;
	teller->tell(teller->context, &warning);
}

static void tell_forwarding(const struct teller *teller, int family, const char *dev)
{
	char settings[SETTINGS_TEXT];

	sysctl_missing_forwarding(family, dev, settings, sizeof(settings));
	tell_settings(teller, settings, (struct warning){
		.dev = dev, .kind = "forwarding", .what = "forwarding is off" });
}

static void tell_own_source(const struct teller *teller, const char *dev)
{
	char settings[SETTINGS_TEXT];

	sysctl_missing_own_source(dev, settings, sizeof(settings));
	tell_settings(teller, settings, (struct warning){
		.dev = dev, .kind = "own_source",
		.what = "the kernel drops frames from addresses of its own" });
}

static void tell_replies(const struct teller *teller, const char *dev)
{
	char settings[SETTINGS_TEXT];

	sysctl_missing_filter(dev, settings, sizeof(settings));
	tell_settings(teller, settings, (struct warning){
		.dev = dev, .kind = "replies", .what = "the kernel may drop replies from VIPs" });
}

static void tell_link(const struct teller *teller, const struct netlink_link *link,
		      const struct wants *wants)
{
	const struct warning peer = {
		.dev = link->name, .kind = "peer",
		.what = "its peer takes no frames that XDP sends",
		.mend = "ethtool -K PEER gro on",
	};

	if (wants->forward4)
		tell_forwarding(teller, AF_INET, link->name);
	if (wants->forward6)
		tell_forwarding(teller, AF_INET6, link->name);
	if (wants->own4)
		tell_own_source(teller, link->name);
	else if (wants->replies4)
		tell_replies(teller, link->name);
	if (link->veth && !link->redirect && link->mode == NETLINK_XDP_NATIVE)
		teller->tell(teller->context, &peer);
}

int warnings_each(const struct maps *maps, warning_handler *tell, void *context)
{
	const struct teller teller = { tell, context };
	__u32 config = program_map_id(maps->fd[MAP_CONFIG]);
	struct netlink_link *links;
	struct program program;
	struct wants wants;
	unsigned i, count;
	int err = netlink_links(&links, &count);

	if (err)
		return err;
	wants_read(maps, &wants);
	for (i = 0; i < count; i++) {
		if (!links[i].xdp_id || links[i].loopback ||
		    program_look(links[i].xdp_id, maps->folder, &program))
			continue;
		program_close(&program);
		if (program.config == config)
			tell_link(&teller, &links[i], &wants);
	}
	free(links);
	return 0;
}

static void warning_print(void *context, const struct warning *warning)
{
	(void)context;
	args_warn(NULL, "warning: %s: %s: %s", warning->dev, warning->what, warning->mend);
}

void warn_links(const struct maps *maps)
{
	warnings_each(maps, warning_print, NULL);
}
