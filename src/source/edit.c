/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See edit.h: finds the object in the text, makes the difference that was asked for into cuts, applies them,
 * and believes only what the decoder then says. Called by the hub and by tests.
 */
#include "source/edit.h"

#include <errno.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/own.h"
#include "source/edit_state.h"

void edit_given_fini(struct edit_given *g)
{
	VEC_EACH (&g->list, o)
		object_unref(o);
	vec_free(&g->list);
	file_unref(&g->file);
}

static int keep(void *ctx, struct object *o)
{
	struct edit_given *g = ctx;
	int r = vec_push(&g->list, o);
	if (r)
		object_unref(&o);
	return r;
}

int edit_read(const struct edit_ask *ask, struct str text, struct edit_given *g)
{
	struct remarks rs = {0};
	struct hash skipped = {0};
	struct decoder_options opt = {
	    .limits = ask->limits, .sink = keep, .ctx = g, .remarks = &rs, .skipped = &skipped};
	int r = file_new(&g->file, ask->path, text.p ? text.p : "", text.n);
	if (!r)
		r = str_ends(str_of(ask->path), STR(".json")) ? decode_json(g->file, &opt)
							      : decode_yaml(g->file, &opt);
	g->errors = rs.errors;
	HASH_EACH (&skipped, slot)
		g->skipped += (uintptr_t)slot->value;
	hash_fini(&skipped);
	remarks_fini(&rs);
	return r == -EINVAL ? 0 : r;
}

/* Namespaced objects without a namespace are in "default". */
static bool is_same(const struct object *a, const struct object *b)
{
	struct str x = a->meta.ns, y = b->meta.ns;
	if (a->desc->namespaced && !x.n)
		x = STR("default");
	if (b->desc->namespaced && !y.n)
		y = STR("default");
	return a->desc == b->desc && str_eq(a->meta.name, b->meta.name) &&
	       (!a->desc->namespaced || str_eq(x, y));
}

static json_t *json_of(const struct object *o)
{
	AUTO_BUF b = {0};
	object_print_json(&b, o, PRINT_PLAIN);
	return b.failed ? NULL : json_loadb(b.p, b.n, JSON_DECODE_ANY, NULL);
}

static void trim_metadata(json_t *meta, const char *const *names)
{
	json_t *notes = json_object_get(meta, "annotations");
	for (; names && *names; names++)
		json_object_del(notes, *names);
	/* None are as good as an empty map. */
	if (!json_object_size(notes))
		json_object_del(meta, "annotations");
	if (!json_object_size(json_object_get(meta, "labels")))
		json_object_del(meta, "labels");
}

/* The members that a file owns. */
static json_t *owned(const struct edit_ask *ask, struct str text)
{
	json_t *o = json_loadb(text.p, text.n, 0, NULL), *meta = json_object();
	static const char *const ours[] = {"labels", "annotations"};
	const json_t *was = json_object_get(o, "metadata");
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		if (json_object_get(was, ours[i]))
			json_object_set(meta, ours[i], json_object_get(was, ours[i]));
	trim_metadata(meta, ask->keep_out);
	json_object_set_new(o, "metadata", meta);
	json_object_del(o, "status");
	json_object_del(o, "apiVersion");
	json_object_del(o, "kind");
	return o;
}

static json_t *three_way(const json_t *base, const json_t *old, const json_t *new);

static bool empty(const json_t *v)
{
	return (json_is_object(v) && !json_object_size(v)) || (json_is_array(v) && !json_array_size(v));
}

static json_t *three_way_map(const json_t *base, const json_t *old, const json_t *new)
{
	json_t *out = base ? json_copy((json_t *)(uintptr_t)base) : json_object(), *v;
	const char *key;
	json_object_foreach ((json_t *)(uintptr_t)old, key, v) {
		if (!json_object_get(new, key))
			json_object_del(out, key);
	}
	json_object_foreach ((json_t *)(uintptr_t) new, key, v) {
		const json_t *was = json_object_get(old, key);
		if (json_equal(was, v))
			continue;
		json_t *now = three_way(json_object_get(out, key), was, v);
		/* An empty map where none was: defaults only. */
		if (was && !json_object_get(out, key) && empty(now) && !empty(v)) {
			json_decref(now);
			continue;
		}
		json_object_set_new(out, key, now);
	}
	return out;
}

