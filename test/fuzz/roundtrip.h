/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold for each object that a decoder lets through: its JSON, its JSON with positions, its YAML and
 * its copy read back as the same; defaults are set once and keep a valid object valid. For fuzzers: aborts
 * when it does not.
 */
#ifndef WEFT_FUZZ_ROUNDTRIP_H
#define WEFT_FUZZ_ROUNDTRIP_H

#include <stdio.h>
#include <stdlib.h>

#include "base/own.h"
#include "object/decode.h"

static inline void must(bool holds, const char *what, const struct buf *a, const struct buf *b)
{
	if (holds)
		return;
	fprintf(stderr, "%s\n%s\n%s\n", what, a && a->p ? a->p : "", b && b->p ? b->p : "");
	abort();
}

static inline int keep_object(void *ctx, struct object *o)
{
	struct object **out = ctx;
	object_unref(out);
	*out = o;
	return 0;
}

static inline struct object *read_yaml(const struct buf *text, struct remarks *rs)
{
	struct object *o = NULL;
	struct file *f;
	/* What was printed may be longer than what was read, never without bound. */
	struct decode_limits l = {.bytes = SIZE_MAX, .depth = 250, .nodes = SIZE_MAX, .aliases = 0};
	struct decoder_options opt = {.limits = &l, .sink = keep_object, .ctx = &o, .remarks = rs};
	must(!file_new(&f, "y", text->p, text->n), "memory", NULL, NULL);
	decode_yaml(f, &opt);
	file_unref(&f);
	return o;
}

static inline void check_yaml(const struct object *o)
{
	AUTO_BUF yaml = {0}, again = {0};
	struct remarks rs = {0};
	object_print_yaml(&yaml, o, PRINT_PLAIN);
	must(!yaml.failed, "yaml failed", NULL, NULL);
	struct object *back = read_yaml(&yaml, &rs);
	if (!back)
		remarks_print(stderr, &rs, false);
	must(back, "yaml is not read back", &yaml, NULL);
	object_print_yaml(&again, back, PRINT_PLAIN);
	must(str_eq(buf_str(&yaml), buf_str(&again)), "yaml differs", &yaml, &again);
	object_unref(&back);
	remarks_fini(&rs);
}

static inline void check_json(const struct object *o, unsigned flags)
{
	AUTO_BUF json = {0}, again = {0};
	struct remarks rs = {0};
	struct object *back = NULL;
	struct decode_limits l = {.bytes = SIZE_MAX, .depth = 250, .nodes = SIZE_MAX, .aliases = 0};
	object_print_json(&json, o, flags);
	int r = decode_json_object(buf_str(&json), NULL, &l, &back, &rs);
	if (r)
		remarks_print(stderr, &rs, false);
	must(!r, "json is not read back", &json, NULL);
	object_print_json(&again, back, flags);
	must(str_eq(buf_str(&json), buf_str(&again)), "json differs", &json, &again);
	object_unref(&back);
	remarks_fini(&rs);
}

static inline void check_clone(const struct object *o)
{
	AUTO_BUF one = {0}, two = {0};
	struct object *copy;
	must(!object_clone(&copy, o), "memory", NULL, NULL);
	object_print_json(&one, o, PRINT_POSITIONS);
	object_print_json(&two, copy, PRINT_POSITIONS);
	must(str_eq(buf_str(&one), buf_str(&two)), "copy differs", &one, &two);
	object_unref(&copy);
}

/* A decoder_options.sink; takes the object over. */
static inline int roundtrip(void *ctx, struct object *o)
{
	struct remarks rs = {0};
	AUTO_BUF one = {0}, two = {0}, hidden = {0};
	(void)ctx;
	check_json(o, PRINT_PLAIN);
	check_json(o, PRINT_POSITIONS);
	check_yaml(o);
	check_clone(o);
	object_print_json(&hidden, o, PRINT_REDACT);
	bool valid = object_validate(o, &rs);
	must(valid == !rs.errors, "errors are not told", NULL, NULL);
	must(!object_default(o), "memory", NULL, NULL);
	object_print_json(&one, o, PRINT_PLAIN);
	must(!object_default(o), "memory", NULL, NULL);
	object_print_json(&two, o, PRINT_PLAIN);
	must(str_eq(buf_str(&one), buf_str(&two)), "defaults are set twice", &one, &two);
	if (valid && !object_validate(o, &rs)) {
		remarks_print(stderr, &rs, false);
		must(false, "defaults made it invalid", &one, NULL);
	}
	check_json(o, PRINT_PLAIN);
	remarks_fini(&rs);
	object_unref(&o);
	return 0;
}

#endif
