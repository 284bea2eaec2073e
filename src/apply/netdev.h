/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an interface's driver can do with XDP, as the kernel tells it by the generic netlink family "netdev"
 * (Linux 6.3). Only apply/ calls it.
 */
#ifndef WEFT_APPLY_NETDEV_H
#define WEFT_APPLY_NETDEV_H

#include <stdint.h>

enum { /* bits of the kernel's enum netdev_xdp_act */
       NETDEV_XDP_BASIC = 1,
       NETDEV_XDP_REDIRECT = 2,
       NETDEV_XDP_SENDS = 4 /* takes frames that are redirected to it */
};

struct netdev {
	int fd; /* generic netlink; -1: none */
	uint16_t family;
};
/* 0; -EOPNOTSUPP: this kernel does not tell; -errno. In the caller's network namespace. */
int netdev_open(struct netdev *n);
void netdev_close(struct netdev *n);
/* 0 or -errno. */
int netdev_xdp(const struct netdev *n, uint32_t ifindex, uint64_t *features);

#endif
