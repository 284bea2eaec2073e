/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents and lists: takes a stream apart into objects and delivers them one by one. A document with an
 * error is left out; the others go on. Never opens a file. Called by sources, the API and the agent's feed.
 */
#include "object/decode.h"

#include <errno.h>
#include <stdlib.h>

#include "base/own.h"
#include "object/fill.h"
#include "object/scalar.h"

const struct decode_limits decode_limits_default = {
    .bytes = 64u << 20,
    .depth = 64,
    .nodes = 5000000,
    .aliases = 100000,
};

struct decode_limits decode_limits_sized(size_t mib)
{
	struct decode_limits l = decode_limits_default;

	if (!mib)
		return l;
	if (mib << 20 > l.bytes)
		l.nodes = l.nodes * mib / (l.bytes >> 20);
	l.bytes = mib << 20;
	return l;
}

struct run {
	const struct decoder_options *opt;
	struct file *file; /* may be NULL */
	struct tree tree;
	int stopped;	     /* what the sink returned */
	bool take_positions; /* honour weftPositions */
	bool one;	     /* a list is refused */
};

/* Header of a document that may be a list. */
struct header {
	struct str api_version, kind;
};

static struct str scalar_text(const struct value *n)
{
	return n && n->type == VALUE_SCALAR ? n->text : (struct str){0};
}

static struct header header_of(const struct value *map)
{
	return (struct header){.api_version = scalar_text(value_get(map, "apiVersion")),
			       .kind = scalar_text(value_get(map, "kind"))};
}

/* "PodList" → "Pod", "List" → "". */
static bool is_list(struct str kind, struct str *item)
{
	if (!str_ends(kind, STR("List")))
		return false;
	*item = (struct str){.p = kind.p, .n = kind.n - 4};
	return true;
}

static struct str group_of(struct str api_version)
{
	const char *slash = api_version.n ? memchr(api_version.p, '/', api_version.n) : NULL;
	return slash ? (struct str){.p = api_version.p, .n = (size_t)(slash - api_version.p)}
		     : (struct str){0};
}

/* Our kind of that name, when the given group makes it likely that it is meant: another version, no group, or
 * the group in which many kinds once were. Other projects have kinds of the same names under groups of their
 * own. */
static const struct kind_desc *likely_kind(const struct header *h)
{
	struct str group = group_of(h->api_version);
	for (size_t i = 0; i < KIND_COUNT; i++) {
		const struct kind_desc *k = &kind_table[i];
		if (str_eqz(h->kind, k->name) &&
		    (!group.n || str_eqz(group, k->group) || str_eqz(group, "extensions")))
			return k;
	}
	return NULL;
}

static int skip(struct run *run, const struct header *h, struct pos at, struct pos version_at)
{
	const struct kind_desc *k = likely_kind(h);
	if (k) {
		AUTO_BUF hint = {0};
		buf_printf(&hint, "write apiVersion: %s", kind_api_version(k));
		remark_add(run->opt->remarks, REMARK_WARNING, version_at, hint.p,
			   "%s is known as %s only, not as " STR_FMT "; the object is skipped", k->name,
			   kind_api_version(k), STR_ARG(h->api_version));
		return 0;
	}
	AUTO_BUF key = {0};
	buf_printf(&key, STR_FMT " " STR_FMT, STR_ARG(h->api_version), STR_ARG(h->kind));
	if (key.failed)
		return -ENOMEM;
	if (!run->opt->skipped) {
		remark_add(run->opt->remarks, REMARK_HINT, at, NULL,
			   "kind " STR_FMT " (" STR_FMT ") is not known here; skipped", STR_ARG(h->kind),
			   STR_ARG(h->api_version));
		return 0;
	}
	uintptr_t n = (uintptr_t)hash_get(run->opt->skipped, buf_str(&key));
	return hash_set(run->opt->skipped, buf_str(&key), (void *)(n + 1), NULL);
}

static struct pos start_of(const struct run *run, const struct value *map)
{
	return value_pos(&run->tree, map->first ? map->first->key : map);
}

static bool header_complete(struct run *run, const struct value *map, const struct header *h)
{
	static const char *const names[] = {"apiVersion", "kind"};
	const struct str *const given[] = {&h->api_version, &h->kind};
	bool complete = true;
	for (size_t i = 0; i < 2; i++) {
		const struct value *n = value_get(map, names[i]);
		if (given[i]->n)
			continue;
		complete = false;
		remark_add(run->opt->remarks, REMARK_ERROR, n ? value_pos(&run->tree, n) : start_of(run, map),
			   i ? "for example kind: NetworkPolicy"
			     : "for example apiVersion: networking.k8s.io/v1",
			   n ? "%s: expected text" : "%s is missing", names[i]);
	}
	return complete;
}