static json_t *three_way_list(const json_t *base, const json_t *old, const json_t *new)
{
	long *to = json_array_size(base) == json_array_size(old) ? edit_align(old, new) : NULL;
	json_t *out = json_array(), *v;
	size_t i;
	json_array_foreach (new, i, v) {
		if (to && to[i] >= 0)
			json_array_append_new(out, three_way(json_array_get(base, (size_t)to[i]),
							     json_array_get(old, (size_t)to[i]), v));
		else
			json_array_append(out, v);
	}
	free(to);
	return out;
}

/* What base becomes when the difference between old and new is made to it. */
static json_t *three_way(const json_t *base, const json_t *old, const json_t *new)
{
	if (json_equal(old, new))
		return json_incref((json_t *)(uintptr_t)(base ? base : new));
	if (json_is_object(old) && json_is_object(new) && (!base || json_is_object(base)))
		return three_way_map(base, old, new);
	if (json_is_array(base) && json_is_array(old) && json_is_array(new))
		return three_way_list(base, old, new);
	return json_incref((json_t *)(uintptr_t) new);
}

static int by_start(const void *pa, const void *pb)
{
	const struct edit_cut *a = pa, *b = pb;
	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return (a->end > a->start) - (b->end > b->start);
}

/* Stable for cuts at one place: what is inside comes before what is around it. */
static void sort_cuts(struct edit_run *run)
{
	for (size_t i = 1; i < run->cuts.len; i++)
		for (size_t j = i; j && by_start(&run->cuts.items[j - 1], &run->cuts.items[j]) > 0; j--) {
			struct edit_cut c = run->cuts.items[j];
			run->cuts.items[j] = run->cuts.items[j - 1];
			run->cuts.items[j - 1] = c;
		}
}

/* What is added behind a line that goes is added behind the one before it. */
static bool move_out(struct edit_run *run, struct edit_cut *add)
{
	VEC_EACH (&run->cuts, c) {
		if (c->n || c->start >= add->start || c->end <= add->start || add->end > add->start ||
		    !add->n)
			continue;
		size_t to = c->start;
		if (to && run->text.p[to - 1] == '\n')
			to -= to > 1 && run->text.p[to - 2] == '\r' ? 2 : 1;
		add->start = add->end = to;
		return true;
	}
	return false;
}

static int apply_cuts(struct edit_run *run, struct buf *out)
{
	size_t at = 0;
	bool text = false;
	VEC_EACH (&run->cuts, c)
		while (move_out(run, c))
			;
	sort_cuts(run);
	VEC_EACH (&run->cuts, c) {
		/* Lines that go may share a line end. */
		if (c->start < at && (c->n || text))
			return edit_refuse(run, c->start, "two changes meet at this place");
		if (c->start > at)
			buf_add(out, run->text.p + at, c->start - at);
		buf_add(out, c->text, c->n);
		text = c->n && c->end > c->start;
		at = c->end > at ? c->end : at;
	}
	buf_add(out, run->text.p + at, run->text.n - at);
	return out->failed ? -ENOMEM : 0;
}

static void cuts_fini(struct edit_run *run)
{
	VEC_EACH (&run->cuts, c)
		free(c->text);
	vec_free(&run->cuts);
}

/* How lists are indented: as the first one that is. */
static bool learn_seq(struct edit_run *run, const struct layout *node)
{
	for (const struct layout *c = node->first; c; c = c->next) {
		if (c->key && c->type == LAYOUT_SEQ && !c->flow && c->n) {
			size_t dash = c->start - layout_line(run->text, c->start);
			size_t key = c->key->start - layout_line(run->text, c->key->start);
			run->manner.seq_step = dash > key ? (unsigned)(dash - key) : 0;
			return true;
		}
		if (learn_seq(run, c))
			return true;
	}
	return false;
}

