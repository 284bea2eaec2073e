/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See pen.h. The new text is written beside the file under a hidden name, made durable, and exchanged with
 * it; who saved the file in between wins, and gets back what he saved. Called by main.c and rewrite.c.
 */
#include "hub/pen.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/own.h"
#include "hub/privilege.h"

enum { ANSWER_S = 30, TEXT_MAX = 1 << 30, EXCHANGES_MAX = 100 };

struct pen {
	int fd;
	pid_t pid;
};

enum { FILE_MAKE = 1, FILE_GOES = 2, FILE_TIDY = 4 };
struct request { /* followed by path, was, text; without a path nothing is asked */
	uint32_t path, was, text, flags;
};

/* What an answer means to a person, by its number. */
enum step { DONE, OUTSIDE, LINKED, NAMES, READ_ONLY, OPEN, CHANGED, MISSING, THERE, DISK };
static const char *const words[] = {
    [DONE] = "",
    [OUTSIDE] = "it is not below the folders that the cluster was started with, or a link leads there",
    [LINKED] = "it is a link, or no regular file: change what it stands for",
    [NAMES] = "it has further names (hard links), which would not change with it",
    [READ_ONLY] = "it is read-only: chmod u+w it",
    [OPEN] = "another program has it open for writing: try again when that is done",
    [CHANGED] = "it was changed meanwhile: look at the object again and try again",
    [MISSING] = "it is not there any more",
    [THERE] = "a file of that name is there already",
    [DISK] = NULL,
};
struct answer {
	int32_t error;
	uint32_t step;
};

static int transfer(int fd, void *p, size_t n, bool out)
{
	for (char *at = p; n;) {
		ssize_t r = out ? send(fd, at, n, MSG_NOSIGNAL) : recv(fd, at, n, 0);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r ? -errno : -EPIPE;
		at += r;
		n -= (size_t)r;
	}
	return 0;
}

/* ---- the process that writes ---- */

struct writing {
	int dir, old, new;
	const char *name;
	char beside[300];
	struct stat was, is; /* of old and new */
	enum step step;
	bool leased;
};

static int stop_at(struct writing *w, enum step step, int error)
{
	w->step = step;
	return error;
}

static int open_below(const char *root, const char *rest)
{
	struct open_how how = {.flags = O_DIRECTORY | O_CLOEXEC,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
	AUTO_FD int top = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (top < 0)
		return -errno;
	int fd = (int)syscall(SYS_openat2, top, *rest ? rest : ".", &how, sizeof(how));
	return fd < 0 ? -errno : fd;
}

/* The folder of the path, when it is one of the roots or below one. */
static int open_folder(const char *path, const char *const *roots, size_t n)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return -EXDEV;
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(roots[i]);
		char rest[4096];
		while (len > 1 && roots[i][len - 1] == '/')
			len--;
		if (!strcmp(path, roots[i])) { /* a file that was named itself */
			AUTO_MEM char *folder = strndup(path, slash == path ? 1 : (size_t)(slash - path));
			return folder ? open_below(folder, "") : -ENOMEM;
		}
		if (strncmp(path, roots[i], len) || (len > 1 && path[len] != '/'))
			continue;
		const char *from = path + len;
		while (*from == '/')
			from++;
		int m = snprintf(rest, sizeof(rest), "%.*s", slash > from ? (int)(slash - from) : 0, from);
		AUTO_MEM char *root = strndup(roots[i], len);
		return m >= (int)sizeof(rest) ? -ENAMETOOLONG : root ? open_below(root, rest) : -ENOMEM;
	}
	return -EXDEV;
}