static int fill(struct run *run, struct object *o, const struct value *map)
{
	struct fill f = {
	    .tree = &run->tree, .object = o, .rs = run->opt->remarks, .positions = run->file != NULL};
	int r = fill_object(&f, map);
	buf_fini(&f.path);
	const struct value *told = run->take_positions ? value_get(map, "weftPositions") : NULL;
	if (!r && told) {
		r = fill_positions(o, told);
		if (r == -EINVAL)
			remark_add(run->opt->remarks, REMARK_ERROR, value_pos(&run->tree, told), NULL,
				   "weftPositions: malformed");
	}
	return r == -EINVAL ? 0 : r;
}

/* One object's map → object → sink. `errors` is the count before the map was read. */
static int deliver(struct run *run, const struct value *map, const struct header *list, size_t errors)
{
	struct header h = header_of(map);
	if (list && !h.kind.n && !value_get(map, "kind")) {
		h.kind = list->kind;
		if (!value_get(map, "apiVersion"))
			h.api_version = list->api_version;
	}
	if (!header_complete(run, map, &h))
		return 0;
	const struct value *version = value_get(map, "apiVersion");
	const struct kind_desc *k = kind_by_api(h.api_version, h.kind);
	if (!k)
		return skip(run, &h, start_of(run, map),
			    version ? value_pos(&run->tree, version) : start_of(run, map));
	struct object *built = NULL, *tight = NULL;
	int r = object_new(&built, k, (struct str){0}, (struct str){0});
	if (r)
		return r;
	built->pos = start_of(run, map);
	file_ref((struct file *)(uintptr_t)built->pos.file);
	r = fill(run, built, map);
	if (!r && run->opt->limits && run->opt->limits->narrow)
		run->opt->limits->narrow(built);
	if (!r && run->opt->remarks->errors == errors)
		r = object_clone(&tight, built);
	object_unref(&built);
	if (r || !tight)
		return r;
	r = run->opt->sink(run->opt->ctx, tight);
	if (r)
		run->stopped = r;
	return r;
}

/* Items that came before the list's kind wait until it is known. */
struct waiting_item {
	struct value *node;
	bool bad; /* has had an error already */
};
struct waiting {
	VEC(struct waiting_item) list;
};

static int list_item(struct run *run, struct value *item, const struct header *list, size_t errors)
{
	if (item->type != VALUE_MAP) {
		remark_add(run->opt->remarks, REMARK_ERROR, value_pos(&run->tree, item), NULL,
			   "an item of a list must be an object");
		return 0;
	}
	return deliver(run, item, list, errors);
}

/* Reads the items of a list and delivers each as soon as it is complete. */
static int list_items(struct run *run, struct feed *feed, const struct header *list, struct waiting *waiting)
{
	struct tree *t = &run->tree;
	struct arena outer = t->arena; /* the document's own nodes stay; each item's go */
	t->arena = (struct arena){0};
	int r = 0;
	bool kept = false; /* from then on nodes are shared or wait: they go with the document */
	for (;;) {
		struct feed_event ev;
		struct value *item;
		size_t errors = run->opt->remarks->errors;
		r = feed->next(feed, &ev);
		if (r || ev.type == FEED_END)
			break;
		r = tree_value(t, feed, &ev, 3, &item);
		if (r)
			break;
		if (item->type == VALUE_MAP && !value_get(item, "kind") && !list->kind.n) {
			bool bad = run->opt->remarks->errors > errors;
			r = vec_push(&waiting->list, (struct waiting_item){.node = item, .bad = bad});
			kept = true;
		} else {
			r = list_item(run, item, list, errors);
		}
		if (r)
			break;
		kept |= t->anchors.len > 0;
		if (!kept)
			arena_fini(&t->arena);
	}
	arena_join(&outer, &t->arena);
	t->arena = outer;
	return r;
}