static bool learn_step(struct edit_run *run, const struct layout *node)
{
	struct str t = run->text;
	for (const struct layout *c = node->first; c; c = c->next) {
		if (c->key && c->type == LAYOUT_MAP && c->n && (!c->flow || run->manner.json)) {
			size_t in = c->first->key->start - layout_line(t, c->first->key->start);
			size_t key = c->key->start - layout_line(t, c->key->start);
			if (in > key && in < key + 9 &&
			    layout_line(t, c->key->start) < layout_line(t, c->first->key->start)) {
				run->manner.step = (unsigned)(in - key);
				return true;
			}
		}
		if (learn_step(run, c))
			return true;
	}
	return false;
}

static void learn(struct edit_run *run, const struct layout *root, bool json)
{
	const char *nl = memchr(run->text.p, '\n', run->text.n);
	run->manner = (struct edit_manner){
	    .json = json, .step = 2, .eol = nl && nl > run->text.p && nl[-1] == '\r' ? "\r\n" : "\n"};
	/* JSON in a file of another name goes on as JSON. */
	if (root->flow && root->first && root->first->key && root->first->key->style == '"')
		run->manner.json = true;
	learn_step(run, root);
	learn_seq(run, root);
}

/* Comments, blank lines and markers only. */
static bool is_bare(struct str s)
{
	while (s.n) {
		struct str line = str_trim(str_cut(&s, '\n'));
		if (line.n && line.p[0] != '#' && !str_eqz(line, "---"))
			return false;
	}
	return true;
}

/* The comments that head a file, up to the first blank line, when there is one before the object. */
static size_t file_head(struct str text, size_t at, size_t end)
{
	size_t head = 0;
	while (at < end) {
		size_t eol = layout_line_end(text, at);
		struct str line = str_trim((struct str){.p = text.p + at, .n = eol - at});
		const char *nl = memchr(text.p + at, '\n', text.n - at);
		at = nl ? (size_t)(nl - text.p) + 1 : text.n;
		if (!line.n)
			head = at;
		else if (line.p[0] != '#')
			break;
	}
	return head < end ? head : end;
}

static int cut_with(struct edit_run *run, size_t start, size_t end, const char *text)
{
	AUTO_BUF b = {0};
	buf_addz(&b, text);
	return edit_cut(run, start, end, &b);
}

/* A document goes with its "---" and the comments above its object; those behind it stay. */
static int remove_document(struct edit_run *run, const struct layout_found *at, bool json)
{
	struct str t = run->text;
	size_t from = at->from, end = layout_line_end(t, at->root->end), to = end;
	size_t head = from < 4 ? file_head(t, from, at->root->first->key->start) : 0;
	if (head > from)
		from = head;
	if (json)
		return cut_with(run, 0, t.n, "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": []}\n");
	while (to < at->to) {
		const char *nl = memchr(t.p + to, '\n', at->to - to);
		size_t next = nl ? (size_t)(nl - t.p) + 1 : at->to;
		struct str line = str_trim((struct str){.p = t.p + to, .n = next - to});
		if (to != end && line.n && !str_eqz(line, "..."))
			break;
		to = next;
	}
	struct str rest = {.p = t.p + to, .n = at->to - to};
	if (!is_bare(rest))
		return edit_refuse(run, to, "the document holds more than this object");
	return edit_cut(run, from, to, NULL);
}

bool edit_same_text(const struct object *a, const struct object *b)
{
	AUTO_BUF x = {0};
	AUTO_BUF y = {0};
	object_print_json(&x, a, PRINT_PLAIN);
	object_print_json(&y, b, PRINT_PLAIN);
	return !x.failed && !y.failed && str_eq(buf_str(&x), buf_str(&y));
}

/* Whether the file says of the object what it said when it was read. */
static int check_in_force(struct edit_run *run, const struct edit_ask *ask, const struct object *found)
{
	struct object *o = NULL;
	if (!ask->in_force)
		return 0;
	int r = object_clone(&o, found);
	if (!r)
		r = object_default(o);
	bool same = !r && edit_same_text(o, ask->in_force);
	object_unref(&o);
	if (r || same)
		return r;
	run->no->moved = true;
	run->no->line = found->pos.line;
	run->no->col = found->pos.col;
	snprintf(run->no->why, sizeof(run->no->why), "the file says something else meanwhile");
	return -EINVAL;
}

