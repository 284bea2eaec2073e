/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taps put into force: judges become programs in BPF map judge, places become elements of BPF map tap and
 * programs at interfaces, outlets become elements of BPF map outlet; the links weft-copy0 and weft-copy1
 * carry copies to weft-copier and back, weft-edit0 and weft-edit1 those that the kernel edits. Each epoch is
 * put in whole or not at all, new things before what leads to them, old things after. Trusts no taps. Used by
 * the applier and, without a cluster, by `weft broker` (tap_plain.c). Not thread-safe; one in a network
 * namespace.
 */
#ifndef WEFT_APPLY_TAP_H
#define WEFT_APPLY_TAP_H

#include "tap/tap.h"

#define COPY_OUT_NAME  "weft-copy0"
#define COPY_BACK_NAME "weft-copy1"
#define EDIT_IN_NAME   "weft-edit0"
#define EDIT_NAME      "weft-edit1"

struct tap_kernel {		       /* borrowed */
	int tap, judge, outlet, edits; /* BPF maps */
	int tapped, tapped_slot, outlet_count, outlet_rest, counter;
	uint32_t taps, judges, outlets; /* room of them */
	/* Programs: at tapped interfaces; at weft-copy0's egress and ingress; at weft-copy1's ingress; at
	 * weft-edit1's ingress. */
	int in, out, copy_out, copy_back, copy_stop, edit;
	uint32_t pods_first, pods_last; /* interfaces that may be pods'; 0, 0: none */
	const struct tap_xdp *xdp;	/* NULL: feeds are tc's */
};

enum tap_xdp_mode {
	TAP_XDP_AUTO,	/* at cards whose driver has it */
	TAP_XDP_OFF,	/* nowhere */
	TAP_XDP_NATIVE, /* at a veth too, whose peer's offloads are switched off for it */
	TAP_XDP_NONE,	/* this kernel does not take the programs */
};
struct tap_xdp { /* bpf/feed.bpf.c */
	enum tap_xdp_mode mode;
	int feed, sent;	     /* programs: at a feed, at where its frames go */
	int judge, set, way; /* BPF maps */
};

struct tapper;
/* Takes over what an earlier process left in the BPF maps and at interfaces. 0 or -errno with a sentence;
 * -EADDRINUSE: another process has taps in this network namespace. */
int tapper_new(struct tapper **out, const struct tap_kernel *k, struct buf *why);
/* Lets go; all stays in force. */
void tapper_free(struct tapper **t);
/* Takes *taps over when it answers 0: they are in force then, and `said` has a line for each interface that
 * is not there (yet). Else nothing was changed and `said` is why: -EPERM (a place or outlet that nobody may
 * name), -EINVAL (a filter), -ENOSPC, -ENOMEM, or what the kernel said. */
int tapper_apply(struct tapper *t, struct taps *taps, struct buf *said);
/* Readable when links came or went: then call tapper_look(), which puts taps at those that are wanted. True:
 * one that is named came or went. */
int tapper_fd(const struct tapper *t);
bool tapper_look(struct tapper *t);
/* To be called each second or so: forgets outlets that nothing leads to any more, some time after that became
 * so. */
void tapper_rest(struct tapper *t);
/* From now on nothing is copied; what weft-copier has still finds its outlets. 0 or -errno. */
int tapper_quiet(struct tapper *t);
enum tap_feed_way {
	TAP_FEED_NONE, /* objects do not say that this interface is one, or it is not there */
	TAP_FEED_HOST, /* they do, and it is tapped; but it is the host's own */
	TAP_FEED_BY_TC,
	TAP_FEED_BY_XDP,
};
/* How a feed is served. *why: why it is not by XDP; NULL where it is. */
enum tap_feed_way tapper_feed(const struct tapper *t, const char *name, const char **why);
/* Where the account of an interface is: element of BPF map tapped_slot; 0: in tapped. */
uint32_t tapper_slot(const struct tapper *t, uint32_t ifindex);
/* What is not there now, as tapper_apply() says it. */
void tapper_missing(const struct tapper *t, struct buf *out);
/* Removes everything that it made, of earlier processes too. */
void tapper_clean(struct tapper *t);

/* tap_plain.c: the programs and BPF maps of taps alone, for a host without a cluster; nothing is pinned. */
struct tap_plain {
	struct bpf_object *object;
	struct weft_feeds *feeds;
	int lost; /* link: what interfaces of tools did not take */
	struct tap_xdp xdp;
	struct tap_kernel kernel;
	int tapped, tapped_slot, outlet_count; /* BPF maps */
};
/* p stays where it is. */
int tap_plain_open(struct tap_plain *p, enum tap_xdp_mode mode, struct buf *why);
void tap_plain_close(struct tap_plain *p);

#endif