static int finish_list(struct run *run, const struct value *top, struct waiting *waiting)
{
	struct header h = header_of(top), list = {.api_version = h.api_version};
	if (!is_list(h.kind, &list.kind)) {
		remark_add(run->opt->remarks, REMARK_ERROR, start_of(run, top), "a list has kind: List",
			   "items given, but kind is not a list");
		return 0;
	}
	int r = 0;
	VEC_EACH (&waiting->list, w) {
		size_t errors = run->opt->remarks->errors - w->bad;
		if (!r)
			r = list_item(run, w->node, &list, errors);
	}
	return r;
}

static bool is_empty(const struct feed_event *ev)
{
	return ev->type == FEED_SCALAR && ev->plain && scalar_resolve(ev->text).type == SCALAR_NULL;
}

/* The value of items is no list: nothing is fine, the rest is not. */
static int no_items(struct run *run, struct feed *feed, const struct feed_event *first)
{
	struct value *v;
	bool empty = is_empty(first);
	int r = tree_value(&run->tree, feed, first, 2, &v);
	if (!r && !empty)
		remark_add(run->opt->remarks, REMARK_ERROR, value_pos(&run->tree, v), NULL,
			   "items: expected a list");
	return r;
}

static int top_pairs(struct run *run, struct feed *feed, struct value *top, struct waiting *waiting,
		     bool *listed)
{
	for (;;) {
		struct feed_event key, value;
		int r = feed->next(feed, &key);
		if (r || key.type == FEED_END)
			return r;
		bool items = key.type == FEED_SCALAR && str_eqz(key.text, "items") && !run->one;
		struct header h = items ? header_of(top) : (struct header){0},
			      list = {.api_version = h.api_version};
		if (!items || (h.kind.n && !is_list(h.kind, &list.kind))) {
			r = tree_pair(&run->tree, feed, &key, 1, top);
			if (r)
				return r;
			continue;
		}
		r = feed->next(feed, &value);
		if (!r && value.type == FEED_SEQ)
			r = list_items(run, feed, &list, waiting);
		else if (!r)
			r = no_items(run, feed, &value);
		*listed = true;
		if (r)
			return r;
	}
}

/* "List", or a list of a kind that we know; other kinds may end with that word. */
static bool is_known_list(const struct value *top)
{
	struct header h = header_of(top);
	struct str item;
	return is_list(h.kind, &item) && (!item.n || kind_by_api(h.api_version, item));
}

/* The document whose first event is `first`. */
static int document(struct run *run, struct feed *feed, const struct feed_event *first)
{
	if (is_empty(first) && !run->one)
		return 0;
	if (first->type != FEED_MAP) {
		remark_add(run->opt->remarks, REMARK_ERROR,
			   (struct pos){
			       .file = run->file, .line = first->line, .col = first->col, .len = first->len},
			   "each document starts with apiVersion and kind", "not an object: expected a map");
		return -EINVAL;
	}
	struct value *top;
	struct waiting waiting = {0};
	bool listed = false;
	size_t errors = run->opt->remarks->errors;
	int r = tree_map_new(&run->tree, first, &top);
	if (!r) {
		top->open = true;
		r = top_pairs(run, feed, top, &waiting, &listed);
		top->open = false;
	}
	if (!r)
		r = tree_map_close(&run->tree, top);
	bool empty_list = !r && !listed && is_known_list(top);
	if (!r && listed)
		r = finish_list(run, top, &waiting);
	else if (empty_list && run->one)
		remark_add(run->opt->remarks, REMARK_ERROR, start_of(run, top), NULL,
			   "expected one object, found a list");
	else if (!r && !empty_list)
		r = deliver(run, top, NULL, errors);
	vec_free(&waiting.list);
	return r;
}

/* All that one feed has. An error in it ends it; only running out of memory and the sink end the run. */
static int drain(struct run *run, struct feed *feed)
{
	struct feed_event ev;
	int r = 0;
	while (!r) {
		r = feed->next(feed, &ev);
		if (r || ev.type == FEED_EOF)
			break;
		r = document(run, feed, &ev);
		tree_clear(&run->tree);
	}
	tree_clear(&run->tree);
	return run->stopped ? run->stopped : r == -EINVAL ? 0 : r;
}

static void run_init(struct run *run, struct file *file, const struct decoder_options *opt)
{
	*run = (struct run){.opt = opt, .file = file};
	run->tree.limits = opt->limits ? opt->limits : &decode_limits_default;
	run->tree.file = file;
	run->tree.rs = opt->remarks;
}

static bool size_allowed(const struct run *run, size_t bytes)
{
	if (bytes <= run->tree.limits->bytes)
		return true;
	remark_add(run->opt->remarks, REMARK_ERROR, (struct pos){.file = run->file},
		   "split the file, or raise the limit", "%zu bytes are more than the limit of %zu", bytes,
		   run->tree.limits->bytes);
	return false;
}

