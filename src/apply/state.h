/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the applier remembers between messages: its kernel handles, links of pods, namespaces handed over, and
 * the transaction being collected. Private to apply/; each part is written by the file named beside it.
 */
#ifndef WEFT_APPLY_STATE_H
#define WEFT_APPLY_STATE_H

#include "apply/apply.h"
#include "apply/load.h"
#include "apply/map.h"
#include "apply/netlink_object.h"
#include "apply/reaper.h"
#include "base/hash.h"

enum { LINK_INDEX_FIRST = 10000, LINK_INDEX_LAST = 10000 + (1 << 20), NAMESPACES_MAX = 4096, UID_SIZE = 40 };

struct pod_ns { /* namespace.c: handed over, by uid */
	char uid[UID_SIZE];
	int netns; /* -1 once the link is made: we keep no namespace alive longer than its sockets */
	int route;
	uint64_t cookie; /* of the namespace: key of BPF map netns */
};

struct pod_link { /* pod.c: links in force, by index */
	uint32_t index;
	uint64_t cookie; /* 0: not known */
	struct link_value value;
};

struct addresses {
	VEC(struct addr16) list;
};

struct gone {		  /* gone.c */
	struct hash left; /* struct addr16 → what its last owner left */
	size_t due;	  /* of them for the next tick */
	uint64_t unsure_until;
};

struct strict {		  /* strict.c */
	struct hash pods; /* addresses of strict pods of this node */
	bool always, due, again;
	uint64_t last; /* clock_ms() of the last mark */
};

struct announced { /* announce.c */
	struct addr addr;
	unsigned left; /* times that it is still to be said */
};

struct txn { /* rows.c */
	bool open;
	uint32_t id;
	struct arena arena;
	VEC(struct change) changes;
	VEC(uint8_t) steps;
	VEC(int32_t) results;
	VEC(uint32_t) made; /* indexes of links that it adds */
};

struct applier {
	struct kernel kernel;
	uint32_t counts[PLAN_MAP_COUNT]; /* elements in force */
	int route_fd;			 /* netlink in the node's namespace */
	struct nl_batch *batch;		 /* scratch, for that socket or a pod's */
	uint32_t mode;
	uint32_t uplink, tunnel, mtu;
	uint8_t uplink_mac[6];
	struct hash links;	/* uint32_t index → struct pod_link */
	struct hash namespaces; /* uid → struct pod_ns */
	struct txn txn;
	struct gone gone;
	struct strict strict;
	VEC(struct announced) announced;
	struct tapper *tapper; /* NULL: there were no taps yet */
	struct sweeper *sweeper;
	struct reaper *reaper;
	applier_keep *keep; /* may be NULL */
	void *keep_ctx;
	uint64_t netns; /* inode of the node's own namespace */
	uint64_t next;	/* clock_ms() of the next tick */
	bool gc_failed;
};

#define KEY_OF(x) ((struct str){.p = (const char *)&(x), .n = sizeof(x)})

/* namespace.c: takes three descriptors over if they are what they must be. 0 or -errno. */
int namespace_take(struct applier *a, const char uid[UID_SIZE], const int fds[3]);
struct pod_ns *namespace_get(const struct applier *a, const char uid[UID_SIZE]);
void namespace_drop(struct applier *a, const char uid[UID_SIZE]);
void namespaces_fini(struct applier *a);
/* The link of the namespace with that cookie went. */
void namespace_forget(struct applier *a, uint64_t cookie);
/* BPF map netns: namespace cookie → interface, of each link. 0 or -errno. */
int namespace_map(struct applier *a, uint64_t cookie, uint32_t index);
void namespace_unmap(struct applier *a, uint64_t cookie, uint32_t index);
/* Makes it hold the links in force and nothing else. */
int namespaces_learn(struct applier *a);

/* guard.c: whether a change is one that a planner may ask for; `why` gets a sentence when not. 0 or -EPERM,
 * -ENOENT. */
int guard_change(const struct applier *a, const struct change *c, struct buf *why);
/* guard_policy.c: the same for policy, port, name and name_match. */
int guard_judging(const struct change *c, struct buf *why);
/* guard_service.c: for service, backend and source_range, and for ROW_ADDRESS. */
int guard_service_map(const struct change *c, struct buf *why);
int guard_address(const struct applier *a, const struct change *c, struct buf *why);

