// SPDX-License-Identifier: GPL-2.0-only
/*
 * xlb monitor: interfaces that run xlb or lead to backends, and their programs.  They are
 * heard of one message after the other, so that no flap is missed; but the kernel does not
 * tell of a program whose bpf link goes, so that they are looked at as well.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/rtnetlink.h>

#include "link.h"
#include "monitor.h"
#include "program.h"

struct monitor_link {
	struct netlink_link link;
	bool runs;		/* a program of these maps */
	bool seen;		/* in the dump of the moment */
};

static struct monitor_link *link_find(const struct monitor *monitor, unsigned ifindex)
{
	for (unsigned i = 0; i < monitor->link_count; i++)
		if (monitor->links[i].link.ifindex == ifindex)
			return &monitor->links[i];
	return NULL;
}

bool link_resolves(const struct monitor *monitor, unsigned ifindex)
{
	const struct monitor_link *link = link_find(monitor, ifindex);

	return !link || link->link.resolves;
}

/* Without the privilege to look at it, any program may be one of ours. */
static bool runs_xlb(const struct monitor *monitor, __u32 id, char *name)
{
	struct program program;
	int error;
	bool runs;

	*name = '\0';
	if (!id)
		return false;
	error = program_look(id, monitor->pin, &program);
	if (error)
		return error == -EPERM || error == -EACCES;
	runs = program.config == monitor->config;
	strcpy(name, program.name);
	program_close(&program);
	return runs;
}

static void link_tell(struct monitor *monitor, const struct netlink_link *link,
		      const char *action, const char *program)
{
	struct output *line = &monitor->line;
	bool attached = program && link->xdp_id;

	/* Of no service, so that whoever wants some alone has to ask for links. */
	if (!monitor->wanted[MONITOR_LINK])
		return;
	monitor_begin(monitor, "link", action, 0);
	output_string(line, "dev", link->name);
	output_string(line, "mode", attached ? choice_name(link_modes, link->mode) : NULL);
	output_string(line, "program", attached && *program ? program : NULL);
	if (attached)
		output_number(line, "id", link->xdp_id);
	else
		output_detail(line, "id", json_null());
	monitor_end(monitor);
}

static void program_compare(struct monitor *monitor, struct monitor_link *old,
			    const struct netlink_link *now)
{
	bool ran = old->runs;
	char name[BPF_OBJ_NAME_LEN];

	if (old->link.xdp_id == now->xdp_id && old->link.mode == now->mode)
		return;
	old->runs = runs_xlb(monitor, now->xdp_id, name);
	if (ran && old->runs)
		link_tell(monitor, now, "replaced", name);
	else if (old->runs)
		link_tell(monitor, now, "attached", name);
	else if (ran)
		link_tell(monitor, now, "detached", name);
}

static void link_compare(struct monitor *monitor, struct monitor_link *old,
			 const struct netlink_link *now)
{
	bool was = old->link.up && old->link.running, is = now->up && now->running;

	if (was != is && (old->runs || hosts_use(monitor, now->ifindex)))
		link_tell(monitor, now, is ? "up" : "down", NULL);
	program_compare(monitor, old, now);
	old->link = *now;
}

/* One that was not there before has had no program. */
static int link_add(struct monitor *monitor, const struct netlink_link *now, bool first)
{
	struct monitor_link *links = reallocarray(monitor->links, monitor->link_count + 1,
						  sizeof(*links)), *link;
	char name[BPF_OBJ_NAME_LEN];

	if (!links)
		return -ENOMEM;
	monitor->links = links;
	link = &links[monitor->link_count++];
	*link = (struct monitor_link){ .link = *now, .seen = true };
	if (first) {
		link->runs = runs_xlb(monitor, now->xdp_id, name);
	} else {
		link->link.xdp_id = 0;
		link_compare(monitor, link, now);
	}
	return 0;
}

static void link_delete(struct monitor *monitor, struct monitor_link *link)
{
	if (link->runs || hosts_use(monitor, link->link.ifindex))
		link_tell(monitor, &link->link, "deleted", NULL);
	*link = monitor->links[--monitor->link_count];
}

static int link_apply(struct monitor *monitor, const struct netlink_link *now, bool first)
{
	struct monitor_link *old = link_find(monitor, now->ifindex);

	if (!old)
		return link_add(monitor, now, first);
	old->seen = true;
	link_compare(monitor, old, now);
	return 0;
}

/* What mnl_cb_run() hands on. */
struct hearing {
	struct monitor *monitor;
	bool more;
};

static int on_message(const struct nlmsghdr *message, void *context)
{
	struct hearing *hearing = context;
	struct monitor_link *old;
	struct netlink_link link;

	hearing->more = true;
	if (message->nlmsg_type != RTM_NEWLINK && message->nlmsg_type != RTM_DELLINK)
		return MNL_CB_OK;
	/* A bridge tells of its ports in a family of its own. */
	if (((const struct ifinfomsg *)mnl_nlmsg_get_payload(message))->ifi_family != AF_UNSPEC)
		return MNL_CB_OK;
	netlink_link_parse(message, &link);
	if (message->nlmsg_type == RTM_NEWLINK) {
		errno = -link_apply(hearing->monitor, &link, false);
		return errno ? MNL_CB_ERROR : MNL_CB_OK;
	}
	old = link_find(hearing->monitor, link.ifindex);
	if (old)
		link_delete(hearing->monitor, old);
	return MNL_CB_OK;
}

int links_hear(struct monitor *monitor, bool *more)
{
	struct hearing hearing = { .monitor = monitor };
	char messages[32768];
	ssize_t length;
	int run = MNL_CB_OK;

	do {
		length = mnl_socket_recvfrom(monitor->listener, messages, sizeof(messages));
		if (length > 0)
			run = mnl_cb_run(messages, length, 0, 0, on_message, &hearing);
		/* Some could not be kept: all is looked at anyway, once there is any. */
		hearing.more |= length < 0 && errno == ENOBUFS;
	} while (run != MNL_CB_ERROR && (length > 0 || (length < 0 && errno == ENOBUFS)));
	*more = hearing.more;
	if (run == MNL_CB_ERROR || (length < 0 && errno != EAGAIN && errno != EINTR))
		return -errno;
	return 0;
}

int links_follow(struct monitor *monitor)
{
	bool first = !monitor->links;
	struct netlink_link *links;
	unsigned count;
	int error = netlink_links(&links, &count);

	if (error)
		return error;
	for (unsigned i = 0; !first && i < monitor->link_count; i++)
		monitor->links[i].seen = false;
	for (unsigned i = 0; !error && i < count; i++)
		error = link_apply(monitor, &links[i], first);
	for (unsigned i = monitor->links ? monitor->link_count : 0; !error && i--;)
		if (!monitor->links[i].seen)
			link_delete(monitor, &monitor->links[i]);
	free(links);
	return error;
}

void links_free(struct monitor *monitor)
{
	free(monitor->links);
}