static bool is_marker(struct str line, const char *marker)
{
	return str_starts(line, str_of(marker)) && (line.n == 3 || strchr(" \t\r", line.p[3]));
}

static bool has_content(struct str line)
{
	line = str_trim(line);
	return line.n && line.p[0] != '#' && line.p[0] != '%';
}

bool yaml_slice_next(struct yaml_slices *s, struct str *slice, uint32_t *first_line)
{
	struct str at = s->rest;
	uint32_t lines = 0;
	bool content = false;
	if (!at.n)
		return false;
	while (at.n) {
		struct str here = at, line = str_cut(&here, '\n');
		bool start = is_marker(line, "---");
		if (start && content)
			break;
		content |= start || has_content(line);
		lines++;
		at = here;
		if (is_marker(line, "..."))
			break;
	}
	*slice = (struct str){.p = s->rest.p, .n = s->rest.n - at.n};
	*first_line = s->line;
	s->rest = at;
	s->line += lines;
	return true;
}

int decode_yaml(struct file *file, const struct decoder_options *opt)
{
	struct run run;
	run_init(&run, file, opt);
	size_t errors = opt->remarks->errors;
	struct yaml_slices s = {.rest = {.p = file->text, .n = file->len}, .line = 1};
	if (!size_allowed(&run, file->len))
		return -EINVAL;
	if (str_starts(s.rest, STR("\xef\xbb\xbf")))
		s.rest = (struct str){.p = s.rest.p + 3, .n = s.rest.n - 3};
	struct str slice;
	uint32_t line;
	int r = 0;
	while (!r && yaml_slice_next(&s, &slice, &line)) {
		struct yaml_feed *f;
		r = yaml_feed_new(&f, slice, line, file, opt->remarks);
		if (r)
			break;
		r = drain(&run, yaml_feed(f));
		yaml_feed_free(&f);
	}
	tree_fini(&run.tree);
	return r ? r : opt->remarks->errors > errors ? -EINVAL : 0;
}

static int decode_json_run(struct run *run, struct str text)
{
	size_t errors = run->opt->remarks->errors;
	if (!size_allowed(run, text.n))
		return -EINVAL;
	struct json_feed f;
	json_feed_init(&f, text, run->file, run->opt->remarks);
	int r = drain(run, &f.feed);
	json_feed_fini(&f);
	tree_fini(&run->tree);
	return r ? r : run->opt->remarks->errors > errors ? -EINVAL : 0;
}

int decode_json(struct file *file, const struct decoder_options *opt)
{
	struct run run;
	run_init(&run, file, opt);
	return decode_json_run(&run, (struct str){.p = file->text, .n = file->len});
}

static int keep_first(void *ctx, struct object *o)
{
	struct object **out = ctx;
	if (*out)
		object_unref(&o);
	else
		*out = o;
	return 0;
}

int decode_json_object(struct str json, struct file *file, const struct decode_limits *limits,
		       struct object **out, struct remarks *rs)
{
	struct object *found = NULL;
	struct decoder_options opt = {.limits = limits, .sink = keep_first, .ctx = &found, .remarks = rs};
	struct run run;
	run_init(&run, file, &opt);
	run.one = run.take_positions = true;
	int r = decode_json_run(&run, json);
	if (!r && !found)
		r = -ENOENT;
	if (r) {
		object_unref(&found);
		return r;
	}
	*out = found;
	return 0;
}

int decode_yaml_json(struct str yaml, struct buf *out, struct remarks *rs)
{
	struct tree t = {.limits = &decode_limits_default, .rs = rs};
	struct yaml_feed *f = NULL;
	struct feed_event ev = {0};
	struct value *v = NULL;
	size_t errors = rs->errors;
	int r = yaml_feed_new(&f, yaml, 1, NULL, rs);
	if (!r)
		r = yaml_feed(f)->next(yaml_feed(f), &ev);
	if (!r)
		r = ev.type == FEED_MAP ? tree_value(&t, yaml_feed(f), &ev, 1, &v) : -EINVAL;
	if (!r && rs->errors > errors)
		r = -EINVAL;
	if (!r)
		value_print_json(out, v);
	tree_fini(&t);
	yaml_feed_free(&f);
	return r ? r : out->failed ? -ENOMEM : 0;
}
