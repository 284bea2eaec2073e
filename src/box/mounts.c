/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts: what lies in a program's root beside its files: /dev, /proc, /sys, volumes, the files that a
 * kubelet writes. Paths of the manifest are taken below the root only, whatever links it holds. See box.h.
 * Called by root.c.
 */
#include "box/box.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int root_fd = -1;

/* Below the root: links that lead out of it are taken as the program would take them. */
static int open_below(int from, const char *path, uint64_t flags)
{
	struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};

	return (int)syscall(SYS_openat2, from, path, &how, sizeof(how));
}

/* The place as a path that the kernel resolves no further. out[32]. */
static void by_fd(int fd, char out[32])
{
	snprintf(out, 32, "/proc/self/fd/%d", fd);
}

/* Opens a folder or file of that path, which is made where it is missing. */
static int place(const struct box *b, const char *path, bool folder)
{
	char part[PATH_MAX];
	int parent, fd;

	if (strlen(path) >= sizeof(part))
		box_fail("%s: path too long", path);
	fd = open_below(root_fd, path, O_PATH);
	if (fd >= 0)
		return fd;
	parent = open_below(root_fd, "/", O_PATH);
	for (const char *at = path; *at;) {
		size_t skip = strspn(at, "/"), n = strcspn(at + skip, "/");
		bool last = !at[skip + n + strspn(at + skip + n, "/")];

		if (!n)
			break;
		snprintf(part, sizeof(part), "%.*s", (int)(at - path + (ptrdiff_t)(skip + n)), path);
		fd = open_below(root_fd, part, O_PATH);
		if (fd < 0) {
			char name[NAME_MAX + 1];

			snprintf(name, sizeof(name), "%.*s", (int)n, at + skip);
			if (last && !folder) {
				int made = openat(parent, name,
						  O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);

				if (made >= 0)
					close(made);
			} else if (!mkdirat(parent, name, 0755)) {
				if (fchownat(parent, name, b->base, b->base, AT_SYMLINK_NOFOLLOW))
					box_fail("%s: %s", part, strerror(errno));
			}
			fd = open_below(root_fd, part, O_PATH);
		}
		if (fd < 0)
			box_fail("%s cannot be made in the container's root: %s", part, strerror(errno));
		close(parent);
		parent = fd;
		at += skip + n;
	}
	return parent;
}

static void bind_at(const char *from, int to, bool read_only, const char *what)
{
	char path[32];

	by_fd(to, path);
	if (mount(from, path, NULL, MS_BIND | MS_REC, NULL))
		box_fail("%s: %s", what, strerror(errno));
	/* The descriptor is of what lies below the mount: look again from the root. */
	int top = open_below(root_fd, what, O_PATH);
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
					      (read_only ? MOUNT_ATTR_RDONLY : 0u)};

	if (top < 0 || mount_setattr(top, "", AT_EMPTY_PATH, &attr, sizeof(attr)))
		box_fail("%s cannot be closed to devices: %s", what, strerror(errno));
	close(top);
}

