/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespaces of pods that were handed over with two netlink sockets each. Descriptors are checked to be what
 * they are said to be and of one namespace that is not the node's, so that a planner cannot point us at
 * anything else.
 */
#include <errno.h>
#include <linux/net_namespace.h>
#include <linux/nsfs.h>
#include <linux/sockios.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "apply/state.h"
#include "base/own.h"

#ifndef SIOCGSKNS
#define SIOCGSKNS 0x894C
#endif

static struct str uid_key(const char uid[UID_SIZE])
{
	return (struct str){.p = uid, .n = strnlen(uid, UID_SIZE)};
}

static bool is_netlink(int fd, int protocol, ino_t netns)
{
	int domain = 0, proto = -1;
	socklen_t len = sizeof(domain);
	AUTO_FD int ns = -1;
	struct stat st;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) || domain != AF_NETLINK)
		return false;
	len = sizeof(proto);
	if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &proto, &len) || proto != protocol)
		return false;
	ns = ioctl(fd, SIOCGSKNS);
	return ns >= 0 && !fstat(ns, &st) && st.st_ino == netns;
}

int namespace_take(struct applier *a, const char uid[UID_SIZE], const int fds[3])
{
	struct pod_ns *n;
	struct stat st;
	int err;

	if (!uid[0] || uid_key(uid).n == UID_SIZE)
		return -EINVAL;
	if (ioctl(fds[0], NS_GET_NSTYPE) != CLONE_NEWNET || fstat(fds[0], &st) || st.st_ino == a->netns)
		return -EBADF;
	if (!is_netlink(fds[1], NETLINK_ROUTE, st.st_ino) ||
	    !is_netlink(fds[2], NETLINK_SOCK_DIAG, st.st_ino))
		return -EBADF;
	if (a->namespaces.len >= NAMESPACES_MAX)
		return -ENOSPC;
	namespace_drop(a, uid);
	n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	memcpy(n->uid, uid, UID_SIZE);
	err = hash_set(&a->namespaces, uid_key(uid), n, NULL);
	if (err) {
		free(n);
		return err;
	}
	n->netns = fds[0];
	n->route = fds[1];
	n->diag = fds[2];
	nl_prepare(n->route);
	return 0;
}

struct pod_ns *namespace_get(const struct applier *a, const char uid[UID_SIZE])
{
	return hash_get(&a->namespaces, uid_key(uid));
}

static void ns_free(struct pod_ns *n)
{
	own_fd(&n->netns);
	own_fd(&n->route);
	own_fd(&n->diag);
	free(n);
}

void namespace_drop(struct applier *a, const char uid[UID_SIZE])
{
	struct pod_ns *n = hash_del(&a->namespaces, uid_key(uid));

	if (n)
		ns_free(n);
}

void namespaces_fini(struct applier *a)
{
	HASH_EACH (&a->namespaces, s)
		ns_free(s->value);
	hash_fini(&a->namespaces);
}
