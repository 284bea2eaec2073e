/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joins the kernel's interfaces with pods for one answer: by the interface's alias, which holds the pod's
 * uid. Private to the observer.
 */
#ifndef WEFT_AGENT_OBSERVER_JOIN_H
#define WEFT_AGENT_OBSERVER_JOIN_H

#include "agent/observer.h"
#include "base/hash.h"

struct join {
	const struct observer *ob;
	struct hash by_index; /* uint32_t → uid (malloc'ed) */
};
/* Looks at the interfaces of now; without memory, or a right to ask, it knows none. */
void join_begin(struct join *j, const struct observer *ob);
void join_end(struct join *j);
/* "ns/name" of the pod behind an interface, or NULL text. */
struct str join_pod(const struct join *j, uint32_t ifindex);

#endif
