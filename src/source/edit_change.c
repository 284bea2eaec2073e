/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From two values to cuts in the text that holds the first: the deepest place that can be changed alone is.
 * What is laid out in a way that this cannot keep is refused, never guessed. Called by edit.c.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/own.h"
#include "source/edit_state.h"

int edit_refuse(struct edit_run *run, size_t at, const char *fmt, ...)
{
	va_list ap;
	layout_place(run->text, at, &run->no->line, &run->no->col);
	va_start(ap, fmt);
	vsnprintf(run->no->why, sizeof(run->no->why), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

int edit_cut(struct edit_run *run, size_t start, size_t end, struct buf *text)
{
	struct edit_cut c = {.start = start, .end = end};
	if (text && (text->failed || vec_reserve(&run->cuts, run->cuts.len + 1)))
		return -ENOMEM;
	if (text) {
		c.text = text->p;
		c.n = text->n;
	}
	int r = vec_push(&run->cuts, c);
	if (!r && text)
		*text = (struct buf){0};
	return r;
}

static int cut_with(struct edit_run *run, size_t start, size_t end, const char *text)
{
	AUTO_BUF b = {0};
	buf_addz(&b, text);
	return edit_cut(run, start, end, &b);
}

/* The lines from the one of `start` to the one of `end`, with one of the two line ends around them. */
static int cut_lines(struct edit_run *run, size_t start, size_t end)
{
	struct str t = run->text;
	start = layout_line(t, start);
	end = layout_line_end(t, end);
	if (end < t.n) {
		end += t.p[end] == '\r';
		end += end < t.n && t.p[end] == '\n';
	} else if (start && t.p[start - 1] == '\n') {
		start -= start > 1 && t.p[start - 2] == '\r' ? 2 : 1;
	}
	return edit_cut(run, start, end, NULL);
}

static unsigned column(const struct edit_run *run, size_t at)
{
	return (unsigned)(at - layout_line(run->text, at));
}

static bool begins_line(const struct edit_run *run, size_t at)
{
	for (size_t i = layout_line(run->text, at); i < at; i++)
		if (run->text.p[i] != ' ')
			return false;
	return true;
}

static bool ends_line(const struct edit_run *run, size_t at)
{
	for (size_t end = layout_line_end(run->text, at); at < end; at++)
		if (!strchr(" \t", run->text.p[at]))
			return false;
	return true;
}

static const struct layout *hard_in(const struct layout *node)
{
	if (node->anchor)
		return node;
	for (const struct layout *c = node->first; c; c = c->next) {
		const struct layout *found = hard_in(c);
		if (found)
			return found;
	}
	return NULL;
}

static int refuse_hard(struct edit_run *run, const struct layout *node, bool below)
{
	const struct layout *anchor = below ? hard_in(node) : node->anchor ? node : NULL;
	if (node->type == LAYOUT_ALIAS)
		return edit_refuse(run, node->start,
				   "the value is an alias: what it stands for is written elsewhere");
	if (anchor)
		return edit_refuse(run, anchor->start, "the value has an anchor, which others may refer to");
	if (node->tagged)
		return edit_refuse(run, node->start, "the value has a tag (\"!\")");
	return 0;
}

/* Behind the colon of a map's entry, or behind the dash of a list's. */
static size_t behind_colon(const struct edit_run *run, const struct layout *entry)
{
	size_t at = entry->key->end;
	while (at < run->text.n && strchr(" \t", run->text.p[at]))
		at++;
	return at < run->text.n && run->text.p[at] == ':' ? at + 1 : 0;
}

static const struct layout *before(const struct layout *item)
{
	const struct layout *prev = NULL;
	for (const struct layout *c = item->up->first; c != item; c = c->next)
		prev = c;
	return prev;
}

static int find_dash(struct edit_run *run, const struct layout *item, size_t *out)
{
	struct str t = run->text;
	const struct layout *prev = before(item);
	size_t at = prev ? prev->end : item->up->start;
	while (at < t.n && strchr(" \t\r\n#", t.p[at]))
		at = t.p[at] == '#' ? layout_line_end(t, at) : at + 1;
	if (at >= t.n || t.p[at] != '-' || at > item->start)
		return edit_refuse(run, item->start, "the list is laid out in a way that is not known here");
	*out = at;
	return 0;
}

static size_t entry_start(const struct layout *c)
{
	return c->key ? c->key->start : c->start;
}

static size_t entry_end(const struct layout *c)
{
	return c->key && c->key->end > c->end ? c->key->end : c->end;
}

/* The lines of a key's or item's value become a text on the line of the key or dash. */
static int make_inline(struct edit_run *run, const struct layout *node, const char *now)
{
	AUTO_BUF text = {0};
	int r = refuse_hard(run, node, true);
	if (r)
		return r;
	if (node->flow || !node->key || !begins_line(run, node->start))
		return cut_with(run, node->start, node->end, now);
	size_t colon = behind_colon(run, node);
	if (!colon)
		return edit_refuse(run, node->key->start,
				   "the key is written in a way that is not known here");
	buf_printf(&text, " %s", now);
	r = edit_cut(run, colon, colon, &text);
	return r ? r : cut_lines(run, node->start, node->end);
}

/* Between brackets: over lines where the bracket's own entries are. */
static void print_inside(struct edit_run *run, struct buf *b, const struct layout *up, const json_t *v)
{
	const struct layout *c = up ? up->first : NULL;
	bool lines = c && begins_line(run, entry_start(c)) &&
		     layout_line(run->text, entry_start(c)) != layout_line(run->text, up->start);
	if (lines && run->manner.json)
		edit_print_lines(b, v, column(run, entry_start(c)), &run->manner);
	else
		edit_print_flow(b, v, &run->manner);
}

static bool print_as_literal(struct edit_run *run, struct buf *b, const struct layout *node, struct str s)
{
	unsigned indent;
	if (node->style == '|' || node->style == '>') {
		size_t at = layout_line_end(run->text, node->start);
		while (at < node->end && strchr("\r\n", run->text.p[at]))
			at++;
		while (at < node->end && run->text.p[at] == ' ')
			at++;
		if (at >= node->end || !begins_line(run, at))
			return false;
		indent = column(run, at);
	} else {
		if (!node->key || !ends_line(run, node->end))
			return false;
		indent = column(run, node->key->start) + run->manner.step;
	}
	return edit_print_literal(b, s, indent, &run->manner);
}

static int replace_with_scalar(struct edit_run *run, const struct layout *node, const json_t *want)
{
	AUTO_BUF b = {0};
	bool inside = run->manner.json || (node->up && node->up->flow);
	struct str s = {.p = json_string_value(want), .n = json_string_length(want)};
	if (node->start == node->end && node->start && !strchr(" \t", run->text.p[node->start - 1]))
		buf_addc(&b, ' ');
	if (run->manner.json)
		edit_print_flow(&b, want, &run->manner);
	else if (inside || !json_is_string(want) || !print_as_literal(run, &b, node, s))
		edit_print_scalar(&b, want, inside, node->style);
	return edit_cut(run, node->start, node->end, &b);
}

static int replace_with_block(struct edit_run *run, const struct layout *node, const json_t *want)
{
	AUTO_BUF b = {0};
	if (node->type != LAYOUT_SCALAR && !node->flow) {
		edit_print_block(&b, want, column(run, node->start), &run->manner);
		return edit_cut(run, node->start, layout_line_end(run->text, node->end), &b);
	}
	if (node->key && node->start == node->end) {
		size_t end = layout_line_end(run->text, node->start);
		edit_print_member(&b, want, column(run, node->key->start), &run->manner);
		return edit_cut(run, end, end, &b);
	}
	if (node->start == node->end)
		buf_addc(&b, ' ');
	edit_print_flow(&b, want, &run->manner);
	return edit_cut(run, node->start, node->end, &b);
}

static int replace(struct edit_run *run, const struct layout *node, const json_t *want)
{
	AUTO_BUF b = {0};
	bool map = json_is_object(want), list = json_is_array(want);
	int r = refuse_hard(run, node, true);
	if (r)
		return r;
	bool empty = map ? !json_object_size(want) : list && !json_array_size(want);
	if (empty && node->type != LAYOUT_SCALAR)
		return make_inline(run, node, map ? "{}" : "[]");
	if (!map && !list && node->type != LAYOUT_SCALAR && !node->flow) {
		edit_print_scalar(&b, want, false, 0);
		return b.failed ? -ENOMEM : make_inline(run, node, b.p);
	}
	if ((!map && !list) || empty)
		return empty && node->start == node->end
			   ? cut_with(run, node->start, node->end, map ? " {}" : " []")
		       : empty ? cut_with(run, node->start, node->end, map ? "{}" : "[]")
			       : replace_with_scalar(run, node, want);
	if (!run->manner.json && !(node->up && node->up->flow))
		return replace_with_block(run, node, want);
	print_inside(run, &b, node->up, want);
	return edit_cut(run, node->start, node->end, &b);
}

/* ---- between brackets ---- */

/* What stands between two entries, for a further one: the last such text, or what comes before the first. */
static void print_separator(struct edit_run *run, struct buf *b, const struct layout *coll)
{
	const struct layout *last = coll->last, *prev = coll->n > 1 ? before(last) : NULL;
	size_t from = prev ? entry_end(prev) : coll->start + 1, to = entry_start(last);
	struct str s = {.p = run->text.p + from, .n = to - from};
	if (!prev)
		buf_addc(b, ',');
	if (memchr(s.p, '#', s.n) || (prev && !memchr(s.p, ',', s.n)))
		buf_addz(b, prev ? ", " : " ");
	else if (!prev && !memchr(s.p, '\n', s.n))
		buf_addc(b, ' ');
	else
		buf_adds(b, s);
}

/* A further entry behind the last one; a remark behind that stays on its line. */
static int insert_inside(struct edit_run *run, size_t at, struct buf *b)
{
	AUTO_BUF comma = {0};
	size_t p = at, end = layout_line_end(run->text, at);
	while (p < end && strchr(" \t", run->text.p[p]))
		p++;
	if (p == at || p == end || run->text.p[p] != '#' || b->n < 2 || b->p[0] != ',' ||
	    !strchr("\r\n", b->p[1]))
		return edit_cut(run, at, at, b);
	buf_drop(b, 1);
	buf_addc(&comma, ',');
	int r = edit_cut(run, at, at, &comma);
	return r ? r : edit_cut(run, end, end, b);
}

static int remove_inside(struct edit_run *run, const struct layout *c)
{
	const struct layout *prev = before(c);
	if (prev)
		return edit_cut(run, entry_end(prev), entry_end(c), NULL);
	if (c->next)
		return edit_cut(run, entry_start(c), entry_start(c->next), NULL);
	return edit_cut(run, entry_start(c), entry_end(c), NULL);
}

/* ---- maps ---- */

struct entry_marks { /* of a collection's children */
	bool *gone;
	size_t left;
};

/* Takes out the marked children of lines: those that stand behind a dash go up to the first that stays. */
static int remove_lines(struct edit_run *run, const struct layout *coll, const bool *gone)
{
	size_t i = 0;
	int r = 0;
	for (const struct layout *c = coll->first; c && !r; c = c->next, i++) {
		if (!gone[i])
			continue;
		size_t start = entry_start(c);
		if (!c->key && find_dash(run, c, &start))
			return -EINVAL;
		r = refuse_hard(run, c, true);
		if (r)
			return r;
		if (begins_line(run, start)) {
			r = cut_lines(run, start, entry_end(c));
			continue;
		}
		while (c->next && gone[i]) {
			c = c->next;
			i++;
		}
		size_t end = entry_start(c);
		if (gone[i] || (!c->key && find_dash(run, c, &end)))
			return edit_refuse(run, start, "the entry shares its line with another one");
		r = edit_cut(run, start, end, NULL);
	}
	return r;
}

static int remove_marked(struct edit_run *run, const struct layout *coll, const bool *gone)
{
	size_t i = 0;
	int r = 0;
	if (!coll->flow)
		return remove_lines(run, coll, gone);
	/* Up to the first that stays, each goes with the comma behind it; later ones with that before them.
	 */
	bool stayed = false;
	for (const struct layout *c = coll->first; c && !r; c = c->next, i++) {
		if (!gone[i]) {
			stayed = true;
			continue;
		}
		r = refuse_hard(run, c, true);
		if (r)
			break;
		if (!stayed && c->next)
			r = edit_cut(run, entry_start(c), entry_start(c->next), NULL);
		else
			r = remove_inside(run, c);
	}
	return r;
}

static int add_keys(struct edit_run *run, const struct layout *node, const json_t *add, const bool *gone)
{
	AUTO_BUF b = {0};
	const struct layout *after = NULL;
	const char *key;
	json_t *v;
	size_t i = 0;
	for (const struct layout *c = node->first; c; c = c->next, i++)
		if (!gone[i])
			after = c;
	if (!json_object_size(add))
		return 0;
	json_object_foreach ((json_t *)(uintptr_t)add, key, v) {
		if (node->flow) {
			print_separator(run, &b, node);
			edit_print_key(&b, key, true, &run->manner);
			buf_addz(&b, ": ");
			print_inside(run, &b, node, v);
			continue;
		}
		unsigned col = column(run, node->first->key->start);
		buf_printf(&b, "%s%*s", run->manner.eol, (int)col, "");
		edit_print_key(&b, key, false, &run->manner);
		buf_addc(&b, ':');
		edit_print_member(&b, v, col, &run->manner);
	}
	if (node->flow)
		return insert_inside(run, entry_end(after), &b);
	size_t at = layout_line_end(run->text, entry_end(after));
	return edit_cut(run, at, at, &b);
}

static size_t index_of(const struct layout *child)
{
	size_t i = 0;
	for (const struct layout *c = child->up->first; c != child; c = c->next)
		i++;
	return i;
}

/* Marks what goes, gathers what comes, and changes in place what stays. */
static int sort_keys(struct edit_run *run, struct layout *node, const json_t *had, const json_t *want,
		     struct entry_marks *marks, json_t *add)
{
	const char *key;
	json_t *v;
	int r = 0;
	json_object_foreach ((json_t *)(uintptr_t)had, key, v) {
		bool merged = false;
		struct layout *c = layout_get(node, key, &merged);
		const json_t *now = json_object_get(want, key);
		if (r || json_equal(v, now))
			continue;
		if (!c)
			return edit_refuse(run, node->start,
					   merged ? "\"%s\" comes from a merge key (<<)"
						  : "\"%s\" is not written here",
					   key);
		if (now)
			continue;
		marks->gone[index_of(c)] = true;
		marks->left--;
	}
	json_object_foreach ((json_t *)(uintptr_t)want, key, v) {
		if (!r && !json_object_get(had, key) && !layout_get(node, key, NULL))
			r = json_object_set(add, key, v) ? -ENOMEM : 0;
	}
	return r;
}

static int change_map(struct edit_run *run, struct layout *node, const json_t *had, const json_t *want)
{
	AUTO_MEM bool *gone = calloc(node->n + 1, sizeof(*gone));
	struct entry_marks marks = {.gone = gone, .left = node->n};
	json_t *add = json_object(), *v;
	const char *key;
	int r = gone && add ? sort_keys(run, node, had, want, &marks, add) : -ENOMEM;
	if (!r && !marks.left) {
		json_decref(add);
		return replace(run, node, want);
	}
	json_object_foreach ((json_t *)(uintptr_t)want, key, v) {
		struct layout *c = r ? NULL : layout_get(node, key, NULL);
		const json_t *was = json_object_get(had, key);
		if (c && was)
			r = edit_change(run, c, was, v);
		else if (c)
			r = replace(run, c, v);
	}
	if (!r)
		r = remove_marked(run, node, gone);
	if (!r)
		r = add_keys(run, node, add, gone);
	json_decref(add);
	return r;
}

/* ---- lists ---- */

static int add_item(struct edit_run *run, const struct layout *node, const struct layout *after,
		    const json_t *v)
{
	AUTO_BUF b = {0};
	const struct layout *like = after ? after : node->first;
	size_t at = after ? entry_end(after) : entry_start(node->first), dash;
	if (node->flow) {
		if (after)
			print_separator(run, &b, node);
		print_inside(run, &b, node, v);
		if (after)
			return insert_inside(run, at, &b);
		buf_addz(&b, ", ");
		return edit_cut(run, at, at, &b);
	}
	if (find_dash(run, like, &dash))
		return -EINVAL;
	unsigned col = column(run, dash), gap = 1;
	if (like->start > dash + 1 && layout_line(run->text, like->start) == layout_line(run->text, dash))
		gap = (unsigned)(like->start - dash - 1);
	AUTO_BUF item = {0};
	if ((json_is_object(v) && json_object_size(v)) || (json_is_array(v) && json_array_size(v))) {
		buf_printf(&item, "-%*s", (int)gap, "");
		edit_print_block(&item, v, col + 1 + gap, &run->manner);
	} else {
		buf_addc(&item, '-');
		edit_print_member(&item, v, col, &run->manner);
	}
	if (after)
		buf_printf(&b, "%s%*s" STR_FMT, run->manner.eol, (int)col, "", STR_ARG(buf_str(&item)));
	else
		buf_printf(&b, STR_FMT "%s%*s", STR_ARG(buf_str(&item)), run->manner.eol, (int)col, "");
	at = after ? layout_line_end(run->text, at) : dash;
	b.failed |= item.failed;
	return edit_cut(run, at, at, &b);
}

static struct layout *child_at(const struct layout *node, long i)
{
	struct layout *c = i < 0 ? NULL : node->first;
	for (; c && i > 0; i--)
		c = c->next;
	return c;
}

static int change_items(struct edit_run *run, struct layout *node, const json_t *had, const json_t *want,
			const long *to)
{
	const struct layout *after = NULL;
	json_t *v;
	size_t i;
	int r = 0;
	json_array_foreach (want, i, v) {
		struct layout *c = child_at(node, to[i]);
		if (!r)
			r = c ? edit_change(run, c, json_array_get(had, (size_t)to[i]), v)
			      : add_item(run, node, after, v);
		after = c ? c : after;
	}
	return r;
}

static int change_list(struct edit_run *run, struct layout *node, const json_t *had, const json_t *want)
{
	AUTO_MEM bool *gone = calloc(node->n + 1, sizeof(*gone));
	AUTO_MEM long *to = edit_align(had, want);
	size_t left = 0;
	if (!gone || !to)
		return -ENOMEM;
	for (size_t i = 0; i < node->n; i++)
		gone[i] = true;
	for (size_t i = 0; i < json_array_size(want); i++)
		if (to[i] >= 0) {
			gone[to[i]] = false;
			left++;
		}
	if (!left)
		return replace(run, node, want);
	int r = change_items(run, node, had, want, to);
	return r ? r : remove_marked(run, node, gone);
}

int edit_change(struct edit_run *run, struct layout *node, const json_t *had, const json_t *want)
{
	if (json_equal(had, want))
		return 0;
	int r = refuse_hard(run, node, false);
	if (r)
		return r;
	if (json_is_object(had) && json_is_object(want) && node->type == LAYOUT_MAP && node->n)
		return change_map(run, node, had, want);
	if (json_is_array(had) && json_is_array(want) && node->type == LAYOUT_SEQ && node->n) {
		if (node->n != json_array_size(had))
			return edit_refuse(run, node->start, "the list does not hold what it gave");
		return change_list(run, node, had, want);
	}
	return replace(run, node, want);
}

int edit_remove_item(struct edit_run *run, struct layout *item)
{
	struct layout *list = item->up;
	AUTO_MEM bool *gone = calloc(list->n + 1, sizeof(*gone));
	if (!gone)
		return -ENOMEM;
	if (list->n == 1)
		return make_inline(run, list, "[]");
	gone[index_of(item)] = true;
	return remove_marked(run, list, gone);
}
