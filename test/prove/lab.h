/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One cluster under proof: the store, and beside it the witnesses: the reference, the compiled rows as the
 * engine reads them, the kernel of each node. Batches go in as changes; nothing is compiled anew.
 */
#ifndef WEFT_TEST_PROVE_LAB_H
#define WEFT_TEST_PROVE_LAB_H

#include "compile/compile.h"
#include "compile/names.h"
#include "compile/verdict.h"
#include "generate.h"
#include "kernel.h"
#include "model.h"

struct open { /* a connection that both ends know */
	struct kept k;
	char uids[2][24]; /* of the pods at its ends; empty: none */
};
struct owner { /* that an address had on a node */
	int node;
	struct addr addr;
	uint32_t owner;
};
struct lab {
	struct store *store;
	struct subscription *sub;
	struct compiler *compilers[NODES];
	struct verdict_table *engine;
	size_t index[NODES]; /* of the nodes in it */
	struct kernel_node **kernels;
	bool spoil;
	struct model model, staged;	     /* without and with the staged policies */
	VEC(struct model_name) names[NODES]; /* that the node was told by DNS; the text is the history's */
	VEC(struct open) open;
	VEC(struct owner) owners; /* of addresses whose row went in the present change */
	uint16_t sport;		  /* of the last packet */
	size_t runs;		  /* packets in the kernels since they last forgot */
	size_t changes;		  /* rows that changed, in all */
	size_t tries;		  /* plans of a node whose blocks have many lengths */
	size_t told;		  /* names that nodes learned, in all */
	/* open connections after a change: refused now and let go on; cut; of another owner */
	size_t went_on, cut, inherited;
};

struct witnesses {
	struct kernel_node **kernels; /* NULL: without them */
	bool spoil;		      /* one element of each kernel is taken away: the proof must find that */
};
/* 0 or -errno. */
int lab_new(struct lab *l, const struct witnesses *w);
void lab_free(struct lab *l);
/* 0; -EINVAL: an object is refused; -EUCLEAN: the kernel does not hold the plan; else -errno. `why` says
 * more. */
int lab_apply(struct lab *l, const struct batch *b, struct buf *why);
/* The names that a node knows become the models'. */
void lab_names(struct lab *l, int node);
/* The number of a node by name, -1: none. */
int lab_node(struct str name);

#endif
