/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The planner's parts and what they share: objects come from the hub into the store, the compiler makes rows,
 * the applier puts them in force, and requests on agent.sock wait for that. One loop, one thread. Private to
 * the planner's files; each part is written by the file named beside it.
 */
#ifndef WEFT_AGENT_PLANNER_H
#define WEFT_AGENT_PLANNER_H

#include "agent/compare.h"
#include "agent/fdpass.h"
#include "agent/hub.h"
#include "agent/latency.h"
#include "agent/options.h"
#include "agent/since.h"
#include "compile/compile.h"
#include "compile/wire.h"

enum applier_state {
	APPLIER_AWAY,	 /* no socket */
	APPLIER_HELLO,	 /* WELCOME is awaited */
	APPLIER_READING, /* ROWS and FAULTS are awaited */
	APPLIER_IDLE,
	APPLIER_TAPPING,    /* a commit is ready; what its new pods are tapped by goes before it */
	APPLIER_COMMITTING, /* RESULTS and DONE are awaited */
};

struct outgoing {
	struct buf message;
	int fds[3];
	unsigned nfds;
};

struct requests; /* request.c */
struct listener; /* health.c */
struct tapping;	 /* taps.c */

/* err: 0; -EPIPE: the applier went; -errno of the kernel. The answered copies are borrowed. */
typedef void planner_answered(void *ctx, int err, const struct ask *asks, size_t n);
struct asked {
	size_t n;
	planner_answered *fn;
	void *ctx;
};

/* err as the applier says, or -EPIPE: it went. */
typedef void planner_lost(void *ctx, int err);
struct losing {
	planner_lost *fn;
	void *ctx;
};

struct planner {
	struct agent_options o;
	uv_loop_t loop;
	uv_poll_t control;
	uv_poll_t *applier_poll; /* NULL while the applier is away */
	uv_prepare_t prepare;
	uv_timer_t again; /* after a failure: tries the whole plan once more */
	struct curl_loop curl;
	struct store *store;
	struct hub *hub;
	struct compiler *compiler;
	struct requests *requests;
	struct tapping *taps;

	/* programming.c: when slices changed, as their causes say: not yet planned; on their way */
	VEC(int64_t) noted, sent;
	struct latency programming; /* from the cause until it is in force */
	uint64_t events, commits;   /* changes of objects that came; commits in force that they went into */
	/* health.c */
	struct listener *listeners;
	bool health_dirty; /* Services changed since the ports were looked at */

	/* applier_link.c */
	enum applier_state state;
	int applier;
	uint32_t txn;
	VEC(struct outgoing) out;
	struct wire_welcome welcome;
	VEC(int32_t) results;
	VEC(struct asked) asked;   /* ask.c: questions on their way, in order */
	VEC(struct losing) losing; /* fault.c: orders on their way, in order */

	/* sync.c */
	struct hash actual; /* while reading back: type, table, key → struct kept_row */
	bool dirty;	    /* objects or wishes changed since the last run */
	bool whole;   /* what is in force is not known to equal the compiler's state: read back and compare */
	bool adopted; /* links found in the kernel were told to the compiler */
	bool listed;
	bool enforcing;		 /* the plan was in force at least once */
	struct plan_delta delta; /* being committed */
	size_t rows, links;	 /* of the plan, all and of pods; for status */
	struct plan plan;	 /* the rows that a comparison's delta borrows */
	struct buf faults;	 /* of the last read-back */
	struct buf alarm;	 /* why the plan is not in force; empty when it is */
	struct buf differences;	 /* of the last read-back, as text */
	bool readback_asked;	 /* by a request: compare only, and answer */
	uint64_t noted_us;	 /* when the first change not yet in force came */
	struct since since;	 /* when what is in force came */
	bool hold;		 /* after a failure: nothing is tried until the timer */
};

/* applier_link.c */
void link_take(struct planner *p, int fd);
void link_drop(struct planner *p);
/* Takes over the bytes of b and the descriptors. */
void link_send(struct planner *p, struct buf *b, const int *fds, unsigned nfds);
void link_simple(struct planner *p, enum wire_type type);

/* ask.c: asks the kernel how it would judge, at most WIRE_ASKS_MAX questions at once, at any time. 0: fn is
 * called once, later, on the loop; -EPIPE: no applier; -E2BIG; -ENOMEM. */
int planner_ask(struct planner *p, const struct ask *asks, size_t n, planner_answered *fn, void *ctx);
int ask_take(struct planner *p, const void *message, size_t n); /* 0 or -EPROTO */
void ask_lost(struct planner *p);				/* the applier went */

/* fault.c: order and answers as with planner_ask. */
int planner_lose(struct planner *p, uint32_t ifindex, uint32_t millionths, planner_lost *fn, void *ctx);
int losing_take(struct planner *p, const void *body, size_t n); /* 0 or -EPROTO */
void losing_lost(struct planner *p);

/* sync.c: what follows from messages of the applier. */
void sync_kick(struct planner *p); /* does what is due; called before the loop sleeps */
void sync_welcome(struct planner *p);
void sync_row(struct planner *p, const struct row *r);
void sync_read(struct planner *p, struct str faults);
void sync_done(struct planner *p, const struct wire_done *d, struct str text);
void sync_lost(struct planner *p);  /* the applier went */
void sync_go_on(struct planner *p); /* the commit that was held goes out */
/* Whether what the compiler says is what the kernel does, and has no change before it. */
bool sync_steady(const struct planner *p);

/* taps.c: weft-copier, and what the applier taps for it. */
int taps_new(struct planner *p);
void taps_note(struct planner *p, const struct event *e);
void taps_kick(struct planner *p); /* does what is due; called before the loop sleeps */
/* Whether the commit that is ready must wait; then sync_go_on() follows. */
bool taps_hold(struct planner *p);
void taps_tapped(struct planner *p, int32_t result, struct str text);
void taps_welcome(struct planner *p);
void taps_applier_lost(struct planner *p);
void taps_copier(struct planner *p, int fd, bool packets); /* takes fd */
/* Appends the member "taps" of an answer to `status`; nothing while no map was ever in force. */
void taps_print_status(const struct planner *p, struct buf *out);

/* programming.c */
void programming_note(struct planner *p, const struct event *e);
void programming_sent(struct planner *p); /* what was noted is in the commit that goes out */
void programming_none(struct planner *p); /* it changes nothing here */
void programming_done(struct planner *p); /* the commit is in force */

/* health.c: opens and closes ports as Services ask for. */
void health_sync(struct planner *p);

/* request.c */
int requests_new(struct planner *p);
void requests_listen(struct planner *p, int fd, bool questions); /* takes fd */
/* Before a run: tells the compiler of pods that can be wired now. Sends their namespaces. */
void requests_wire(struct planner *p);
/* After a run: `failed` holds uids whose link could not be made (NULL: the whole plan was refused, see
 * p->alarm). */
void requests_settle(struct planner *p, bool refused, const struct hash *failed);
void requests_readback(struct planner *p);

#endif
