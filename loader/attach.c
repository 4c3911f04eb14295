// SPDX-License-Identifier: GPL-2.0-only
/* xlb load, xlb unload: make the maps, put xlb's program on an interface, take it off. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adopt.h"
#include "command.h"
#include "folder.h"
#include "link.h"
#include "migrate.h"
#include "place.h"
#include "program.h"
#include "sizing.h"
#include "sysctl.h"
#include "warn.h"

/* Who it is about, and with which maps. */
struct attach {
	struct netlink_link link;	/* all zero: only the maps are wanted */
	struct program attached;	/* what is there before */
	struct maps maps;		/* locked */
	bool fresh;			/* no maps were there before */
	bool made;			/* nor was the folder */
	const char *pin;		/* -pin, or NULL */
};

static const struct choice modes[] = {
	{ "native", NETLINK_XDP_NATIVE },
	{ "generic", NETLINK_XDP_GENERIC },
	{},
};

enum { KEYWORD_MODE, KEYWORD_OBJECT, KEYWORD_SIZES };

/* Who is there; what is of others is left alone. */
static enum status attach_look(const struct args *args, struct attach *attach)
{
	static const char *const ip_modes[] = {
		[NETLINK_XDP_NATIVE] = "xdpdrv",
		[NETLINK_XDP_GENERIC] = "xdpgeneric",
		[NETLINK_XDP_OFFLOAD] = "xdpoffload",
	};
	int err;

	program_close(&attach->attached);
	err = program_open(attach->link.xdp_id, attach->pin, &attach->attached);
	if (err)
		return args_fail(args, STATUS_REFUSED, "program %u: %s", attach->link.xdp_id,
				 program_explain(err));
	if (attach->attached.fd >= 0 && !attach->attached.config)
		return args_fail(args, STATUS_REFUSED, "program %u (%s) is attached, which is not "
				 "xlb's: ip link set dev %s %s off", attach->attached.id,
				 attach->attached.name, attach->link.name,
				 ip_modes[attach->link.mode]);
	return STATUS_DONE;
}

/* Takes `dev IF`. */
static enum status attach_begin(struct args *args, struct attach *attach)
{
	enum status status = link_argument(args, &attach->link);

	attach->attached.fd = -1;
	return status ? status : attach_look(args, attach);
}

/* Another xlb may have loaded while this one waited for the lock. */
static enum status attach_look_again(const struct args *args, struct attach *attach)
{
	int err = netlink_link(attach->link.name, &attach->link);

	if (err)
		return args_fail(args, STATUS_REFUSED, "%s", strerror(-err));
	return attach_look(args, attach);
}

/* xlb runs there already: the new program must be able to take its place. */
static enum status attached_check(const struct args *args, const struct attach *attach,
				  enum netlink_xdp_mode mode, int opened)
{
	if (attach->attached.fd < 0)
		return STATUS_DONE;
	if (opened != -EPROTO && opened != -EINPROGRESS &&
	    attach->attached.config != program_map_id(attach->maps.fd[MAP_CONFIG]))
		return args_fail(args, STATUS_REFUSED, "runs xlb with maps of another place: "
				 "xlb unload dev %s", attach->link.name);
	if (mode && mode != attach->link.mode)
		return args_fail(args, STATUS_REFUSED, "runs xlb in %s mode: xlb unload dev %s",
				 choice_name(link_modes, attach->link.mode), attach->link.name);
	return STATUS_DONE;
}

static enum status object_attach(const struct args *args, const struct attach *attach,
				 const struct object_wish *wish, enum netlink_xdp_mode mode)
{
	struct bpf_object *object;
	enum status status = place_load(args, wish, &object);

	if (status)
		return status;
	if (attach->link.ifindex) {
		place_pin(args, wish->folder, place_program(object));
		status = place_attach(args, &attach->link, place_program(object),
				      attach->attached.fd, mode);
		/* The pin of the one that was replaced, or of this one if it was refused. */
		program_pins_prune(wish->folder);
	}
	if (status && attach->fresh)
		bpf_object__unpin_maps(object, NULL);
	bpf_object__close(object);
	return status;
}

