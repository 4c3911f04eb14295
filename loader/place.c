// SPDX-License-Identifier: GPL-2.0-only
/* Putting xlb's program on a link, in the place of another one of its own or of none. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "link.h"
#include "place.h"
#include "privilege.h"
#include "program.h"

const char *place_explain(int error)
{
	return *netlink_explanation() ? netlink_explanation() :
		privilege_explain(error, PRIVILEGE_ATTACH);
}

bool place_wants_frags(const struct netlink_link *link, enum netlink_xdp_mode mode)
{
	/* In generic mode, all that lo has, the kernel puts pieces together. */
	return link->mtu >= NETLINK_MTU_JUMBO && !link->loopback && mode != NETLINK_XDP_GENERIC;
}

enum status place_load(const struct args *args, const struct object_wish *wish,
		       struct bpf_object **object)
{
	int error = object_load(wish, object);

	if (object_is_none(error))
		return args_fail(args, STATUS_REFUSED, "obj %s: %s", wish->path,
				 object_explain(error, PRIVILEGE_LOAD));
	switch (error) {
	case 0:
		return STATUS_DONE;
	case -EEXIST:
		return args_fail(args, STATUS_REFUSED, "maps of other sizes are there already, "
				 "and are sized when they are made: xlb-save, unload, rm %s/xlb_*, "
				 "load, xlb-restore", wish->folder);
	case -ENODATA:
		return args_fail(args, STATUS_REFUSED, "obj %s: takes no frames in pieces, as an "
				 "MTU over %u makes them: mode generic", wish->path,
				 NETLINK_MTU_JUMBO - 1);
	case -EPROTO:
		return args_fail(args, STATUS_REFUSED, "obj %s: " OBJECT_OTHER_ABI, wish->path,
				 XLB_ABI);
	default:
		return args_fail(args, STATUS_REFUSED, "obj %s: with maps in %s: %s", wish->path,
				 wish->folder, object_explain(error, PRIVILEGE_LOAD));
	}
}

int place_program(const struct bpf_object *object)
{
	return bpf_program__fd(bpf_object__find_program_by_name(object, PLACE_PROGRAM));
}

void place_pin(const struct args *args, const char *folder, int program)
{
	int error = program_pin(folder, program);

	if (error)
		args_warn(args, "warning: the program is not pinned in %s: %s: link, load and "
			  "unload will want CAP_SYS_ADMIN", folder, strerror(-error));
}

enum status place_attach(const struct args *args, const struct netlink_link *link, int program,
			 int expected, enum netlink_xdp_mode wanted)
{
	enum netlink_xdp_mode mode = wanted;
	char why[256];
	int error;

	if (!mode)
		mode = expected < 0 ? NETLINK_XDP_NATIVE : link->mode;
	error = netlink_xdp_set(link->ifindex, program, expected, mode);
	if (error && !wanted && expected < 0 && error != -EBUSY && error != -EEXIST &&
	    error != -EPERM) {
		snprintf(why, sizeof(why), "%s", place_explain(error));
		mode = NETLINK_XDP_GENERIC;
		error = netlink_xdp_set(link->ifindex, program, expected, mode);
		if (!error)
			args_warn(args, "in generic mode, which is slower (native: %s)", why);
	}
	if (error)
		return args_fail(args, STATUS_REFUSED, "%s mode: %s",
				 choice_name(link_modes, mode), place_explain(error));
	return STATUS_DONE;
}
