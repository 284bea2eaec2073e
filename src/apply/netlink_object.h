/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests for the five netlink objects that apply/ makes: each appends messages to a batch, none waits.
 * `result` and `ignore` are as in nl_message(). Names and numbers come from validated rows only.
 */
#ifndef WEFT_APPLY_NETLINK_OBJECT_H
#define WEFT_APPLY_NETLINK_OBJECT_H

#include "apply/netlink.h"
#include "compile/plan.h"

enum { WEFT_LINK_GROUP = 0x5746, WEFT_ROUTE_PROTOCOL = 87, VXLAN_PORT = 4789 };
#define TUNNEL_NAME "weft-vxlan"

/* link.c */
/* A veth pair: host end by `index` and `name`, pod end "eth0" with the same index inside the namespace
 * netns_fd. */
void link_add_veth(struct nl_batch *b, uint32_t index, const char *name, const struct link_value *v,
		   int netns_fd, int *result);
void link_add_vxlan(struct nl_batch *b, const char *name, uint32_t mtu, int *result);
/* A veth pair with both ends here. */
void link_add_pair(struct nl_batch *b, const char *name, const char *peer, uint32_t mtu, int *result);
/* No generated IPv6 address; must come before the link goes up and not in the creating message. */
void link_no_autoconf(struct nl_batch *b, uint32_t index, int *result);
void link_up(struct nl_batch *b, uint32_t index, uint32_t mtu, bool noarp, int *result);
void link_alias(struct nl_batch *b, uint32_t index, const char *alias, int *result);
void link_del(struct nl_batch *b, uint32_t index, int *result);
void link_group(struct nl_batch *b, uint32_t index, uint32_t group, int *result);
/* Removes all links of a group at once. */
void link_del_group(struct nl_batch *b, uint32_t group, int *result);

struct link_info {
	uint32_t index, mtu, group, flags;
	char name[16], kind[16], alias[256];
	uint8_t mac[6];
	uint32_t peer;	/* of a veth; 0: not said */
	bool peer_away; /* in another network namespace */
};
int link_dump(int fd, int (*fn)(const struct link_info *l, void *ctx), void *ctx);
/* By index, or by name when index is 0: 0, -ENODEV, -errno. */
int link_get(int fd, uint32_t index, const char *name, struct link_info *out);

/* addr.c: /32 and /128 without duplicate address detection. */
void addr_set(struct nl_batch *b, uint32_t index, const struct addr *a, int *result);
/* One that others shall find here and nothing shall send from: with our protocol number, deprecated. -EEXIST
 * when anybody's is there. */
void addr_offer(struct nl_batch *b, uint32_t index, const struct addr *a, int *result);
void addr_unset(struct nl_batch *b, uint32_t index, const struct addr *a, int *result);
/* Whether anybody's is there that others can reach: wider than the link. 0 or -errno. */
int addr_is_there(int fd, uint32_t index, bool *yes);
/* Those with our protocol number, of all interfaces. */
int addr_dump(int fd, int (*fn)(uint32_t index, const struct addr *a, void *ctx), void *ctx);

/* route.c */
struct route_want {
	struct prefix to;
	uint32_t index;		/* 0: none (unreachable) */
	const struct addr *via; /* NULL: none */
	bool onlink, unreachable;
	uint32_t mtu; /* 0: none */
	uint8_t protocol;
};
void route_set(struct nl_batch *b, const struct route_want *w, bool replace, int *result);
void route_unset(struct nl_batch *b, const struct prefix *to, int *result);
struct route_info {
	struct prefix to;
	uint32_t index, mtu;
	struct addr via; /* zero: none */
	bool unreachable;
};
/* Routes of the main table with our protocol number. */
int route_dump(int fd, int (*fn)(const struct route_info *r, void *ctx), void *ctx);

/* Whether packets to that address are taken in: 1, 0 or -errno. The kernel makes an IPv6 address ready a
 * moment after it was set. */
int route_is_local(int fd, const struct addr *a);

struct route_found {
	uint32_t index, mtu; /* of the interface, or of the route where that is less */
	struct addr source;  /* that packets would show */
};
/* The way that a packet to that address would take: 0, -ENETUNREACH or -errno. */
int route_find(int fd, const struct addr *to, struct route_found *out);

/* neigh.c: a permanent neighbour. */
void neigh_set(struct nl_batch *b, uint32_t index, const struct addr *a, const uint8_t mac[6], int *result);

/* tc.c: cls_bpf filters at the two hooks of a clsact qdisc; priority is always 1, and so is the handle but
 * for taps, which run before. */
void tc_clsact(struct nl_batch *b, uint32_t index, int *result);
/* -EEXIST when it is there already. */
void tc_clsact_new(struct nl_batch *b, uint32_t index, int *result);
void tc_clsact_del(struct nl_batch *b, uint32_t index, int *result);
void tc_filter(struct nl_batch *b, uint32_t index, bool egress, int prog_fd, const char *name, int *result);
void tc_filter_del(struct nl_batch *b, uint32_t index, bool egress, int *result);
/* Name of the program at that hook, "" when there is none: 0 or -errno. */
int tc_filter_get(int fd, uint32_t index, bool egress, char name[32]);
/* The same for taps. */
enum { TC_TAP_NAME = 80 };
void tc_tap(struct nl_batch *b, uint32_t index, bool egress, int prog_fd, const char *name, int *result);
void tc_tap_del(struct nl_batch *b, uint32_t index, bool egress, int *result);
int tc_tap_get(int fd, uint32_t index, bool egress, char name[TC_TAP_NAME]);
/* Whether anybody has a filter at that hook. */
bool tc_has_filter(int fd, uint32_t index, bool egress);

#endif
