// SPDX-License-Identifier: GPL-2.0-only
/* The pinned maps: where they are, opening and locking them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "maps.h"
#include "privilege.h"

const char *const maps_folders[] = {
	MAPS_OWN_FOLDER,
	"/sys/fs/bpf/tc/globals",	/* iproute2 */
	BPFFS,				/* bpftool, libbpf */
	NULL,
};

static const struct {
	const char *name;
	__u32 key, value;	/* sizes; a per-CPU value is rounded up to 8 bytes */
} shapes[MAP_COUNT] = {
	[MAP_CONFIG] = { "xlb_config", sizeof(__u32), sizeof(struct xlb_config) },
	[MAP_SERVICES4] = { "xlb_services4", sizeof(struct xlb_endpoint4),
			    sizeof(struct xlb_service) },
	[MAP_SERVICES6] = { "xlb_services6", sizeof(struct xlb_endpoint6),
			    sizeof(struct xlb_service) },
	[MAP_VIPS] = { "xlb_vips", sizeof(struct xlb_address), sizeof(struct xlb_vip) },
	[MAP_BACKENDS] = { "xlb_backends", sizeof(struct xlb_backend_key),
			   sizeof(struct xlb_backend) },
	[MAP_TARGETS] = { "xlb_targets", sizeof(__u32), sizeof(struct xlb_target) },
	[MAP_SLOTS] = { "xlb_slots", sizeof(__u32), sizeof(struct xlb_slots) },
	[MAP_LINKS] = { "xlb_links", sizeof(__u32), sizeof(struct xlb_link) },
	[MAP_REPLIES4] = { "xlb_replies4", sizeof(struct xlb_endpoint4),
			   sizeof(struct xlb_reply) },
	[MAP_REPLIES6] = { "xlb_replies6", sizeof(struct xlb_endpoint6),
			   sizeof(struct xlb_reply) },
	[MAP_NEXTHOPS] = { "xlb_nexthops", sizeof(__u32), sizeof(struct xlb_nexthop) },
	[MAP_ROUTES] = { "xlb_routes", sizeof(__u32), sizeof(struct xlb_route) },
	[MAP_FLOWS4] = { "xlb_flows4", sizeof(struct xlb_tuple4), sizeof(struct xlb_flow) },
	[MAP_FLOWS6] = { "xlb_flows6", sizeof(struct xlb_tuple6), sizeof(struct xlb_flow) },
	[MAP_EMBRYOS4] = { "xlb_embryos4", sizeof(struct xlb_tuple4), sizeof(struct xlb_flow) },
	[MAP_EMBRYOS6] = { "xlb_embryos6", sizeof(struct xlb_tuple6), sizeof(struct xlb_flow) },
	[MAP_FRAGMENTS] = { "xlb_fragments", sizeof(struct xlb_datagram),
			    sizeof(struct xlb_fragment) },
	[MAP_BUDGET] = { "xlb_budget", sizeof(__u32), sizeof(struct xlb_budget) },
	[MAP_STATS] = { "xlb_stats", sizeof(__u32), sizeof(struct xlb_stats) },
	[MAP_DROPS] = { "xlb_drops", sizeof(__u32), sizeof(struct xlb_drops) },
	[MAP_ACL4] = { "xlb_acl4", sizeof(struct xlb_prefix4), sizeof(struct xlb_rule) },
	[MAP_ACL6] = { "xlb_acl6", sizeof(struct xlb_prefix6), sizeof(struct xlb_rule) },
	[MAP_LIMITS] = { "xlb_limits", sizeof(struct xlb_source), sizeof(struct xlb_bucket) },
	[MAP_WATCH] = { "xlb_watch", sizeof(__u32), sizeof(struct xlb_watch) },
	[MAP_SAMPLES] = { "xlb_samples", sizeof(__u32), sizeof(struct xlb_sample) },
	[MAP_EVENTS] = { "xlb_events", 0, 0 },
};

const char *map_name(enum map map)
{
	return shapes[map].name;
}

size_t map_key_size(enum map map)
{
	return shapes[map].key;
}

size_t map_value_size(enum map map)
{
	return shapes[map].value;
}

/* 0 if this name is pinned in the folder, -ENOENT, or -errno. */
static int folder_holds(const char *folder, const char *name)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	if (!access(path, F_OK))
		return 0;
	return errno == ENOTDIR ? -ENOENT : -errno;
}

const char *pin_named(const char *pin)
{
	if (!pin)
		pin = getenv("XLB_PIN");
	return pin && *pin ? pin : NULL;
}

