/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reach grid as a table, a list and JSON. Pods of one workload that agree everywhere are shown as one row
 * and one column. Judges and sends nothing.
 */
#include "cli/reach.h"

#include "base/own.h"
#include "cli/command.h"
#include "cli/output.h"

#include <netinet/in.h>
#include <stdio.h>

const char *reach_word(const uint8_t a[REACH_FAMILIES])
{
	static const char *const one[] = {"–", "yes", "no", "rst", "err"};

	if (a[REACH_4] == a[REACH_6] || a[REACH_6] == REACH_NOT_TRIED)
		return one[a[REACH_4]];
	if (a[REACH_4] == REACH_NOT_TRIED)
		return one[a[REACH_6]];
	if (a[REACH_4] == REACH_ERROR || a[REACH_6] == REACH_ERROR)
		return "err";
	if (a[REACH_4] == REACH_YES)
		return "4";
	return a[REACH_6] == REACH_YES ? "6" : "no";
}

static const uint8_t *shown(const struct reach *r, const struct reach_cell *c)
{
	return r->tried ? c->seen : c->model;
}

bool reach_cell_agrees(const struct reach_cell *c)
{
	for (int f = 0; f < REACH_FAMILIES; f++) {
		if (c->seen[f] == REACH_NOT_TRIED || c->model[f] == REACH_NOT_TRIED)
			continue;
		bool came = c->seen[f] == REACH_YES || c->seen[f] == REACH_REFUSED;
		if (c->seen[f] == REACH_ERROR || came != (c->model[f] == REACH_YES))
			return false;
	}
	return true;
}

size_t reach_disagreements(const struct reach *r)
{
	size_t n = 0;

	for (size_t i = 0; r->tried && i < r->callers.len * r->targets.len; i++)
		n += !reach_cell_agrees(&r->cells[i]);
	return n;
}

/* Which callers and targets stand for others: index of the first of the group, or the own one. */
struct grouping {
	size_t *rows, *columns;
	bool wide;
};

static bool is_node(const struct reach_caller *c)
{
	return !strncmp(c->name, "node:", 5);
}

static bool is_self(const struct reach *r, size_t caller, size_t target)
{
	return !strcmp(r->callers.items[caller].name, r->targets.items[target].name);
}

static bool cells_equal(const struct reach *r, const struct reach_cell *a, const struct reach_cell *b)
{
	return !strcmp(reach_word(shown(r, a)), reach_word(shown(r, b))) &&
	       (!r->tried || reach_cell_agrees(a) == reach_cell_agrees(b));
}

static bool same_target(const struct reach_target *a, const struct reach_target *b)
{
	return a->port == b->port && a->proto == b->proto && !strcmp(a->group, b->group);
}

/* Two pods of a workload get the same answers from all others; what each gets from itself does not count. */
static bool rows_are_even(const struct reach *r, size_t a, size_t b)
{
	for (size_t j = 0; j < r->targets.len; j++)
		if (!is_self(r, a, j) && !is_self(r, b, j) &&
		    !cells_equal(r, reach_at(r, a, j), reach_at(r, b, j)))
			return false;
	return true;
}

static bool columns_are_even(const struct reach *r, size_t a, size_t b)
{
	for (size_t i = 0; i < r->callers.len; i++)
		if (!is_node(&r->callers.items[i]) && !is_self(r, i, a) && !is_self(r, i, b) &&
		    !cells_equal(r, reach_at(r, i, a), reach_at(r, i, b)))
			return false;
	return true;
}

