/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces: see netns.h. Must never leave the caller in a foreign namespace. Called by fabric, node and
 * pod. */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/own.h"
#include "sandbox/files.h"
#include "sandbox/netlink.h"
#include "sandbox/netns.h"

static void name_path(const char *name, char out[NETNS_NAME + 16])
{
	snprintf(out, NETNS_NAME + 16, NETNS_DIR "/%s", name);
}

int netns_prepare(bool *made)
{
	int r;

	*made = access(NETNS_DIR, F_OK) != 0;
	r = file_make_dir(NETNS_DIR, 0755);

	if (r)
		return r;
	if (!mount("", NETNS_DIR, "none", MS_SHARED | MS_REC, NULL))
		return 0;
	if (errno != EINVAL || mount(NETNS_DIR, NETNS_DIR, "none", MS_BIND | MS_REC, NULL) ||
	    mount("", NETNS_DIR, "none", MS_SHARED | MS_REC, NULL))
		return -errno;
	return 0;
}

struct sysctl {
	const char *file, *value;
};

static void set_sysctls(const struct sysctl *list, size_t n)
{
	char path[128];

	for (size_t i = 0; i < n; i++) {
		int r;

		snprintf(path, sizeof(path), "/proc/sys/net/%s", list[i].file);
		r = file_poke(path, list[i].value);
		if (r && r != -ENOENT)
			log_warn("%s: %s", path, strerror(-r));
	}
}

/* Addresses are given, never guessed: no router advertisements, no duplicate detection. */
static void role_sysctls(enum netns_role role)
{
	static const struct sysctl all[] = {
	    {"ipv6/conf/all/disable_ipv6", "0"},
	    {"ipv6/conf/default/disable_ipv6", "0"},
	    {"ipv6/conf/default/accept_dad", "0"},
	    {"ipv6/conf/default/accept_ra", "0"},
	    {"ipv6/conf/default/router_solicitations", "0"},
	};
	static const struct sysctl router[] = {
	    {"ipv4/ip_forward", "1"},
	    {"ipv6/conf/all/forwarding", "1"},
	    {"ipv6/conf/default/forwarding", "1"},
	    {"ipv4/conf/all/rp_filter", "0"},
	    {"ipv4/conf/default/rp_filter", "0"},
	    {"ipv4/conf/all/send_redirects", "0"},
	    {"ipv4/conf/default/send_redirects", "0"},
	};
	static const struct sysctl host[] = {
	    {"ipv4/ip_unprivileged_port_start", "0"},
	    {"ipv4/ping_group_range", "0 2147483647"},
	};

	set_sysctls(all, ARRAY_LEN(all));
	if (role == NETNS_ROUTER)
		set_sysctls(router, ARRAY_LEN(router));
	set_sysctls(host, ARRAY_LEN(host));
}

/* Runs inside the new namespace. */
static int netns_fill(struct netns *ns, enum netns_role role)
{
	char path[NETNS_NAME + 16];
	AUTO_MEM struct netlink *nl = malloc(sizeof(*nl));

	ns->fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	ns->route = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	ns->diag = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (ns->fd < 0 || ns->route < 0 || ns->diag < 0 || !nl)
		return nl ? -errno : -ENOMEM;
	name_path(ns->name, path);
	AUTO_FD int file = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (file < 0)
		return -errno;
	if (mount("/proc/thread-self/ns/net", path, "none", MS_BIND, NULL))
		return -errno;
	role_sysctls(role);
	netlink_begin(nl, ns->route);
	netlink_up(nl, 1);
	return netlink_commit(nl, ns->name);
}

int netns_make(struct netns *out, const char *name, enum netns_role role)
{
	AUTO_FD int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	struct netns ns = NETNS_NONE;
	int r;

	if (own < 0 || unshare(CLONE_NEWNET)) {
		r = -errno;
		log_error("new network namespace %s: %s", name, strerror(-r));
		return r;
	}
	snprintf(ns.name, sizeof(ns.name), "%s", name);
	r = netns_fill(&ns, role);
	if (setns(own, CLONE_NEWNET)) {
		log_error("cannot return to the own network namespace: %s", strerror(errno));
		abort();
	}
	if (r) {
		log_error("network namespace %s: %s", name, strerror(-r));
		netns_drop(&ns);
		return r;
	}
	*out = ns;
	return 0;
}

void netns_unname(const char *name)
{
	char path[NETNS_NAME + 16];

	name_path(name, path);
	while (!umount2(path, MNT_DETACH))
		;
	unlink(path);
}

void netns_drop(struct netns *ns)
{
	if (ns->name[0])
		netns_unname(ns->name);
	own_fd(&ns->fd);
	own_fd(&ns->route);
	own_fd(&ns->diag);
	ns->name[0] = 0;
}

/* Detaches what lies below dir in this mount namespace, the innermost first. */
static void detach_below(const char *dir)
{
	char line[4096], where[3000];
	size_t n = strlen(dir);

	for (int round = 0; round < 4096; round++) {
		FILE *f = fopen("/proc/self/mountinfo", "re");
		char last[3000] = "";

		while (f && fgets(line, sizeof(line), f))
			if (sscanf(line, "%*s %*s %*s %*s %2999s", where) == 1 && !strncmp(where, dir, n) &&
			    (where[n] == '/' || !where[n]))
				memcpy(last, where, sizeof(last));
		if (f)
			fclose(f);
		if (!last[0] || umount2(last, MNT_DETACH))
			return;
	}
}

int mount_template_make(struct mount_template *t)
{
	int ready[2], end[2];
	char byte = 0, path[64];
	pid_t child;

	if (pipe2(ready, O_CLOEXEC) || pipe2(end, O_CLOEXEC))
		return -errno;
	child = fork();
	if (!child) {
		close(end[1]);
		if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
			_exit(1);
		detach_below(NETNS_DIR);
		detach_below("/run/weft");
		if (write(ready[1], "+", 1) == 1 && read(end[0], &byte, 1) >= 0)
			_exit(0);
		_exit(1);
	}
	close(ready[1]);
	close(end[0]);
	t->fd = -1;
	if (child > 0 && read(ready[0], &byte, 1) == 1) {
		snprintf(path, sizeof(path), "/proc/%d/ns/mnt", child);
		t->fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	close(ready[0]);
	close(end[1]);
	if (child > 0)
		waitpid(child, NULL, 0);
	return t->fd < 0 ? -EPERM : 0;
}

void mount_template_drop(struct mount_template *t)
{
	own_fd(&t->fd);
}
