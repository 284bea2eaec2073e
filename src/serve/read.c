/* SPDX-License-Identifier: Apache-2.0 */
/* Lists and single objects, plain or as Tables. Reads the store, writes nothing. */
#include <errno.h>

#include "base/clock.h"
#include "serve/snapshot.h"
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

static void not_found(const struct target *t, struct api_error *e)
{
	api_fail(e, 404, "NotFound", "%s%s%s \"%s\" not found", t->kind->plural, *t->kind->group ? "." : "",
		 t->kind->group, t->name);
}

static bool sees(const struct http_request *rq, const struct object *o)
{
	const struct who *w = who_of(rq);
	return w == &access_everything || access_sees(w, o);
}

const struct object *api_find(struct api *a, const struct target *t, struct api_error *e)
{
	const struct object *o = store_get(a->store, t->kind->kind, str_of(t->ns), str_of(t->name));
	if (!o)
		not_found(t, e);
	return o;
}

/* The objects of the piece, in place of all. `rest` is set when more follow, to their number. */
static const struct object *cut_piece(struct object_refs *all, const struct page *p, const struct select *sel,
				      size_t *rest)
{
	size_t n = 0, i = 0;
	*rest = 0;
	VEC_EACH (&all->list, o) {
		i++;
		if (page_skips(p, *o) || !select_matches(sel, *o))
			continue;
		if (p->limit && n == p->limit) {
			*rest = all->list.len - i + 1;
			break;
		}
		all->list.items[n++] = *o;
	}
	all->list.len = n;
	return n ? all->list.items[n - 1] : NULL;
}

/* What the list says of itself: its version, and how to go on. */
static void print_list_meta(struct buf *b, const struct page *p, const struct select *sel,
			    const struct object *last, size_t rest)
{
	buf_printf(b, "{\"resourceVersion\":\"%llu\"", (unsigned long long)p->version);
	if (rest) {
		buf_addz(b, ",\"continue\":");
		page_token(b, p, last);
		/* How many there are of what he may not see is not told either. */
		if (!sel->labels && !sel->n && sel->who == &access_everything)
			buf_printf(b, ",\"remainingItemCount\":%zu", rest);
	}
	buf_addc(b, '}');
}

static void print_list(struct buf *b, const struct target *t, const struct show *show,
		       const struct object_refs *all, struct str meta)
{
	if (show->table)
		table_begin_meta(b, t->kind->kind, meta);
	else
		buf_printf(b,
			   "{\"kind\":\"%sList\",\"apiVersion\":\"%s\",\"metadata\":" STR_FMT ",\"items\":[",
			   t->kind->name, kind_api_version(t->kind), STR_ARG(meta));
	VEC_EACH (&all->list, o) {
		if (o != all->list.items)
			buf_addc(b, ',');
		if (show->table)
			table_row(b, *o, clock_wall(), show->whole, show->print);
		else
			object_print_json(b, *o, show->print);
	}
	buf_addz(b, "]}\n");
}

void read_list(struct api *a, const struct target *t, const struct http_request *rq, struct http_reply *rp,
	       struct api_error *e)
{
	struct select sel = {0};
	struct object_refs all = {0};
	struct show show = show_of(rq);
	struct page page;
	size_t rest = 0;
	AUTO_BUF meta = {0};
	int r = select_parse(&sel, t, rq, e) || page_read(&page, a, rq, e)
		    ? -EINVAL
		    : snapshot_list(a, t->kind->kind, str_of(t->ns), page.version, &all);
	if (r == -ESTALE)
		api_fail(e, 410, "Expired",
			 "the version of this list, %llu, is too old: what changed since is no longer known; "
			 "list from "
			 "the beginning",
			 (unsigned long long)page.version);
	else if (r && !e->code)
		api_fail(e, 500, "InternalError", "out of memory");
	if (!r) {
		const struct object *last = cut_piece(&all, &page, &sel, &rest);
		print_list_meta(&meta, &page, &sel, last, rest);
		print_list(&rp->body, t, &show, &all, buf_str(&meta));
	}
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
	/* As if it were not there: its name may tell, too. */
	if (!sees(rq, o)) {
		not_found(t, e);
		return;
	}
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
