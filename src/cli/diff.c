/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft diff`: which flows two sets of manifests judge differently. Loads, compares (reason/), prints.
 * Changes nothing and needs no privileges.
 */
#include "cli/diff.h"

#include "base/own.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/diff_live.h"
#include "cli/output.h"
#include "cli/overlay.h"
#include "hub/offline.h"
#include "source/git.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static int failed(int r)
{
	cli_error(NULL, "cannot compare: %s", strerror(-r));
	return -1;
}

static int engines_new(struct compared *c, bool staged)
{
	struct engine_options opt = {.staged = staged};
	int r = port_fns_init(&c->fns);

	cluster_service_ranges(&opt.services4, &opt.services6);
	for (int i = 0; i < ENGINES && !r; i++) {
		struct remarks rs = {0};
		r = engine_new(&c->engines[i], c->stores[i], &c->fns, &opt, &rs);
		if (r == -E2BIG)
			remarks_print(stderr, &rs, false);
		remarks_fini(&rs);
	}
	return r;
}

int compared_new(struct compared *c, struct store *before, struct store *after, bool staged)
{
	const struct diff_options opt = {.staged = staged};
	*c = (struct compared){.stores = {before, after}};
	int r = match_pods(before, after, &c->pairs);

	if (!r)
		r = engines_new(c, staged);
	if (!r)
		r = diff_new(&c->diff, c->engines, &c->fns, &c->pairs, &opt);
	if (r) {
		compared_fini(c);
		return failed(r);
	}
	return 0;
}

void compared_fini(struct compared *c)
{
	diff_fini(&c->diff);
	for (int i = 0; i < ENGINES; i++) {
		engine_free(&c->engines[i]);
		store_free(&c->stores[i]);
	}
	vec_free(&c->pairs.list);
	port_fns_fini(&c->fns);
}

static const char *word_of(const struct diff_change *ch)
{
	if (ch->now == PORT_ALLOW)
		return "becomes allowed";
	if (ch->now == PORT_DENY)
		return "becomes refused";
	return ch->was == PORT_NAMES   ? "changes for addresses learned by name"
	       : ch->was == PORT_ALLOW ? "becomes refused but for addresses learned by name"
				       : "becomes allowed for addresses learned by name";
}

static const char *cause_word(enum cause_kind k)
{
	switch (k) {
	case CAUSE_ALLOWS:
		return "allowed by";
	case CAUSE_DENIES:
		return "denied by";
	case CAUSE_ISOLATES:
		return "isolated by";
	case CAUSE_ALLOWED:
		return "no longer allowed by";
	case CAUSE_DENIED:
		return "no longer denied by";
	case CAUSE_ISOLATED:
		return "no longer isolated by";
	}
	return "";
}

static struct pos cause_pos(const struct diff_cause *c)
{
	return (struct pos){.file = c->file, .line = c->line, .col = c->col, .len = 1};
}

static void add_labels(struct buf *b, const struct labels *l)
{
	for (size_t i = 0; i < l->list.len; i++)
		buf_printf(b, "%s%s", i ? ", " : "", l->list.items[i]);
}

/* Sources that could be added without saying anything new: nothing goes from them to any destination. */
static bool *neutral_of(const struct ends *e, const bool *in, const bool *others, bool is_source)
{
	bool *out = calloc(e->list.len + 1, sizeof(*out));

	for (size_t i = 0; out && i < e->list.len; i++) {
		const struct end *x = &e->list.items[i];
		out[i] = !in[i];
		for (size_t k = 0; k < e->list.len && out[i]; k++)
			if (others[k])
				out[i] = is_source ? !ends_judged(x, &e->list.items[k])
						   : !ends_judged(&e->list.items[k], x);
	}
	return out;
}

static int labels_of(const struct diff *d, const struct diff_change *ch, struct labels *from,
		     struct labels *to)
{
	AUTO_MEM bool *free_from = neutral_of(&d->ends, ch->sources, ch->destinations, true);
	AUTO_MEM bool *free_to = neutral_of(&d->ends, ch->destinations, ch->sources, false);

	if (ends_label(from, &d->ends, ch->sources, free_from) ||
	    ends_label(to, &d->ends, ch->destinations, free_to)) {
		cli_error(NULL, "out of memory");
		return -1;
	}
	return 0;
}

static void print_change(const struct diff *d, const struct diff_change *ch)
{
	struct labels from = {0}, to = {0};
	AUTO_BUF b = {0};

	if (!labels_of(d, ch, &from, &to)) {
		enum style s = ch->now == PORT_DENY    ? STYLE_RED
			       : ch->now == PORT_ALLOW ? STYLE_GREEN
						       : STYLE_YELLOW;
		add_labels(&b, &from);
		buf_addz(&b, " -> ");
		add_labels(&b, &to);
		buf_addz(&b, ": ");
		port_spans_print(&b, ch->ports.items, ch->ports.len);
		if (ch->family)
			buf_printf(&b, " over IPv%d", ch->family);
		buf_printf(&b, " %s%s%s", output_style(s), word_of(ch), output_style(STYLE_PLAIN));
		for (size_t i = 0; i < ch->causes.len; i++) {
			const struct diff_cause *c = &d->causes.items[ch->causes.items[i]];
			buf_printf(&b, "%s%s %s", i ? "; " : " (", cause_word(c->kind), c->text);
			if (c->file) {
				buf_addz(&b, ", ");
				pos_print(&b, cause_pos(c));
			}
		}
		printf("%s%s\n", b.p ? b.p : "", ch->causes.len ? ")" : "");
	}
	labels_fini(&from);
	labels_fini(&to);
}

static void print_only(const struct compared *c)
{
	for (int i = 0; i < ENGINES; i++) {
		if (!c->diff.ends.only[i])
			continue;
		printf("%s: ", i ? "new pods, not compared" : "pods that go, not compared");
		bool any = false;
		VEC_EACH (&c->pairs.list, p) {
			const struct object *o = i ? p->b : p->a;
			if (!o || (i ? p->a : p->b))
				continue;
			printf("%s" STR_FMT "/" STR_FMT, any ? ", " : "", STR_ARG(o->meta.ns),
			       STR_ARG(o->meta.name));
			any = true;
		}
		putchar('\n');
	}
}

void diff_print(const struct compared *c)
{
	const struct diff *d = &c->diff;

	VEC_EACH (&d->changes, ch)
		print_change(d, ch);
	print_only(c);
	if (!d->changed)
		printf("no flow changes: %llu pairs compared, all protocols and ports\n",
		       (unsigned long long)d->compared);
	else
		printf("%llu of %llu pairs change\n", (unsigned long long)d->changed,
		       (unsigned long long)d->compared);
}

static json_t *labels_json(const struct labels *l)
{
	json_t *out = json_array();

	VEC_EACH (&l->list, t)
		json_array_append_new(out, json_string(*t));
	return out;
}

static json_t *ends_json(const struct ends *e, const bool *in)
{
	json_t *out = json_array();

	for (size_t i = 0; i < e->list.len; i++) {
		const struct end *end = &e->list.items[i];
		AUTO_BUF b = {0};
		if (!in[i])
			continue;
		if (end->kind == END_POD)
			buf_printf(&b, STR_FMT "/" STR_FMT, STR_ARG(end->ns), STR_ARG(end->name));
		else
			end_print(&b, e, end);
		json_array_append_new(out, json_string(b.p ? b.p : ""));
	}
	return out;
}

static json_t *ports_json(const struct diff_change *ch)
{
	json_t *out = json_array();

	VEC_EACH (&ch->ports, p)
		json_array_append_new(out, p->proto ? json_pack("{s:s, s:i, s:i}", "protocol",
								port_proto_name(p->proto), "from", p->low,
								"to", p->high)
						    : json_pack("{s:s}", "protocol", "other"));
	return out;
}

static json_t *causes_json(const struct diff *d, const struct diff_change *ch)
{
	json_t *out = json_array();

	VEC_EACH (&ch->causes, i) {
		const struct diff_cause *c = &d->causes.items[*i];
		json_t *j = json_pack("{s:s, s:s}", "what", cause_word(c->kind), "object", c->text);
		if (c->rule)
			json_object_set_new(j, "rule", json_string(c->rule));
		if (c->file) {
			json_object_set_new(j, "file", json_string(c->file->name));
			json_object_set_new(j, "line", json_integer(c->line));
			json_object_set_new(j, "column", json_integer(c->col));
			if (c->file->commit)
				json_object_set_new(j, "commit", json_string(c->file->commit));
		}
		json_array_append_new(out, j);
	}
	return out;
}

json_t *diff_json(const struct compared *c)
{
	static const char *const words[] = {"refused", "by name", "allowed"};
	const struct diff *d = &c->diff;
	json_t *changes = json_array(), *gone = json_array(), *fresh = json_array();

	VEC_EACH (&d->changes, ch) {
		struct labels from = {0}, to = {0};
		if (!labels_of(d, ch, &from, &to))
			json_array_append_new(changes,
					      json_pack("{s:o, s:o, s:o, s:o, s:o, s:s, s:s, s:i, s:I, s:o}",
							"from", labels_json(&from), "to", labels_json(&to),
							"sources", ends_json(&d->ends, ch->sources),
							"destinations", ends_json(&d->ends, ch->destinations),
							"ports", ports_json(ch), "was", words[ch->was], "now",
							words[ch->now], "family", ch->family, "pairs",
							(json_int_t)ch->flows, "causes", causes_json(d, ch)));
		labels_fini(&from);
		labels_fini(&to);
	}
	VEC_EACH (&c->pairs.list, p) {
		const struct object *o = p->a ? p->a : p->b;
		AUTO_BUF b = {0};
		if (p->a && p->b)
			continue;
		buf_printf(&b, STR_FMT "/" STR_FMT, STR_ARG(o->meta.ns), STR_ARG(o->meta.name));
		json_array_append_new(p->a ? gone : fresh, json_string(b.p ? b.p : ""));
	}
	return json_pack("{s:o, s:I, s:I, s:o, s:o}", "changes", changes, "pairsCompared",
			 (json_int_t)d->compared, "pairsChanged", (json_int_t)d->changed, "onlyBefore", gone,
			 "onlyAfter", fresh);
}

static struct store *load(const struct options_diff *o, const char *path, const char *revision)
{
	const struct world_files files = {.paths = &path,
					  .n = 1,
					  .nodes = (unsigned)o->nodes,
					  .quiet = true,
					  .max_file = (size_t)o->max_file,
					  .revision = revision};
	struct store *s = NULL;

	return world_from_files(&s, &files) ? NULL : s;
}

/* What runs, and what the files would make of it on as many nodes. */
static int load_live(const struct options_diff *o, const char *cluster, struct store **before,
		     struct store **after)
{
	struct options_diff sized = *o;

	if (!cluster_need(cluster) || world_from_cluster(before, cluster))
		return -1;
	if (!o->n_args) {
		const struct overlay changes = {.over = o->over,
						.without = o->without.items,
						.without_n = o->without.n,
						.max_file = (size_t)o->max_file};

		return world_from_cluster(after, cluster) || overlay_lay(*after, &changes) ? -1 : 0;
	}
	sized.nodes = (int64_t)store_count(*before, KIND_node);
	*after = load(&sized, o->args[0], NULL);
	return *after ? 0 : -1;
}

/* The two worlds that the arguments name. */
static int load_both(const struct options_diff *o, struct store **before, struct store **after)
{
	char a[128], b[128];
	bool range = o->n_args && git_range(o->args[0], a, b, sizeof(a)) && access(o->args[0], F_OK);
	const char *path = o->n_args > 1 ? o->args[1] : ".";

	if (!range && o->n_args < 2) {
		cli_error("weft diff BEFORE AFTER, weft diff REVISION..REVISION [PATH], weft diff --live DIR",
			  "two folders, two revisions, or --live are needed");
		return -1;
	}
	*before = load(o, range ? path : o->args[0], range ? a : NULL);
	*after = *before ? load(o, path, range ? b : NULL) : NULL;
	return *after ? 0 : -1;
}

static int answer(const struct options_diff *o, const struct compared *c, const char *cluster)
{
	struct live live = {0};

	if (o->live && live_new(&live, c, cluster))
		return EXIT_TROUBLE;
	if (o->output) {
		AUTO_JSON j = diff_json(c);
		if (o->live)
			json_object_set_new(j, "live", live_json(&live));
		output_value(j, o->output);
	} else {
		diff_print(c);
		if (o->live)
			live_print(&live);
	}
	live_fini(&live);
	return o->exit_code && c->diff.changed ? EXIT_FAILED : EXIT_OK;
}

int cmd_diff(const struct options_diff *o)
{
	struct compared c;
	struct store *before = NULL, *after = NULL;
	const char *cluster = cluster_name(o->name);

	if (!cluster)
		return EXIT_USAGE;
	bool laid = o->over || o->without.n;

	if (laid ? !o->live || o->n_args : o->live && o->n_args != 1) {
		cli_error("weft diff --live DIR, or weft diff --live --over FILE",
			  "what is to be compared with the running cluster?");
		return EXIT_TROUBLE;
	}
	if (o->live ? load_live(o, cluster, &before, &after) : load_both(o, &before, &after)) {
		store_free(&before);
		store_free(&after);
		return EXIT_TROUBLE;
	}
	if (compared_new(&c, before, after, o->staged))
		return EXIT_TROUBLE;
	int r = answer(o, &c, cluster);
	compared_fini(&c);
	return r;
}
