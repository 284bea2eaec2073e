/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clusters left behind whose process is gone: found by their folders and locks in /run/weft, removed by
 * the notes that stand there, as `weft down` does. Names alone prove nothing: a namespace or cgroup called as
 * ours would be, without such a folder, is told and left alone. Called by doctor.c.
 */
#include "base/own.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/doctor.h"
#include "sandbox/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>

enum cluster_state {
	CLUSTER_RUNS,
	CLUSTER_DEAD,
	CLUSTER_NOBODYS, /* a folder without a lock file */
	CLUSTER_HIDDEN,	 /* its lock may not be read */
};

static enum cluster_state state_of(const char *name)
{
	char path[CLUSTER_PATH];

	cluster_path(path, name, "lock");
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? CLUSTER_NOBODYS : CLUSTER_HIDDEN;
	if (!flock(fd, LOCK_SH | LOCK_NB))
		return CLUSTER_DEAD;
	return CLUSTER_RUNS;
}

static int is_folder(const struct dirent *e)
{
	return e->d_name[0] != '.' && e->d_type == DT_DIR;
}

/* Folders of clusters by name; free each and the list. */
static int clusters(struct dirent ***list)
{
	*list = NULL;
	int n = scandir(CLUSTER_RUN, list, is_folder, alphasort);
	return n > 0 ? n : 0;
}

enum finding doctor_leftovers(struct buf *found)
{
	struct dirent **list;
	int n = clusters(&list);
	enum finding f = FOUND_OK;

	for (int i = 0; i < n; i++) {
		enum cluster_state s = state_of(list[i]->d_name);
		if (s == CLUSTER_DEAD || s == CLUSTER_NOBODYS) {
			buf_printf(found, "%s%s",
				   f == FOUND_LEFT ? ", " : "of clusters that are gone: ", list[i]->d_name);
			f = FOUND_LEFT;
		}
		free(list[i]);
	}
	free(list);
	if (f == FOUND_OK)
		buf_addz(found, "none");
	return f;
}

/* What a dead cluster's notes name, for people. */
static void describe(const char *name)
{
	char path[CLUSTER_PATH];
	struct dirent **pods = NULL;

	cluster_path(path, name, "pods");
	int n = scandir(path, &pods, is_folder, alphasort);
	for (int i = 0; i < n; i++)
		free(pods[i]);
	free(pods);
	printf("cluster \"%s\", whose process is gone: its processes, cgroup, namespaces of nodes and %d "
	       "pod%s, pins, and %s/%s",
	       name, n > 0 ? n : 0, n == 1 ? "" : "s", CLUSTER_RUN, name);
}

static int fix_one(const char *name, bool dry, int *done)
{
	switch (state_of(name)) {
	case CLUSTER_RUNS:
		printf("left alone: cluster \"%s\" runs\n", name);
		return 0;
	case CLUSTER_NOBODYS:
		printf("left alone: %s/%s has no lock file, and so nothing says whose it is; weft down "
		       "--name %s removes it\n",
		       CLUSTER_RUN, name, name);
		return 0;
	case CLUSTER_HIDDEN:
		printf("left alone: %s/%s may not be read\n", CLUSTER_RUN, name);
		return 0;
	case CLUSTER_DEAD:
		break;
	}
	printf("%s", dry ? "would remove: " : "removed: ");
	describe(name);
	fflush(stdout);
	int r = dry ? 0 : sandbox_sweep(name);
	if (r == -EBUSY) /* somebody starts it now */
		printf(" (not done: it was started this moment)\n");
	else if (r && r != -ENOENT)
		printf(" (not all of it: %s)\n", strerror(-r));
	else
		putchar('\n');
	*done += !r;
	return r == -EBUSY || r == -ENOENT ? 0 : r;
}

/* "weft-NAME-node-1" in a folder of names, "weft.NAME" among cgroups: told when no folder of that cluster is
 * there. */
static int tell_strays(const char *folder, const char *before, const char *after, const char *advice,
		       const char *only)
{
	DIR *d = opendir(folder);
	int n = 0;

	for (struct dirent *e; d && (e = readdir(d));) {
		struct str name = str_of(e->d_name);
		char path[CLUSTER_PATH];
		AUTO_BUF cluster = {0};
		if (!str_starts(name, str_of(before)) || !str_ends(name, str_of(after)) ||
		    name.n <= strlen(before) + strlen(after))
			continue;
		buf_add(&cluster, name.p + strlen(before), name.n - strlen(before) - strlen(after));
		cluster_path(path, cluster.p ? cluster.p : "", "");
		if (cluster.failed || !access(path, F_OK) || (only && strcmp(only, cluster.p)))
			continue;
		printf("left alone: %s/%s, which no folder in %s names; %s %s\n", folder, e->d_name,
		       CLUSTER_RUN, advice, e->d_name);
		n++;
	}
	if (d)
		closedir(d);
	return n;
}

int doctor_fix(bool dry, const char *only)
{
	struct dirent **list;
	int done = 0, r = 0;

	if (geteuid()) {
		cli_error("run it with sudo", "--fix needs root: what is left belongs to it");
		return EXIT_FAILED;
	}
	int n = clusters(&list);
	for (int i = 0; i < n; i++) {
		int one = only && strcmp(only, list[i]->d_name) ? 0 : fix_one(list[i]->d_name, dry, &done);
		r = r ? r : one;
		free(list[i]);
	}
	free(list);
	tell_strays("/run/netns", "weft-", "-fabric", "if it is nobody's: ip netns delete", only);
	tell_strays("/sys/fs/cgroup/unified", "weft.", "", "if it is nobody's: rmdir", only);
	tell_strays("/sys/fs/cgroup", "weft.", "", "if it is nobody's: rmdir", only);
	if (!done && !r)
		printf("nothing was left by clusters that are gone\n");
	return r ? EXIT_FAILED : EXIT_OK;
}
