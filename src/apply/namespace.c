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

#include <bpf/bpf.h>

#include "apply/state.h"
#include "base/log.h"
#include "base/own.h"

#ifndef SIOCGSKNS
#define SIOCGSKNS 0x894C
#endif
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
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

static void watch(struct applier *a, uint64_t cookie, int diag)
{
	if (a->keep)
		a->keep(a->keep_ctx, (int32_t)cookie, diag);
	if (reaper_watch(a->reaper, cookie, diag))
		log_error("out of memory");
}

int namespace_take(struct applier *a, const char uid[UID_SIZE], const int fds[3])
{
	socklen_t len = sizeof(uint64_t);
	struct pod_ns *n;
	struct stat st;
	uint64_t cookie;
	int err;

	if (!uid[0] || uid_key(uid).n == UID_SIZE)
		return -EINVAL;
	if (ioctl(fds[0], NS_GET_NSTYPE) != CLONE_NEWNET || fstat(fds[0], &st) || st.st_ino == a->netns)
		return -EBADF;
	if (!is_netlink(fds[1], NETLINK_ROUTE, st.st_ino) ||
	    !is_netlink(fds[2], NETLINK_SOCK_DIAG, st.st_ino))
		return -EBADF;
	if (getsockopt(fds[1], SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len))
		return -errno;
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
	n->cookie = cookie;
	n->netns = fds[0];
	n->route = fds[1];
	nl_prepare(n->route);
	watch(a, cookie, fds[2]);
	return 0;
}

/* Its namespace is known by its cookie, and only one whose link is in force matters. */
void applier_take_kept(struct applier *a, int32_t name, int fd)
{
	socklen_t len = sizeof(uint64_t);
	uint64_t cookie = 0;
	int proto = -1;

	if (!getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) && (int32_t)cookie == name) {
		len = sizeof(proto);
		getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &proto, &len);
	}
	HASH_EACH (&a->links, s) {
		const struct pod_link *l = s->value;

		if (proto != NETLINK_SOCK_DIAG || l->cookie != cookie)
			continue;
		if (reaper_watch(a->reaper, cookie, fd))
			log_error("out of memory");
		return;
	}
	close(fd);
	if (a->keep)
		a->keep(a->keep_ctx, name, -1);
}

void namespace_forget(struct applier *a, uint64_t cookie)
{
	if (!cookie)
		return;
	reaper_forget(a->reaper, cookie);
	if (a->keep)
		a->keep(a->keep_ctx, (int32_t)cookie, -1);
}

struct pod_ns *namespace_get(const struct applier *a, const char uid[UID_SIZE])
{
	return hash_get(&a->namespaces, uid_key(uid));
}

static void ns_free(struct pod_ns *n)
{
	own_fd(&n->netns);
	own_fd(&n->route);
	free(n);
}

void namespace_drop(struct applier *a, const char uid[UID_SIZE])
{
	struct pod_ns *n = hash_del(&a->namespaces, uid_key(uid));

	if (!n)
		return;
	namespace_forget(a, n->cookie);
	ns_free(n);
}

void namespaces_fini(struct applier *a)
{
	HASH_EACH (&a->namespaces, s)
		ns_free(s->value);
	hash_fini(&a->namespaces);
}

int namespace_map(struct applier *a, uint64_t cookie, uint32_t index)
{
	if (!cookie)
		return 0;
	return bpf_map_update_elem(a->kernel.map[PLAN_MAP_netns], &cookie, &index, BPF_ANY) ? -errno : 0;
}

void namespace_unmap(struct applier *a, uint64_t cookie, uint32_t index)
{
	uint32_t now;

	/* A namespace may have got another link meanwhile. */
	if (!bpf_map_lookup_elem(a->kernel.map[PLAN_MAP_netns], &cookie, &now) && now == index)
		bpf_map_delete_elem(a->kernel.map[PLAN_MAP_netns], &cookie);
}

struct strangers {
	const struct applier *a;
	VEC(uint64_t) list;
};

/* The node's own namespace stands in BPF map netns with 0, which is no interface of a pod. */
static int map_own(const struct applier *a)
{
	socklen_t len = sizeof(uint64_t);
	uint32_t none = 0;
	uint64_t cookie;

	if (getsockopt(a->route_fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len))
		return -errno;
	return bpf_map_update_elem(a->kernel.map[PLAN_MAP_netns], &cookie, &none, BPF_ANY) ? -errno : 0;
}

static int note_stranger(void *ctx, const void *key, const void *value)
{
	struct strangers *s = ctx;
	const struct pod_link *l;
	uint64_t cookie;
	uint32_t index;

	memcpy(&cookie, key, sizeof(cookie));
	memcpy(&index, value, sizeof(index));
	l = pod_link_get(s->a, index);
	return l && l->cookie == cookie ? 0 : vec_push(&s->list, cookie);
}

int namespaces_learn(struct applier *a)
{
	struct strangers s = {.a = a};
	int err = map_each(&a->kernel, PLAN_MAP_netns, note_stranger, &s);

	VEC_EACH (&s.list, cookie)
		bpf_map_delete_elem(a->kernel.map[PLAN_MAP_netns], cookie);
	vec_free(&s.list);
	HASH_EACH (&a->links, slot) {
		const struct pod_link *l = slot->value;

		if (!err)
			err = namespace_map(a, l->cookie, l->index);
	}
	if (!err)
		err = map_own(a);
	return err;
}
