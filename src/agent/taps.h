/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The planner's taps: what files taps.c, taps_make.c and copier_link.c share. An epoch is what weft-copier is
 * told (CONFIG) and, when it has said yes, the applier (WIRE_TAPS). Private to the planner.
 */
#ifndef WEFT_AGENT_TAPS_H
#define WEFT_AGENT_TAPS_H

#include "agent/planner.h"
#include "broker/taps.h"

struct numbered { /* a place or an outlet that keeps its number while it is there */
	char *key;
	uint32_t number;
	uint32_t run; /* in which it was last seen */
};
struct numbers {
	VEC(struct numbered) list;
	uint32_t next, first, end; /* numbers from first, below end; one that went comes back late */
};

enum tapped { TAPPED_NOTHING, TAPPED_PREPARING, TAPPED_EPOCH }; /* what WIRE_TAPPED is awaited for */

struct tapping {
	struct planner *p;
	uv_timer_t timer;

	/* taps_make.c */
	struct broker *b;	      /* of the last objects without an error */
	VEC(struct object *) objects; /* of it, as weft-copier gets them */
	struct numbers points, outlets;
	uint32_t run;
	struct buf config, taps; /* of the epoch */
	uint32_t epoch;		 /* 0: none was made yet */
	struct buf said,
	    said_kernel;      /* remarks that were logged last: on objects, on filters in the kernel */
	struct buf wrong;     /* why the objects are not in force, or empty */
	bool left;	      /* taps of an earlier planner may be in force: even nothing must be said */
	bool services, names; /* Services are sources; names of addresses are wanted */
	bool
	    shared; /* a tool is a pod, or an interface of one node: other nodes' pods and addresses matter */
	bool relays; /* copies go to other nodes, or come from there */

	/* taps.c */
	bool objects_dirty, places_dirty;
	uint64_t made, deadline,
	    retry;	    /* ms: of the epoch; when it goes on without weft-copier; not before */
	bool wanted, held;  /* weft-copier; a commit waits for the epoch */
	bool arrivals;	    /* its socket for copies of other nodes was asked for */
	bool sent, refused; /* the epoch: to the applier; by weft-copier */
	bool in_force;	    /* any epoch is, by this planner */
	enum tapped awaited;
	struct buf missing; /* as the applier said last */

	/* copier_link.c */
	uv_poll_t *poll; /* NULL: no weft-copier */
	int fd;
	bool packets;		      /* it has its packet socket */
	bool asked, configured, ever; /* the epoch; any epoch */
};

/* taps_make.c: holds objects and pods against the last epoch, and makes the next one when they differ. fresh:
 * it has a pod that the last one had not. 0 or -ENOMEM. */
int taps_make(struct tapping *t, bool *changed, bool *fresh);
/* A copy of the bytes in memory of its own, as a descriptor; or -errno. */
int taps_memory(const void *bytes, size_t n);

/* copier_link.c */
void copier_take(struct tapping *t, int fd, bool packets); /* takes fd */
void copier_drop(struct tapping *t);
int copier_ask(struct tapping *t); /* CONFIG of the epoch */

/* taps.c: what weft-copier said of the epoch. */
void taps_answered(struct tapping *t, uint32_t epoch, bool good, struct str error);
void taps_copier_gone(struct tapping *t);
void taps_step(struct tapping *t);

#endif
