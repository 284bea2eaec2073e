/* SPDX-License-Identifier: Apache-2.0 */
/* See userpart.h. Works on the object's JSON; knows which members are the server's. */
#include "hub/userpart.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/own.h"
#include "object/decode.h"

static void keep_only(json_t *map, const char *const *names)
{
	void *it = json_object_iter(map);
	while (it) {
		const char *key = json_object_iter_key(it);
		const char *const *n = names;
		while (*n && strcmp(*n, key))
			n++;
		void *next = json_object_iter_next(map, it);
		if (!*n)
			json_object_del(map, key);
		it = next;
	}
}

static void drop_empty(json_t *map, const char *key)
{
	const json_t *v = json_object_get(map, key);
	if (v && !json_object_size(v) && !json_array_size(v))
		json_object_del(map, key);
}

static void trim_metadata(json_t *meta)
{
	static const char *const ours[] = {"name", "namespace", "labels", "annotations", "finalizers", NULL};
	static const char *const others[] = {"kubectl.kubernetes.io/last-applied-configuration",
					     "deployment.kubernetes.io/revision"};
	keep_only(meta, ours);
	json_t *notes = json_object_get(meta, "annotations");
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		json_object_del(notes, others[i]);
	drop_empty(meta, "annotations");
	drop_empty(meta, "labels");
	drop_empty(meta, "finalizers");
}

/* A Job's pods are told by its uid, which another life of it does not have. */
static void trim_job(json_t *spec)
{
	static const char uid[] = "batch.kubernetes.io/controller-uid";
	json_t *selector = json_object_get(spec, "selector");
	json_t *pairs = json_object_get(selector, "matchLabels");
	json_object_del(pairs, uid);
	drop_empty(selector, "matchLabels");
	drop_empty(spec, "selector");
	json_object_del(
	    json_object_get(json_object_get(json_object_get(spec, "template"), "metadata"), "labels"), uid);
}

int userpart_json(struct buf *out, const struct object *o)
{
	AUTO_BUF b = {0};
	object_print_json(&b, o, PRINT_PLAIN);
	json_t *j = b.failed ? NULL : json_loadb(b.p, b.n, 0, NULL), *spec = json_object_get(j, "spec");
	if (!j)
		return -ENOMEM;
	json_object_del(j, "status");
	trim_metadata(json_object_get(j, "metadata"));
	if (o->desc->kind == KIND_job)
		trim_job(spec);
	if (o->desc->kind == KIND_pod)
		json_object_del(spec, "nodeName");
	char *text = json_dumps(j, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(j);
	if (!text)
		return -ENOMEM;
	buf_addz(out, text);
	free(text);
	return out->failed ? -ENOMEM : 0;
}

int userpart_yaml(struct buf *out, struct str json, bool redact)
{
	struct remarks rs = {0};
	struct object *o = NULL;
	int r = decode_json_object(json, NULL, NULL, &o, &rs);
	if (!r && !o)
		r = -EINVAL;
	if (!r)
		object_print_yaml(out, o, redact ? PRINT_REDACT : PRINT_PLAIN);
	object_unref(&o);
	remarks_fini(&rs);
	return r ? r : out->failed ? -ENOMEM : 0;
}

bool userpart_same(const struct object *a, const struct object *b)
{
	AUTO_BUF x = {0};
	AUTO_BUF y = {0};
	return !userpart_json(&x, a) && !userpart_json(&y, b) && str_eq(buf_str(&x), buf_str(&y));
}
