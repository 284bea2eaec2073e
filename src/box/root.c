/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Root: the file system that a program sees: this machine's, or an unpacked image's, below a layer in memory
 * that takes what it writes. Where the kernel has no overlays the machine's is read-only, but for folders in
 * memory. Must never make anything of the machine writable. See box.h. Called by main.c.
 */
#include "box/box.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void join(char out[PATH_MAX], const char *a, const char *b)
{
	if (snprintf(out, PATH_MAX, "%s%s", a, b) >= PATH_MAX)
		box_fail("%s%s: path too long", a, b);
}

static void make_dir(const char *path)
{
	if (mkdir(path, 0755) && errno != EEXIST)
		box_fail("%s: %s", path, strerror(errno));
}

/* An image's files as the program's own: uid 0 of the image is uid 0 of the box. */
static bool mount_image(const struct box *b, const char *image, const char *at)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_NOSUID,
				  .userns_fd = (unsigned)b->users};
	int fd = open_tree(AT_FDCWD, image, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	bool ok = fd >= 0 && !mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) &&
		  !move_mount(fd, "", AT_FDCWD, at, MOVE_MOUNT_F_EMPTY_PATH);

	if (fd >= 0)
		close(fd);
	return ok;
}

static bool real(const char *type)
{
	static const char *const types[] = {"ext2", "ext3", "ext4",	"xfs",	   "btrfs",
					    "zfs",  "f2fs", "squashfs", "erofs",   "nfs",
					    "nfs4", "9p",   "virtiofs", "overlay", "fuseblk"};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (!strcmp(types[i], type))
			return true;
	return false;
}

/* An overlay shows one file system: what else this machine has in its tree, read-only. */
static void add_submounts(const char *root)
{
	static const char *const trees[] = {"/usr", "/etc", "/opt", "/srv", "/var/lib", "/nix", "/gnu"};
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[PATH_MAX * 2], where[PATH_MAX], type[64], at[PATH_MAX];
	const char *rest;

	while (f && fgets(line, sizeof(line), f)) {
		bool wanted = false;

		rest = strstr(line, " - ");
		if (!rest || sscanf(line, "%*s %*s %*s %*s %4095s", where) != 1 ||
		    sscanf(rest, " - %63s", type) != 1 || !real(type))
			continue;
		for (size_t i = 0; i < sizeof(trees) / sizeof(trees[0]); i++) {
			size_t n = strlen(trees[i]);

			wanted |= !strncmp(where, trees[i], n) && (!where[n] || where[n] == '/');
		}
		join(at, root, where);
		if (wanted && !mount(where, at, NULL, MS_BIND, NULL))
			mount(NULL, at, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL);
	}
	if (f)
		fclose(f);
}

static bool overlay(const char *lower, const char *up, const char *work, const char *at)
{
	char options[3 * PATH_MAX + 64];

	snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s,workdir=%s", lower, up, work);
	return !mount("weft", at, "overlay", MS_NOSUID | MS_NODEV, options);
}

static void lay_over(const char *up, const char *root, const char *folder)
{
	char from[PATH_MAX], to[PATH_MAX];
	struct stat st;

	join(from, up, folder);
	join(to, root, folder);
	if (!stat(from, &st) && !stat(to, &st) && mount(from, to, NULL, MS_BIND, NULL))
		box_fail("%s: %s", to, strerror(errno));
}

/* The root as it is, read-only, and above it the folders of the layer that begin empty. */
static void plain(const char *lower, const char *up, const char *at)
{
	if (mount(lower, at, NULL, MS_BIND, NULL) ||
	    mount(NULL, at, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL))
		box_fail("root %s: %s", lower, strerror(errno));
	lay_over(up, at, "/srv"); /* a place for volumes */
	for (size_t i = 0; skeleton_fresh[i]; i++)
		lay_over(up, at, skeleton_fresh[i]);
}

void root_make(const struct box *b)
{
	const char *image = box_text(b, "root");
	char up[PATH_MAX], work[PATH_MAX], lower[PATH_MAX], at[PATH_MAX];
	bool mapped = false;

	make_dir(b->place);
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("weft", b->place, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=256m"))
		box_fail("memory for the container's root: %s", strerror(errno));
	join(up, b->place, "/up");
	join(work, b->place, "/work");
	join(lower, b->place, "/lower");
	join(at, b->place, "/root");
	make_dir(up);
	make_dir(work);
	make_dir(lower);
	make_dir(at);
	if (*image)
		mapped = mount_image(b, image, lower);
	if (!mapped && mount(*image ? image : "/", lower, NULL, MS_BIND, NULL))
		box_fail("%s: %s", *image ? image : "/", strerror(errno));
	if (!mapped)
		skeleton_make(b, up);
	if (!json_is_true(json_object_get(b->spec, "overlay")) || !overlay(lower, up, work, at))
		plain(lower, up, at);
	if (!*image)
		add_submounts(at);
	mounts_make(b, at);
	if (json_is_true(json_object_get(b->spec, "readOnly")) &&
	    mount(NULL, at, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL))
		box_fail("read-only root: %s", strerror(errno));
	if (chdir(at) || syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
		box_fail("going into the root: %s", strerror(errno));
}
