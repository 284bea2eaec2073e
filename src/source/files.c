/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walking folders for manifests: sorted names, no hidden ones, links followed only while they stay inside the
 * folder that the user named. Called by dir.c for each scan.
 */
#include "source/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "base/own.h"

enum { FOLDERS_DEEP = 32 };

struct walk {
	const char *root; /* resolved path of what the user named */
	int watch;
	struct found_list *out;
	struct remarks *rs;
};

void found_fini(struct found_list *l)
{
	VEC_EACH (&l->list, f)
		free(f->path);
	vec_free(&l->list);
}

/* A remark on a path as a whole. */
static void complain(struct remarks *rs, enum remark_level level, const char *path, const char *hint,
		     const char *what)
{
	struct file *f = NULL;
	if (!file_new(&f, path, NULL, 0))
		remark_add(rs, level, (struct pos){.file = f}, hint, "%s", what);
	file_unref(&f);
}

static void complain_errno(struct remarks *rs, const char *path, int err)
{
	AUTO_BUF what = {0};
	buf_printf(&what, "cannot be read: %s", strerror(err));
	const char *hint = err == EACCES   ? "give the user who runs weft the right to read it"
			   : err == ENOENT ? "check the path"
			   : err == ELOOP  ? "remove the link that leads to itself"
					   : NULL;
	complain(rs, REMARK_ERROR, path, hint, what.p ? what.p : "cannot be read");
}

static bool is_manifest(const char *name)
{
	struct str s = str_of(name);
	return str_ends(s, STR(".yaml")) || str_ends(s, STR(".yml")) || str_ends(s, STR(".json"));
}

static int add_file(struct walk *w, const char *path, const struct stat *st)
{
	struct found f = {.stamp = {.dev = st->st_dev,
				    .ino = st->st_ino,
				    .size = st->st_size,
				    .mtime = st->st_mtim,
				    .ctime = st->st_ctim}};
	f.path = strdup(path);
	int r = f.path ? vec_push(&w->out->list, f) : -ENOMEM;
	if (r)
		free(f.path);
	return r;
}

static void watch_folder(const struct walk *w, const char *path)
{
	const uint32_t what = IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE |
			      IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
	if (w->watch >= 0 && inotify_add_watch(w->watch, path, what) < 0 && errno == ENOSPC)
		complain(w->rs, REMARK_WARNING, path, "raise fs.inotify.max_user_watches",
			 "changes in this folder are not noticed: no inotify watches are left");
}

/* Whether a link's target lies inside the root. */
static bool stays_inside(const struct walk *w, const char *path)
{
	char target[PATH_MAX];
	size_t n = strlen(w->root);
	if (!realpath(path, target))
		return false;
	return !strncmp(target, w->root, n) && (target[n] == '/' || (n && w->root[n - 1] == '/'));
}

static int visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int walk_folder(struct walk *w, const char *path, unsigned depth);

static int walk_entry(struct walk *w, const char *path, const char *name, unsigned depth)
{
	struct stat st;
	if (lstat(path, &st))
		return 0; /* gone since the folder was read */
	bool link = S_ISLNK(st.st_mode);
	if (link && (!stays_inside(w, path) || stat(path, &st))) {
		if (is_manifest(name))
			complain(w->rs, REMARK_WARNING, path, "copy the file into the folder",
				 "a link that leads out of the folder, or nowhere, is not followed");
		return 0;
	}
	if (S_ISDIR(st.st_mode))
		return link ? 0 : walk_folder(w, path, depth + 1); /* its target is walked where it lies */
	if (!S_ISREG(st.st_mode) || !is_manifest(name))
		return 0;
	return add_file(w, path, &st);
}

static int walk_folder(struct walk *w, const char *path, unsigned depth)
{
	if (depth > FOLDERS_DEEP) {
		complain(w->rs, REMARK_ERROR, path, NULL, "folders are nested too deeply");
		return 0;
	}
	watch_folder(w, path);
	struct dirent **names;
	int n = scandir(path, &names, visible, by_name), r = 0;
	if (n < 0) {
		complain_errno(w->rs, path, errno);
		return 0;
	}
	for (int i = 0; i < n; i++) {
		AUTO_BUF child = {0};
		buf_printf(&child, "%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/",
			   names[i]->d_name);
		if (!r)
			r = child.failed ? -ENOMEM : walk_entry(w, child.p, names[i]->d_name, depth);
		free(names[i]);
	}
	free(names);
	return r;
}

static void watch_parent(const struct walk *w, const char *path)
{
	char *folder = strdup(path), *slash = folder ? strrchr(folder, '/') : NULL;
	if (slash)
		slash[slash == folder] = '\0';
	if (folder)
		watch_folder(w, slash ? folder : ".");
	free(folder);
}

int files_find(const char *path, int watch, struct found_list *out, struct remarks *rs)
{
	char root[PATH_MAX];
	struct stat st;
	if (!path[0] || stat(path, &st) || !realpath(path, root)) {
		int err = path[0] ? errno : ENOENT;
		complain_errno(rs, path[0] ? path : "(empty path)", err);
		return err == ENOENT || err == ENOTDIR ? -ENOENT : 0;
	}
	struct walk w = {.root = root, .watch = watch, .out = out, .rs = rs};
	if (S_ISDIR(st.st_mode))
		return walk_folder(&w, path, 1);
	if (!S_ISREG(st.st_mode)) {
		complain(rs, REMARK_ERROR, path, "name a folder or a file",
			 "neither a folder nor a regular file");
		return 0;
	}
	watch_parent(&w, path);
	return add_file(&w, path, &st);
}

int files_read(const char *path, size_t limit, char **out, size_t *len)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	AUTO_BUF b = {0};
	char chunk[65536];
	for (;;) {
		ssize_t n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		buf_add(&b, chunk, (size_t)n);
		if (b.failed)
			return -ENOMEM;
		if (b.n > limit)
			return -EFBIG;
	}
	if (!b.p)
		buf_addz(&b, "");
	if (b.failed)
		return -ENOMEM;
	*len = b.n;
	*out = TAKE(b.p);
	return 0;
}
