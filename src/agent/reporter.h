/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reporter: this node's flows, drops and DNS questions on their way to the hub. Each connection that ended is
 * told once, with its last counts; open ones are looked at each second and told when they changed; each drop
 * event and each question with its answer is told. Bounded: what waits for a hub that is away and finds no
 * room is counted. Times are made to wall time here, since each machine has its own monotonic clock.
 */
#ifndef WEFT_AGENT_REPORTER_H
#define WEFT_AGENT_REPORTER_H

#include "serve/curl_loop.h"
#include "observe/kernel.h"

struct reporter;
int reporter_new(struct reporter **out, struct curl_loop *curl, const char *node); /* 0 or -errno */
/* The tables from now on; NULL: none. Borrowed. */
void reporter_observe(struct reporter *r, struct observed *o);
/* {"epoch":…,"told":…,"waiting":…,"lost":…} */
void reporter_stats(const struct reporter *r, struct buf *b);

#endif
