/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespaces: network namespaces with a name in /run/netns and the sockets opened in them, and the mount
 * namespace from which pods get theirs. The caller's thread is back in its own namespace when a function
 * returns.
 */
#ifndef WEFT_SANDBOX_NETNS_H
#define WEFT_SANDBOX_NETNS_H

#include <stdbool.h>

enum { NETNS_NAME = 200 };
#define NETNS_DIR "/run/netns"

struct netns {
	int fd;	   /* the namespace; -1: not made */
	int route; /* NETLINK_ROUTE socket opened in it */
	int diag;  /* NETLINK_SOCK_DIAG socket opened in it */
	char name[NETNS_NAME];
};
#define NETNS_NONE ((struct netns){.fd = -1, .route = -1, .diag = -1})

enum netns_role { NETNS_ROUTER, NETNS_HOST, NETNS_POD };

/* Makes /run/netns itself a shared mount, as ip-netns(8) would, so that both see the same. *made: the folder
 * was not there. 0 or -errno. */
int netns_prepare(bool *made);
/* A new one with lo up and the role's sysctls set. 0 or -errno; told. */
int netns_make(struct netns *out, const char *name, enum netns_role role);
/* Closes all and removes the name; the kernel ends the namespace when its last process has gone. */
void netns_drop(struct netns *ns);
/* Removes a name left by another process. */
void netns_unname(const char *name);

/* A mount namespace without the cluster's own mounts: what pods' processes start from, so that no pod keeps
 * the cluster's namespaces or BPF file system alive. */
struct mount_template {
	int fd; /* -1: not made */
};
int mount_template_make(struct mount_template *t);
void mount_template_drop(struct mount_template *t);

#endif
