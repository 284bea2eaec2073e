/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Netlink: a batch of rtnetlink requests for one namespace, sent at once, each acknowledged. Interface
 * numbers are chosen by the caller, so that nothing has to be read back. Errors stick: a batch needs one
 * check, at its commit.
 */
#ifndef WEFT_SANDBOX_NETLINK_H
#define WEFT_SANDBOX_NETLINK_H

#include <stdint.h>

#include "base/addr.h"

enum { NETLINK_BATCH = 16384, NETLINK_REQUESTS = 64 };

struct netlink {
	int fd; /* NETLINK_ROUTE; borrowed; decides the namespace */
	uint32_t seq, first;
	size_t used;
	bool full;
	const char *what[NETLINK_REQUESTS]; /* static words for errors */
	char buf[NETLINK_BATCH] __attribute__((aligned(8)));
};

void netlink_begin(struct netlink *nl, int fd);
void netlink_bridge(struct netlink *nl, uint32_t index, const char *name);
/* A pair: this end here, the other in the namespace peer_ns (fd). Both down. */
void netlink_veth(struct netlink *nl, uint32_t index, const char *name, int peer_ns, uint32_t peer_index,
		  const char *peer_name);
void netlink_up(struct netlink *nl, uint32_t index);
void netlink_down(struct netlink *nl, uint32_t index);
void netlink_enslave(struct netlink *nl, uint32_t index, uint32_t bridge);
void netlink_delete(struct netlink *nl, uint32_t index);
/* "10.0.0.1/24" or IPv6; no duplicate address detection. */
void netlink_address(struct netlink *nl, uint32_t index, const char *prefix);
/* to: a prefix, or NULL for the default of via's family. */
void netlink_route(struct netlink *nl, uint32_t index, const char *to, const char *via);
/* Every address of the prefix is this host's own. */
void netlink_route_local(struct netlink *nl, uint32_t index, const char *prefix);
/* Sends all and waits for the answers: 0, or the first -errno, logged as "where: what: why". */
int netlink_commit(struct netlink *nl, const char *where);

#endif
