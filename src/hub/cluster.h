/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controllers of a cluster over a store: workloads become pods, pods get a node and addresses, Services
 * get addresses and EndpointSlices. Pure: no descriptor, clock, log or global; the same objects in the same
 * order give the same cluster. weft-hub runs it on live objects, offline.h on files.
 *
 * What changed is noted from the store's events and worked off by cluster_pass(), which writes to the store
 * itself.
 */
#ifndef WEFT_HUB_CLUSTER_H
#define WEFT_HUB_CLUSTER_H

#include "hub/ipam.h"
#include "hub/keyset.h"
#include "hub/labelindex.h"

struct cluster_config {
	struct prefix services4, services6; /* len 0: the family is not there */
	/* Pods are run by somebody, who writes their status and ends them. Else what has a node counts as
	 * running and ready, and what is deleted is gone at once. */
	bool kubelet;
	/* Seconds without a word of a node that gave one, until it counts as lost; and from then until its
	 * pods are deleted. 0: 8 and 60. */
	unsigned node_lost, node_evict;
	unsigned faster; /* what minReadySeconds is divided by; 0: 1 */
	/* First load of a new cluster: names and uids then follow from the objects alone. */
	bool first_load;
};

/* What the cluster knows of a node's load; a node that is only named by pods has none of the object's facts.
 */
struct node_load {
	size_t pods;
	struct hash owners;	/* owner uid → number */
	struct hash host_ports; /* "TCP:80@0.0.0.0" → number */
};

enum { CLUSTER_JUMPS = 8 };

struct cluster {
	struct store *store;
	struct cluster_config cfg;
	struct ipam *ipam;
	struct subscription *sub;
	char now[21]; /* RFC 3339; empty offline */
	int64_t now_s;
	struct clock_jump {	    /* the clock was set while we ran */
		int64_t before, by; /* what it said last, s; by how much it was set */
	} jumps[CLUSTER_JUMPS];	    /* the oldest first */
	unsigned n_jumps;
	uint64_t clock_ms; /* of a clock that does not jump, when the time was told last; 0: never */
	bool hold_pods;	   /* nodes are still joining: place nothing yet */
	bool failed;	   /* out of memory in a note: what is dirty is no longer known */

	struct keyset workloads; /* "KIND/ns/name" of kinds that expand into others */
	struct keyset pending;	 /* pods without node or addresses */
	struct keyset waiting;	 /* of them, those that fit nowhere until something changes */
	bool retry;		 /* something changed */
	struct keyset services;
	struct keyset orphans; /* uids of owners that are gone */
	struct keyset lost;    /* pods whose node is gone */
	struct keyset later;   /* workloads that wait for time to pass */
	struct keyset restate; /* pods whose status follows from something else that changed */
	bool pools;	       /* addresses of balancers were given or taken: count them */
	struct hash heard;     /* node → seconds of `mono` when it last gave a word, plus 1 */
	int64_t mono;	       /* seconds of a clock that does not jump, as of the last tick */
	char trigger[40];      /* what endpoints change for, RFC 3339 with a fraction; empty: now */
	bool daemons;	       /* nodes changed: look at all DaemonSets */

	struct hash loads;	       /* node → struct node_load */
	struct labelindex pods_by;     /* pods by each label */
	struct labelindex services_by; /* Services by the first pair of their selector */
	struct hash readiness;	       /* "uid/container" → bits, see podstatus.h */
};

int cluster_new(struct cluster **out, struct store *s, const struct cluster_config *cfg);
void cluster_free(struct cluster **c);
/* Tells the time, seconds since 1970; before each pass and write. */
void cluster_time(struct cluster *c, int64_t seconds);
/* The same, with milliseconds of a clock that does not jump beside it: when the first was set, durations
 * know. */
void cluster_clock(struct cluster *c, int64_t seconds, uint64_t steady_ms);
/* Seconds that went by since an object was stamped with that time, whatever the clock was set to meanwhile;
 * -1: the stamp is of a time that is to come. */
int64_t cluster_since(const struct cluster *c, int64_t stamp);

/* About once a second: what waits for time to pass is dirty afterwards, nodes that say nothing are lost. */
int cluster_tick(struct cluster *c, int64_t mono);
/* A word of a node. 0, -ENOENT, -ENOMEM. */
int cluster_heartbeat(struct cluster *c, struct str node);

/* Makes an unpublished object ready to be put: uid, creationTimestamp, generation, and what the server fills
 * in for its kind (Service addresses, Namespace and Pod status). `old` is the version in force, or NULL; its
 * uid, times and, unless keep_status is false, status go over. 0, -EINVAL with errors in rs, -ENOMEM. */
int cluster_admit(struct cluster *c, struct object *o, const struct object *old, bool keep_status,
		  struct remarks *rs);
/* cluster_admit() and store_put(); takes over the object in every case. */
int cluster_put(struct cluster *c, struct object *o, const struct object *old, struct remarks *rs);

/* Deletes as users mean it: a pod that runs gets a deletionTimestamp (grace in seconds, -1: its own), what
 * has finalizers waits for them, the rest is gone; what it owned follows in the next pass. 0 or -errno. */
int cluster_delete(struct cluster *c, const struct object *o, int64_t grace);
/* The Namespace of that name exists afterwards. */
int cluster_need_namespace(struct cluster *c, struct str name);

bool cluster_is_dirty(const struct cluster *c);
/* Works off everything noted, and what follows from it. Problems of workloads are remarks. 0 or -ENOMEM. */
int cluster_pass(struct cluster *c, struct remarks *rs);

/* Pod's controller among its owners, or NULL. */
const struct owner_reference *object_controller(const struct object *o);
/* What is mixed into names and uids so that each life differs: 0 in the first load, where they follow from
 * the objects alone, then the store's version. */
uint64_t cluster_life(const struct cluster *c);

/* One kind of controller each; called by cluster_pass() only. */
int deployment_run(struct cluster *c, const struct object *o, struct remarks *rs);
int replicaset_run(struct cluster *c, const struct object *o, struct remarks *rs);
int statefulset_run(struct cluster *c, const struct object *o, struct remarks *rs);
int daemonset_run(struct cluster *c, const struct object *o, struct remarks *rs);
int job_run(struct cluster *c, const struct object *o, struct remarks *rs);
int endpoints_run(struct cluster *c, const struct object *service);
/* -EAGAIN: it has to wait for a node. */
int schedule_run(struct cluster *c, const struct object *pod);

#endif
