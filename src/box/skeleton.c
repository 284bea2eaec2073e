/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Skeleton: where a program on this machine's root may write. Its root is not the machine's, so what belongs
 * to anybody of the machine is closed to it but for what all may read. The writable layer therefore has the
 * folders of /etc and /var as the program's own: files can be made and replaced there. Some folders begin
 * empty; one that others may not read shows nothing of the machine's. See box.h. Called by root.c.
 */
#include "box/box.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { DEPTH_MAX = 5, FOLDERS_MAX = 4000 };

const char *const skeleton_fresh[] = {"/tmp",	  "/run",	"/root",	  "/home",
				      "/mnt",	  "/media",	"/var/log",	  "/var/cache",
				      "/var/tmp", "/var/spool", "/var/lib/nginx", NULL};

struct walk {
	const struct box *b;
	const char *up;
	unsigned made;
};

static bool fresh(const char *path)
{
	for (size_t i = 0; skeleton_fresh[i]; i++)
		if (!strcmp(path, skeleton_fresh[i]))
			return true;
	return false;
}

static uid_t own(const struct walk *w, uid_t id)
{
	return w->b->base + (id < BOX_UIDS ? id : BOX_UIDS - 2);
}

/* In the layer, as on the machine but the program's; hidden: nothing of the machine's shows in it. */
static bool make(struct walk *w, const char *path, const struct stat *st, bool hidden)
{
	char to[PATH_MAX];

	if (w->made++ >= FOLDERS_MAX || snprintf(to, sizeof(to), "%s%s", w->up, path) >= (int)sizeof(to))
		return false;
	if (mkdir(to, 0755) && errno != EEXIST)
		box_fail("%s: %s", to, strerror(errno));
	if (chown(to, own(w, st->st_uid), own(w, st->st_gid)) || chmod(to, st->st_mode & 07777))
		box_fail("%s: %s", to, strerror(errno));
	if (hidden)
		setxattr(to, "trusted.overlay.opaque", "y", 1, 0);
	return true;
}

static void walk(struct walk *w, const char *path, unsigned depth, bool hidden)
{
	struct stat st;
	struct dirent *e;
	DIR *d;

	if (lstat(path, &st) || !S_ISDIR(st.st_mode))
		return;
	hidden |= fresh(path) || (st.st_mode & 5) != 5;
	if (!make(w, path, &st, hidden) || depth >= DEPTH_MAX)
		return;
	/* What only its owner may look into has no names to be told. */
	if ((st.st_mode & 5) != 5 || !strcmp(path, "/tmp") || !strcmp(path, "/run") ||
	    !strcmp(path, "/home") || !strcmp(path, "/mnt") || !strcmp(path, "/media") ||
	    !strcmp(path, "/var/tmp"))
		return;
	d = opendir(path);
	while (d && (e = readdir(d))) {
		char below[PATH_MAX];

		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") &&
		    (e->d_type == DT_DIR || !e->d_type) &&
		    snprintf(below, sizeof(below), "%s/%s", path, e->d_name) < (int)sizeof(below))
			walk(w, below, depth + 1, hidden);
	}
	if (d)
		closedir(d);
}

void skeleton_make(const struct box *b, const char *up)
{
	static const char *const trees[] = {"/etc", "/var",  "/srv",  "/opt", "/tmp",
					    "/run", "/root", "/home", "/mnt", "/media"};
	struct walk w = {.b = b, .up = up};
	struct stat st = {.st_mode = S_IFDIR | 0755};

	make(&w, "", &st, false);
	for (size_t i = 0; i < sizeof(trees) / sizeof(trees[0]); i++)
		walk(&w, trees[i], 0, false);
	/* Many programs want this one, whatever the machine has. */
	st.st_mode = S_IFDIR | 01777;
	make(&w, "/run/lock", &st, true);
}
