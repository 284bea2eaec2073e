/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of `weft why` share: the two ends that a person named, whom to ask about a node, and the
 * answer, one JSON document that text is made from. Failures are told on stderr by the function that met
 * them.
 */
#ifndef WEFT_CLI_WHY_H
#define WEFT_CLI_WHY_H

#include <jansson.h>

#include "base/addr.h"
#include "cli/command.h"
#include "compile/why.h"
#include "store/store.h"

enum { WHY_FAMILIES = 2, EXIT_DIFFERS = 3 };

enum end_kind { END_POD, END_NODE, END_SERVICE, END_OUTSIDE };
struct why_named { /* an end, as it was named */
	enum end_kind kind;
	const struct object *o; /* pod, node or Service; NULL outside */
	struct addr addr[WHY_FAMILIES];
	bool has[WHY_FAMILIES];
	bool host_network; /* a pod in its node's network: the addresses are the node's */
	char *words;	   /* "shop/web-1", "Service shop/web", "node node-1", "outside"; owned */
	char *note;	   /* which of a workload's pods it is, or NULL; owned */
	char *node;	   /* where it is, or NULL; owned */
};
struct why_asked { /* the whole question */
	struct why_named from, to;
	uint8_t proto;				 /* IPPROTO_…; ICMP stands for both families */
	uint16_t port;				 /* 0 with ICMP */
	const struct service_port *service_port; /* of a Service at `to` */
};

/* Reads FROM and TO[:PORT]. EXIT_OK or EXIT_USAGE (told). */
int why_name(struct why_asked *a, const struct store *s, const struct options_why *o);
void why_asked_fini(struct why_asked *a);

/* Lays what --over and --without name over a running cluster's objects. 0 or -1 (told). */
int why_lay_over(struct store *s, const struct options_why *o);

/* Whom to ask: planners of a running cluster, or compilers over a store of files. */
struct why_source;
int why_source_new(struct why_source **out, const struct store *s, const struct options_why *o);
void why_source_free(struct why_source **s);
/* Whether nodes send each other pods' packets as they are, without a tunnel; known once something was asked.
 */
bool why_source_routes(const struct why_source *s);
const char *why_source_cluster(const struct why_source *s); /* NULL: offline */
/* What a node says, decoded (owned), or NULL (told). to: about ingress of the pod at q->dst. */
json_t *why_source_ask(struct why_source *s, const char *node, const struct why_question *q, bool to);

/* What is wrong with the nodes that were asked (borrowed array; empty: nothing). */
json_t *why_source_troubles(struct why_source *s);

/* Why a node's word may not be what its kernel does: {"node","text", "away" or "alarm"} (owned); NULL:
 * nothing is. */
json_t *why_trouble(const char *cluster, const char *node);
/* Adds "kernel" to the node's answer about a Service: what its BPF maps hold beside it. True where they
 * differ. */
bool why_kernel_add(json_t *answer, const char *cluster, const struct why_question *q);
/* Adds "outs" to an answer about a Service without endpoints: each pod of its selector with what keeps it
 * out. cluster NULL: offline. */
void why_out_add(json_t *answer, const char *cluster, const struct store *s, const struct object *service);

/* The answer to all of it: a document (owned) with "allowed" and, where something differs, "differs". */
json_t *why_answer_make(struct why_source *src, const struct store *s, const struct why_asked *a,
			const struct options_why *o);
void why_print(const json_t *answer);
/* "file:line:column@commit" of an object with these members, or "". */
void why_place(struct buf *b, const json_t *at);

#endif