/* Joins the maps of a set, or makes them. */
static enum status load_into(const struct args *args, struct attach *attach,
			     const struct keyword *keywords, int opened)
{
	enum netlink_xdp_mode mode = keywords[KEYWORD_MODE].number;
	struct object_size sizes[SIZING_MAPS + 1];
	char path[PATH_MAX];
	const struct object_wish wish = {
		.path = path,
		.program = PLACE_PROGRAM,
		.folder = attach->maps.folder,
		.sizes = sizes,
		.frags = place_wants_frags(&attach->link, mode ? mode : attach->link.mode),
	};
	int err = object_find(keywords[KEYWORD_OBJECT].word, path);
	enum status status;

	if (err)
		return args_fail(args, STATUS_REFUSED, "obj %s: %s", path, strerror(-err));
	sizing_fill(&keywords[KEYWORD_SIZES], sizes);
	if (opened != -EPROTO && opened != -EINPROGRESS)
		return object_attach(args, attach, &wish, mode);
	status = migrate(args, &attach->maps, &attach->attached, &wish);
	/* Else it has got the new program with all others. */
	return status || attach->attached.fd >= 0 ? status
						  : object_attach(args, attach, &wish, mode);
}

/* With what adopting them said: `opened` is how it is then. */
static enum status maps_adopted(const struct args *args, struct attach *attach, int err,
				int *opened)
{
	char folder[PATH_MAX];

	if (err)
		return args_fail(args, STATUS_REFUSED, "pinning its maps in %s: %s",
				 attach->maps.folder, program_explain(err));
	args_warn(args, "pinned its maps in %s again", attach->maps.folder);
	strcpy(folder, attach->maps.folder);
	maps_close(&attach->maps);
	attach->fresh = attach->made = false;
	*opened = maps_open(&attach->maps, folder, MAPS_CHANGE);
	if (*opened && *opened != -EPROTO && *opened != -EINPROGRESS)
		return maps_fail(args, &attach->maps, *opened);
	return STATUS_DONE;
}

/* The program runs, and no set is there that could be its own. */
static enum status maps_adopt(const struct args *args, struct attach *attach, int *opened)
{
	int err = adopt_maps(&attach->attached, attach->maps.folder);

	return err == -EEXIST ? STATUS_DONE : maps_adopted(args, attach, err, opened);
}

/* The set misses some: who runs with it has them, with what they hold. */
static enum status maps_complete(const struct args *args, struct attach *attach, int *opened)
{
	__u32 config = program_map_id(attach->maps.fd[MAP_CONFIG]);
	int adopted;

	if (attach->attached.fd >= 0 && attach->attached.config == config)
		adopted = adopt_missing(&attach->attached, attach->maps.folder);
	else
		adopted = adopt_missing_anywhere(config, attach->maps.folder);
	/* Nobody: they were left by a loader that died, and are made now.  But who may not
	 * look cannot know, and empty ones would break what runs. */
	if (!adopted)
		return STATUS_DONE;
	return maps_adopted(args, attach, adopted < 0 ? adopted : 0, opened);
}

/* With what maps_open() said: joins that set, or makes one. */
static enum status load_with_maps(const struct args *args, struct attach *attach,
				  const struct keyword *keywords, int opened)
{
	enum status status;
	int err = 0;

	if (opened && opened != -ENOENT && opened != -ENODATA && opened != -EPROTO &&
	    opened != -EINPROGRESS)
		return maps_fail(args, &attach->maps, opened);
	/* Where nobody has named it, somebody may have made it before us. */
	if (attach->maps.lock >= 0 && !pin_named(attach->pin))
		err = folder_check(attach->maps.lock);
	if (!err && opened == -ENOENT)
		err = folder_make(&attach->maps, &attach->made, &attach->fresh);
	if (err)
		status = args_fail(args, STATUS_REFUSED, "%s: %s", attach->maps.folder,
				   folder_explain(err));
	else
		status = attach->link.ifindex ? attach_look_again(args, attach) : STATUS_DONE;
	if (!status && opened == -ENOENT && attach->attached.fd >= 0)
		status = maps_adopt(args, attach, &opened);
	if (!status && opened == -ENODATA)
		status = maps_complete(args, attach, &opened);
	if (!status)
		status = attached_check(args, attach, keywords[KEYWORD_MODE].number, opened);
	if (!status)
		status = load_into(args, attach, keywords, opened);
	if (status && attach->made)
		rmdir(attach->maps.folder);
	return status;
}