size_t edit_find(const struct edit_given *g, const struct object *o)
{
	size_t i = 0;
	while (i < g->list.len && !is_same(g->list.items[i], o))
		i++;
	return i;
}

/* As the decoder would give it. */
static json_t *as_decoded(const json_t *v)
{
	AUTO_MEM char *text = json_dumps(v, JSON_COMPACT);
	struct remarks rs = {0};
	struct object *o = NULL;
	json_t *out = NULL;
	if (text && !decode_json_object(str_of(text), NULL, NULL, &o, &rs))
		out = json_of(o);
	object_unref(&o);
	remarks_fini(&rs);
	return out;
}

/* The new text gives what was wanted, and the same others in the same order. */
static bool holds(const struct edit_given *was, const struct edit_given *is, size_t at, const json_t *want)
{
	size_t gone = want ? 0 : 1;
	if (is->errors > was->errors || is->skipped != was->skipped || is->list.len + gone != was->list.len)
		return false;
	for (size_t i = 0; i < was->list.len; i++)
		if (i != at && !edit_same_text(was->list.items[i], is->list.items[i > at ? i - gone : i]))
			return false;
	if (!want)
		return true;
	json_t *wanted = as_decoded(want), *got = json_of(is->list.items[at]);
	bool same = wanted && got && json_equal(wanted, got);
	json_decref(wanted);
	json_decref(got);
	return same;
}

static int change(struct edit_run *run, const struct edit_ask *ask, const struct object *o,
		  const json_t *base, const json_t *want)
{
	AUTO_ARENA arena = {0};
	struct layout_found at = {0};
	bool json = str_ends(str_of(ask->path), STR(".json"));
	size_t offset = layout_offset(run->text, o->pos.line, o->pos.col);
	int r = layout_find(&arena, run->text, json, offset, &at);
	if (r == -ENOMEM)
		return r;
	if (r)
		return edit_refuse(run, offset, "the document is laid out in a way that is not known here");
	learn(run, at.root, json);
	if (want)
		return edit_change(run, at.map, base, want);
	return at.map == at.root ? remove_document(run, &at, json) : edit_remove_item(run, at.map);
}

static int edit_found(struct edit_run *run, const struct edit_ask *ask, const struct edit_given *was,
		      size_t i, struct buf *out, struct object **now)
{
	const struct object *o = was->list.items[i];
	json_t *base = json_of(o), *old = ask->remove ? NULL : owned(ask, ask->old),
	       *new = ask->remove ? NULL : owned(ask, ask->want);
	json_t *want = old && new ? three_way(base, old, new) : NULL;
	struct edit_given is = {0};
	int r = !base || (!ask->remove && !want) ? -ENOMEM : 0;
	if (!r && (!want || !json_equal(base, want)))
		r = change(run, ask, o, base, want);
	if (!r)
		r = apply_cuts(run, out);
	if (!r)
		r = edit_read(ask, buf_str(out), &is);
	if (!r && !holds(was, &is, i, want))
		r = edit_refuse(run, layout_offset(run->text, o->pos.line, o->pos.col),
				"as this object is laid out, the file would not say what was asked for");
	if (!r && want)
		*now = object_ref(is.list.items[i]);
	edit_given_fini(&is);
	json_decref(base);
	json_decref(old);
	json_decref(new);
	json_decref(want);
	return r;
}

int edit_text(const struct edit_ask *ask, struct buf *out, struct object **now, struct edit_refusal *no)
{
	struct edit_run run = {.text = ask->text, .no = no};
	struct edit_given was = {0};
	*no = (struct edit_refusal){0};
	int r = edit_read(ask, ask->text, &was);
	size_t i = r ? 0 : edit_find(&was, ask->object);
	if (!r && i == was.list.len) {
		no->moved = true;
		snprintf(no->why, sizeof(no->why), "the file does not hold it any more");
		r = -EINVAL;
	}
	if (!r)
		r = check_in_force(&run, ask, was.list.items[i]);
	if (!r)
		r = edit_found(&run, ask, &was, i, out, now);
	cuts_fini(&run);
	edit_given_fini(&was);
	return r;
}
