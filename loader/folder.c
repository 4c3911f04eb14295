// SPDX-License-Identifier: GPL-2.0-only
/* The folder that the maps of a new set are pinned in. */
#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/magic.h>

#include "folder.h"
#include "privilege.h"

/* As ip(8) does; without it nothing can be pinned. */
static int bpffs_mount(const char *folder)
{
	struct statfs about;

	if (strncmp(folder, BPFFS, strlen(BPFFS)))
		return 0;
	if (statfs(BPFFS, &about))
		return -errno;
	if (about.f_type == BPF_FS_MAGIC)
		return 0;
	return mount("bpf", BPFFS, "bpf", 0, "mode=0700") ? -errno : 0;
}

static bool folder_holds(const char *folder)
{
	struct maps maps;

	return !maps_find(&maps, folder);
}

int folder_check(int folder)
{
	struct statfs about;
	struct stat owner;

	if (fstatfs(folder, &about) || about.f_type != BPF_FS_MAGIC)
		return -EMEDIUMTYPE;
	if (fstat(folder, &owner))
		return -errno;
	if (owner.st_uid && owner.st_uid != geteuid())
		return -EXDEV;
	return owner.st_mode & (S_IWGRP | S_IWOTH) && !(owner.st_mode & S_ISVTX) ? -EXDEV : 0;
}

int folder_make(struct maps *maps, bool *made, bool *fresh)
{
	char *folder = maps->folder;
	int err;

	if (!*folder)
		strcpy(folder, MAPS_OWN_FOLDER);
	err = bpffs_mount(folder);
	if (err)
		return err;
	*made = !mkdir(folder, 0700);
	if (!*made && errno != EEXIST)
		return -errno;
	maps->lock = maps_lock(folder);
	if (maps->lock < 0)
		return maps->lock;
	/* Another xlb may have had the lock before. */
	*fresh = !folder_holds(folder);
	return folder_check(maps->lock);
}

const char *folder_explain(int error)
{
	switch (error) {
	case -EMEDIUMTYPE:
		return "not on a bpf file system";
	case -EXDEV:
		return "belongs to another user, or others may write there: name another folder, "
		       "or chown and chmod it";
	case -EROFS:
		return "read-only: mount -o remount,rw " BPFFS;
	default:
		return privilege_explain(error, PRIVILEGE_ADMIN);
	}
}
