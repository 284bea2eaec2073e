/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CONFIG: what weft-copier is told of one epoch, and its JSON (doc/internals.md). The planner and `weft
 * broker` write it; weft-copier reads it and trusts nothing. Plain values that borrow.
 */
#ifndef WEFT_COPIER_CONFIG_H
#define WEFT_COPIER_CONFIG_H

#include "base/addr.h"
#include "base/vec.h"
#include "object/object.h"

struct config_place {
	uint32_t point, ifindex; /* ifindex 0: not there yet */
	struct str name;
	struct str kind;	   /* "pod", "uplink", "interface" */
	const struct str *sources; /* struct broker_source's text, of each that it is */
	size_t sources_n;
};

struct config_outlet {
	struct str tool, port;
	uint32_t number;
	struct addr address;	/* of the pod behind it; zero: none that is known */
	const uint32_t *direct; /* points whose copies go there in the kernel, and never come here */
	size_t direct_n;
};

struct config_tunnel { /* vxlan, gre, erspan, and IPFIX's collectors need none */
	struct str tool;
	struct addr source; /* address of the node that the outer header shows */
	uint32_t number;    /* of the outlet */
	uint32_t mtu;	    /* of the way there */
};

struct config_relay { /* a tool port that another node has */
	struct str tool, port;
	struct str at;	    /* where, for people: "node-2, pod shop/ids" */
	struct addr source; /* of this node */
	struct addr far;    /* of that one */
	uint64_t key;
	uint32_t number; /* of the outlet */
	uint32_t mtu;	 /* of the way there */
};

struct config_arrival { /* a tool port of this node that others may send to */
	struct str tool, port;
	uint64_t key;
};

struct config_name {
	struct addr addr;
	struct str name;
};

struct config {
	uint32_t epoch;
	struct str node;
	const struct object *const *objects; /* Tools, ToolGroups, TrafficFilters, TrafficMaps, Captures */
	size_t objects_n;
	const struct config_place *places;
	size_t places_n;
	const struct config_outlet *outlets;
	size_t outlets_n;
	const struct config_tunnel *tunnels;
	size_t tunnels_n;
	const struct config_relay *relays;
	size_t relays_n;
	const struct config_arrival *arrivals;
	size_t arrivals_n;
	const struct addr *nodes; /* of other nodes, which may send; this node's own are `own` */
	size_t nodes_n;
	struct addr own4, own6;
	uint32_t answers; /* outlet by which other nodes are answered; 0: there are no others */
	const struct config_name *names;
	size_t names_n;
	struct str files; /* folder, for messages; empty: no files */
};

/* Appends it as JSON. out->failed when out of memory. */
void config_write(struct buf *out, const struct config *c);

enum { CONFIG_BYTES_MAX = 64 << 20 };

#endif
