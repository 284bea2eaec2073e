/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cluster: the sandbox's own state, shared by the files of this room. Everything runs on one thread, in one
 * libuv loop; all memory is owned by struct sandbox.
 */
#ifndef WEFT_SANDBOX_CLUSTER_H
#define WEFT_SANDBOX_CLUSTER_H

#include <jansson.h>
#include <uv.h>

#include "base/hash.h"
#include "base/str.h"
#include "base/vec.h"
#include "sandbox/agent.h"
#include "sandbox/api.h"
#include "sandbox/netns.h"
#include "sandbox/sandbox.h"
#include "sandbox/spawn.h"
#include "sandbox/supervise.h"

enum { PATH_LEN = 256, NODES_MAX = 64 };
/* Workloads have a uid of their own: the sockets of Weft's programs (uid 65534) stay closed to them. */
enum { WORKLOAD_UID = 65533 };

#define DNS_SERVICE4 "10.96.0.10"
#define DNS_SERVICE6 "fd57:e7f7:0:96::a"

struct runtime;
struct node {
	struct sandbox *sandbox;
	unsigned index; /* from 0 */
	char name[16];
	struct netns netns;
	struct daemon daemon;	 /* weft-agent */
	bool down, cut;		 /* by `weft fault`: without power; without its uplink's cable */
	struct agent agent;	 /* our connection to it */
	struct runtime *runtime; /* what its observer may ask */
};

struct sandbox {
	const struct sandbox_options *opt;
	char dir[64];	       /* /run/weft/NAME */
	char cgroup[PATH_LEN]; /* of the cluster */
	uv_loop_t loop;
	uint64_t start_us;
	int lock;
	struct mount_template mounts;
	struct netns fabric, outside;
	struct node *nodes;
	unsigned nodes_len;
	struct daemon hub;
	struct daemon *exporters;
	size_t exporters_len;
	struct api api;
	struct mirror pods_seen, services, slices;
	struct mirror configs, secrets; /* once a program needs them */
	VEC(struct run_word *) runs;	/* what `weft run` said, in order */
	struct streams *streams;
	struct hash pods; /* "ns/name" → struct pod */
	struct dns *dns;
	struct control *control;
	struct outside *outside_caller; /* NULL until there is a node port */
	struct manifests *manifests;
	uv_signal_t sigint, sigterm;
	uv_timer_t beat; /* nodes' heartbeats */
	uv_timer_t quiet,
	    later;	   /* kubelet: nothing moved for a while; try again what the hub could not take */
	uint64_t wired_us; /* when the last pod was wired */
	uint64_t shown_us; /* when it was last told how many pods run */
	bool kubelet_open, dns_asked, dns_ours, ready_told, stopping, attached;
	int status; /* what sandbox_run() returns */
	VEC(char *) remarks;
};

/* Ends the loop; sandbox_run() then tears down. */
void sandbox_stop(struct sandbox *s, int status);
void sandbox_remark(struct sandbox *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Path of a private program; false (told) when it is not there. */
bool sandbox_program(const struct sandbox *s, const char *program, char out[PATH_LEN]);
struct node *sandbox_node(struct sandbox *s, const char *name); /* NULL when not ours */

#endif
