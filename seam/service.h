/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Services: (address, port, protocol) → a list of backends; (list, slot) → backend. List ids are hashes of
 * content, so a changed list is written beside the old one and switched by one element.
 */
#ifndef WEFT_SEAM_SERVICE_H
#define WEFT_SEAM_SERVICE_H

#include "seam/addr.h"

#define SERVICE_NODEPORT 1u /* also taken from outside, at the uplink */

struct service_key { /* BPF map service */
	struct addr16 addr;
	__u16 port; /* network order */
	__u8 proto;
	__u8 pad;
};
WEFT_SEAM_SIZE(struct service_key, 20);

struct service_value {
	__u32 list;  /* 0 with count 0: no endpoints, refused at once */
	__u32 count; /* slots 0 … count-1 exist */
	__u32 flags; /* SERVICE_… */
};
WEFT_SEAM_SIZE(struct service_value, 12);

struct backend_key { /* BPF map backend */
	__u32 list;
	__u32 slot;
};
WEFT_SEAM_SIZE(struct backend_key, 8);

struct backend_value {
	struct addr16 addr;
	__u16 port; /* network order */
	__u16 pad;
};
WEFT_SEAM_SIZE(struct backend_value, 20);

/* What a socket was told: BPF map socket_origin (LRU), for recvmsg and getpeername. */
struct socket_key {
	__u64 cookie;
	struct addr16 addr; /* of the backend */
	__u16 port;
	__u8 proto;
	__u8 pad[5];
};
WEFT_SEAM_SIZE(struct socket_key, 32);
struct socket_value {
	struct addr16 addr; /* of the service */
	__u16 port;
	__u16 pad;
};
WEFT_SEAM_SIZE(struct socket_value, 20);

#endif
