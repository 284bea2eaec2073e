/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who reaches whom: callers and targets of a world, judged by the model and tried by packets; the answers
 * stand in one grid that the table, the list, JSON and scenes read.
 */
#ifndef WEFT_CLI_REACH_H
#define WEFT_CLI_REACH_H

#include <jansson.h>

#include "base/addr.h"
#include "base/vec.h"
#include "store/store.h"

enum reach_family { REACH_4, REACH_6, REACH_FAMILIES };
enum reach_answer {
	REACH_NOT_TRIED, /* one of the two has no address of that family */
	REACH_YES,
	REACH_NO,      /* nothing came back */
	REACH_REFUSED, /* it came there, and nobody listens */
	REACH_ERROR,   /* could not be tried; told */
};

struct reach_caller {
	char *name;  /* "shop/web-1", "outside", "node:node-1"; owned */
	char *group; /* "shop/web": the workload; same as name without one; owned */
	struct addr addr[REACH_FAMILIES];
	bool has[REACH_FAMILIES];
};

struct reach_target {
	char *name, *group; /* of the pod; owned */
	char *node;	    /* where the pod runs; owned, or NULL */
	char *host;	    /* a name to resolve in place of addresses (a Service); owned or NULL */
	uint8_t proto;	    /* IPPROTO_TCP or UDP */
	uint16_t port;
	struct addr addr[REACH_FAMILIES];
	bool has[REACH_FAMILIES];
};

struct reach_cell {
	uint8_t model[REACH_FAMILIES]; /* enum reach_answer */
	uint8_t seen[REACH_FAMILIES];
	float ms[REACH_FAMILIES];
};

struct reach {
	VEC(struct reach_caller) callers;
	VEC(struct reach_target) targets;
	struct reach_cell *cells; /* callers × targets, by row; NULL before judging */
	bool tried;		  /* seen[] is filled */
	size_t skipped;		  /* pods that do not run, */
	struct buf skipped_names; /* and their names with what is known of why */
};

struct reach_filter {
	const char *from, *to, *ns; /* NULL: all */
	bool need_running;	    /* leave out pods whose phase is not Running */
};

/* Callers (pods, the outside host, nodes) and targets (declared ports of pods) of the world. 0 or -1 (told).
 */
int reach_collect(struct reach *r, const struct store *s, const struct reach_filter *f);
/* A target by name in place of a pod, e.g. a Service "web.shop"; models do not judge it. */
int reach_add_host(struct reach *r, const char *label, const char *host, uint8_t proto, uint16_t port);
/* Fills model[] by the policies. 0 or -1. */
int reach_judge(struct reach *r, const struct store *s);
/* Fills seen[] by real packets of the running cluster. 0 or -1. */
int reach_try(struct reach *r, const char *cluster, int64_t timeout_ms);
void reach_fini(struct reach *r);

static inline struct reach_cell *reach_at(const struct reach *r, size_t caller, size_t target)
{
	return &r->cells[caller * r->targets.len + target];
}
/* yes, no, rst, 4, 6, –, err over the families of one of model[] and seen[]. Static text. */
const char *reach_word(const uint8_t answers[REACH_FAMILIES]);
/* The model and the packets say the same wherever both spoke. A refusal means that the packets came there. */
bool reach_cell_agrees(const struct reach_cell *c);
size_t reach_disagreements(const struct reach *r);

/* Printing. `wide`: a row for each pod. */
void reach_print_table(const struct reach *r, bool wide);
void reach_print_list(const struct reach *r);
json_t *reach_json(const struct reach *r);

#endif
