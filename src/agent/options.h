/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command lines of the agent's programs: one table of options for all four, so that weft-agent hands its own
 * on as they are. Strings are borrowed from argv.
 */
#ifndef WEFT_AGENT_OPTIONS_H
#define WEFT_AGENT_OPTIONS_H

#include "base/addr.h"
#include "compile/plan.h"

struct agent_options {
	const char *name; /* of the cluster */
	const char *node;
	const char *hub;     /* path of the hub's socket */
	const char *run;     /* folder for agent.sock and observer.sock */
	const char *files;   /* folder for files of weft-copier; NULL: RUN/files */
	const char *bpf;     /* folder on a bpffs */
	const char *cgroup;  /* cgroup2 folder of the node's pods */
	const char *uplink;  /* interface name */
	const char *libexec; /* folder of the private programs */
	uint32_t mode;	     /* MODE_… */
	struct prefix services4, services6;
	uint32_t entries[PLAN_MAP_COUNT]; /* --entries NAME=N,…, 0: default */
	unsigned faster;      /* --fast-probes: delays and periods of probes are divided by it; 0: not */
	bool clean;	      /* at the end remove all that was made */
	bool no_external_ips; /* see compile_config */
	bool strict;	      /* every pod is strict: see compile_config */
};

/* Parses; on a mistake prints one line to stderr and exits with 2; --help prints and exits with 0. */
void options_parse(struct agent_options *o, int argc, char **argv, const char *sentence);

#endif
