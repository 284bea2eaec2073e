/* SPDX-License-Identifier: Apache-2.0 */
/* Lists and single objects, plain or as Tables. Reads the store, writes nothing. */
#include <errno.h>

#include "base/clock.h"
#include "serve/api_state.h"
#include "serve/table.h"

bool query_true(const struct http_request *rq, const char *key)
{
	const char *v = http_query(rq, key);
	return v && (!strcmp(v, "true") || !strcmp(v, "1"));
}

struct show show_of(const struct http_request *rq)
{
	struct show s = {0};
	const char *include = http_query(rq, "includeObject");
	s.table =
	    strstr(rq->accept, "as=Table") && strstr(rq->accept, "v=v1") && strstr(rq->accept, "meta.k8s.io");
	s.whole = include && !strcmp(include, "Object");
	/* The nodes' agents ask for positions over the Unix socket; Secrets stay whole only there. */
	s.print = query_true(rq, "positions") ? PRINT_POSITIONS : PRINT_PLAIN;
	if (!rq->local)
		s.print |= PRINT_REDACT;
	return s;
}

const struct object *api_find(struct api *a, const struct target *t, struct api_error *e)
{
	const struct object *o = store_get(a->store, t->kind->kind, str_of(t->ns), str_of(t->name));
	if (!o)
		api_fail(e, 404, "NotFound", "%s%s%s \"%s\" not found", t->kind->plural,
			 *t->kind->group ? "." : "", t->kind->group, t->name);
	return o;
}

void read_list(struct api *a, const struct target *t, const struct http_request *rq, struct http_reply *rp,
	       struct api_error *e)
{
	struct select sel = {0};
	struct object_refs all = {0};
	struct show show = show_of(rq);
	if (select_parse(&sel, t, rq, e)) {
		select_fini(&sel);
		return;
	}
	if (store_list(a->store, t->kind->kind, str_of(t->ns), &all))
		api_fail(e, 500, "InternalError", "out of memory");
	struct buf *b = &rp->body;
	if (show.table)
		table_begin(b, t->kind->kind, store_version(a->store));
	else
		buf_printf(b,
			   "{\"kind\":\"%sList\",\"apiVersion\":\"%s\",\"metadata\":{\"resourceVersion\":\"%"
			   "llu\"},\"items\":[",
			   t->kind->name, kind_api_version(t->kind),
			   (unsigned long long)store_version(a->store));
	bool first = true;
	VEC_EACH (&all.list, o) {
		if (!select_matches(&sel, *o))
			continue;
		if (!first)
			buf_addc(b, ',');
		first = false;
		if (show.table)
			table_row(b, *o, clock_wall(), show.whole, show.print);
		else
			object_print_json(b, *o, show.print);
	}
	buf_addz(b, "]}\n");
	vec_free(&all.list);
	select_fini(&sel);
}

void read_get(struct api *a, const struct target *t, const struct http_request *rq, struct http_reply *rp,
	      struct api_error *e)
{
	struct show show = show_of(rq);
	const struct object *o = api_find(a, t, e);
	if (!o)
		return;
	if (*t->sub && strcmp(t->sub, "status")) {
		api_fail(e, 404, "NotFound", "%s have no sub-resource \"%s\" here", t->kind->plural, t->sub);
		return;
	}
	if (show.table) {
		table_begin(&rp->body, t->kind->kind, o->version);
		table_row(&rp->body, o, clock_wall(), show.whole, show.print);
		buf_addz(&rp->body, "]}\n");
	} else {
		object_print_json(&rp->body, o, show.print);
		buf_addc(&rp->body, '\n');
	}
}