/* Tells the packet program which links take frames, and the user what else is missing. */
static enum status links_update(const struct args *args, const char *folder)
{
	struct maps maps;
	int err = maps_open(&maps, folder, MAPS_CHANGE);

	if (!err)
		err = link_refresh(&maps);
	if (!err)
		warn_links(&maps);
	maps_close(&maps);
	return err ? maps_fail(args, &maps, err) : STATUS_DONE;
}

/* `dev IF`, or `maps` for those alone. */
static enum status load_begin(struct args *args, struct attach *attach)
{
	const char *word = args_peek(args);

	if (!word || strcmp(word, "maps"))
		return attach_begin(args, attach);
	args_subject(args);
	attach->attached.fd = -1;
	return STATUS_DONE;
}

static enum status cmd_load(struct context *context, struct args *args)
{
	struct keyword keywords[KEYWORD_SIZES + SIZING_KEYWORDS + 1] = {
		[KEYWORD_MODE] = { .name = "mode", .type = KEYWORD_CHOICE, .choices = modes },
		[KEYWORD_OBJECT] = { .name = "obj", .type = KEYWORD_WORD },
	};
	struct attach attach = { .pin = context->pin };
	const char *pin = context->pin;
	char folder[PATH_MAX];
	enum status status = load_begin(args, &attach);
	int err;

	memcpy(&keywords[KEYWORD_SIZES], sizing_keywords, sizeof(sizing_keywords));
	if (!status)
		status = args_keywords(args, keywords);
	if (!status && !attach.link.ifindex && keywords[KEYWORD_MODE].given)
		status = args_fail(args, STATUS_USAGE, "mode: is of an interface: dev IF");
	if (!status) {
		if (!pin_named(pin) && program_folder(&attach.attached, NULL, folder))
			pin = folder;
		err = maps_open(&attach.maps, pin, MAPS_CHANGE);
		status = load_with_maps(args, &attach, keywords, err);
		maps_close(&attach.maps);
	}
	program_close(&attach.attached);
	if (status)
		return status;
	if (attach.link.ifindex && !attach.link.loopback)
		sysctl_prepare(args, attach.link.name);
	return links_update(args, attach.maps.folder);
}

/* The maps of a program that has left; they stay, since they hold all there is. */
static enum status maps_leave(const struct args *args, const struct program *program,
			      const char *folder)
{
	struct netlink_link *links;
	struct program other;
	unsigned i, count, left = 0;

	if (netlink_links(&links, &count))
		return STATUS_DONE;
	for (i = 0; i < count; i++) {
		if (!links[i].xdp_id || program_look(links[i].xdp_id, folder, &other))
			continue;
		left += other.config == program->config;
		program_close(&other);
	}
	free(links);
	if (left)
		return links_update(args, folder);
	args_warn(args, "its maps stay: rm %s/xlb_*", folder);
	return STATUS_DONE;
}

static enum status cmd_unload(struct context *context, struct args *args)
{
	struct attach attach = { .pin = context->pin };
	char folder[PATH_MAX];
	enum status status = attach_begin(args, &attach);
	int err;

	if (!status)
		status = args_end(args);
	if (!status && attach.attached.fd < 0)
		status = args_fail(args, STATUS_REFUSED, "does not run xlb");
	if (!status) {
		err = netlink_xdp_set(attach.link.ifindex, -1, attach.attached.fd,
				      attach.link.mode);
		if (err)
			status = args_fail(args, STATUS_REFUSED, "%s", place_explain(err));
		else if (program_folder(&attach.attached, context->pin, folder)) {
			program_pins_prune(folder);
			status = maps_leave(args, &attach.attached, folder);
		}
	}
	program_close(&attach.attached);
	return status;
}

const struct object load_object = {
	.name = "load",
	.usage = "xlb load { dev IF [ mode { native | generic } ] | maps } [ obj FILE ]\n"
		 "                [ services N ] [ backends N ] [ slots N ] [ flows N ]\n"
		 "                [ rules N ]\n",
	.run = cmd_load,
};

const struct object unload_object = {
	.name = "unload",
	.usage = "xlb unload dev IF\n",
	.run = cmd_unload,
};
