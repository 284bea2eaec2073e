/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of `weft account`: sums from the nodes, and witnesses from outside that check them. */
#ifndef WEFT_CLI_ACCOUNT_H
#define WEFT_CLI_ACCOUNT_H

#include <jansson.h>

/* Appends each node's sums, of all nodes or `only` one: how many there were. A node that does not answer has
 * no "sums" and says why under "unknown". */
int account_collect(const char *name, const char *only, json_t *list);

/* account_copies.c: appends the sums of the broker's copies to the node's, where it taps anything. */
void account_copies(const char *cluster, const char *node, json_t *answer);

/* account_canary.c: sends numbered datagrams between pods and to a host outside, counts them at the far end,
 * and compares with the flow records; compares what TCP sockets of pods say went through with the records of
 * their connections. Fills {"canaries":[…],"sockets":[…]}; an exit status. Needs root. */
int account_canary(const char *name, json_t *out);
void account_canary_show(const json_t *outside);

#endif
