/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a tapper remembers: what the BPF maps hold, which judges stand in which slots, and the interfaces that
 * taps and outlets name. Private to tap.c, tap_judge.c and tap_link.c.
 */
#ifndef WEFT_APPLY_TAP_STATE_H
#define WEFT_APPLY_TAP_STATE_H

#include "apply/filter.h"
#include "apply/netdev.h"
#include "apply/netlink_object.h"
#include "apply/offload.h"
#include "apply/tap.h"

struct tap_element { /* of BPF map tap */
	uint32_t ifindex;
	struct tap_value value;
};

struct tap_image {			  /* contents of the BPF maps */
	VEC(struct tap_element) elements; /* by ifindex */
	struct outlet_value *outlets;	  /* OUTLETS_MAX + 1 */
};

struct tap_places;

struct judge_slot {
	uint64_t key[2]; /* hashes of what it judges by; 0: not known */
	bool filled;
	bool used;   /* by what is in force */
	bool wanted; /* by what is being put in force */
};

struct tap_device { /* an interface that a place or an outlet names */
	char name[TAP_NAME];
	bool place, finish; /* what is wanted of it; place: programs at both hooks, also to hear answers */
	bool ours;	    /* Weft's own: neither is done */
	bool stale;	    /* its programs are those of an earlier process */
	bool named;	    /* by what is being put in force */
	uint32_t ifindex;   /* 0: it is not there */
	int error;	    /* of attaching */
	bool feeds;	    /* what comes in is for maps alone, as far as objects go */
	bool outlet;	    /* a tool is behind it, and may answer there */
	bool addressed;	    /* it has an address of this host */
	uint64_t xdp;	    /* NETDEV_XDP_… */
	uint32_t feed;	    /* of struct tap_value */
	const char *why;    /* it is no feed in XDP; NULL: it is one, or none at all */
	/* What was done there. The name of our ingress program tells it to the next process. */
	uint32_t at;	     /* ifindex at which our programs are; 0: none */
	bool out;	     /* at both hooks; else at ingress only */
	bool qdisc;	     /* its clsact is ours */
	uint64_t own[2];     /* hashes of what its own programs do; 0: it has the common ones */
	uint64_t refused[2]; /* of those that could not be made */
	struct offload off;
	int link;	       /* XDP; -1: none. It goes with the process */
	struct offload beside; /* switched off for it: there, or at the peer of a veth */
};

struct tapper {
	struct tap_kernel kernel;
	int route; /* netlink */
	int watch; /* netlink, links that come and go */
	int lock;
	struct nl_batch *batch;
	uint32_t copy_out; /* ifindex of weft-copy0; 0: not made */
	uint32_t edit_in;  /* ifindex of weft-edit0; 0: not made */
	struct taps taps;  /* in force */
	uint32_t *slot_of; /* of its judges */
	struct tap_image now;
	bool retired[OUTLETS_MAX + 1]; /* outlets that nothing leads to: copies may be on their way to them */
	uint64_t retired_at;	       /* clock_ms() when the last of them became so; 0: there is none */
	struct judge_slot *slots;
	uint32_t tapped[TAPPED_SLOTS]; /* ifindex of each element of BPF map tapped_slot; 0: free */
	struct netdev netdev;	       /* where there may be feeds in XDP */
	struct feed *feeds;	       /* FEEDS_MAX; tap_feed.c */
	struct tap_places *places;     /* tap_place.c; NULL: not read yet */
	bool no_places;		       /* they cannot be read */
	VEC(struct tap_device) devices;
};

/* tap.c */
const struct tap_element *tap_element(const struct tap_image *i, uint32_t ifindex);

/* tap_slot.c: elements of BPF map tapped_slot. 0 or -errno. */
int tap_slots_learn(struct tapper *t);
/* Of an interface; 0: none is left. */
uint32_t tap_slot(struct tapper *t, uint32_t ifindex);

/* tap_judge.c: a program in a slot for each judge of taps; those that are there stay. slot_of gets the slots
 * (judges_n, the caller's). 0 or -errno with why; then what was loaded is taken out again. */
int tap_judges_load(struct tapper *t, const struct taps *taps, uint32_t *slot_of, struct buf *why);
/* Wanted slots are the used ones now (`keep`), or are given up. Those that nobody uses any more stay filled
 * until the next epoch: a packet may be on its way to one. */
void tap_judges_settle(struct tapper *t, bool keep);
void tap_judges_clean(struct tapper *t);
/* Of what a judge does. */
void tap_judge_key(const struct tap_judge *j, uint64_t key[2]);
/* 0, or as filter_translate_judge(). */
int tap_judge_translate(const struct tap_judge *j, struct filter_code *out, struct buf *why);

/* tap_place.c. Programs of their own at the interfaces of places, when all that they lead to is there; taps
 * may be NULL: none. Where one cannot be made the common programs stay. */
void tap_places_settle(struct tapper *t, const struct taps *taps, const struct tap_image *image);
void tap_places_close(struct tapper *t);

/* tap_feed.c. What cannot be done in XDP is left to tc, with a reason. */
int tap_feed_open(struct tapper *t); /* 0 or -ENOMEM */
void tap_feed_close(struct tapper *t);
/* How each device is a feed by these taps, with judges and sets of tools for those in XDP. */
void tap_feed_make(struct tapper *t, const struct taps *taps);
/* As tap_judges_settle(). */
void tap_feed_settle(struct tapper *t, bool keep);
/* Finds out what must be switched off, so that frames are as on the wire. False: that cannot be. */
bool tap_feed_prepare(struct tapper *t, struct tap_device *d);
void tap_feed_attach(struct tapper *t, struct tap_device *d);
void tap_feed_detach(struct tapper *t, struct tap_device *d);
void tap_feed_clean(struct tapper *t);

/* tap_link.c */
int tap_link_open(struct tapper *t, struct buf *why); /* sockets, the lock, what was left at interfaces */
void tap_link_close(struct tapper *t);
int tap_link_copy(struct tapper *t, struct buf *why); /* the pair weft-copy0, weft-copy1 is there */
int tap_link_edit(struct tapper *t, struct buf *why); /* the pair weft-edit0, weft-edit1 is there */
/* Finds the devices' interfaces. True: something changed. */
bool tap_link_resolve(struct tapper *t);
/* Programs and offloads where they are wanted; and nowhere else. */
void tap_link_attach(struct tapper *t);
void tap_link_detach(struct tapper *t);
/* Other programs in the place of those at its hooks. 0 or -errno. */
int tap_link_put(struct tapper *t, struct tap_device *d, int in, int out);
/* The common ones again; or none, and an error that the next settling tries to mend. */
void tap_link_common(struct tapper *t, struct tap_device *d);
struct tap_device *tap_link_device(const struct tapper *t, const char name[TAP_NAME]);
void tap_link_clean(struct tapper *t);

#endif
