// SPDX-License-Identifier: GPL-2.0-only
/* Pins that have gone, for one with a bpf file system that was unmounted, made again. */
#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "adopt.h"
#include "maps.h"

static bool is_pin(const char *path, __u32 id)
{
	int fd = bpf_obj_get(path);
	bool is;

	if (fd < 0)
		return false;
	is = program_map_id(fd) == id;
	close(fd);
	return is;
}

/* Those who know the other place lock that, so there must be one alone. */
static bool pinned_somewhere(__u32 config)
{
	char root[] = BPFFS;
	char *const roots[] = { root, NULL };
	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	bool found = false;
	FTSENT *entry;

	if (!tree)
		return false;
	while (!found && (entry = fts_read(tree)))
		found = !strcmp(entry->fts_name, map_name(MAP_CONFIG)) &&
			is_pin(entry->fts_path, config);
	fts_close(tree);
	return found;
}

/* If it is the map to be pinned; others of the program are its constants. */
static int map_pin(__u32 id, const char *name, const char *folder)
{
	struct bpf_map_info info = {};
	__u32 size = sizeof(info);
	char path[PATH_MAX];
	int fd = bpf_map_get_fd_by_id(id);
	int error;

	if (fd < 0)
		return fd;
	error = bpf_obj_get_info_by_fd(fd, &info, &size);
	if (!error && strcmp(info.name, name)) {
		close(fd);
		return -ENOENT;
	}
	if (!error && snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
		error = -ENAMETOOLONG;
	if (!error) {
		/* Of one that was interrupted. */
		unlink(path);
		error = bpf_obj_pin(fd, path);
	}
	close(fd);
	return error;
}

/* How many were pinned: 1, or 0 if the program has no such map; or -errno. */
static int map_adopt(const struct program *program, enum map map, const char *folder)
{
	int error = -ENOENT;

	for (unsigned i = 0; error == -ENOENT && i < program->map_count; i++)
		error = map_pin(program->maps[i], map_name(map), folder);
	if (error == -ENOENT)
		return 0;
	return error ?: 1;
}

int adopt_maps(const struct program *program, const char *folder)
{
	int error = 0;

	if (pinned_somewhere(program->config))
		return -EEXIST;
	/* A set is one that has xlb_config: last.  What a version has not, opening the set
	 * will tell. */
	for (enum map map = 0; error >= 0 && map < MAP_COUNT; map++)
		if (map != MAP_CONFIG)
			error = map_adopt(program, map, folder);
	if (error >= 0)
		error = map_adopt(program, MAP_CONFIG, folder);
	return error < 0 ? error : 0;
}

static bool is_missing(enum map map, const char *folder)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/%s", folder, map_name(map)) < (int)sizeof(path) &&
	       access(path, F_OK) && errno == ENOENT;
}

int adopt_missing(const struct program *program, const char *folder)
{
	int adopted, count = 0;

	for (enum map map = 0; map < MAP_COUNT; map++) {
		adopted = is_missing(map, folder) ? map_adopt(program, map, folder) : 0;
		if (adopted < 0)
			return adopted;
		count += adopted;
	}
	return count;
}

int adopt_missing_anywhere(__u32 config, const char *folder)
{
	struct program program;
	int adopted, count = 0, error;
	__u32 id = 0;

	while (!(error = bpf_prog_get_next_id(id, &id))) {
		/* One may have gone since. */
		if (program_open(id, NULL, &program))
			continue;
		adopted = program.config == config ? adopt_missing(&program, folder) : 0;
		program_close(&program);
		if (adopted < 0)
			return adopted;
		count += adopted;
	}
	return error == -ENOENT ? count : error;
}
