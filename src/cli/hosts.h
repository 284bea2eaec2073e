/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names outside the cluster, as `weft up --host` and scenes give them: "NAME=ADDR[,ADDR…][@SECONDS]", or
 * "NAME=NAME" for an alias, into records for the cluster's DNS.
 */
#ifndef WEFT_CLI_HOSTS_H
#define WEFT_CLI_HOSTS_H

#include "base/vec.h"
#include "sandbox/sandbox.h"

struct hosts {
	VEC(struct sandbox_host) list;
};

/* Adds the records that `said` stands for. 0, or -1 after telling what is wrong with it. */
int hosts_add(struct hosts *h, const char *said);
void hosts_fini(struct hosts *h);

#endif