int pins_find(const char *name, const char *pin, char *folder, char *second)
{
	unsigned found = 0;
	int error;

	pin = pin_named(pin);
	if (pin) {
		snprintf(folder, PATH_MAX, "%s", pin);
		return folder_holds(pin, name);
	}
	for (unsigned i = 0; maps_folders[i]; i++) {
		error = folder_holds(maps_folders[i], name);
		if (error == -ENOENT)
			continue;
		if (error)
			return error;
		snprintf(found++ ? second : folder, PATH_MAX, "%s", maps_folders[i]);
		if (found == 2)
			return -ENOTUNIQ;
	}
	return found ? 0 : -ENOENT;
}

int maps_find(struct maps *maps, const char *pin)
{
	return pins_find(map_name(MAP_CONFIG), pin, maps->folder, maps->second);
}

int maps_lock(const char *folder)
{
	int lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error;

	if (lock < 0)
		return -errno;
	while (flock(lock, LOCK_EX)) {
		if (errno == EINTR)
			continue;
		error = -errno;
		close(lock);
		return error;
	}
	return lock;
}

int map_pin_open(const char *path, bool read_only)
{
	LIBBPF_OPTS(bpf_obj_get_opts, options, .file_flags = read_only ? BPF_F_RDONLY : 0);

	return bpf_obj_get_opts(path, &options);
}

static int map_open_in(struct maps *maps, enum map map, const char *within)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s%s/%s", maps->folder, within, map_name(map));
	maps->fd[map] = -EACCES;
	/* The kernel maps slots into memory only of a map that is open for writing. */
	if (maps->use == MAPS_CHANGE || map == MAP_SLOTS)
		maps->fd[map] = map_pin_open(path, false);
	if (maps->use != MAPS_CHANGE && (maps->fd[map] == -EACCES || maps->fd[map] == -EROFS))
		maps->fd[map] = map_pin_open(path, true);
	return maps->fd[map] < 0 ? maps->fd[map] : 0;
}

/* `value`: how large one is to be. */
static int map_open(struct maps *maps, enum map map, bool aside, __u32 value)
{
	struct bpf_map_info info = {};
	__u32 size = sizeof(info);
	int error = -ENOENT;

	maps->culprit = map_name(map);
	if (aside)
		error = map_open_in(maps, map, "/" MAPS_ASIDE);
	if (error == -ENOENT)
		error = map_open_in(maps, map, "");
	if (error)
		return error == -ENOENT ? -ENODATA : error;
	error = bpf_obj_get_info_by_fd(maps->fd[map], &info, &size);
	if (error)
		return error;
	if (info.key_size != shapes[map].key || info.value_size != value)
		return -EPROTO;
	maps->entries[map] = info.max_entries;
	return 0;
}

/* What all versions begin their configuration with. */
static int abi_read(struct maps *maps)
{
	char config[4096];
	struct bpf_map_info info = {};
	__u32 zero = 0, size = sizeof(info);
	int error = map_open_in(maps, MAP_CONFIG, "");

	maps->culprit = map_name(MAP_CONFIG);
	if (error)
		return error == -ENOENT ? -ENODATA : error;
	error = bpf_obj_get_info_by_fd(maps->fd[MAP_CONFIG], &info, &size);
	if (error)
		return error;
	if (info.value_size < sizeof(maps->abi) || info.value_size > sizeof(config))
		return -EPROTO;
	error = bpf_map_lookup_elem(maps->fd[MAP_CONFIG], &zero, config);
	memcpy(&maps->abi, config, sizeof(maps->abi));
	close(maps->fd[MAP_CONFIG]);
	maps->fd[MAP_CONFIG] = -1;
	return error;
}

static int abi_check(struct maps *maps)
{
	char aside[PATH_MAX + 64];
	int error = abi_read(maps);

	if (error)
		return error;
	if (maps->abi && maps->abi != XLB_ABI)
		return -EPROTO;
	snprintf(aside, sizeof(aside), "%s/" MAPS_ASIDE, maps->folder);
	return access(aside, F_OK) ? 0 : -EINPROGRESS;
}

static void maps_begin(struct maps *maps, enum maps_use use)
{
	memset(maps, 0, sizeof(*maps));
	maps->use = use;
	maps->lock = -1;
	for (enum map map = 0; map < MAP_COUNT; map++)
		maps->fd[map] = -1;
}

static int open_all(struct maps *maps, bool aside, const __u32 *values)
{
	int error = 0;

	for (enum map map = 0; !error && map < MAP_COUNT; map++) {
		__u32 value = values && values[map] ? values[map] : shapes[map].value;

		if (value != MAPS_ABSENT)
			error = map_open(maps, map, aside, value);
	}
	return error;
}

