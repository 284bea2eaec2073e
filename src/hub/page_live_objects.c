/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects in the page's stream: first all of each kind, in pieces, then what changed since, from the store's
 * history, each as often as it changed. Only those of which the reader may know. Called by page_live.c.
 */
#include <errno.h>
#include <stdio.h>

#include "base/own.h"
#include "hub/page_live_state.h"

enum { CHUNK = 64 << 10, HOW = PRINT_REDACT | PRINT_UNMANAGED };

struct telling {
	struct live *l;
	struct buf *b;
	const struct kind_desc *kind; /* of the event that is open; NULL: none */
	bool some;		      /* in it */
};

static void event_end(struct telling *t)
{
	if (!t->kind)
		return;
	buf_addz(t->b, "]}");
	live_event_end(t->b);
	t->kind = NULL;
}

static void event_begin(struct telling *t, const struct kind_desc *kind, bool snapshot)
{
	event_end(t);
	live_event(t->b, "objects");
	buf_printf(t->b, "{\"kind\":\"%s\",%s\"changes\":[", kind->plural,
		   snapshot ? "\"snapshot\":true," : "");
	t->kind = kind;
	t->some = false;
}

static void add_change(struct telling *t, const char *type, const struct object *o)
{
	if (t->kind != o->desc)
		event_begin(t, o->desc, false);
	buf_printf(t->b, "%s{\"type\":\"%s\",\"object\":", t->some ? "," : "", type);
	t->some = true;
	object_print_json(t->b, o, HOW);
	buf_addc(t->b, '}');
}

/* --- what is --------------------------------------------------------------------------------------- */

static bool was_told(const struct live *l, const struct object *o)
{
	int r = str_cmp(o->meta.ns, str_of(l->after_ns));

	return l->begun && (r < 0 || (!r && str_cmp(o->meta.name, str_of(l->after_name)) <= 0));
}

static void told_up_to(struct live *l, const struct object *o)
{
	snprintf(l->after_ns, sizeof(l->after_ns), STR_FMT, STR_ARG(o->meta.ns));
	snprintf(l->after_name, sizeof(l->after_name), STR_FMT, STR_ARG(o->meta.name));
	l->begun = true;
}

/* A piece of a kind's objects; its bit goes when that was the last. */
static int tell_kind(struct telling *t, struct store *s, enum kind kind)
{
	struct live *l = t->l;
	struct object_refs all = {0};
	bool whole = true;
	int r = store_list(s, kind, STR(""), &all);

	if (r)
		return r;
	if (!l->begun)
		event_begin(t, &kind_table[kind], true);
	VEC_EACH (&all.list, o) {
		if (was_told(l, *o) || !access_sees(l->who, *o))
			continue;
		if (t->b->n >= CHUNK) {
			whole = false;
			break;
		}
		add_change(t, "ADDED", *o);
		told_up_to(l, *o);
	}
	vec_free(&all.list);
	event_end(t);
	if (whole) {
		l->snapshot &= ~(1ULL << kind);
		l->begun = false;
	}
	return 0;
}

static int tell_state(struct telling *t, struct store *s)
{
	int r = 0;

	while (!r && t->l->snapshot && t->b->n < CHUNK)
		r = tell_kind(t, s, (enum kind)__builtin_ctzll(t->l->snapshot));
	return r;
}

/* --- what changed ---------------------------------------------------------------------------------- */

static int tell_event(void *ctx, const struct event *e)
{
	static const char *const types[] = {"ADDED", "MODIFIED", "DELETED"};
	struct telling *t = ctx;

	if (access_sees(t->l->who, e->object))
		add_change(t, types[e->type], e->object);
	else if (e->type == EVENT_MODIFIED && e->old && access_sees(t->l->who, e->old))
		add_change(t, "DELETED", e->old); /* it became what is not for him */
	t->l->since = e->version;
	return t->b->n >= CHUNK;
}

int live_objects(struct live *l, struct store *s)
{
	struct telling t = {.l = l, .b = &l->stream.out};
	int r = tell_state(&t, s);

	if (r || l->snapshot)
		return r;
	r = store_replay(s, l->since, l->kinds, tell_event, &t);
	event_end(&t);
	if (r < 0)
		return r;
	if (!r)
		l->since = store_version(s);
	if (!r && !l->synced) {
		live_event(t.b, "synced");
		buf_addz(t.b, "{}");
		live_event_end(t.b);
		l->synced = true;
	}
	return 0;
}

int live_kinds(const char *text, uint64_t *out, struct api_error *e)
{
	struct str rest = str_of(text);

	_Static_assert(KIND_COUNT <= 64, "a bit for each kind");
	while (rest.n) {
		struct str word = str_cut(&rest, ',');
		const struct kind_desc *k = kind_by_name(word);

		if (!k || !str_eqz(word, k->plural))
			return api_fail(e, 400, "BadRequest",
					"kinds: \"" STR_FMT "\" is the plural of no kind", STR_ARG(word));
		*out |= 1ULL << k->kind;
	}
	return 0;
}
