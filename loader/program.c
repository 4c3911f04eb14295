// SPDX-License-Identifier: GPL-2.0-only
/* The XDP program on an interface: is it of xlb, and where are its maps? */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "maps.h"
#include "netlink.h"
#include "privilege.h"
#include "program.h"

/* The pin of a program is this and its id. */
#define PIN_NAME "xlb_program_"
#define PIN_SIZE (PATH_MAX + 64)
/* No map has this id. */
#define CONFIG_OTHER (~0U)

static int map_info(int fd, struct bpf_map_info *info)
{
	__u32 size = sizeof(*info);

	memset(info, 0, size);
	return bpf_obj_get_info_by_fd(fd, info, &size);
}

__u32 program_map_id(int map_fd)
{
	struct bpf_map_info info;

	return map_info(map_fd, &info) ? 0 : info.id;
}

static bool map_is_config(__u32 id)
{
	int fd = bpf_map_get_fd_by_id(id);
	struct bpf_map_info info;
	bool is;

	if (fd < 0)
		return false;
	is = !map_info(fd, &info) && !strcmp(info.name, map_name(MAP_CONFIG));
	close(fd);
	return is;
}

static int program_inspect(struct program *program)
{
	struct bpf_prog_info info = {
		.nr_map_ids = PROGRAM_MAPS_MAX,
		.map_ids = (__u64)(unsigned long)program->maps,
	};
	__u32 i, size = sizeof(info);
	int err = bpf_obj_get_info_by_fd(program->fd, &info, &size);

	if (err)
		return err;
	snprintf(program->name, sizeof(program->name), "%s", info.name);
	program->map_count = info.nr_map_ids < PROGRAM_MAPS_MAX ? info.nr_map_ids
								 : PROGRAM_MAPS_MAX;
	/* Of a pinned one it is known. */
	for (i = 0; i < program->map_count && !program->config; i++) {
		if (map_is_config(program->maps[i]))
			program->config = program->maps[i];
	}
	return 0;
}

bool program_shares(const struct program *program, const __u32 *ids, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		for (unsigned j = 0; ids[i] && j < program->map_count; j++)
			if (program->maps[j] == ids[i])
				return true;
	return false;
}

static void pin_path(char *path, const char *folder, __u32 id)
{
	snprintf(path, PIN_SIZE, "%s/" PIN_NAME "%u", folder, id);
}

/* The id of the folder's xlb_config, or 0. */
static __u32 folder_config(const char *folder)
{
	char path[PIN_SIZE];
	__u32 id;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, map_name(MAP_CONFIG));
	fd = map_pin_open(path, true);
	if (fd < 0)
		return 0;
	id = program_map_id(fd);
	close(fd);
	return id;
}

/*
 * While it is pinned nothing else gets its id.  0, -EPERM if it is not pinned there, or
 * -EACCES if this kernel opens no pin without a capability.
 */
static int pin_try(struct program *program, const char *folder)
{
	char path[PIN_SIZE];

	if (!folder || !*folder)
		return -EPERM;
	pin_path(path, folder, program->id);
	if (access(path, F_OK))
		return -EPERM;
	program->config = folder_config(folder);
	program->fd = bpf_obj_get(path);
	/* The file's mode alone would be -EACCES. */
	if (program->fd == -EPERM)
		return -EACCES;
	if (program->fd >= 0 && program_inspect(program))
		program_close(program);
	/* One that waits to be replaced has another than that by now. */
	if (program->fd >= 0 && !program_shares(program, &program->config, 1))
		program->config = CONFIG_OTHER;
	return program->config ? 0 : -EPERM;
}

static int pin_find(struct program *program, const char *pin)
{
	int err = pin_try(program, pin);

	if (err == -EPERM)
		err = pin_try(program, getenv("XLB_PIN"));
	for (unsigned i = 0; err == -EPERM && maps_folders[i]; i++)
		err = pin_try(program, maps_folders[i]);
	return err;
}

int program_look(__u32 id, const char *pin, struct program *program)
{
	int err;

	*program = (struct program){ .fd = -1, .id = id };
	if (!id)
		return 0;
	program->fd = bpf_prog_get_fd_by_id(id);
	if (program->fd == -EPERM)
		return pin_find(program, pin);
	if (program->fd < 0)
		return program->fd;
	err = program_inspect(program);
	if (err)
		program_close(program);
	return err;
}

int program_open(__u32 id, const char *pin, struct program *program)
{
	int err = program_look(id, pin, program);

	return !err && id && program->fd < 0 ? -EPERM : err;
}

const char *program_explain(int error)
{
	return privilege_explain(error, error == -EACCES ? PRIVILEGE_LOOK : PRIVILEGE_ADMIN);
}

int program_pin(const char *folder, int fd)
{
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);
	char path[PIN_SIZE];
	int err = bpf_obj_get_info_by_fd(fd, &info, &size);

	if (err)
		return err;
	pin_path(path, folder, info.id);
	err = bpf_obj_pin(fd, path);
	return err == -EEXIST ? 0 : err;
}

static bool runs_here(const struct netlink_link *links, unsigned count, const char *id)
{
	char text[16];

	for (unsigned i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "%u", links[i].xdp_id);
		if (links[i].xdp_id && !strcmp(text, id))
			return true;
	}
	return false;
}

unsigned program_pins_prune(const char *folder)
{
	struct netlink_link *links;
	unsigned count, pruned = 0;
	struct dirent *entry;
	DIR *entries;

	if (netlink_links(&links, &count))
		return 0;
	entries = opendir(folder);
	while (entries && (entry = readdir(entries))) {
		if (!strncmp(entry->d_name, PIN_NAME, strlen(PIN_NAME)) &&
		    !runs_here(links, count, entry->d_name + strlen(PIN_NAME)))
			pruned += !unlinkat(dirfd(entries), entry->d_name, 0);
	}
	if (entries)
		closedir(entries);
	free(links);
	return pruned;
}

void program_close(struct program *program)
{
	if (program->fd >= 0)
		close(program->fd);
	program->fd = -1;
}

static bool folder_has(const char *folder, __u32 config, char *found)
{
	bool is = folder && *folder && folder_config(folder) == config;

	if (is)
		snprintf(found, PATH_MAX, "%s", folder);
	return is;
}

bool program_folder(const struct program *program, const char *pin, char *folder)
{
	if (!program->config)
		return false;
	if (folder_has(pin, program->config, folder) ||
	    folder_has(getenv("XLB_PIN"), program->config, folder))
		return true;
	for (unsigned i = 0; maps_folders[i]; i++) {
		if (folder_has(maps_folders[i], program->config, folder))
			return true;
	}
	return false;
}
