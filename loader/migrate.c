// SPDX-License-Identifier: GPL-2.0-only
/*
 * Moving the maps of an earlier ABI version on to this one, under running programs.
 *
 *	1. the maps that differ are made anew, in a folder beside the others, and filled
 *	2. xlb_config among them takes the old one's place in the folder of the set
 *	3. programs of this version take the place of those that run
 *	4. the other new maps take their places
 *
 * What is not made anew, slots and records above all, is shared by the old and the new
 * program, so that either does the same to a packet, and no flow notices.
 *
 * The renaming in 2 decides: until then tools of the old version go on with the old
 * maps, and whatever a dead migration has left is thrown away by the next; from then on
 * they refuse the set, as all tools of this version do until step 4 is through, and the
 * next migration goes on from there.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "abi.h"
#include "clock.h"
#include "migrate.h"
#include "netlink.h"
#include "place.h"
#include "privilege.h"
#include "state.h"
#include "write.h"

struct migration {
	const struct args *args;
	const struct abi *from;		/* NULL: one that died is completed */
	const char *folder;
	char aside[PATH_MAX];
	struct maps old;		/* all of the set, unless one is completed */
	const char *anew[MAP_COUNT + 1];	/* their names */
	struct bpf_object *whole, *pieces;	/* the program, and one for frames in pieces */
	__u32 config;			/* id of the new xlb_config */
	__u32 ids[MAP_COUNT];		/* of the maps pinned in the folder */
	struct netlink_link *links;
	unsigned link_count;
};

#define PATH_SIZE (PATH_MAX + 64)

static void path_of(char *path, const char *folder, const char *name)
{
	snprintf(path, PATH_SIZE, "%s/%s", folder, name);
}

static bool pinned(const char *folder, const char *name)
{
	char path[PATH_SIZE];

	path_of(path, folder, name);
	return !access(path, F_OK);
}

