/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `why` share: the ends of a question, and whether a peer or a port matches, or how far it
 * is from that. Private to why*.c. */
#ifndef WEFT_COMPILE_WHY_STATE_H
#define WEFT_COMPILE_WHY_STATE_H

#include "compile/state.h"
#include "compile/why.h"

struct why_end {
	struct addr addr;
	const struct cpod *pod;	  /* with this address, or NULL */
	const struct cnode *node; /* the same */
	struct str words;	  /* "shop/web-1", "node node-1", "203.0.113.10" */
};
struct why_ctx {
	const struct compiler *c;
	struct arena *arena;
	int dir;
	struct why_end subject, peer;
	const struct why_end *dst;
	uint8_t proto;
	uint16_t port;
	bool self, failed;
};

/* How far a peer or a list of ports is from matching: the text names field and reason. */
struct why_gap {
	unsigned fields, distance;
	struct str text;
	const void *member; /* of the policy: the first field that failed */
};

/* Rows in force lie unaligned: copied. false: there is none. */
bool why_row(const struct compiler *c, enum plan_map m, const void *key, void *value, size_t n);
int why_add_flow(const struct compiler *c, const struct why_question *q, const struct addr *dst,
		 uint16_t port, bool translated, struct why_answer *out);

/* why_service.c: false: no Service takes it; then e is untouched. */
bool why_translate(const struct compiler *c, const struct why_question *q, struct why_answer *out, int *e);
bool why_is_assigned(const struct compiler *c, const struct addr *a);

struct why_end why_end(struct why_ctx *x, const struct addr *a);

/* Appends ,"file":…,"line":…,"column":… of a place in a file. */
void why_json_pos(struct buf *b, struct pos p);

/* A peer of a NetworkPolicy. `gap` is filled where it does not match. */
bool why_peer(struct why_ctx *x, const struct object *policy, const struct policy_peer *p,
	      struct why_gap *gap);
bool why_port(struct why_ctx *x, const struct policy_port *p, struct why_gap *gap);

struct why_cluster_peer { /* of either direction; what a direction lacks is NULL */
	struct label_selector *const *namespaces, *const *nodes; /* the fields */
	const struct namespaced_pod *pods;
	const struct strlist *networks, *domain_names;
	const void *member;
	bool closed; /* holds something that Weft does not know */
};
bool why_cluster_peer(struct why_ctx *x, const struct why_cluster_peer *p, struct why_gap *gap);
bool why_cluster_port(struct why_ctx *x, const struct cluster_protocol *p, struct why_gap *gap);

/* Both directions of NetworkPolicies and cluster policies, see why_tiers.c. */
void why_judge(struct why_ctx *x, bool staged, struct why_side *out);
bool why_any_staged(struct why_ctx *x);
bool why_is_staged(const struct object *policy);

#endif
