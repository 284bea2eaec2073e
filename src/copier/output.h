/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outputs: where copies go that a chain has handed on; one file of this room for each kind. An output owns
 * its queue and its bounds, counts each packet that it was given exactly once (sent, one named loss, or in
 * flight), and never waits: give() returns at once whatever the tool does. All calls come from the loop's
 * thread.
 */
#ifndef WEFT_COPIER_OUTPUT_H
#define WEFT_COPIER_OUTPUT_H

#include <uv.h>

#include "broker/broker.h"

/* A place of this node where packets are seen; one struct for as long as the process lives. */
struct place {
	uint32_t id; /* of this struct alone: never another's */
	uint32_t point, ifindex;
	char *name;		  /* "shop/frontend-x", "uplink0" */
	const char *kind;	  /* "pod", "uplink", "interface" */
	bool gone;		  /* no configuration has it any more */
	uint64_t received, bytes; /* = classified + unparsable */
	uint64_t classified, unparsable;
	uint64_t turned; /* times that went back, and were put right */
	uint64_t last;	 /* time of its last packet, ns */
};

/* How a packet was seen. */
struct seen {
	struct place *at;
	bool out, dropped;
	uint16_t reason; /* of a drop: tables/drops.def */
};

enum output_loss {
#define OUTPUT_LOSS(id, name, sentence) LOST_##id,
#include "tables/output.def"
#undef OUTPUT_LOSS
	OUTPUT_LOSSES
};
const char *output_loss_name(enum output_loss l);
const char *output_loss_sentence(enum output_loss l);

struct output_counts { /* packets that were given = sent + relayed + losses + in_flight, at any time */
	uint64_t sent, sent_bytes;
	uint64_t relayed, relayed_bytes; /* to the tool's node, which counts what it sends */
	uint64_t losses[OUTPUT_LOSSES];
	uint64_t in_flight;
	bool failing; /* the last attempt to get rid of something failed */
};

struct output_name {
	struct addr addr;
	const char *name;
};

/* What an output may use of the process. Lives as long as every output. */
struct output_host {
	uv_loop_t *loop;
	char node[256];
	bool files; /* the working folder is that of files */
	/* Sends a whole Ethernet frame by the node's outlet of that number. 0, or -errno: it did not leave.
	 */
	int (*send)(void *ctx, uint32_t outlet, const uint8_t *frame, uint32_t n);
	void *ctx;
	/* Addresses and what they are called, for files and captures; they change. */
	const struct output_name *names;
	size_t names_n;
	uint64_t names_version; /* another one with each change */
	uint64_t now;		/* ns since 1970, of the last tick */
	uint64_t drained;	/* ns since 1970: copies that came before it have been given */
	uint64_t ring_lost;	/* copies that found no room in the packet ring, of all places */
};

/* What one tool port's output is made of. Strings and destination hold during open() only: copy them. */
struct output_config {
	const struct output_host *host;
	struct str tool, port;
	const struct broker_destination *to;
	bool only_port;	    /* the tool has no other port */
	uint32_t outlet;    /* number; 0: this node has none for the tool */
	struct addr source; /* tunnels: the node's address that the outer header shows; else none */
	uint32_t snaplen;   /* 0: packets come whole */
	struct addr far;    /* relay: the address of the tool's node */
	uint32_t way_mtu;   /* relay: of the way there */
	uint64_t key;	    /* relay: names the tool port there; 0: the tool is none of another node's */
};

/* A kind of output. `o` is what open() made: a struct of its own that begins with struct output. */
struct output;
struct output_ops {
	const char *name; /* "file", "interface", … */
	/* 0, or -errno with what is wrong in `why`: then everything given to the port counts as `refused`. */
	int (*open)(struct output **out, const struct output_config *c, struct buf *why);
	/* One copy: p and its bytes hold during the call. */
	void (*give)(struct output *o, const struct chain_packet *p, const struct seen *s);
	/* Behind a burst of packets, of which at least one was for it. May be NULL. */
	void (*flush)(struct output *o);
	/* About every 100 ms; `now` in ns since 1970. May be NULL. */
	void (*tick)(struct output *o, uint64_t now);
	void (*counts)(const struct output *o, struct output_counts *out);
	/* No give() comes any more. True once nothing is in flight and it may be freed: asked again with each
	 * tick until then, at most five seconds; a lone false in `wait`: this is the last time it is asked.
	 */
	bool (*finish)(struct output *o, bool wait);
	/* Frees it; what is in flight then counts as lost (LOST_QUEUE) by the caller. */
	void (*free)(struct output **o);
	enum output_loss refused; /* see open() */
};
struct output {
	const struct output_ops *ops;
	const struct output_host *host;
};

/* The kinds, by enum broker_way; NULL: none. */
const struct output_ops *output_kind(enum broker_way way);
extern const struct output_ops output_file, output_ring, output_stream, output_wire, output_tunnel,
    output_ipfix, output_discard, output_relay;

/* output_relay.c: what the tool's node answered, if it was asked by this output. */
struct relay_message;
void relay_heard(struct output *o, const struct addr *from, const struct relay_message *m);
/* Whether it answers at all, and how many copies had come there from all nodes when it did last. */
bool relay_answers(const struct output *o, uint64_t *arrived);

#endif
