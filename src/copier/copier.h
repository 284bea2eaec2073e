/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft-copier's parts and who owns what. A *world* is a broker with its judge, shared by the epochs that have
 * the same objects; an *epoch* is a world with the places and tool ports of one CONFIG; a *port* is a chain
 * before a *sink*, which is an output; a *tally* is what was ever counted for the tool port of a name. Ports
 * and sinks that a new epoch has unchanged stay the same: nothing is lost or judged by halves as
 * configurations change. One thread; only the writers of files have threads of their own. Private to copier/.
 */
#ifndef WEFT_COPIER_COPIER_H
#define WEFT_COPIER_COPIER_H

#include "broker/judge.h"
#include "copier/arrivals.h"
#include "copier/canary.h"
#include "copier/outlets.h"
#include "copier/output.h"
#include "copier/packets.h"
#include "seam/tap.h"

struct names {
	VEC(struct output_name) list; /* name: owned */
};

/* Numbers by name, for as long as the process lives. */
struct tally {
	char *tool, *port;
	const char *kind;
	uint64_t due, due_bytes;
	uint64_t arrived, arrived_bytes; /* from other nodes, for the tool of this one */
	uint64_t mtu, memory;		 /* losses before the output */
	uint64_t over;			 /* seconds with more bits than the tool's capacity */
	uint64_t chain[CHAIN_COUNTERS];	 /* of chains that are gone */
	struct output_counts past;	 /* of outputs that are gone */
};
struct named { /* a map: packets, bytes; a group: down, packets */
	char *name;
	uint64_t a, b;
};

struct sink {
	unsigned refs;
	uint32_t outlet; /* number; 0: none */
	char *at;	 /* relay: where the tool is, for people */
	char *key;	 /* tool, port, and all that the output is made of */
	struct tally *tally;
	struct output *output; /* NULL: it could not be opened */
	const struct output_ops *ops;
	uint64_t refused, refused_since;  /* packets given to it when it was NULL; ms of the last attempt */
	bool taking;			  /* health: gets rid of what it is given */
	bool touched;			  /* since the last flush */
	unsigned finishing;		  /* ticks since nobody has it; 0: in use */
	uint64_t sent, moved;		  /* health: last known number, ms when it moved */
	uint32_t within;		  /* seconds, health */
	uint64_t left, refusals;	  /* the kernel's counts of its outlet, as last seen */
	uint64_t refused_until, back_off; /* ms: it counts as failed until then; of the next time */
	struct canary canary;
};

struct port {
	unsigned refs;
	struct tally *tally;
	struct chain *chain;
	struct chain_config config;
	struct chain_range ranges[CHAIN_RANGES_MAX];
	struct sink *sink;
	uint32_t mtu;
	uint64_t capacity;     /* bit/s; 0: not said */
	uint64_t second, bits; /* of the packets' time; given to the output in it */
};

struct world {
	unsigned refs;
	char *objects; /* the JSON that it was made of */
	struct broker *broker;
	struct judge *judge;
	uint64_t *map_packets, *map_bytes;
};

struct epoch_place {
	struct place *place;
	struct point *point;
	uint32_t number;
};
struct epoch {
	uint32_t number;
	uint64_t replaced; /* ms; 0: the newest */
	struct world *world;
	struct epoch_place *places; /* by number */
	uint32_t places_n;
	struct epoch_place **by_point;
	uint32_t points_n;   /* of by_point */
	struct port **ports; /* by the broker's numbers */
	uint32_t *direct;    /* sorted pairs: point << 16 | port, which the kernel serves */
	size_t direct_n;
	struct arrivals_wants arrivals;
};

enum { EPOCHS_KEPT = 16, EPOCH_KEPT_MS = 3000, TICK_MS = 100 };

