// SPDX-License-Identifier: GPL-2.0-only
/* xlb link: interfaces that run xlb, and what the others want of interfaces. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>

#include "command.h"
#include "link.h"
#include "nexthop.h"
#include "program.h"
#include "service.h"
#include "session.h"
#include "warn.h"

#define MTU_MAX 65535	/* of xlb_link: that or more */

const struct choice link_modes[] = {
	{ "native", NETLINK_XDP_NATIVE },
	{ "generic", NETLINK_XDP_GENERIC },
	{ "offload", NETLINK_XDP_OFFLOAD },
	{},
};

enum status link_argument(struct args *args, struct netlink_link *link)
{
	const char *word = args_take(args);
	int err;

	if (!word || strcmp(word, "dev"))
		return args_fail(args, STATUS_USAGE, "%s: dev IF is to come first",
				 word ? word : "no interface");
	word = args_subject(args);
	if (!word)
		return args_fail(args, STATUS_USAGE, "dev: needs a value");
	err = netlink_link(word, link);
	if (err)
		return args_fail(args, STATUS_REFUSED, "%s",
				 err == -ENODEV ? "no such interface" : strerror(-err));
	return STATUS_DONE;
}

/* Those that take no frames are there for their MTU, unless that is at the others' cost. */
static bool link_wanted(const struct netlink_link *link, unsigned count)
{
	return link->redirect || count <= XLB_LINKS_MAX;
}

static bool links_want(const struct netlink_link *links, unsigned count, __u32 ifindex)
{
	for (unsigned i = 0; i < count; i++) {
		if (links[i].ifindex == ifindex)
			return link_wanted(&links[i], count);
	}
	return false;
}

/* Links that are gone, or have no place any more. */
static int stale_delete(const struct maps *maps, const struct netlink_link *links, unsigned count)
{
	void *keys, *values;
	unsigned i, old;
	int err = map_read(maps, MAP_LINKS, &keys, &values, &old);

	for (i = 0; i < old && !err; i++) {
		__u32 *ifindex = (__u32 *)keys + i;

		if (links_want(links, count, *ifindex))
			continue;
		err = bpf_map_delete_elem(maps->fd[MAP_LINKS], ifindex);
	}
	free(keys);
	free(values);
	return err == -ENOENT ? 0 : err;
}

static int link_write(const struct maps *maps, const struct netlink_link *link)
{
	const struct xlb_link new = {
		.redirect = link->redirect,
		.veth = link->redirect && link->veth,
		.mtu = link->mtu < MTU_MAX ? link->mtu : MTU_MAX,
	};
	struct xlb_link old;

	if (!bpf_map_lookup_elem(maps->fd[MAP_LINKS], &link->ifindex, &old) &&
	    !memcmp(&old, &new, sizeof(old)))
		return 0;
	return bpf_map_update_elem(maps->fd[MAP_LINKS], &link->ifindex, &new, BPF_ANY);
}

int link_refresh(const struct maps *maps)
{
	struct netlink_link *links;
	unsigned i, count;
	int err = netlink_links(&links, &count);

	if (err)
		return err;
	err = stale_delete(maps, links, count);
	for (i = 0; i < count && !err; i++)
		if (link_wanted(&links[i], count))
			err = link_write(maps, &links[i]);
	free(links);
	return err == -E2BIG ? 0 : err;
}

/* What `show` is to show. */
struct view {
	struct context *context;
	unsigned ifindex;		/* 0: all links */
	struct state *state;		/* NULL: without next hops */
	struct nexthops nexthops;
};

/* With -s: of the maps that other commands would use. */
static enum status view_begin(const struct args *args, struct view *view)
{
	int err;

	if (!view->context->statistics)
		return STATUS_DONE;
	view->state = session_view(view->context, args);
	if (!view->state)
		return STATUS_REFUSED;
	services_sort(view->state);
	err = nexthops_read(&view->nexthops, view->state);
	return err ? args_fail(args, STATUS_REFUSED, "next hops: %s", strerror(-err)) : STATUS_DONE;
}