static int group_all(const struct reach *r, bool wide, struct grouping *g)
{
	g->wide = wide;
	g->rows = calloc(r->callers.len + 1, sizeof(size_t));
	g->columns = calloc(r->targets.len + 1, sizeof(size_t));
	if (!g->rows || !g->columns)
		return -1;
	for (size_t i = 0; i < r->callers.len; i++) {
		g->rows[i] = i;
		for (size_t k = 0; !wide && k < i; k++)
			if (g->rows[k] == k &&
			    !strcmp(r->callers.items[k].group, r->callers.items[i].group) &&
			    rows_are_even(r, k, i)) {
				g->rows[i] = k;
				break;
			}
	}
	for (size_t j = 0; j < r->targets.len; j++) {
		g->columns[j] = j;
		for (size_t k = 0; !wide && k < j; k++)
			if (g->columns[k] == k && same_target(&r->targets.items[k], &r->targets.items[j]) &&
			    columns_are_even(r, k, j)) {
				g->columns[j] = k;
				break;
			}
	}
	return 0;
}

/* The cell that a row and a column of groups show: of a pod and another one where there are such. */
static const struct reach_cell *group_cell(const struct reach *r, const struct grouping *g, size_t row,
					   size_t column, bool *self)
{
	for (size_t i = row; i < r->callers.len; i++)
		for (size_t j = column; g->rows[i] == row && j < r->targets.len; j++)
			if (g->columns[j] == column && !is_self(r, i, j)) {
				*self = false;
				return reach_at(r, i, j);
			}
	*self = true;
	return reach_at(r, row, column);
}

/* What nodes get from a column: those that its pods run on, or the others. NULL where there is none; *even
 * false where they do not agree. */
static const struct reach_cell *node_cell(const struct reach *r, const struct grouping *g, size_t column,
					  bool own, bool *even)
{
	const struct reach_cell *first = NULL;

	*even = true;
	for (size_t i = 0; i < r->callers.len; i++)
		for (size_t j = column; is_node(&r->callers.items[i]) && j < r->targets.len; j++) {
			const char *node = r->targets.items[j].node;
			if (g->columns[j] != column || !node ||
			    !strcmp(node, r->callers.items[i].name + 5) != own)
				continue;
			if (!first)
				first = reach_at(r, i, j);
			else if (!cells_equal(r, first, reach_at(r, i, j)))
				*even = false;
		}
	return first;
}

/* The namespace that all names share, to be left out; NULL when there are several. */
static const char *shared_namespace(const struct reach *r, size_t *len)
{
	const char *ns = NULL;

	*len = 0;
	for (size_t i = 0; i < r->callers.len + r->targets.len; i++) {
		const char *name =
		    i < r->callers.len ? r->callers.items[i].name : r->targets.items[i - r->callers.len].name;
		const char *slash = strchr(name, '/');
		if (!slash)
			continue;
		size_t n = (size_t)(slash - name) + 1;
		if (ns && (n != *len || strncmp(ns, name, n) != 0)) {
			*len = 0;
			return NULL;
		}
		ns = name;
		*len = n;
	}
	return ns;
}

/* Pods of one workload that disagree stand under their own names; all others under the workload's. */
static bool row_is_whole(const struct reach *r, const struct grouping *g, size_t i)
{
	for (size_t k = 0; k < r->callers.len; k++)
		if (g->rows[k] != g->rows[i] && !strcmp(r->callers.items[k].group, r->callers.items[i].group))
			return false;
	return !g->wide;
}

static bool column_is_whole(const struct reach *r, const struct grouping *g, size_t j)
{
	for (size_t k = 0; k < r->targets.len; k++)
		if (g->columns[k] != g->columns[j] && same_target(&r->targets.items[k], &r->targets.items[j]))
			return false;
	return !g->wide;
}

static char *label(const char *name, const char *group, bool whole, size_t cut)
{
	const char *text = whole ? group : name;

	if (!strncmp(text, "default/", 8))
		cut = 8;
	return strdup(strchr(text, '/') ? text + cut : text);
}

static char *target_label(const struct reach *r, const struct grouping *g, size_t j, size_t cut)
{
	const struct reach_target *t = &r->targets.items[j];
	AUTO_BUF b = {0};
	AUTO_MEM char *name = label(t->name, t->group, column_is_whole(r, g, j), cut);

	buf_printf(&b, "%s:%u%s", name ? name : "", t->port, t->proto == IPPROTO_UDP ? "/udp" : "");
	return TAKE(b.p);
}