struct copier {
	uv_loop_t loop;
	uv_poll_t control;
	uv_timer_t tick;
	struct output_host host;
	struct packets *packets;
	struct outlets *outlets;   /* NULL: not known */
	struct arrivals *arrivals; /* NULL: no socket for what other nodes send */
	struct peer *peer;
	struct http *http;
	bool again; /* one before it has died */
	uint64_t seed, began;
	struct epoch *epochs[EPOCHS_KEPT]; /* newest first; a packet belongs to one by its mark */
	VEC(struct place *) places;
	struct place past; /* sums of places that are gone */
	VEC(struct tally *) tallies;
	VEC(struct sink *) sinks;
	VEC(struct named) maps, groups;
	struct names names;
	uint64_t received, judged, unknown, handed; /* received = judged + unknown + handed */
	uint64_t frames;			    /* that the packet socket took */
	uint64_t lost_before;			    /* in rings that are gone */
};

/* config.c: a new epoch of CONFIG's JSON. 0; -EINVAL with what is wrong in `why`, and everything stays as it
 * was; -ENOMEM. */
void names_free(struct names *n);
int config_apply(struct copier *c, struct str json, struct buf *why);

/* epoch.c */
void epoch_free(struct copier *c, struct epoch **e);
void epoch_install(struct copier *c, struct epoch *e);
/* Old epochs and places end. */
void epochs_tick(struct copier *c, uint64_t ms);
/* Members of groups whose tools take nothing get nothing. */
void epochs_health(struct copier *c);
int world_new(struct world **out, struct broker *b, const char *objects);
/* Sessions of groups stay where the world before had them. */
void world_adopt(struct world *w, const struct world *before);
void world_unref(struct copier *c, struct world **w);
struct place *place_get(struct copier *c, uint32_t point, uint32_t ifindex, struct str name, struct str kind);
struct named *named_get(struct copier *c, bool group, struct str name);

/* Ends all outputs, within `ms`, and frees what epochs, places and numbers hold; not the loop's handles. */
void copier_fini(struct copier *c, uint64_t ms);

/* port.c */
/* The tool port as this epoch has it: a live one that is the same, or a new one. `outlet`, `source`, `mtu`:
 * of the node's outlets and tunnels for it; 0: none. */
struct port_wants {
	const struct broker_port *port;
	bool only_port;
	uint32_t outlet;
	struct addr source;
	struct addr address; /* of the pod behind the outlet */
	uint32_t way_mtu;
	struct addr far; /* of the node that has the tool, where it is another one */
	uint64_t key;	 /* with which copies are sent there; 0: none are */
	struct str at;	 /* where that is, for people */
};
int port_get(struct copier *c, struct port **out, const struct port_wants *w, const struct epoch *before);
void port_unref(struct copier *c, struct port **p);
/* One packet that is due there. */
void port_run(struct port *p, const struct chain_packet *k, const struct seen *seen);
/* One that another node has sent, with its chain done. */
void port_arrive(struct port *p, const struct chain_packet *k);
/* What a batch left behind is on its way. */
void sinks_flush(struct copier *c);
void sinks_tick(struct copier *c, uint64_t ms);
/* At the end of the process: what can be written within `ms` is; then all are freed, and the numbers. */
void sinks_end(struct copier *c, uint64_t ms);
/* Everything that was counted for the tool port. */
struct port_sums {
	uint64_t due, due_bytes, arrived, arrived_bytes, added, in_flight;
	uint64_t sent, sent_bytes, relayed, relayed_bytes;
	uint64_t chain[CHAIN_COUNTERS], losses[OUTPUT_LOSSES];
};
void tally_sums(const struct copier *c, const struct tally *t, struct port_sums *out);
/* The output that the newest epoch has for it; NULL: none any more. */
struct sink *tally_sink(const struct copier *c, const struct tally *t);
struct sink *sink_find(const struct copier *c, enum broker_way way, struct str tool, struct str port);

/* feed.c: one copy as the ring has it. */
void feed_packet(void *copier, const struct packet_seen *p);

/* Copies that found no room in the packet ring. */
static inline uint64_t copier_lost(const struct copier *c)
{
	return c->lost_before + (c->packets ? packets_lost(c->packets) : 0);
}

/* account.c, metrics.c */
void account_print(struct copier *c, struct buf *out);
void metrics_print(struct copier *c, struct buf *out);

/* syscalls.c: from here on this process can do what a copier does, and nothing else. 0 or -errno. */
int copier_seal(void);
/* The folder becomes the working folder, and the only place in which files can be made (where the kernel has
 * Landlock). 0 or -errno. */
int copier_files(int fd);

#endif