static void view_end(struct view *view)
{
	nexthops_free(&view->nexthops);
	state_free(view->state);
}

/* A link may also have next hops only. */
static void link_print(const struct view *view, const struct netlink_link *link,
		       const struct program *program, bool unknown)
{
	struct output *output = &view->context->output;
	bool runs = program->config;
	char folder[PATH_MAX];
	bool pinned = program_folder(program, view->context->pin, folder);

	output_line(output, 0);
	output_object(output, NULL);
	output_string(output, "dev", link->name);
	output_string(output, "mode", runs ? choice_name(link_modes, link->mode) : NULL);
	if (runs)
		output_number(output, "id", program->id);
	else
		output_detail(output, "id", json_null());
	output_string(output, "pin", pinned ? folder : NULL);
	output_flag(output, "unknown", unknown);
	output_flag(output, "redirect", link->redirect);
	if (view->state)
		nexthops_show(output, &view->nexthops, link->ifindex);
	output_close(output);
}

static int link_show(const struct view *view, const struct netlink_link *link)
{
	struct program program;
	int err = program_look(link->xdp_id, view->context->pin, &program);

	bool unknown = err == -EPERM;

	/* Replaced or detached since the dump. */
	if (err && !unknown)
		return err == -ENOENT ? 0 : err;
	if (unknown || program.config ||
	    (view->state && nexthops_use(&view->nexthops, link->ifindex)))
		link_print(view, link, &program, unknown);
	program_close(&program);
	return 0;
}

static enum status links_show(const struct args *args, const struct view *view)
{
	struct netlink_link *links;
	unsigned i, count;
	int err = netlink_links(&links, &count);

	if (err)
		return args_fail(args, STATUS_REFUSED, "interfaces: %s", strerror(-err));
	output_list(&view->context->output, NULL);
	for (i = 0; i < count && !err; i++)
		if (!view->ifindex || links[i].ifindex == view->ifindex)
			err = link_show(view, &links[i]);
	output_close(&view->context->output);
	free(links);
	if (err)
		return args_fail(args, STATUS_REFUSED, "programs: %s", program_explain(err));
	return STATUS_DONE;
}

static enum status cmd_show(struct context *context, struct args *args)
{
	struct view view = { .context = context };
	enum status status = STATUS_DONE;
	struct netlink_link only = {};

	if (args_peek(args))
		status = link_argument(args, &only);
	if (!status)
		status = args_end(args);
	if (status)
		return status;
	view.ifindex = only.ifindex;
	status = view_begin(args, &view);
	if (!status)
		status = links_show(args, &view);
	view_end(&view);
	return status;
}

static void warning_show(void *context, const struct warning *warning)
{
	struct output *output = context;

	output_line(output, 0);
	output_object(output, NULL);
	output_text(output, "%s: %s: %s", warning->dev, warning->what, warning->mend);
	output_detail(output, "dev", json_string(warning->dev));
	output_detail(output, "kind", json_string(warning->kind));
	output_detail(output, "what", json_string(warning->what));
	output_detail(output, "mend", json_string(warning->mend));
	output_close(output);
}

/* What any command that changes something warns of, when nothing is to be changed. */
static enum status cmd_check(struct context *context, struct args *args)
{
	struct state *state;
	int err;

	if (args_end(args))
		return STATUS_USAGE;
	state = session_view(context, args);
	if (!state)
		return STATUS_REFUSED;
	output_list(&context->output, NULL);
	err = warnings_each(&state->maps, warning_show, &context->output);
	output_close(&context->output);
	state_free(state);
	return err ? args_fail(args, STATUS_REFUSED, "interfaces: %s", strerror(-err)) : STATUS_DONE;
}

static const struct command commands[] = {
	{ "show", cmd_show, false },
	{ "check", cmd_check, false },
	{},
};

const struct object link_object = {
	.name = "link",
	.usage = "xlb link [ show [ dev IF ] ]\n"
		 "       xlb link check\n",
	.commands = commands,
};