static enum style cell_style(const struct reach *r, const struct reach_cell *c, const char *word)
{
	if (r->tried && !reach_cell_agrees(c))
		return STYLE_RED;
	if (!strcmp(word, "yes"))
		return STYLE_GREEN;
	return !strcmp(word, "no") || !strcmp(word, "–") ? STYLE_DIM : STYLE_YELLOW;
}

/* Headings are the targets' names where the terminal is wide enough, else numbers with a legend below. */
static bool names_fit(char *const *names, size_t n, size_t first)
{
	size_t total = first;

	for (size_t j = 0; j < n; j++)
		total += 2 + (names[j] ? output_columns(str_of(names[j])) : 0);
	return total <= (size_t)output_width();
}

static void add_cell(struct table *t, const struct reach *r, const struct reach_cell *cell, bool self)
{
	const char *word = reach_word(shown(r, cell));
	AUTO_BUF text = {0};

	buf_printf(&text, self ? "(%s)" : "%s", word);
	if (r->tried && !reach_cell_agrees(cell))
		buf_printf(&text, "(!%s)", reach_word(cell->model));
	table_cell_styled(t, cell_style(r, cell, word), text.p);
}

static void add_node_row(struct table *t, const struct reach *r, const struct grouping *g, bool own)
{
	bool any = false, even;

	for (size_t j = 0; j < r->targets.len; j++)
		any |= g->columns[j] == j && node_cell(r, g, j, own, &even);
	if (!any)
		return;
	table_cell(t, own ? "own node" : "other nodes");
	for (size_t j = 0; j < r->targets.len; j++) {
		if (g->columns[j] != j)
			continue;
		const struct reach_cell *cell = node_cell(r, g, j, own, &even);
		if (cell && even)
			add_cell(t, r, cell, false);
		else
			table_cell_styled(t, STYLE_YELLOW, cell ? "mixed" : "–");
	}
}

static void fill_table(struct table *t, const struct reach *r, const struct grouping *g, size_t cut)
{
	for (size_t i = 0; i < r->callers.len; i++) {
		const struct reach_caller *c = &r->callers.items[i];
		if (g->rows[i] != i || (is_node(c) && !g->wide))
			continue;
		AUTO_MEM char *name = label(c->name, c->group, row_is_whole(r, g, i), cut);
		table_cell(t, name);
		for (size_t j = 0; j < r->targets.len; j++) {
			bool self;
			if (g->columns[j] != j)
				continue;
			const struct reach_cell *cell = group_cell(r, g, i, j, &self);
			add_cell(t, r, cell, self);
		}
	}
	if (g->wide)
		return;
	add_node_row(t, r, g, true);
	add_node_row(t, r, g, false);
}

static void print_legend(char *const *names, size_t n)
{
	size_t widest = 0, a_line;

	for (size_t j = 0; j < n; j++)
		if (strlen(names[j]) > widest)
			widest = strlen(names[j]);
	a_line = (size_t)output_width() / (widest + 7);
	a_line = a_line ? a_line : 1;
	for (size_t j = 0; j < n; j++) {
		bool last = j + 1 == n || (j + 1) % a_line == 0;
		printf("%s%3zu  %-*s%s", j ? "" : "\n", j + 1, last ? 0 : (int)widest + 2, names[j],
		       last ? "\n" : "");
	}
}

