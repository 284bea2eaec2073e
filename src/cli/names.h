/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names: those of a running cluster's objects, and the one that somebody most likely meant. For completion
 * and for "did you mean". A cluster that does not answer has no names; nothing is told.
 */
#ifndef WEFT_CLI_NAMES_H
#define WEFT_CLI_NAMES_H

#include "base/vec.h"
#include "object/object.h"

struct live_name {
	char *ns, *name; /* owned; ns "" where the kind has none */
};
struct live_names {
	VEC(struct live_name) list;
};
/* Appends the names of a kind; ns NULL: of all namespaces. At most 1,000. */
void names_of_kind(struct live_names *out, const char *cluster, const struct kind_desc *k, const char *ns);
/* Appends the values that a label of pods has, each once. */
void names_of_label(struct live_names *out, const char *cluster, struct str key);
/* Clusters that run on this machine, as names. */
void names_of_clusters(struct live_names *out);
void names_fini(struct live_names *n);
#define AUTO_NAMES __attribute__((cleanup(names_fini))) struct live_names

/* The nearest of the words that it is shown, when near enough to suggest: a third of the letters at most have
 * to change, or the typed word is the beginning of it. */
struct near {
	struct str typed;
	struct buf word; /* empty: none yet */
	unsigned distance;
};
void near_try(struct near *n, struct str candidate);
void near_fini(struct near *n);

/* Appends what to do about an object that is not there: "did you mean store-0?", "there is one in namespace
 * shop: -n shop", or nothing. ns may be NULL. */
void names_hint(struct buf *hint, const char *cluster, const struct kind_desc *k, const char *ns,
		const char *name);
/* The same for a pod or a workload, and for a node. */
void names_hint_pod(struct buf *hint, const char *cluster, const char *ns, const char *name);
void names_hint_node(struct buf *hint, const char *cluster, const char *node);
/* Of a namespace that has nothing: appends "there is no namespace …" with the nearest, or nothing where it
 * exists. */
void names_hint_namespace(struct buf *hint, const char *cluster, const char *ns);

#endif
