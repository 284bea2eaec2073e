/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An alert at work: takes records as they come, adds up by group what lies in the window, and says which
 * groups are pending, fire or are over. A pure accumulator: it is told a time that does not jump, and how old
 * a record was when it came, so no clock that is set, here or on a node, moves a window. A record older than
 * the window does not count, and is counted as late. Memory is bounded: groups by their number and by room
 * that all alerts share; records of groups that found none are counted. Used by one thread.
 */
#ifndef WEFT_OBSERVE_ALERT_H
#define WEFT_OBSERVE_ALERT_H

#include "base/hash.h"
#include "base/vec.h"
#include "filter/filter.h"
#include "object/alert.h"
#include "observe/sight.h"

enum { ALERT_SLOTS = 12, ALERT_RECEIVERS_MAX = 8 };
enum alert_state { ALERT_INACTIVE, ALERT_PENDING, ALERT_FIRING, ALERT_RESOLVED };

struct alert_slot { /* a twelfth of the window */
	uint64_t number, sum, n, max;
};

struct alert_group {
	struct str key; /* the values of `by`, each with a NUL behind it; owned */
	enum alert_state state;
	uint64_t value;
	int64_t active_at, starts_at, ends_at; /* s since 1970, for people; 0: not yet */
	uint64_t active_ms, over_ms, ended_ms; /* of the clock that does not jump; 0: not */
	uint8_t untold;			       /* receivers, by bit, that do not know the state yet */
	bool restored;			       /* was so before this run: holds until a window was heard */
	bool held;			       /* would be over, but is not known */
	uint64_t nodes;			       /* by which it was seen, a bit for each hash of a name */
	struct alert_slot slots[ALERT_SLOTS];
	union {
		uint32_t *times;    /* how many of each length, slot by slot */
		uint8_t *registers; /* of a sketch of distinct values, slot by slot */
	};
};

struct alert_rule {
	struct alert_terms terms;
	struct filter *filter; /* NULL: a watch */
	VEC(struct alert_group *) groups;
	struct hash by_key;
	uint64_t slot_ms, began_ms;	    /* began: hears since */
	size_t *room;			    /* bytes left to all alerts */
	uint64_t overflow, late;	    /* records */
	uint64_t lost[ALERT_RECEIVERS_MAX]; /* notices given up */
	uint8_t receivers;		    /* that there are, by bit */
};

/* Takes a reference on the filter. 0 or -ENOMEM. */
int alert_rule_new(struct alert_rule **out, const struct alert_terms *t, struct filter *f, size_t *room,
		   uint64_t now_ms);
void alert_rule_free(struct alert_rule **a);

void alert_rule_take(struct alert_rule *a, const struct sight *s);
/* A watch: the state of a node, or what it lost since it was last put. */
void alert_rule_put(struct alert_rule *a, struct str node, uint64_t value, uint64_t now_ms);
/* Of a node's name, for `nodes` and `silent`. */
uint64_t alert_node_bit(struct str node);

struct alert_tick {
	uint64_t now_ms;
	int64_t wall;	 /* s since 1970 */
	uint64_t silent; /* nodes that tell nothing now */
	void (*changed)(void *ctx, const struct alert_group *g, enum alert_state before); /* or NULL */
	void *ctx;
};
/* About once a second: judges all groups, lets go those that are over and known to all. */
void alert_rule_tick(struct alert_rule *a, const struct alert_tick *t);
/* A group as an earlier run left it, `ago` since it became active and, if it is over, ended. NULL: no room.
 */
struct alert_group *alert_rule_restore(struct alert_rule *a, struct str key, enum alert_state state,
				       uint64_t now_ms, uint64_t active_ago_ms, uint64_t ended_ago_ms);
/* The value of `by` number i. */
struct str alert_group_value(const struct alert_group *g, uint32_t i);
uint64_t alert_group_fingerprint(struct str name, const struct alert_terms *t, const struct alert_group *g);

#endif
