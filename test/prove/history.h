/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Histories of a cluster: batches of changes, each an object put (as JSON text, as it would come from a file
 * or the API) or one taken away. The state after each batch is a configuration. A history is all that a run
 * needs to be had again, so it is what is printed, and what is shrunk when something differs.
 */
#ifndef WEFT_TEST_PROVE_HISTORY_H
#define WEFT_TEST_PROVE_HISTORY_H

#include "base/addr.h"
#include "base/vec.h"
#include "object/object.h"

struct op {
	enum kind kind;
	char ns[24], name[24]; /* ns empty: of the cluster */
	char *json;	       /* owned; NULL: the object goes */
};
struct dns_answer { /* what DNS says once the batch is in force */
	char name[64];
	struct addr addr;
};
struct kept { /* a connection that is open while the next batch comes */
	struct addr src, dst;
	uint8_t proto;
	uint16_t sport, dport;
};
struct batch {
	VEC(struct op) ops;
	VEC(struct kept) kept;
	VEC(struct dns_answer) answers;
};
struct history {
	VEC(struct batch) batches;
};

void batch_put(struct batch *b, enum kind kind, const char *ns, const char *name, const char *json);
void batch_answer(struct batch *b, const char *name, const struct addr *a);
void batch_keep(struct batch *b, const struct kept *k);
void batch_fini(struct batch *b);
void history_fini(struct history *h);
void history_copy(struct history *to, const struct history *from, size_t batches);
/* All in one batch: what is there after the last one. */
void history_flatten(struct history *to, const struct history *from);
/* As YAML documents; batches after the first are set apart by a comment line. */
void history_print(struct buf *b, const struct history *h);

/* Out of memory ends the program: it is a test. */
void *must_have(void *p);

#endif