void reach_print_table(const struct reach *r, bool wide)
{
	struct grouping g = {0};
	VEC(char *) names = {0};
	VEC(const char *) headings = {0};
	size_t cut, first = 8;
	AUTO_TABLE t = {0};
	bool bad = group_all(r, wide, &g) != 0;

	shared_namespace(r, &cut);
	for (size_t j = 0; !bad && j < r->targets.len; j++)
		if (g.columns[j] == j)
			bad = vec_push(&names, target_label(r, &g, j, cut));
	for (size_t i = 0; i < r->callers.len; i++)
		if (strlen(r->callers.items[i].group) > first)
			first = strlen(r->callers.items[i].group);
	bool fit = names_fit(names.items, names.len, first);
	AUTO_MEM char *numbers = calloc(names.len + 1, 24);
	bad = bad || !numbers || vec_push(&headings, "");
	for (size_t j = 0; !bad && j < names.len; j++) {
		snprintf(numbers + j * 24, 24, "%zu", j + 1);
		bad = vec_push(&headings, fit ? names.items[j] : numbers + j * 24);
	}
	if (!bad && !vec_push(&headings, NULL)) {
		table_init(&t, headings.items);
		fill_table(&t, r, &g, cut);
		table_print(&t);
		if (!fit)
			print_legend(names.items, names.len);
	} else {
		cli_error(NULL, "out of memory");
	}
	VEC_EACH (&names, n)
		free(*n);
	vec_free(&names);
	vec_free(&headings);
	free(g.rows);
	free(g.columns);
}

static const char *answer_text(uint8_t a)
{
	static const char *const texts[] = {"not-tried", "yes", "no", "refused", "error"};

	return texts[a];
}

void reach_print_list(const struct reach *r)
{
	static const char *const headings[] = {"FROM", "TO", "PORT", "FAMILY", "ANSWER", "MODEL", "MS", NULL};
	AUTO_TABLE t;

	table_init(&t, headings);
	for (size_t i = 0; i < r->callers.len; i++)
		for (size_t j = 0; j < r->targets.len; j++)
			for (int f = 0; f < REACH_FAMILIES; f++) {
				const struct reach_target *to = &r->targets.items[j];
				const struct reach_cell *c = reach_at(r, i, j);
				uint8_t a = r->tried ? c->seen[f] : c->model[f];
				if (a == REACH_NOT_TRIED)
					continue;
				table_cell(&t, r->callers.items[i].name);
				table_cell(&t, to->name);
				table_cellf(&t, "%u/%s", to->port, to->proto == IPPROTO_UDP ? "udp" : "tcp");
				table_cell(&t, f == REACH_4 ? "ipv4" : "ipv6");
				table_cell_styled(&t,
						  r->tried && !reach_cell_agrees(c) ? STYLE_RED
						  : a == REACH_YES		    ? STYLE_GREEN
										    : STYLE_PLAIN,
						  answer_text(a));
				table_cell(&t, answer_text(c->model[f]));
				if (r->tried)
					table_cellf(&t, "%.1f", (double)c->ms[f]);
				else
					table_cell(&t, "");
			}
	table_print(&t);
}

json_t *reach_json(const struct reach *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->callers.len; i++)
		for (size_t j = 0; j < r->targets.len; j++)
			for (int f = 0; f < REACH_FAMILIES; f++) {
				const struct reach_target *to = &r->targets.items[j];
				const struct reach_cell *c = reach_at(r, i, j);
				if (c->seen[f] == REACH_NOT_TRIED && c->model[f] == REACH_NOT_TRIED)
					continue;
				json_t *v = json_pack(
				    "{s:s,s:s,s:i,s:s,s:s,s:s}", "from", r->callers.items[i].name, "to",
				    to->name, "port", (int)to->port, "protocol",
				    to->proto == IPPROTO_UDP ? "UDP" : "TCP", "family",
				    f == REACH_4 ? "IPv4" : "IPv6", "model", answer_text(c->model[f]));
				if (r->tried) {
					json_object_set_new(v, "answer",
							    json_string(answer_text(c->seen[f])));
					json_object_set_new(v, "ms", json_real((double)c->ms[f]));
				}
				json_array_append_new(list, v);
			}
	return json_pack("{s:b,s:I,s:I,s:o}", "packets", r->tried, "disagreements",
			 (json_int_t)reach_disagreements(r), "skippedPods", (json_int_t)r->skipped, "results",
			 list);
}
