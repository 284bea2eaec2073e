/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sandbox: a whole cluster on this machine. Plays machine room (a fabric, nodes, a host outside), kubelet and
 * container runtime for the hub and the agents that it starts. Needs root. One process runs one cluster;
 * `weft up` becomes it.
 */
#ifndef WEFT_SANDBOX_SANDBOX_H
#define WEFT_SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sandbox_mode { SANDBOX_VXLAN, SANDBOX_ROUTES };

struct sandbox_ready { /* what `weft up` tells at the end */
	const char *name, *dir;
	unsigned nodes, pods; /* pods that run */
	uint64_t wired_us;    /* from the start of sandbox_run() until every pod was wired and serving */
	const char *failed;   /* NULL, or what did not come up in time (the cluster goes on) */
};

/* A record of the cluster's DNS for a name outside the cluster. */
struct sandbox_host {
	char *name; /* without the last dot; may begin with "*." */
	char *to;   /* an address, or a name: an alias */
	unsigned ttl;
};

struct sandbox_options {
	const char *name;	  /* DNS label of at most 32 bytes */
	const char *const *paths; /* manifests: folders and files */
	size_t paths_len;
	const struct sandbox_host *hosts;
	size_t hosts_len;
	unsigned nodes;	       /* 1 to 64 */
	unsigned max_file;     /* of a manifest, in MiB; 0: 64 */
	unsigned flow_records; /* that the hub keeps in memory; 0: its own default */
	unsigned history;      /* MiB that roll-ups may take; 0: none are kept */
	const char *page;      /* ADDRESS:PORT, "off"; NULL: loopback, and the port of the last run */
	bool writable;	       /* changes through the API of what came from files go into the files */
	enum sandbox_mode mode;
	const char *libexec;	 /* folder of weft-hub, weft-agent, weft-standin */
	bool attach;		 /* one link from the caller's namespace to the fabric */
	unsigned fast_probes;	 /* divides delays and periods of probes, back-offs, minReadySeconds; 0, 1: as
				    they are */
	bool no_external_ips;	 /* externalIPs of Services are not served */
	bool strict;		 /* cuts connections that policies no longer allow, of every pod */
	const char *const *runs; /* "[NS/]POD-OR-WORKLOAD[:CONTAINER]=COMMAND" each */
	size_t runs_len;
	const char *const *exports; /* "TO[ FILTER]" each, of `weft export --follow` */
	size_t exports_len;
	const char *weft;    /* path of the program that exports */
	const char *entries; /* "MAP=N,…": room of BPF maps; NULL: the defaults */
	void *ctx;	     /* for the callbacks; each may be NULL; called on the thread of sandbox_run() */
	void (*step)(void *ctx, const char *what, uint64_t us,
		     bool done);		     /* us: since the step began, when done */
	void (*remark)(void *ctx, const char *text); /* one line for the user */
	/* Called once, when everything that the manifests asked for first runs, or failed to in 30 s. Here a
	 * caller that wants to detach tells its parent. */
	void (*ready)(void *ctx, const struct sandbox_ready *r);
};

/* Builds the cluster and runs it until SIGINT, SIGTERM or `down` on its control socket, then removes
 * everything. 0; -EBUSY: a cluster of that name is up; -EPERM; else -errno. The reason has been told on
 * stderr. */
int sandbox_run(const struct sandbox_options *o);

/* Stops the cluster of that name: asks its process, or removes what a killed one left. 0, -ENOENT when there
 * was nothing, else -errno after telling what remained. */
int sandbox_down(const char *name);

/* Removes what a killed one left, and never stops one: -EBUSY when a process holds the cluster's lock,
 * -ENOENT when there is no lock file (then nothing says whose the folder is), else as sandbox_down(). */
int sandbox_sweep(const char *name);

#endif
