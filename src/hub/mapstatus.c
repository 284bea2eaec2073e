/* SPDX-License-Identifier: Apache-2.0 */
/* Which maps are in force: see mapstatus.h. */
#include "hub/mapstatus.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "broker/broker.h"
#include "hub/condition.h"
#include "hub/copy.h"

OWN_DEFINE(object, struct object, object_unref)

static const char ACCEPTED[] = "Accepted";

struct mapstatus {
	struct store *store;
	struct subscription *sub;
	bool dirty, writing;
};

/* What all maps together came to. */
struct verdict {
	bool good;
	struct broker *b; /* where it is good */
	struct remarks remarks;
	struct broker_faults faults;
};

static size_t addresses(const struct object *node)
{
	return node && node->node->status ? node->node->status->addresses.len : 0;
}

static void on_event(void *ctx, const struct event *e)
{
	struct mapstatus *m = ctx;

	switch (e->object->desc->kind) {
	case KIND_node:
		m->dirty |= e->type != EVENT_MODIFIED || !addresses(e->old) != !addresses(e->object);
		break;
	case KIND_service:
		m->dirty |= e->type != EVENT_MODIFIED;
		break;
	case KIND_tool:
	case KIND_toolgroup:
	case KIND_trafficfilter:
	case KIND_trafficmap:
		m->dirty |= !m->writing;
		break;
	default:
		break;
	}
}

int mapstatus_new(struct mapstatus **out, struct store *s)
{
	struct mapstatus *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->store = s;
	m->dirty = true;
	r = store_subscribe(s, on_event, m, &m->sub);
	if (r)
		mapstatus_free(&m);
	else
		*out = m;
	return r;
}

void mapstatus_free(struct mapstatus **pm)
{
	struct mapstatus *m = *pm;

	if (!m)
		return;
	if (m->sub)
		store_unsubscribe(&m->sub);
	free(TAKE(*pm));
}

/* --- words --------------------------------------------------------------------------------------------- */

static void add_fault(struct buf *b, const struct verdict *v, const struct broker_fault *f)
{
	const struct remark *r = f->remark < v->remarks.list.len ? &v->remarks.list.items[f->remark] : NULL;

	if (!r) {
		buf_printf(b, "%s \"" STR_FMT "\" has an error; `weft check` says which", f->of->desc->name,
			   STR_ARG(f->of->meta.name));
		return;
	}
	pos_print(b, (struct pos){.file = r->file, .line = r->line, .col = r->col, .len = r->len});
	buf_printf(b, "%s%s", b->n ? ": " : "", r->text ? r->text : "invalid");
	if (r->hint)
		buf_printf(b, "; %s", r->hint);
}

static const struct broker_fault *fault_of(const struct verdict *v, const struct object *o)
{
	VEC_EACH (&v->faults.list, f)
		if (f->of == o)
			return f;
	return NULL;
}

/* The first that keeps all maps from what they say now: a Capture's keeps nobody. */
static const struct broker_fault *first_fault(const struct verdict *v)
{
	VEC_EACH (&v->faults.list, f)
		if (f->of->desc->kind != KIND_capture)
			return f;
	return NULL;
}

static void add_absent(struct buf *b, const struct store *s, const struct trafficmap_spec *spec)
{
	for (size_t i = 0; i < spec->from.len; i++) {
		const struct source_service *from = spec->from.items[i].service;
		struct str ns = from && from->ns.n ? from->ns : STR("default");

		if (from && !store_get(s, KIND_service, ns, from->name))
			buf_printf(b, "; Service " STR_FMT "/" STR_FMT " is not there yet", STR_ARG(ns),
				   STR_ARG(from->name));
	}
}

static bool leads_to(const struct verdict *v, const struct object *map, struct str tool)
{
	for (uint32_t i = 0; i < v->b->maps_n; i++)
		for (uint32_t p = 0; str_eq(v->b->maps[i].name, map->meta.name) && p < v->b->ports_n; p++)
			if (str_eq(v->b->ports[p].tool, tool) && broker_leads(v->b, &v->b->maps[i], p))
				return true;
	return false;
}

