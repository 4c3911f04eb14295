// SPDX-License-Identifier: GPL-2.0-only
/* The way of probes that go to a VIP at one of its backends. */
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "object.h"
#include "privilege.h"
#include "probe_loop.h"
#include "probe_mark.h"
#include "probe_route.h"
#include "probe_way.h"
#include "probe_socket.h"
#include "sysctl.h"

#define OBJECT "probe.o"
#define PROGRAM "xlb_probe"
#define DEVICE "xlb-probe"
/* Milliseconds until a way that could not be made is tried again. */
#define AGAIN 30000

/* An abstract socket's name belongs to a network namespace, and is free once its owner
 * is dead. */
static int claim_take(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "\0xlb-probe" };
	socklen_t size = offsetof(struct sockaddr_un, sun_path) + sizeof("\0xlb-probe") - 1;
	int claim = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), error;

	if (claim < 0)
		return -errno;
	if (!bind(claim, (struct sockaddr *)&name, size))
		return claim;
	error = -errno;
	close(claim);
	return error;
}

/* Its maps are those that are open already, wherever they are pinned. */
static int maps_share(struct bpf_object *object, const struct maps *maps)
{
	int error = 0;

	for (enum map each = 0; !error && each < MAP_COUNT; each++) {
		struct bpf_map *map = bpf_object__find_map_by_name(object, map_name(each));

		error = map ? bpf_map__set_pin_path(map, NULL) : -ENODATA;
		error = error ?: bpf_map__reuse_fd(map, maps->fd[each]);
	}
	return error;
}

static int program_attach(struct bpf_object *object, int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, options);
	struct bpf_program *program = bpf_object__find_program_by_name(object, PROGRAM);
	int error = bpf_tc_hook_create(&hook);

	options.prog_fd = program ? bpf_program__fd(program) : -1;
	return error ?: bpf_tc_attach(&hook, &options);
}

static int program_load(struct way *way, const char *path, const struct maps *maps)
{
	int error;

	way->object = bpf_object__open_file(path, NULL);
	if (!way->object)
		return -errno;
	error = maps_share(way->object, maps);
	return error ?: bpf_object__load(way->object);
}

static void way_undo(void)
{
	route_rules_delete();
	route_device_delete();
}

static enum status way_make(struct way *way, const struct maps *maps)
{
	char path[PATH_MAX];
	int error = object_find_beside(OBJECT, path), ifindex;

	if (error)
		return args_fail(NULL, STATUS_REFUSED, "via vip: %s: no such file", path);
	error = program_load(way, path, maps);
	/* -EACCES is the verifier's: older ones want more (xlb-probe(8)). */
	if (error)
		return args_fail(NULL, STATUS_REFUSED, "via vip: %s: %s", path,
				 object_explain(error, error == -EACCES ? PRIVILEGE_LOAD :
						      PRIVILEGE_CHANGE));
	ifindex = route_device_make();
	if (ifindex < 0)
		return args_fail(NULL, STATUS_REFUSED, "via vip: making the device %s: %s", DEVICE,
				 privilege_explain(ifindex, PRIVILEGE_ATTACH));
	error = sysctl_forward(DEVICE);
	if (error)
		return args_fail(NULL, STATUS_REFUSED, "via vip: forwarding by %s: %s", DEVICE,
				 strerror(-error));
	error = program_attach(way->object, ifindex);
	if (error)
		return args_fail(NULL, STATUS_REFUSED, "via vip: attaching %s to %s: %s", PROGRAM,
				 DEVICE, object_explain(error, PRIVILEGE_ATTACH));
	error = route_rules_add();
	if (error)
		return args_fail(NULL, STATUS_REFUSED, "via vip: routing rules: %s",
				 strerror(-error));
	way->families = route_families();
	return STATUS_DONE;
}

static __u32 map_id(int map)
{
	struct bpf_map_info info = {};
	__u32 size = sizeof(info);

	return bpf_obj_get_info_by_fd(map, &info, &size) ? 0 : info.id;
}

static enum status way_begin(struct way *way, const struct maps *maps)
{
	way->claim = claim_take();
	if (way->claim == -EADDRINUSE)
		return args_fail(NULL, STATUS_REFUSED, "via vip: another xlb-probe does that here "
				 "already");
	if (way->claim < 0)
		return args_fail(NULL, STATUS_REFUSED, "via vip: %s", strerror(-way->claim));
	way->open = true;
	way->targets = map_id(maps->fd[MAP_TARGETS]);
	/* What one that was killed has left. */
	way_undo();
	return way_make(way, maps);
}

bool way_stands(const struct way *way)
{
	return way->open && route_families() == way->families;
}

enum status way_open(struct way *way, const struct maps *maps)
{
	if (loop_now() < way->again_at)
		return STATUS_DONE;
	if (way->open && way->targets == map_id(maps->fd[MAP_TARGETS])) {
		if (way_stands(way))
			return STATUS_DONE;
		args_warn(NULL, "via vip: somebody has taken its rule, route or device: made "
			  "again");
	}
	way_close(way);
	if (!way_begin(way, maps))
		return STATUS_DONE;
	way_close(way);
	way->again_at = loop_now() + AGAIN;
	return STATUS_REFUSED;
}

void way_close(struct way *way)
{
	if (!way->open)
		return;
	way_undo();
	bpf_object__close(way->object);
	close(way->claim);
	*way = (struct way){};
}

__u32 way_mark(enum xlb_mode mode, __u16 backend)
{
	if (mode != XLB_DR && mode != XLB_IPIP && mode != XLB_GUE)
		return 0;
	return PROBE_MARK | (__u32)mode << PROBE_MARK_MODE_SHIFT | backend;
}

/* The source that the kernel takes towards an address, which is sent nothing. */
static int source_find(const struct endpoint *to, struct endpoint *source)
{
	struct sockaddr_storage address;
	socklen_t size = endpoint_to_socket(to, &address);
	int file = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), error = 0;

	if (file < 0)
		return -errno;
	if (connect(file, (struct sockaddr *)&address, size) ||
	    getsockname(file, (struct sockaddr *)&address, &size))
		error = -errno;
	close(file);
	endpoint_from_socket(source, &address);
	return error;
}

int way_socket(int file, __u32 mark, const __u8 *source, const struct endpoint *to,
	       const struct endpoint *backend)
{
	struct sockaddr_storage address;
	/* All backends of a service have one VIP and port: without a reset at its end, each
	 * connection would keep a port of ours for a minute. */
	const struct linger reset = { .l_onoff = 1 };
	struct endpoint from = {};
	int on = 1, error = 0;

	if (source)
		memcpy(from.address, source, sizeof(from.address));
	else
		error = source_find(backend, &from);
	if (error)
		return error;
	if (address_is4(from.address) != address_is4(to->address))
		return -EAFNOSUPPORT;
	from.port = 0;
	setsockopt(file, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	if (setsockopt(file, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) ||
	    setsockopt(file, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) ||
	    bind(file, (struct sockaddr *)&address, endpoint_to_socket(&from, &address)))
		return -errno;
	return 0;
}
