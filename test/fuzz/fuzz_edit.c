/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a manifest, whose first object gets other labels and data, or goes. What an edit gives must be
 * read as wanted; edit_text() promises it, and this test asks the decoder once more.
 */
#include <stdlib.h>

#include "base/own.h"
#include "source/edit.h"

static int first(void *ctx, struct object *o)
{
	struct object **out = ctx;
	if (*out)
		object_unref(&o);
	else
		*out = o;
	return 0;
}

static struct object *read_first(struct str text, bool json)
{
	struct object *o = NULL;
	struct remarks rs = {0};
	struct file *f;
	if (file_new(&f, json ? "f.json" : "f.yaml", text.p ? text.p : "", text.n))
		return NULL;
	struct decoder_options opt = {.sink = first, .ctx = &o, .remarks = &rs};
	json ? decode_json(f, &opt) : decode_yaml(f, &opt);
	file_unref(&f);
	remarks_fini(&rs);
	return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	bool json = data[0] & 1, drop = data[0] & 2;
	struct str text = {.p = (const char *)data + 1, .n = size - 1};
	struct object *o = read_first(text, json), *now = NULL;
	AUTO_BUF out = {0};
	AUTO_BUF a = {0};
	AUTO_BUF b = {0};
	struct edit_refusal no;
	if (!o)
		return 0;
	struct edit_ask ask = {
	    .text = text,
	    .path = json ? "f.json" : "f.yaml",
	    .object = o,
	    .remove = drop,
	    .old = STR("{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"data\":{\"k\":\"v\",\"l\":[1,2]},\"spec\":"
		       "{\"replicas\":1}}"),
	    .want = STR("{\"metadata\":{\"labels\":{\"a\":\"c\",\"n\":\"x\\ny\"}},\"data\":{\"l\":[2,{\"z\":"
			"1}],\"m\":{\"n\":[]}},"
			"\"spec\":{\"replicas\":7}}"),
	};
	if (!edit_text(&ask, &out, &now, &no) && now) {
		struct object *again = read_first(buf_str(&out), json);
		if (!again)
			abort();
		object_print_json(&a, now, PRINT_PLAIN);
		object_print_json(&b, again, PRINT_PLAIN);
		if (!str_eq(buf_str(&a), buf_str(&b)))
			abort();
		object_unref(&again);
	}
	object_unref(&now);
	object_unref(&o);
	return 0;
}