static void make_dev(const struct box *b)
{
	static const char *const nodes[] = {"null", "zero", "full", "random", "urandom", "tty"};
	static const char *const links[][2] = {{"/proc/self/fd", "fd"},
					       {"/proc/self/fd/0", "stdin"},
					       {"/proc/self/fd/1", "stdout"},
					       {"/proc/self/fd/2", "stderr"},
					       {"pts/ptmx", "ptmx"}};
	char from[64], to[64], options[96];
	int dev = place(b, "/dev", true);

	by_fd(dev, to);
	if (mount("weft", to, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=64k"))
		box_fail("/dev: %s", strerror(errno));
	close(dev);
	dev = open_below(root_fd, "/dev", O_PATH);
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		snprintf(from, sizeof(from), "/dev/%s", nodes[i]);
		int fd = openat(dev, nodes[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

		if (fd >= 0)
			close(fd);
		snprintf(to, sizeof(to), "/proc/self/fd/%d/%s", dev, nodes[i]);
		if (mount(from, to, NULL, MS_BIND, NULL))
			box_fail("%s: %s", from, strerror(errno));
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (symlinkat(links[i][0], dev, links[i][1]))
			box_fail("/dev/%s: %s", links[i][1], strerror(errno));
	snprintf(to, sizeof(to), "/proc/self/fd/%d/shm", dev);
	mkdirat(dev, "shm", 01777);
	if (mount("weft", to, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777,size=64m"))
		box_fail("/dev/shm: %s", strerror(errno));
	snprintf(to, sizeof(to), "/proc/self/fd/%d/pts", dev);
	snprintf(options, sizeof(options), "newinstance,ptmxmode=0666,mode=0620,gid=%u", b->base + 5);
	mkdirat(dev, "pts", 0755);
	if (mount("weft", to, "devpts", MS_NOSUID | MS_NOEXEC, options))
		box_fail("/dev/pts: %s", strerror(errno));
	close(dev);
}

/* What of the machine's own /proc and /sys nobody in a container needs. */
static void make_views(const struct box *b)
{
	char to[32];
	int fd = place(b, "/proc", true);

	by_fd(fd, to);
	if (mount("proc", to, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		box_fail("/proc: %s", strerror(errno));
	close(fd);
	fd = place(b, "/sys", true);
	by_fd(fd, to);
	if (mount("sysfs", to, "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL))
		box_fail("/sys: %s", strerror(errno));
	close(fd);
}

static size_t unhex(const char *hex, char *out)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;

	for (; hex[0] && hex[1]; hex += 2) {
		const char *high = strchr(digits, hex[0]), *low = strchr(digits, hex[1]);

		if (!high || !low)
			break;
		out[n++] = (char)((high - digits) << 4 | (low - digits));
	}
	return n;
}

static void write_below(int dir, const char *path, const char *bytes, size_t n, mode_t mode,
			const struct box *b)
{
	char part[PATH_MAX];

	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		if (*part && mkdirat(dir, part, 0755) && errno != EEXIST)
			box_fail("%s: %s", path, strerror(errno));
	}
	int fd = openat(dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || write(fd, bytes, n) != (ssize_t)n || fchown(fd, b->base, b->base) ||
	    fchmod(fd, mode & 0777))
		box_fail("%s: %s", path, strerror(errno));
	close(fd);
}

/* A folder in memory with these files; its path. */
static void make_files(const struct box *b, const json_t *files, size_t number, char path[PATH_MAX])
{
	const json_t *o;
	size_t i;

	if (snprintf(path, PATH_MAX, "%s/volume%zu", b->place, number) >= PATH_MAX || mkdir(path, 0755))
		box_fail("volume: %s", strerror(errno));
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	json_array_foreach ((json_t *)(uintptr_t)files, i, o) {
		const char *hex = json_string_value(json_object_get(o, "hex"));
		char *bytes = malloc(strlen(hex) / 2 + 1);

		if (!bytes)
			box_fail("out of memory");
		write_below(dir, json_string_value(json_object_get(o, "path")), bytes, unhex(hex, bytes),
			    (mode_t)json_integer_value(json_object_get(o, "mode")), b);
		free(bytes);
	}
	close(dir);
}

static void make_volume(const struct box *b, const json_t *v, size_t number)
{
	const char *path = json_string_value(json_object_get(v, "path"));
	const char *from = json_string_value(json_object_get(v, "from"));
	const char *sub = json_string_value(json_object_get(v, "subPath"));
	char made[PATH_MAX], text[32];
	struct stat st;
	int dir, source;

	if (!*from) {
		make_files(b, json_object_get(v, "files"), number, made);
		from = made;
	}
	dir = open(from, O_PATH | O_CLOEXEC);
	if (dir < 0)
		box_fail("volume at %s: %s: %s", path, from, strerror(errno));
	source = *sub ? open_below(dir, sub, O_PATH) : dir;
	if (source < 0 && !mkdirat(dir, sub, 0777)) {
		if (fchmodat(dir, sub, 0777, 0))
			box_fail("subPath %s: %s", sub, strerror(errno));
		source = open_below(dir, sub, O_PATH);
	}
	if (source < 0 || fstat(source, &st))
		box_fail("volume at %s: subPath %s: %s", path, sub, strerror(errno));
	int to = place(b, path, S_ISDIR(st.st_mode));

	by_fd(source, text);
	bind_at(text, to, json_is_true(json_object_get(v, "readOnly")), path);
	close(to);
	close(dir);
	if (source != dir)
		close(source);
}

static void make_single_files(const struct box *b)
{
	const char *message = box_text(b, "messagePath"), *path;
	const json_t *text;
	char at[PATH_MAX];
	int to, number = 0;

	json_object_foreach (json_object_get(b->spec, "files"), path, text) {
		if (snprintf(at, sizeof(at), "%s/file%d", b->place, number++) >= (int)sizeof(at))
			box_fail("%s: path too long", at);
		write_below(AT_FDCWD, at, json_string_value(text), strlen(json_string_value(text)), 0644, b);
		to = place(b, path, false);
		bind_at(at, to, false, path);
		close(to);
	}
	if (!*message)
		return;
	to = place(b, message, false);
	bind_at(box_text(b, "messageFile"), to, false, message);
	close(to);
}

void mounts_make(const struct box *b, const char *root)
{
	const json_t *v;
	size_t i;

	root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		box_fail("%s: %s", root, strerror(errno));
	make_dev(b);
	make_views(b);
	make_single_files(b);
	json_array_foreach (json_object_get(b->spec, "volumes"), i, v)
		make_volume(b, v, i);
	close(root_fd);
}
