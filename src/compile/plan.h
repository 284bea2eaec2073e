/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan: desired kernel state of one node as typed rows, each with its origin. The waist of the hourglass:
 * compile/ makes rows and changes of rows, apply/ puts them into force, and neither knows the other's
 * matters. Rows are plain bytes (the structs of seam/ and those below), so they sort, compare, print and
 * travel as they are.
 */
#ifndef WEFT_COMPILE_PLAN_H
#define WEFT_COMPILE_PLAN_H

#include "base/addr.h"
#include "base/arena.h"
#include "base/pos.h"
#include "base/vec.h"

enum row_type {
	ROW_MAP,     /* element of a BPF map: table = enum plan_map */
	ROW_LINK,    /* veth pair of a pod: link_key → link_value */
	ROW_ROUTE,   /* route in the node's namespace: route_key → route_value */
	ROW_SYSCTL,  /* reserved */
	ROW_ADDRESS, /* an address of Services on the uplink, which answers ARP and NDP for it: address_key,
			no value; new numbers follow here only */
};

enum plan_map {
#define BPF_MAP(id, ...) PLAN_MAP_##id,
#include "tables/maps.def"
#undef BPF_MAP
	PLAN_MAP_COUNT
};

struct link_key {
	uint32_t ifindex; /* both ends have it; host end is named "wp<ifindex>", pod end "eth0" */
};
struct link_value {
	struct addr v4, v6;	/* /32 and /128 of the pod; zero when it lacks the family */
	uint8_t mac[6];		/* pod end */
	uint8_t gateway_mac[6]; /* host end, and permanent neighbour of 169.254.1.1 and fe80::1 in the pod */
	uint32_t mtu;
	char uid[40]; /* pod uid, NUL-padded: names the namespace handed over with it */
};

struct route_key {
	struct prefix to; /* 17 bytes */
	uint8_t pad[3];
};
enum route_way {
	ROUTE_POD,	   /* dev host-side interface of the pod, host route, mtu */
	ROUTE_TUNNEL,	   /* dev the VXLAN device, mtu (the stack answers what is too big) */
	ROUTE_VIA,	   /* via another node's underlay address on the uplink, mtu */
	ROUTE_UNREACHABLE, /* Service ranges and own pod range: what nobody has is refused at once */
};
struct route_value {
	uint32_t way;	  /* enum route_way */
	uint32_t ifindex; /* ROUTE_POD: host-side interface; else 0 */
	uint32_t mtu;	  /* 0: none */
	struct addr via;  /* ROUTE_VIA */
};

struct address_key {
	struct addr addr;
};

/* Where a row comes from: the object (and the position inside it that caused the row, where there is one). */
struct origin {
	const char *object; /* "NetworkPolicy shop/web", borrowed from the compiler */
	struct pos pos;	    /* file may be NULL */
};

struct row {
	uint8_t type;	/* enum row_type */
	uint16_t table; /* enum plan_map for ROW_MAP, else 0 */
	uint16_t key_len, value_len;
	const uint8_t *key, *value;
	struct origin origin;
};

/* Order of (type, table, key bytes). */
int row_cmp(const struct row *a, const struct row *b);

struct plan { /* whole desired state, sorted; rows are borrowed from the compiler until its next run */
	VEC(struct row) rows;
};

enum change_op { CHANGE_ADD, CHANGE_SET, CHANGE_DEL };
struct change {
	uint8_t op;	/* enum change_op */
	struct row row; /* for DEL the row as it was */
};

/* A change of the plan, in steps that are applied one after the other; in each step all ADDs come first, then
 * the SETs, then the DELs, and each prefix of that sequence is a state in which no packet is misjudged: flows
 * that are allowed before and after are allowed throughout, flows that are denied before and after are denied
 * throughout. */
struct plan_step {
	VEC(struct change) changes;
};
struct plan_delta {
	VEC(struct plan_step) steps;
	struct arena arena; /* the bytes of keys and values */
};
void plan_delta_fini(struct plan_delta *d);
size_t plan_delta_changes(const struct plan_delta *d);

/* Sizes by type and table, for checks at both ends. -EINVAL for what does not exist. */
int row_sizes(uint8_t type, uint16_t table, uint16_t *key_len, uint16_t *value_len);
const char *plan_map_name(enum plan_map m);

/* One line a row, e.g.
 *   policy   set:3f2a… class:91b0… → ports:77aa…            # NetworkPolicy shop/web shop/policy.yaml:14:5
 * Ids print by what they hold where `names` knows it. Text of equal plans is equal. */
struct plan_names; /* compile/names.h: ids → words */
void row_print(struct buf *b, const struct row *r, const struct plan_names *names);
void plan_print(struct buf *b, const struct plan *p, const struct plan_names *names);

#endif
