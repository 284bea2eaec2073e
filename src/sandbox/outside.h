/* SPDX-License-Identifier: Apache-2.0 */
/* Outside: the host beyond the fabric's router, which calls every node port on every node, gently. */
#ifndef WEFT_SANDBOX_OUTSIDE_H
#define WEFT_SANDBOX_OUTSIDE_H

struct outside;
struct sandbox;

/* Looks which node ports there are and, where that changed, has them called instead. */
void outside_look(struct sandbox *s);
/* Forgets the caller; its cgroup is ended by teardown. */
void outside_stop(struct sandbox *s);

#endif
