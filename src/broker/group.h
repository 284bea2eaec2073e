/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group: which member of a ToolGroup gets a session. Slots are dealt to members by weighted rendezvous, so
 * that a member that fails gives away its own slots and moves no other session; a session's slot is its
 * symmetric hash. With `sticky`, sessions that were sent elsewhere meanwhile stay there until they fall
 * silent. Pure; one thread.
 */
#ifndef WEFT_BROKER_GROUP_H
#define WEFT_BROKER_GROUP_H

#include "broker/broker.h"

enum { GROUP_SLOTS = 16384, GROUP_STICKY_SECONDS = 300, GROUP_STICKY_MAX = 65536 };

struct group;
/* 0 or -ENOMEM. `g` and `b` must live as long. */
int group_new(struct group **out, const struct broker *b, const struct broker_group *g);
void group_free(struct group **g);

/* Sessions that are elsewhere stay where they are, if that member is one of this group too: `before` is the
 * same group of other objects, and stays as it is. */
void group_adopt(struct group *g, const struct group *before);

/* A member that is down gets nothing. Members are numbered as in struct broker_group; the standby is number
 * members_n. */
void group_set_down(struct group *g, uint32_t member, bool down);

/* The tool port that a packet goes to: of a member, of the standby when no member is up, or BROKER_NONE
 * (counted as down). `now` is the packet's time in ns; whole_ip says that the packet has an IP header: what
 * has none goes to one fixed member. */
uint32_t group_choose(struct group *g, const struct chain_packet *p, bool ip, uint64_t now);

struct group_counts {
	uint64_t packets, not_ip, down, standby, sticky, forgotten; /* forgotten: sticky sessions, for room */
};
const struct group_counts *group_counts(const struct group *g);
const uint64_t *group_member_packets(const struct group *g); /* members_n + 1 numbers, the standby last */

#endif
