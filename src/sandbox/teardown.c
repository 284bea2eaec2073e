/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Teardown: see teardown.h. Processes are found by the cluster's cgroup, namespaces by the names written
 * down; never by a process's name. Called by run.c at the end, before a start over what a killed one left,
 * and by sandbox_down().
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/own.h"
#include "sandbox/cgroup.h"
#include "sandbox/fabric.h"
#include "sandbox/files.h"
#include "sandbox/teardown.h"

enum { KILL_WAIT_MS = 3000 };

int lock_take(const char *name, bool make, int *pid)
{
	char dir[96], path[128], text[16] = "";
	struct stat held, named;
	int64_t held_by;

	*pid = 0;
	snprintf(dir, sizeof(dir), RUN_DIR "/%s", name);
	snprintf(path, sizeof(path), "%s/lock", dir);
	for (int tries = 0; tries < 10; tries++) {
		int r = make ? file_make_dir(dir, 0755) : 0;
		AUTO_FD int fd = r ? -1 : open(path, O_RDWR | O_CLOEXEC | (make ? O_CREAT : 0), 0644);

		if (r)
			return r;
		if (fd < 0 && errno == ENOENT && make)
			continue;
		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB)) {
			if (pread(fd, text, sizeof(text) - 1, 0) > 0 &&
			    !str_to_i64(str_trim(str_of(text)), 1, INT32_MAX, &held_by))
				*pid = (int)held_by;
			return errno == EWOULDBLOCK ? -EBUSY : -errno;
		}
		/* Another one may have removed the file between open and lock. */
		if (!fstat(fd, &held) && !stat(path, &named) && held.st_ino == named.st_ino) {
			if (make && (ftruncate(fd, 0) || dprintf(fd, "%d\n", getpid()) < 0))
				return -errno;
			return TAKE_FD(fd);
		}
	}
	return -EBUSY;
}

int state_write(const char *name, const char *cgroup, unsigned nodes, bool attached, bool strict,
		bool made_netns_dir)
{
	char path[128];
	json_t *o = json_pack("{sssssisbsbsb}", "name", name, "cgroup", cgroup, "nodes", (int)nodes,
			      "attached", attached, "strict", strict, "madeNetnsDir", made_netns_dir);
	AUTO_MEM char *text = json_dumps(o, JSON_INDENT(2));
	int r;

	json_decref(o);
	snprintf(path, sizeof(path), RUN_DIR "/%s/state.json", name);
	r = text ? file_write(path, str_of(text)) : -ENOMEM;
	return r;
}

/* Pods' namespaces are named after their folders: NS_POD → weft-NAME-NS.POD; no Kubernetes name holds "_". */
static void unname_pods(const char *name)
{
	char path[128], ns[NETNS_NAME];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), RUN_DIR "/%s/pods", name);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		char *split = strchr(e->d_name, '_');

		if (!split)
			continue;
		snprintf(ns, sizeof(ns), "weft-%.32s-%.*s.%.140s", name, (int)(split - e->d_name), e->d_name,
			 split + 1);
		netns_unname(ns);
	}
	if (d)
		closedir(d);
}

static void unname_places(const char *name, unsigned nodes)
{
	char ns[NETNS_NAME];

	unname_pods(name);
	for (unsigned i = 1; i <= nodes; i++) {
		snprintf(ns, sizeof(ns), "weft-%s-node-%u", name, i);
		netns_unname(ns);
	}
	snprintf(ns, sizeof(ns), "weft-%s-outside", name);
	netns_unname(ns);
	snprintf(ns, sizeof(ns), "weft-%s-fabric", name);
	netns_unname(ns);
}

/* The folder that netns_prepare() made, when nobody else uses it by now. */
static void remove_netns_dir(void)
{
	DIR *d = opendir(NETNS_DIR);
	bool empty = d != NULL;
	struct dirent *e;

	while (d && (e = readdir(d)))
		empty &= e->d_name[0] == '.';
	if (d)
		closedir(d);
	if (empty && !umount2(NETNS_DIR, MNT_DETACH))
		rmdir(NETNS_DIR);
}

static int note(int first, int r, const char *what)
{
	if (r)
		log_error("%s: %s", what, strerror(-r));
	return first ? first : r;
}

int teardown(const char *name)
{
	char dir[96], path[128];
	json_error_t err;
	json_t *state;
	const char *cgroup;
	int r = 0;

	snprintf(dir, sizeof(dir), RUN_DIR "/%s", name);
	snprintf(path, sizeof(path), "%s/state.json", dir);
	state = json_load_file(path, 0, &err);
	cgroup = json_string_value(json_object_get(state, "cgroup"));
	if (cgroup)
		r = note(r, cgroup_kill(cgroup, KILL_WAIT_MS), cgroup);
	if (json_is_true(json_object_get(state, "attached")))
		fabric_detach(name);
	unname_places(name, (unsigned)json_integer_value(json_object_get(state, "nodes")));
	snprintf(path, sizeof(path), "%s/bpf", dir);
	while (!umount2(path, MNT_DETACH))
		;
	if (cgroup)
		r = note(r, cgroup_remove(cgroup), cgroup);
	if (json_is_true(json_object_get(state, "madeNetnsDir")))
		remove_netns_dir();
	json_decref(state);
	r = note(r, file_remove_tree(dir), dir);
	rmdir(RUN_DIR);
	return r;
}