/* gone.c: before a run of address rows, or before links are made: no new owner inherits. 0 or -errno. */
int gone_before_rows(struct applier *a, const struct change *c, size_t n);
int gone_before_links(struct applier *a, const struct link_value *const *v, size_t n);
/* A link went. */
void gone_link(struct applier *a, const struct link_value *v);
/* Appends what is to be forgotten now. */
void gone_tick(struct applier *a, struct addresses *out);
int gone_learn(struct applier *a);
void gone_fini(struct applier *a);

/* sweep.c: weft_gc with these addresses in BPF map gone, by the caller or by a thread of its own (`list` is
 * taken over; the error is that of the last sweep). 0 or -errno. */
int sweeper_new(struct sweeper **out, const struct kernel *k);
void sweeper_free(struct sweeper **s);
int sweep_now(struct sweeper *s, const struct addresses *list);
int sweep_later(struct sweeper *s, struct addresses *list, uint32_t flags);

/* strict.c: after the transaction came into force. */
void strict_settle(struct applier *a);
/* clock_ms() of the next mark, UINT64_MAX: none. */
uint64_t strict_due(const struct applier *a);
/* Flags for the run of weft_gc that the caller is about to make. */
uint32_t strict_begin(struct applier *a, bool tick);
int strict_learn(struct applier *a);

/* tapping.c */
/* Takes over what an earlier process tapped. */
void tapping_adopt(struct applier *a);
/* TAPS with its descriptor, which stays the caller's; answers TAPPED. 0 or -errno of `send`. */
int tapping_take(struct applier *a, uint32_t txn, const int *fds, unsigned nfds, applier_send *send,
		 void *ctx);
void tapping_tick(struct applier *a);
void tapping_clean(struct applier *a);

/* device.c */
int device_open(struct applier *a, const char *uplink, struct buf *why);
void device_clean(struct applier *a);
void device_faults(const struct applier *a, struct buf *out);

/* pod.c: changes of ROW_LINK in one run of equal op; results[i] belongs to changes[i]. */
void pod_links_apply(struct applier *a, const struct change *c, size_t n, int32_t *results);
/* Finds what an earlier process made, replaces its programs. 0 or -errno. */
int pod_links_adopt(struct applier *a);
struct pod_link *pod_link_get(const struct applier *a, uint32_t index);
void pod_links_fini(struct applier *a);
/* 0 when the link is there, up and filtered at both hooks; -errno and a line otherwise. */
int pod_link_check(const struct applier *a, const struct pod_link *l, struct buf *out);

/* routes.c: as pod_links_apply, for ROW_ROUTE. */
void routes_apply(struct applier *a, const struct change *c, size_t n, int32_t *results);
int routes_each(const struct applier *a,
		int (*fn)(void *ctx, const struct route_key *key, const struct route_value *value),
		void *ctx);
void routes_clean(struct applier *a);

/* addresses.c: as pod_links_apply, for ROW_ADDRESS. */
void addresses_apply(struct applier *a, const struct change *c, size_t n, int32_t *results);
int addresses_each(const struct applier *a, int (*fn)(void *ctx, const struct address_key *key), void *ctx);
/* Those that an earlier process left on another interface go: 0 or -errno. */
int addresses_adopt(struct applier *a);
void addresses_clean(struct applier *a);

/* announce.c: says at the uplink, now and a few times more with the ticks, that the address is here. */
void announce(struct applier *a, const struct addr *addr);
void announce_stop(struct applier *a, const struct addr *addr);
void announce_tick(struct applier *a);

/* rows.c: the transaction. Text for DONE goes to `why`. */
void txn_reset(struct txn *t);
int txn_add(struct txn *t, unsigned step, const struct change *c);
struct wire_done txn_commit(struct applier *a, struct buf *why);

/* fault.c: loses so many in a million of the packets of an interface of a pod, 0: of the uplink. 0, -ENODEV
 * (not ours), -ERANGE, -E2BIG or -errno. */
int fault_set(struct applier *a, uint32_t index, uint32_t millionths);
void fault_forget(struct applier *a, uint32_t index);
/* The bit of the applier's own in a config_value that goes to the kernel, or comes from it. */
void fault_mark(const struct applier *a, void *config);
void fault_unmark(void *config);
int fault_learn(struct applier *a);

/* readback.c */
int readback_rows(const struct applier *a, int (*fn)(void *ctx, const struct row *r), void *ctx);
void readback_faults(const struct applier *a, struct buf *out);
/* Whether the rows of a step are in force as asked: results get -EBADE where not. */
void readback_check(const struct applier *a, const struct change *c, size_t n, int32_t *results);

#endif
