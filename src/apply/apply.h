/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The applier as a library: rows in, kernel state out. A guard, not an executor: it takes the messages of
 * compile/wire.h from a planner that it does not trust, and touches only the BPF maps of tables/, the
 * interfaces that it made or was started with, and routes with its own protocol number. Not thread-safe; one
 * per process. Called by the program weft-applier (agent/) and by tests.
 */
#ifndef WEFT_APPLY_APPLY_H
#define WEFT_APPLY_APPLY_H

#include "base/str.h"
#include "compile/wire.h"

struct applier;
/* A descriptor that the next process will want back under that name, borrowed; -1: no longer. */
typedef void applier_keep(void *ctx, int32_t name, int fd);

struct applier_options {
	const char *bpf_dir;	 /* folder on a bpffs; pins go to <bpf_dir>/<layout> */
	const char *cgroup;	 /* cgroup2 folder of the node's pods; NULL: no socket programs */
	const char *uplink;	 /* name of the interface to the other nodes; NULL: none */
	uint32_t mode;		 /* MODE_… of seam/config.h */
	const uint32_t *entries; /* as in kernel_options; NULL: the tables' */
	applier_keep *keep;	 /* NULL: nobody keeps anything */
	void *keep_ctx;
};

/* Loads the programs or takes over what is pinned, makes the tunnel device, attaches; takes over links of
 * pods that are there. Runs in the node's namespace. 0 or -errno, `why` says what failed and what to do. */
int applier_new(struct applier **out, const struct applier_options *o, struct buf *why);
/* Lets go of descriptors; pins, links and routes stay in force. */
void applier_free(struct applier **a);

/* Sends one message to the planner: 0 or -errno. */
typedef int applier_send(void *ctx, const void *message, size_t n);
/* One message of the planner with its descriptors (taken over, closed when not wanted). 0, -EPROTO when the
 * planner broke the protocol (drop it; what was applied stays), or -errno of `send`. */
int applier_message(struct applier *a, const void *message, size_t n, const int *fds, unsigned nfds,
		    applier_send *send, void *ctx);
/* What an earlier process had kept; takes it over. */
void applier_take_kept(struct applier *a, int32_t name, int fd);
/* A new planner: what the old one had begun is dropped. */
void applier_reset(struct applier *a);
/* Does what is due: once a second ages connections out, and soon after a change of policies marks those of
 * strict pods. applier_due(): clock_ms() of the next time. */
uint64_t applier_due(const struct applier *a);
void applier_tick(struct applier *a);

/* Readable when interfaces came or went that taps may name: then call applier_look(). -1: nothing is tapped.
 */
int applier_watch(const struct applier *a);
void applier_look(struct applier *a);

/* Descriptors for the observer, in order: BPF maps drop, counter, conn4, conn6, half4, half6, staged,
 * learned, nat, kernel_drop, watching, tapped, outlet_count, tapped_slot (all read-only), then the rings
 * asked, ended, and one per CPU. Number of descriptors (owned by the caller) or -errno.
 */
enum { APPLIER_OBSERVED = 14, APPLIER_RINGS = 2, APPLIER_FDS_MAX = APPLIER_OBSERVED + APPLIER_RINGS + 64 };
int applier_observer_fds(struct applier *a, int fds[APPLIER_FDS_MAX]);
/* For weft-copier: BPF map outlet_count, read-only. 1 or -errno. */
int applier_outlet_fd(struct applier *a, int fds[1]);

/* Removes everything that it ever made: links, routes, filters, the tunnel device, pins. */
void applier_clean(struct applier *a);

#endif
