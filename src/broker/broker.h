/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Broker: what Tools, ToolGroups, TrafficFilters and TrafficMaps say together, as one plain sorted
 * configuration: sources, filters, tool ports, groups, maps. Filters are independent and nothing has a
 * priority: equal sets of objects give equal configurations in whatever order they came, and a packet gets
 * the union of what its maps say, one copy for each tool port. Pure. judge.h judges packets by it.
 */
#ifndef WEFT_BROKER_BROKER_H
#define WEFT_BROKER_BROKER_H

#include "chain/chain.h"
#include "filter/filter.h"
#include "store/store.h"

enum broker_source_kind { BROKER_INTERFACE, BROKER_PODS, BROKER_SERVICE, BROKER_UPLINK };

/* Where packets are seen, as the maps name it. */
struct broker_source {
	struct str text; /* "interface node-1/eth1", "pods app=web", …: sorted by it, distinct */
	enum broker_source_kind kind;
	struct str node, ns, name;			    /* of an interface, of a Service */
	const struct label_selector *namespaces, *selector; /* of pods; of nodes (uplink) */
	struct pos pos;					    /* of the first map that names it */
	bool feed; /* an interface of which any map says so: what comes in is for maps alone */
};

struct broker_filter {
	struct str text; /* canonical; sorted by it, distinct */
	struct filter *filter;
	struct pos pos; /* of the first that says it */
};

enum broker_way {
	BROKER_TO_INTERFACE,
	BROKER_TO_POD,
	BROKER_TO_VXLAN,
	BROKER_TO_GRE,
	BROKER_TO_ERSPAN,
	BROKER_TO_FILE,
	BROKER_TO_RING,
	BROKER_TO_IPFIX,
	BROKER_TO_DISCARD,
	BROKER_TO_STREAM, /* of a Capture */
};

/* Where a tool's copies go, all its ports alike. Members that are not of its way are zero. */
struct broker_destination {
	enum broker_way way;
	struct str node, name;		       /* INTERFACE; node empty: of any node */
	struct str ns;			       /* POD */
	const struct label_selector *selector; /* POD */
	struct chain_encap encap; /* tunnels: all but src, src_mac, dst_mac, mtu, which the node knows */
	struct str path;	  /* FILE */
	uint64_t rotate_bytes;	  /* FILE; 0: not */
	uint32_t rotate_seconds, rotate_count;
	uint64_t ring_bytes;   /* RING */
	struct addr collector; /* IPFIX */
	uint16_t collector_port;
	bool tcp;
	uint32_t active, idle; /* IPFIX: seconds */
	uint32_t seconds;      /* STREAM: the capture ends after so long */
	uint32_t within;       /* seconds in which a tool must take something, to be healthy */
	bool answers;	       /* it must send something back too */
};

/* A tool that one node has and others send their copies to: a pod, an interface of a node that is named. */
static inline bool broker_is_shared(const struct broker_destination *to)
{
	return to->way == BROKER_TO_POD || (to->way == BROKER_TO_INTERFACE && to->node.n);
}

struct broker_port {
	struct str tool, port; /* sorted by both; of a Capture "capture" and its name */
	struct chain_config chain;
	struct broker_destination to;
	uint32_t mtu;	   /* bytes behind the link header; 0: any */
	uint64_t capacity; /* bit/s; 0: not said */
	bool discard;
	struct pos pos;
};

enum { BROKER_NONE = UINT32_MAX, BROKER_MEMBERS_MAX = 256 };

struct broker_member {
	uint32_t port, weight;
};
struct broker_group {
	struct str name;
	struct broker_member *members; /* by port */
	uint32_t members_n;
	unsigned flow; /* CHAIN_FLOW_… */
	bool sticky;
	uint32_t standby; /* port, or BROKER_NONE */
	struct pos pos;
};

struct broker_indexes { /* sorted */
	uint32_t *items;
	uint32_t n;
};

enum { BROKER_DIRECTION_IN = 1, BROKER_DIRECTION_OUT = 2 };
enum { BROKER_FORWARDED = 1, BROKER_DROPPED = 2 };

struct broker_map {
	struct str name;
	struct broker_indexes sources, ports, groups;
	struct broker_indexes filters; /* any of them; none: everything */
	struct broker_indexes except;  /* maps */
	unsigned directions, packets;  /* BROKER_… */
	bool rest;
	bool aside; /* of a Capture, named "capture/NAME": what it takes is taken from no rest */
	struct pos pos;
};

struct broker {
	struct arena arena;
	VEC(struct object *) objects; /* hold what texts and positions borrow */
	struct broker_source *sources;
	struct broker_filter *filters;
	struct broker_port *ports;
	struct broker_group *groups;
	struct broker_map *maps; /* by name; then captures, by name */
	/* Maps in an order in which each comes behind those of its `except`, then rests, then captures. */
	uint32_t *order;
	uint32_t sources_n, filters_n, ports_n, groups_n, maps_n;
};

/* What the store's objects say. Remarks have their positions; with an error nothing is made: no map is in
 * force by halves. 0, -EINVAL (remarks), -ENOMEM. */
int broker_compile(struct broker **out, const struct store *s, struct remarks *remarks);

/* Whose errors those are. */
struct broker_fault {
	const struct object *of; /* borrowed from the store */
	size_t remark; /* index in remarks->list as it was made, unsorted; SIZE_MAX: there was no room */
};
struct broker_faults {
	VEC(struct broker_fault) list;	   /* both freed by vec_free, after errors too */
	VEC(struct broker_fault) warnings; /* what is in force, and not as was meant */
};
/* The same; appends each error's object to `faults`. Those of Captures, which are left out alone, too. */
int broker_compile_told(struct broker **out, const struct store *s, struct remarks *remarks,
			struct broker_faults *faults);
void broker_free(struct broker **b);

bool broker_has(const struct broker_indexes *l, uint32_t i);
/* Whether the map names the tool port, or a group of which it is a member. */
bool broker_leads(const struct broker *b, const struct broker_map *m, uint32_t port);

/* One line for each source, filter, tool port, group and map, with its origin. */
void broker_print(struct buf *out, const struct broker *b);
/* What several maps send to one tool port from one source, in words: one line each. */
void broker_print_overlaps(struct buf *out, const struct broker *b);

#endif