static __u32 pin_id(const char *folder, const char *name)
{
	char path[PATH_SIZE];
	int fd;
	__u32 id;

	path_of(path, folder, name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return 0;
	id = program_map_id(fd);
	close(fd);
	return id;
}

/* Only what a migration has pinned there. */
static int aside_remove(const struct migration *migration)
{
	char path[PATH_SIZE];

	for (enum map map = 0; map < MAP_COUNT; map++) {
		path_of(path, migration->aside, map_name(map));
		if (unlink(path) && errno != ENOENT)
			return -errno;
	}
	return rmdir(migration->aside) && errno != ENOENT ? -errno : 0;
}

/* --- what there is --- */

/* Is it a program that works with this set, as it was before? */
static bool program_is_old(const struct migration *migration, const struct program *program)
{
	return program->config && program->config != migration->config &&
	       program_shares(program, migration->ids, MAP_COUNT);
}

static bool runs_on_link(const struct migration *migration, __u32 id)
{
	for (unsigned i = 0; i < migration->link_count; i++)
		if (migration->links[i].xdp_id == id)
			return true;
	return false;
}

/*
 * What cannot be replaced, in another network namespace say, would go on with a half of
 * the maps.
 */
static enum status strays_check(const struct migration *migration)
{
	struct program program;
	__u32 id = 0;

	while (!bpf_prog_get_next_id(id, &id)) {
		bool stray;

		if (program_open(id, NULL, &program))
			continue;
		stray = program_is_old(migration, &program) && !runs_on_link(migration, id);
		program_close(&program);
		if (stray)
			return args_fail(migration->args, STATUS_REFUSED, "maps of ABI %u: program "
					 "%u (%s) uses them, too, and is on no interface here: "
					 "unload it where it is", migration->from->version, id,
					 program.name);
	}
	return STATUS_DONE;
}

/* Programs that ran here once: the kernel takes a while to forget them. */
static void pins_prune(const struct migration *migration)
{
	const struct timespec pause = { .tv_nsec = 100000000 };

	if (program_pins_prune(migration->folder) && !clock_grace())
		nanosleep(&pause, NULL);
}

/* Can all programs of the machine be looked at? */
static enum status programs_check(const struct migration *migration)
{
	__u32 id = 0;
	int error = bpf_prog_get_next_id(id, &id);

	return !error || error == -ENOENT ? STATUS_DONE :
		args_fail(migration->args, STATUS_REFUSED, "moving maps on to ABI %u: who uses "
			  "them: %s", XLB_ABI, privilege_explain(error, PRIVILEGE_ADMIN));
}

/* What is to be moved, and whether that can be: nothing is touched. */
static enum status survey(struct migration *migration)
{
	__u32 values[MAP_COUNT] = {};
	int error = netlink_links(&migration->links, &migration->link_count);
	enum status status = programs_check(migration);

	if (status)
		return status;
	if (error)
		return args_fail(migration->args, STATUS_REFUSED, "interfaces: %s",
				 strerror(-error));
	for (enum map map = 0; map < MAP_COUNT; map++)
		migration->ids[map] = pin_id(migration->folder, map_name(map));
	if (!migration->from)
		return STATUS_DONE;
	for (const struct abi_map *map = migration->from->maps; map->value; map++)
		values[map->map] = map->value;
	error = maps_open_all(&migration->old, migration->folder, false, values);
	migration->old.abi = 0;
	/* Where maps are of another version, load pins none again. */
	if (error == -ENODATA)
		return args_fail(migration->args, STATUS_REFUSED, "%s is missing in %s: unload, "
				 "remove what is left there and load again",
				 migration->old.culprit, migration->folder);
	if (error)
		return maps_fail(migration->args, &migration->old, error);
	pins_prune(migration);
	return strays_check(migration);
}

/* --- 1: new maps --- */

/* What is made from the configuration; -EUCLEAN: that contradicts itself. */
static int maps_derive(const struct migration *migration)
{
	struct state *state;
	int error = state_open_aside(&state, migration->folder);

	error = error ?: write_vips(state);
	state_free(state);
	return error;
}

static enum status maps_fill(const struct migration *migration)
{
	int error = abi_convert(migration->from, &migration->old, migration->whole);

	error = error ?: maps_derive(migration);
	if (error == -EUCLEAN)
		return maps_fail(migration->args, &migration->old, error);
	return error ? args_fail(migration->args, STATUS_REFUSED, "maps of ABI %u in %s: %s",
				 migration->from->version, migration->folder, strerror(-error))
		     : STATUS_DONE;
}

static bool pieces_wanted(const struct migration *migration)
{
	for (unsigned i = 0; i < migration->link_count; i++)
		if (migration->links[i].xdp_id &&
		    place_wants_frags(&migration->links[i], migration->links[i].mode))
			return true;
	return false;
}

/* Once more for the programs alone, where one died. */
static enum status objects_load(struct migration *migration, const struct object_wish *wish)
{
	struct object_wish mine = *wish;
	enum status status;

	mine.anew = migration->anew;
	mine.aside = migration->aside;
	mine.frags = false;
	status = place_load(migration->args, &mine, &migration->whole);
	if (status)
		return status;
	migration->config = program_map_id(bpf_object__find_map_fd_by_name(migration->whole,
									   map_name(MAP_CONFIG)));
	if (!pieces_wanted(migration))
		return STATUS_DONE;
	mine.frags = true;
	return place_load(migration->args, &mine, &migration->pieces);
}

static void anew_add(struct migration *migration, enum map map)
{
	const char **place = migration->anew;

	while (*place)
		place++;
	*place = map_name(map);
}

static enum status prepare(struct migration *migration, const struct object_wish *wish)
{
	enum status status;
	int error;

	for (const struct abi_map *map = migration->from->maps; map->value; map++)
		anew_add(migration, map->map);
	error = aside_remove(migration);
	if (!error && mkdir(migration->aside, 0700))
		error = -errno;
	if (error)
		return args_fail(migration->args, STATUS_REFUSED, "%s: %s", migration->aside,
				 strerror(-error));
	status = objects_load(migration, wish);
	return status ? status : maps_fill(migration);
}

/* --- 2 to 4: to their places --- */

static int map_move(const struct migration *migration, enum map map)
{
	char from[PATH_SIZE], to[PATH_SIZE];

	path_of(from, migration->aside, map_name(map));
	path_of(to, migration->folder, map_name(map));
	return rename(from, to) && errno != ENOENT ? -errno : 0;
}

/* 0 also where the link or its program has gone meanwhile. */
static enum status program_replace(const struct migration *migration,
				   const struct netlink_link *link)
{
	bool pieces = place_wants_frags(link, link->mode) && migration->pieces;
	int now = place_program(pieces ? migration->pieces : migration->whole);
	struct program program;
	int error = 0;

	if (!link->xdp_id || program_open(link->xdp_id, migration->folder, &program))
		return STATUS_DONE;
	if (program_is_old(migration, &program)) {
		place_pin(migration->args, migration->folder, now);
		error = netlink_xdp_set(link->ifindex, now, program.fd, link->mode);
	}
	program_close(&program);
	if (error && error != -ENODEV)
		return args_fail(migration->args, STATUS_REFUSED, "%s: %s: stopped half-way, run it "
				 "again", link->name, place_explain(error));
	return STATUS_DONE;
}

static enum status finish(const struct migration *migration)
{
	enum status status = STATUS_DONE;
	int error = map_move(migration, MAP_CONFIG);

	for (unsigned i = 0; !error && !status && i < migration->link_count; i++)
		status = program_replace(migration, &migration->links[i]);
	for (enum map map = 0; !error && !status && map < MAP_COUNT; map++)
		error = map_move(migration, map);
	if (!error && !status && rmdir(migration->aside))
		error = -errno;
	program_pins_prune(migration->folder);
	if (error)
		return args_fail(migration->args, STATUS_REFUSED, "%s: %s: stopped half-way, run it "
				 "again", migration->aside, strerror(-error));
	return status;
}

static enum status complete(struct migration *migration, const struct object_wish *wish)
{
	for (enum map map = 0; map < MAP_COUNT; map++)
		if (pinned(migration->aside, map_name(map)))
			anew_add(migration, map);
	return objects_load(migration, wish);
}

/* Is the program of the interface one of this set, before or after? */
static enum status attached_check(const struct migration *migration, const struct maps *maps,
				  const struct program *attached)
{
	if (attached->fd < 0 || program_shares(attached, migration->ids, MAP_COUNT))
		return STATUS_DONE;
	return args_fail(migration->args, STATUS_REFUSED, "runs xlb with maps of another place "
			 "than %s", maps->folder);
}

static enum status move(struct migration *migration, const struct maps *maps,
			const struct program *attached, const struct object_wish *wish)
{
	enum status status = survey(migration);

	status = status ?: attached_check(migration, maps, attached);
	if (status)
		return status;
	if (!migration->from)
		status = complete(migration, wish);
	else
		status = prepare(migration, wish);
	if (!status)
		return finish(migration);
	if (migration->from)
		aside_remove(migration);
	return status;
}

enum status migrate(const struct args *args, const struct maps *maps,
		    const struct program *attached, const struct object_wish *wish)
{
	struct migration migration = {
		.args = args,
		.from = abi_find(maps->abi),
		.folder = maps->folder,
	};
	enum status status;

	if (!migration.from && maps->abi != XLB_ABI)
		return maps_fail(args, maps, -EPROTO);
	if (snprintf(migration.aside, PATH_MAX, "%s/" MAPS_ASIDE, maps->folder) >= PATH_MAX)
		return args_fail(args, STATUS_REFUSED, "%s: %s", maps->folder,
				 strerror(ENAMETOOLONG));
	for (enum map map = 0; map < MAP_COUNT; map++)
		migration.old.fd[map] = -1;
	migration.old.lock = -1;
	status = move(&migration, maps, attached, wish);
	if (!status)
		args_warn(args, "moved the maps in %s to ABI %u", maps->folder, XLB_ABI);
	free(migration.links);
	bpf_object__close(migration.whole);
	bpf_object__close(migration.pieces);
	maps_close(&migration.old);
	return status;
}
