/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two nodes in namespaces with an outside host between them, as in world.h, with the programs attached by
 * hand and the BPF maps filled by hand: the kernel side alone, without compile/ or apply/. Removes everything
 * it made.
 *
 *   pods a, b ── node1 ── outside (a bridge; also 198.51.100.9) ── node2 ── pod r
 */
#ifndef WEFT_TEST_BPF_LAB_H
#define WEFT_TEST_BPF_LAB_H

#include "world.h"

struct lab {
	char prefix[32];	    /* of the namespaces' names */
	char cgroup[128];	    /* whose sockets are translated; empty: no cgroup2 here */
	struct weft *node1, *node2; /* point `world` at one to change it */
};

/* 0, 1 when the machine lacks something (told as a TAP skip), negative on failure. */
int lab_up(struct lab *l, uint32_t mode);
void lab_down(struct lab *l);
void lab_ns(const struct lab *l, const char *name, char *to, size_t size);

#endif