int maps_open_all(struct maps *maps, const char *folder, bool aside, const __u32 *values)
{
	maps_begin(maps, MAPS_CHANGE);
	snprintf(maps->folder, sizeof(maps->folder), "%s", folder);
	return open_all(maps, aside, values);
}

int maps_open(struct maps *maps, const char *pin, enum maps_use use)
{
	int error;

	maps_begin(maps, use);
	error = maps_find(maps, pin);
	if (!error && use != MAPS_LOOK) {
		maps->lock = maps_lock(maps->folder);
		error = maps->lock < 0 ? maps->lock : 0;
	}
	/* The version first: another may have other maps. */
	error = error ?: abi_check(maps);
	return error ?: open_all(maps, false, NULL);
}

void maps_close(struct maps *maps)
{
	for (enum map map = 0; map < MAP_COUNT; map++) {
		if (maps->fd[map] >= 0)
			close(maps->fd[map]);
		maps->fd[map] = -1;
	}
	if (maps->lock >= 0)
		close(maps->lock);
	maps->lock = -1;
}

static enum status abi_fail(const struct args *args, const struct maps *maps)
{
	if (maps->abi > XLB_ABI)
		return args_fail(args, STATUS_REFUSED, "the maps in %s are of ABI %u, and this xlb "
				 "speaks %u: use the newer xlb", maps->folder, maps->abi, XLB_ABI);
	if (maps->abi >= MAPS_ABI_OLDEST && maps->abi < XLB_ABI)
		return args_fail(args, STATUS_REFUSED, "the maps in %s are of ABI %u, and this xlb "
				 "speaks %u: xlb load dev IF moves them on", maps->folder,
				 maps->abi, XLB_ABI);
	return args_fail(args, STATUS_REFUSED, "%s in %s is not of ABI %u, which this xlb speaks: "
			 "use the xlb that it was loaded with, or unload, remove the pins and load "
			 "again", maps->culprit, maps->folder, XLB_ABI);
}

enum status maps_fail(const struct args *args, const struct maps *maps, int error)
{
	switch (error) {
	case -ENOENT:
		if (maps->folder[0])
			return args_fail(args, STATUS_REFUSED, "no maps of xlb in %s: load it there "
					 "first (xlb -pin %s load dev IF)", maps->folder,
					 maps->folder);
		return args_fail(args, STATUS_REFUSED,
				 "no maps of xlb: load it first (xlb load dev IF)");
	case -ENOTUNIQ:
		return args_fail(args, STATUS_REFUSED, "maps of xlb in both %s and %s: choose with "
				 "-pin DIR or $XLB_PIN", maps->folder, maps->second);
	case -ENODATA:
		return args_fail(args, STATUS_REFUSED, "%s is missing in %s: xlb load dev IF pins it "
				 "again where xlb runs; else remove what is left there and load "
				 "again", maps->culprit, maps->folder);
	case -EPROTO:
		return abi_fail(args, maps);
	case -EINPROGRESS:
		return args_fail(args, STATUS_REFUSED, "the maps in %s are still on their way to "
				 "ABI %u: xlb load dev IF completes it", maps->folder, XLB_ABI);
	case -EUCLEAN:
		return args_fail(args, STATUS_REFUSED, "the maps in %s contradict themselves, some "
				 "other tool has written there: unload, remove the pins and load "
				 "again", maps->folder);
	case -EACCES:
		return args_fail(args, STATUS_REFUSED, "the maps in %s are not for this user to %s: "
				 "run as root, or see PRIVILEGES in xlb(8)",
				 maps->folder[0] ? maps->folder : BPFFS,
				 maps->use == MAPS_CHANGE ? "change" :
				 maps->use == MAPS_LOOK ? "read" : "lock");
	case -EPERM:
		return args_fail(args, STATUS_REFUSED, "%s", privilege_explain(error,
				 maps->use == MAPS_CHANGE ? PRIVILEGE_CHANGE : PRIVILEGE_LOOK));
	case -EROFS:
		return args_fail(args, STATUS_REFUSED, "the file system of %s is read-only: mount "
				 "-o remount,rw %s", maps->folder,
				 strncmp(maps->folder, BPFFS, strlen(BPFFS)) ? maps->folder : BPFFS);
	default:
		return args_fail(args, STATUS_REFUSED, "maps of xlb%s%s: %s",
				 maps->folder[0] ? " in " : "", maps->folder, strerror(-error));
	}
}