/* What is in force, and will not do what the map is for: of itself, and of tools that it leads to. */
static bool add_warnings(struct buf *b, const struct verdict *v, const struct object *o)
{
	bool any = false;

	VEC_EACH (&v->faults.warnings, f) {
		AUTO_BUF why = {0};

		if (f->of != o && (f->of->desc->kind != KIND_tool || !leads_to(v, o, f->of->meta.name)))
			continue;
		add_fault(&why, v, f);
		buf_printf(b, "; %s", why.p ? why.p : "");
		any = true;
	}
	return any;
}

/* --- writing ------------------------------------------------------------------------------------------- */

static int write_accepted(struct mapstatus *m, const struct object *o, bool holds, const char *reason,
			  struct str message)
{
	AUTO(own_object) struct object *n = NULL;
	const struct trafficmap_status *was = o->trafficmap->status;
	const struct condition *c = was ? condition_find(&was->conditions, ACCEPTED) : NULL;
	char now[21];

	if (c && str_eqz(c->status, holds ? "True" : "False") && str_eqz(c->reason, reason) &&
	    str_eq(c->message, message) && c->observed_generation.v == o->meta.generation.v)
		return 0;
	if (!message.p || object_clone(&n, o))
		return -ENOMEM;
	struct trafficmap_status *st = n->trafficmap->status;

	if (!st)
		st = n->trafficmap->status = arena_new(&n->arena, struct trafficmap_status);
	clock_rfc3339(clock_wall(), now);
	if (!st || condition_set(&n->arena, &st->conditions, ACCEPTED, holds, reason, message.p, now))
		return -ENOMEM;
	((struct condition *)(uintptr_t)condition_find(&st->conditions, ACCEPTED))->observed_generation =
	    o->meta.generation;
	return store_put(m->store, TAKE(n), NULL);
}

static int look_at(struct mapstatus *m, const struct object *o, const struct verdict *v)
{
	const struct trafficmap_status *was = o->trafficmap->status;
	const struct condition *c = was ? condition_find(&was->conditions, ACCEPTED) : NULL;
	const struct broker_fault *own = fault_of(v, o), *other = first_fault(v);
	AUTO_BUF text = {0};
	bool warned = false;

	if (!o->trafficmap->spec)
		return 0;
	if (v->good) {
		buf_addz(&text, "The nodes copy by it");
		add_absent(&text, m->store, o->trafficmap->spec);
		warned = add_warnings(&text, v, o);
	} else if (own) {
		add_fault(&text, v, own);
	} else if (c && str_eqz(c->status, "True") && c->observed_generation.v == o->meta.generation.v) {
		return 0; /* what was in force stays so */
	} else {
		buf_addz(&text, "Nothing changes before this is put right: ");
		if (other) {
			AUTO_BUF why = {0};

			add_fault(&why, v, other);
			buf_adds(&text, buf_str(&why));
		}
	}
	if (text.failed)
		return -ENOMEM;
	return write_accepted(m, o, v->good,
			      warned	? "InForceWarned"
			      : v->good ? "InForce"
			      : own	? "Invalid"
					: "OthersInvalid",
			      buf_str(&text));
}

void mapstatus_tick(struct mapstatus *m)
{
	struct verdict v = {0};
	struct object_refs all = {0};
	int r;

	if (!m->dirty || !store_count(m->store, KIND_trafficmap))
		return;
	m->dirty = false;
	r = broker_compile_told(&v.b, m->store, &v.remarks, &v.faults);
	v.good = !r;
	if (r == -EINVAL)
		r = 0;
	if (!r)
		r = store_list(m->store, KIND_trafficmap, STR(""), &all);
	VEC_EACH (&all.list, o)
		*o = object_ref(*o);
	m->writing = true;
	VEC_EACH (&all.list, o) {
		struct object *held = (struct object *)(uintptr_t)*o;

		if (!r)
			r = look_at(m, held, &v);
		object_unref(&held);
	}
	m->writing = false;
	if (r) {
		log_error("status of traffic maps: %s", strerror(-r));
		m->dirty = true;
	}
	vec_free(&all.list);
	vec_free(&v.faults.list);
	vec_free(&v.faults.warnings);
	broker_free(&v.b);
	remarks_fini(&v.remarks);
}