static int open_old(struct writing *w)
{
	w->old = openat(w->dir, w->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (w->old < 0)
		return errno == ENOENT	? stop_at(w, MISSING, -ESTALE)
		       : errno == ELOOP ? stop_at(w, LINKED, -EPERM)
					: stop_at(w, DISK, -errno);
	if (fstat(w->old, &w->was))
		return stop_at(w, DISK, -errno);
	if (!S_ISREG(w->was.st_mode))
		return stop_at(w, LINKED, -EPERM);
	if (w->was.st_nlink != 1)
		return stop_at(w, NAMES, -EPERM);
	if (!(w->was.st_mode & 0222))
		return stop_at(w, READ_ONLY, -EPERM);
	/* Who opens it for writing from now on waits, and is seen. Not every file system has leases. */
	w->leased = !fcntl(w->old, F_SETLEASE, F_RDLCK);
	if (!w->leased && errno == EAGAIN)
		return stop_at(w, OPEN, -EBUSY);
	return 0;
}

static int write_new(struct writing *w, struct str text)
{
	if (snprintf(w->beside, sizeof(w->beside), ".%s.weft-new", w->name) > 255)
		return stop_at(w, DISK, -ENAMETOOLONG);
	/* One that is there was left by a killed one. */
	unlinkat(w->dir, w->beside, 0);
	w->new = openat(w->dir, w->beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (w->new < 0)
		return stop_at(w, DISK, -errno);
	if (fchown(w->new, w->was.st_uid, w->was.st_gid) || fchmod(w->new, w->was.st_mode & 07777))
		return stop_at(w, DISK, -errno);
	while (text.n) {
		ssize_t n = write(w->new, text.p, text.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return stop_at(w, DISK, n ? -errno : -EIO);
		text.p += n;
		text.n -= (size_t)n;
	}
	if (fsync(w->new) || fstat(w->new, &w->is))
		return stop_at(w, DISK, -errno);
	return 0;
}

static int check_old(struct writing *w, struct str was)
{
	char chunk[65536];
	ssize_t n;
	while ((n = read(w->old, chunk, sizeof(chunk))) > 0) {
		if ((size_t)n > was.n || memcmp(chunk, was.p, (size_t)n))
			return stop_at(w, CHANGED, -ESTALE);
		was.p += n;
		was.n -= (size_t)n;
	}
	return n < 0 ? stop_at(w, DISK, -errno) : was.n ? stop_at(w, CHANGED, -ESTALE) : 0;
}

static bool is_file(const struct writing *w, const char *name, const struct stat *st)
{
	struct stat now;
	return !fstatat(w->dir, name, &now, AT_SYMLINK_NOFOLLOW) && now.st_ino == st->st_ino &&
	       now.st_dev == st->st_dev;
}

static int exchange(const struct writing *w)
{
	return renameat2(w->dir, w->beside, w->dir, w->name, RENAME_EXCHANGE) ? -errno : 0;
}

/* Until our text has the hidden name again: who saves once more in between is given back too. */
static int give_back(struct writing *w, enum step step, int error)
{
	for (int i = 0; i < EXCHANGES_MAX && !is_file(w, w->beside, &w->is); i++)
		exchange(w);
	return stop_at(w, step, error);
}

static int put_in_place(struct writing *w)
{
	if (!is_file(w, w->name, &w->was))
		return stop_at(w, CHANGED, -ESTALE);
	int r = exchange(w);
	if (r == -EINVAL || r == -ENOSYS) /* this file system cannot: the moment in between stays open */
		return renameat(w->dir, w->beside, w->dir, w->name) ? stop_at(w, DISK, -errno) : 0;
	if (r)
		return r == -ENOENT ? stop_at(w, MISSING, -ESTALE) : stop_at(w, DISK, r);
	if (!is_file(w, w->beside, &w->was))
		return give_back(w, CHANGED, -ESTALE);
	/* Who writes into the file itself rather than beside it. */
	struct stat now;
	if (w->leased && fcntl(w->old, F_GETLEASE) != F_RDLCK)
		return give_back(w, OPEN, -EBUSY);
	if (fstat(w->old, &now) || now.st_size != w->was.st_size ||
	    memcmp(&now.st_mtim, &w->was.st_mtim, sizeof(now.st_mtim)))
		return give_back(w, CHANGED, -ESTALE);
	return 0;
}

/* A file that is new belongs to whom its folder belongs to. */
static int make_file(struct writing *w, struct str text)
{
	struct stat folder;
	if (fstat(w->dir, &folder))
		return stop_at(w, DISK, -errno);
	w->was = (struct stat){.st_uid = folder.st_uid, .st_gid = folder.st_gid, .st_mode = 0644};
	int r = write_new(w, text);
	if (r)
		return r;
	if (!renameat2(w->dir, w->beside, w->dir, w->name, RENAME_NOREPLACE))
		return 0;
	if (errno == EINVAL || errno == ENOSYS) /* a link does not replace either */
		return linkat(w->dir, w->beside, w->dir, w->name, 0)
			   ? stop_at(w, errno == EEXIST ? THERE : DISK, errno == EEXIST ? -ESTALE : -errno)
			   : 0;
	return stop_at(w, errno == EEXIST ? THERE : DISK, errno == EEXIST ? -ESTALE : -errno);
}

/* It goes under the hidden name first: what it then is, nobody changes any more by its name. */
static int remove_file(struct writing *w, struct str was)
{
	struct stat now;
	int r = open_old(w);
	if (!r)
		r = check_old(w, was);
	if (r)
		return r;
	if (snprintf(w->beside, sizeof(w->beside), ".%s.weft-new", w->name) > 255)
		return stop_at(w, DISK, -ENAMETOOLONG);
	unlinkat(w->dir, w->beside, 0);
	if (renameat(w->dir, w->name, w->dir, w->beside))
		return errno == ENOENT ? stop_at(w, MISSING, -ESTALE) : stop_at(w, DISK, -errno);
	bool open = w->leased && fcntl(w->old, F_GETLEASE) != F_RDLCK;
	if (!open && is_file(w, w->beside, &w->was) && !fstat(w->old, &now) &&
	    now.st_size == w->was.st_size && !memcmp(&now.st_mtim, &w->was.st_mtim, sizeof(now.st_mtim)))
		return unlinkat(w->dir, w->beside, 0) ? stop_at(w, DISK, -errno) : 0;
	/* Who saved it once more meanwhile has the name already. */
	if (linkat(w->dir, w->beside, w->dir, w->name, 0) && errno != EEXIST)
		return stop_at(w, DISK, -errno);
	unlinkat(w->dir, w->beside, 0);
	return stop_at(w, open ? OPEN : CHANGED, open ? -EBUSY : -ESTALE);
}

static int tidy(struct writing *w)
{
	if (snprintf(w->beside, sizeof(w->beside), ".%s.weft-new", w->name) <= 255)
		unlinkat(w->dir, w->beside, 0);
	return 0;
}

static int replace_file(struct writing *w, struct str was, struct str text)
{
	int r = open_old(w);
	if (!r)
		r = check_old(w, was);
	if (!r)
		r = write_new(w, text);
	return r ? r : put_in_place(w);
}

static struct answer write_file(const char *path, struct str was, struct str text, uint32_t flags,
				const char *const *roots, size_t n)
{
	struct writing w = {.dir = -1, .old = -1, .new = -1};
	int r;
	w.dir = open_folder(path, roots, n);
	r = w.dir >= 0				 ? 0
	    : w.dir == -ENOENT			 ? stop_at(&w, MISSING, -ESTALE)
	    : w.dir == -EXDEV || w.dir == -ELOOP ? stop_at(&w, OUTSIDE, -EPERM)
						 : stop_at(&w, DISK, w.dir);
	w.name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	if (!r)
		r = flags & FILE_TIDY	? tidy(&w)
		    : flags & FILE_MAKE ? make_file(&w, text)
		    : flags & FILE_GOES ? remove_file(&w, was)
					: replace_file(&w, was, text);
	if (w.new >= 0)
		unlinkat(w.dir, w.beside, 0); /* what the file was, or what it did not become */
	if (!r && fsync(w.dir))
		r = 0; /* it is in place; nothing is gained by saying no */
	own_fd(&w.new);
	own_fd(&w.old);
	own_fd(&w.dir);
	return (struct answer){.error = r, .step = r ? w.step : DONE};
}

/* A hub that was killed may have left a pen that is not done: waits for it. */
static void lock(const char *dir)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/pen.lock", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || flock(fd, LOCK_EX))
		_exit(1);
}

static void serve(int fd, const char *const *roots, size_t n)
{
	struct request rq;
	while (!transfer(fd, &rq, sizeof(rq), false)) {
		size_t all = (size_t)rq.path + rq.was + rq.text;
		AUTO_MEM char *bytes = malloc(all + 1);
		AUTO_MEM char *path = bytes && rq.path < 4096 ? malloc(rq.path + 1) : NULL;
		if (!path || transfer(fd, bytes, all, false))
			return;
		memcpy(path, bytes, rq.path);
		path[rq.path] = 0;
		struct answer a = {0};
		if (rq.path)
			a = write_file(path, (struct str){bytes + rq.path, rq.was},
				       (struct str){bytes + rq.path + rq.was, rq.text}, rq.flags, roots, n);
		if (transfer(fd, &a, sizeof(a), true))
			return;
	}
}

/* ---- the hub's side ---- */

int pen_start(struct pen **out, const char *dir, const char *const *paths, size_t n)
{
	int ends[2];
	struct pen *p = calloc(1, sizeof(*p));
	const struct timeval patience = {.tv_sec = ANSWER_S};
	if (!p || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) {
		free(p);
		return -errno;
	}
	p->pid = fork();
	if (!p->pid) {
		close(ends[0]);
		/* It ends with its socket: a write that began is finished. */
		signal(SIGINT, SIG_IGN);
		signal(SIGTERM, SIG_IGN);
		signal(SIGHUP, SIG_IGN);
		signal(SIGPIPE, SIG_IGN);
		signal(SIGIO, SIG_IGN);
		prctl(PR_SET_NAME, "weft-hub-pen");
		lock(dir);
		if (privilege_pen())
			_exit(1);
		serve(ends[1], paths, n);
		_exit(0);
	}
	close(ends[1]);
	p->fd = ends[0];
	if (p->pid < 0) {
		pen_free(&p);
		return -EAGAIN;
	}
	setsockopt(p->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(p->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	*out = p;
	return 0;
}

void pen_free(struct pen **pp)
{
	struct pen *p = TAKE(*pp);
	if (!p)
		return;
	own_fd(&p->fd);
	if (p->pid > 0)
		waitpid(p->pid, NULL, 0);
	free(p);
}

static int ask(struct pen *p, const struct request *rq, const char *path, struct str was, struct str text,
	       struct answer *a)
{
	int r = p->fd < 0 ? -EPIPE : transfer(p->fd, (void *)(uintptr_t)rq, sizeof(*rq), true);
	if (!r)
		r = transfer(p->fd, (void *)(uintptr_t)path, rq->path, true);
	if (!r)
		r = transfer(p->fd, (void *)(uintptr_t)was.p, was.n, true);
	if (!r)
		r = transfer(p->fd, (void *)(uintptr_t)text.p, text.n, true);
	if (!r)
		r = transfer(p->fd, a, sizeof(*a), false);
	/* An answer that comes too late must not be taken for the next one's. */
	if (r)
		own_fd(&p->fd);
	return r;
}

int pen_ready(struct pen *p)
{
	struct request rq = {0};
	struct answer a;
	return ask(p, &rq, "", (struct str){0}, (struct str){0}, &a);
}

bool pen_lost(const struct pen *p)
{
	return p->fd < 0;
}

void pen_tidy(struct pen *p, const char *path)
{
	const struct request rq = {.path = (uint32_t)strlen(path), .flags = FILE_TIDY};
	struct answer a;
	ask(p, &rq, path, (struct str){0}, (struct str){0}, &a);
}

int pen_write(struct pen *p, const char *path, struct str was, struct str text, const char **why)
{
	struct request rq = {.path = (uint32_t)strlen(path),
			     .was = (uint32_t)was.n,
			     .text = (uint32_t)text.n,
			     .flags = !was.p	? FILE_MAKE
				      : !text.p ? FILE_GOES
						: 0};
	struct answer a = {.error = -EPIPE, .step = DISK};
	if (was.n > TEXT_MAX || text.n > TEXT_MAX)
		return -EFBIG;
	int r = ask(p, &rq, path, was, text, &a);
	if (r) {
		*why = "what writes files for the hub does not answer; end the cluster and start it again";
		return r;
	}
	*why = a.step < DISK && words[a.step] ? words[a.step] : strerror(-a.error);
	return a.error;
}
