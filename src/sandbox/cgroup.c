/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cgroups: see cgroup.h. Processes are found by the cgroup that they are in, never by name. Called by run.c,
 * pod.c and teardown.c.
 */
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "sandbox/cgroup.h"
#include "sandbox/files.h"

int cgroup_path(const char *cluster, char *out, size_t cap)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[4096], where[1024], *rest;
	int r = -ENODEV;

	while (f && r && fgets(line, sizeof(line), f)) {
		rest = strstr(line, " - ");
		if (!rest || strncmp(rest, " - cgroup2 ", 11))
			continue;
		if (sscanf(line, "%*s %*s %*s %*s %1023s", where) != 1)
			continue;
		r = (size_t)snprintf(out, cap, "%s/weft.%s", where, cluster) < cap ? 0 : -ENAMETOOLONG;
	}
	if (f)
		fclose(f);
	return r;
}

int cgroup_make(const char *path)
{
	return mkdir(path, 0755) && errno != EEXIST ? -errno : 0;
}

static int kill_members(const char *path, const struct stat *st, int type, struct FTW *at)
{
	char file[1200], line[32];
	int64_t pid;
	FILE *f;

	(void)st;
	(void)at;
	if (type != FTW_D && type != FTW_DP)
		return 0;
	snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	f = fopen(file, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!str_to_i64(str_trim(str_of(line)), 2, INT32_MAX, &pid))
			kill((pid_t)pid, SIGKILL);
	if (f)
		fclose(f);
	return 0;
}

static bool populated(const char *path)
{
	char file[1200];
	AUTO_BUF text = {0};

	snprintf(file, sizeof(file), "%s/cgroup.events", path);
	return !file_read(file, &text) && text.n && memmem(text.p, text.n, "populated 1", 11);
}

static int wait_empty(const char *path, uint64_t end, bool kill_again)
{
	while (populated(path)) {
		struct timespec nap = {.tv_nsec = 1000000};

		if (clock_ms() > end)
			return -EBUSY;
		nanosleep(&nap, NULL);
		if (kill_again)
			nftw(path, kill_members, 16, FTW_PHYS);
	}
	return 0;
}

int cgroup_kill(const char *path, unsigned wait_ms)
{
	uint64_t end = clock_ms() + wait_ms;
	char file[1200];

	snprintf(file, sizeof(file), "%s/cgroup.kill", path);
	if (access(path, F_OK))
		return 0;
	if (file_poke(file, "1"))
		nftw(path, kill_members, 16, FTW_PHYS);
	return wait_empty(path, end, false);
}

int cgroup_kill_members(const char *path, unsigned wait_ms)
{
	nftw(path, kill_members, 16, FTW_PHYS);
	return wait_empty(path, clock_ms() + wait_ms, true);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)at;
	if (type != FTW_DP)
		return 0;
	return rmdir(path) && errno != ENOENT ? -1 : 0;
}

int cgroup_remove(const char *path)
{
	return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) && errno != ENOENT ? -errno : 0;
}
