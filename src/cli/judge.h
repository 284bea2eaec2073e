/* SPDX-License-Identifier: Apache-2.0 */
/* The compiler run over a store's objects, for `weft plan` and for judging without packets. */
#ifndef WEFT_CLI_JUDGE_H
#define WEFT_CLI_JUDGE_H

#include "compile/verdict.h"
#include "store/store.h"

/* The compiler of one node, told everything, with all pods wired, and run once. Remarks and failures are told
 * on stderr. 0 or -1. */
int judge_compile(struct compiler **out, const struct store *s, struct str node, uint32_t mode);
/* The same without the remarks. */
int judge_compile_quietly(struct compiler **out, const struct store *s, struct str node, uint32_t mode);

/* All nodes of the store compiled into one table to ask. Failures are told on stderr. 0 or -1. */
int judge_nodes(struct verdict_table **out, const struct store *s);

#endif
