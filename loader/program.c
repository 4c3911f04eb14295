// SPDX-License-Identifier: GPL-2.0-only
/* The XDP program on an interface: is it of xlb, and where are its maps? */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "maps.h"
#include "program.h"

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

int program_open(__u32 id, struct program *program)
{
	int err;

	*program = (struct program){ .fd = -1, .id = id };
	if (!id)
		return 0;
	program->fd = bpf_prog_get_fd_by_id(id);
	if (program->fd < 0)
		return program->fd;
	err = program_inspect(program);
	if (err)
		program_close(program);
	return err;
}

void program_close(struct program *program)
{
	if (program->fd >= 0)
		close(program->fd);
	program->fd = -1;
}

static bool folder_has(const char *folder, __u32 config, char *found)
{
	char path[PATH_MAX];
	int fd;
	bool is;

	if (!folder || !*folder ||
	    snprintf(path, sizeof(path), "%s/%s", folder, map_name(MAP_CONFIG)) >= PATH_MAX)
		return false;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return false;
	is = program_map_id(fd) == config;
	close(fd);
	if (is)
		strcpy(found, folder);
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
