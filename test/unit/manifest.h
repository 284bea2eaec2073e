/* SPDX-License-Identifier: Apache-2.0 */
/* For tests: manifests in C text → objects. Fails the test when the text has an error. */
#ifndef WEFT_TEST_MANIFEST_H
#define WEFT_TEST_MANIFEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/own.h"
#include "object/decode.h"

struct manifest_objects {
	struct object *items[64];
	size_t n;
};

static inline int manifest_take(void *ctx, struct object *o)
{
	struct manifest_objects *all = ctx;
	if (all->n == ARRAY_LEN(all->items)) {
		object_unref(&o);
		return -1;
	}
	all->items[all->n++] = o;
	return 0;
}

static inline void manifest_free(struct manifest_objects *all)
{
	while (all->n)
		object_unref(&all->items[--all->n]);
}

/* All objects of the text, decoded only; rs gets the remarks. Returns what decode_yaml() did. */
static inline int manifest_read(const char *name, const char *text, struct manifest_objects *all,
				struct remarks *rs)
{
	struct file *f;
	assert_int_equal(file_new(&f, name, text, strlen(text)), 0);
	struct decoder_options opt = {.sink = manifest_take, .ctx = all, .remarks = rs};
	int r = decode_yaml(f, &opt);
	file_unref(&f);
	return r;
}

/* The one object of the text, validated without an error. */
static inline struct object *manifest_one(const char *text)
{
	struct remarks rs = {0};
	struct manifest_objects all = {0};
	int r = manifest_read("test.yaml", text, &all, &rs);
	bool good = !r && all.n == 1 && object_validate(all.items[0], &rs);
	if (!good)
		remarks_print(stderr, &rs, false);
	remarks_fini(&rs);
	assert_true(good);
	return all.items[0];
}

#endif
