/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the prober share. A target is a container with probes, a runner one of its probes. A
 * target lives as long as its pod's object; a new instance of the container begins anew. Private to
 * prober*.c.
 */
#ifndef WEFT_AGENT_PROBER_STATE_H
#define WEFT_AGENT_PROBER_STATE_H

#include "agent/attempt.h"
#include "agent/latency.h"
#include "agent/prober.h"
#include "base/hash.h"
#include "base/vec.h"
#include "observe/probe.h"

enum probe_kind { PROBE_STARTUP, PROBE_READINESS, PROBE_LIVENESS, PROBE_KINDS };
enum { RECORDS_KEPT = 20, WHY_MAX = 96, INSTANCE_MAX = 160 };

struct record {
	int64_t at_us; /* wall clock, of the end */
	uint32_t took_us;
	int16_t code;
	uint8_t cause;
};

struct target;
struct runner {
	uv_timer_t timer; /* first: freed with it */
	struct target *t;
	enum probe_kind kind;
	struct probe_state state;
	struct attempt *attempt;
	struct runner *next; /* in the queue of those that wait for their turn */
	bool queued;
	uint64_t due_ms; /* of the next try, 0: none */
	uint64_t began_us;
	struct record records[RECORDS_KEPT];
	unsigned n_records; /* ever; the newest is n - 1, round */
	char why[WHY_MAX];  /* of the last */
};

struct target {
	struct prober *p;
	char *key;			       /* "uid/container" */
	struct object *pod;		       /* reference to the state last seen */
	const struct container *container;     /* of that state, as the next: */
	const struct container_status *status; /* NULL: it has none yet */
	char instance[INSTANCE_MAX];
	int64_t restarts;
	uint64_t running_ms; /* since when, as far as known */
	bool running, seen, leaving;
	bool killed, kill_told; /* this instance is to end, and the runtime knows */
	struct runtime_call *killing;
	char kill_reason[WHY_MAX + 32];
	int64_t kill_grace_s;
	struct runner *runner[PROBE_KINDS]; /* NULL: no such probe */
	bool ready, started;		    /* what holds now */
	bool dirty;
	struct target *next_dirty;
	uint64_t told_ms;
	int64_t trigger_us; /* wall clock of the result that made it dirty, or 0 */
};

struct prober {
	struct prober_options o;
	struct hash targets;
	bool listed;
	/* turns */
	unsigned running, limit, queued;
	struct runner *first, *last;
	/* numbers */
	uint64_t ended[PROBE_KINDS][ATTEMPT_CAUSES];
	uint64_t missed, kills, flips;
	struct latency late, told, took;
	/* telling the hub */
	struct target *dirty;
	VEC(struct target *) in_flight; /* NULL where it went meanwhile */
	struct transfer report;
	bool busy;
	struct buf body;
	uv_timer_t retry, reconcile;
};

/* prober.c */
const struct probe *target_probe(const struct container *c, enum probe_kind k);
/* Whether this probe may be run now. */
bool runner_allowed(const struct runner *r);
/* A result that counts. */
void target_result(struct runner *r, bool success);
const char *probe_kind_name(enum probe_kind k);

/* prober_run.c */
void runner_schedule(struct runner *r, uint64_t ms);
void runner_stop(struct runner *r);
uint64_t prober_scaled(const struct prober *p, int64_t seconds); /* ms */

/* prober_report.c */
void report_dirty(struct target *t);
void report_forget(struct target *t);
int report_start(struct prober *p);
/* Has the runtime end this instance. */
void target_kill(struct runner *r);

#endif
