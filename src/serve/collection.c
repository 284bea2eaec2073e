/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DELETE of a collection: what the selectors match, all or, where one of them may not go, none. Each object
 * goes through the owner's hook.
 */
#include <errno.h>

#include "serve/api_state.h"

static int erase(struct api *a, const struct http_request *rq, struct api_write w, const struct object *o,
		 bool dry, struct api_error *e)
{
	struct object *now = NULL;
	w.old = o;
	w.dry = dry;
	int r = api_write_as(a, rq, &w, &now, e);
	object_unref(&now);
	return r;
}

void collection_delete(struct api *a, const struct target *t, const struct http_request *rq,
		       struct http_reply *rp, struct api_error *e)
{
	struct select sel = {0};
	struct object_refs all = {0};
	struct api_write w = {.verb = API_DELETE};
	bool dry = false;
	size_t n = 0;
	user_of(w.user, rq);
	if (t->kind->namespaced && !*t->ns)
		api_fail(e, 405, "MethodNotAllowed",
			 "a collection is deleted in one namespace: …/namespaces/NS/%s", t->kind->plural);
	if (e->code || select_parse(&sel, t, rq, e) || read_dry(rq, &dry, e) || read_delete(rq, &w, e)) {
		select_fini(&sel);
		return;
	}
	dry |= w.dry;
	int r = store_list(a->store, t->kind->kind, str_of(t->ns), &all);
	VEC_EACH (&all.list, o)
		if (!r && select_matches(&sel, *o))
			all.list.items[n++] = object_ref(*o);
	all.list.len = n;
	VEC_EACH (&all.list, o)
		if (!r)
			r = erase(a, rq, w, *o, true, e);
	buf_printf(&rp->body,
		   "{\"kind\":\"%sList\",\"apiVersion\":\"%s\",\"metadata\":{\"resourceVersion\":\"%llu\"},"
		   "\"items\":[",
		   t->kind->name, kind_api_version(t->kind), (unsigned long long)store_version(a->store));
	VEC_EACH (&all.list, o) {
		struct object *held = (struct object *)(uintptr_t)*o;
		/* One may have gone with another that owned it. */
		if (!r && !dry && store_get(a->store, t->kind->kind, held->meta.ns, held->meta.name))
			r = erase(a, rq, w, held, false, e);
		buf_addz(&rp->body, o == all.list.items ? "" : ",");
		object_print_json(&rp->body, held, rq->local ? PRINT_PLAIN : PRINT_REDACT);
		object_unref(&held);
	}
	buf_addz(&rp->body, "]}\n");
	if (r)
		api_fail(e, 500, "InternalError", "out of memory");
	vec_free(&all.list);
	select_fini(&sel);
}
