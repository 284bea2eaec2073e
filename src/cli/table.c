/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables on stdout: collects cells, measures, prints; cuts the widest columns where the terminal is too
 * narrow. Never wraps a line. Used by the commands that list things.
 */
#include "base/own.h"
#include "cli/output.h"

#include <stdio.h>

void table_init(struct table *t, const char *const *headings)
{
	*t = (struct table){0};
	while (headings[t->columns])
		t->columns++;
	for (size_t i = 0; i < t->columns; i++)
		table_cell_styled(t, STYLE_BOLD, headings[i]);
}

void table_cell_styled(struct table *t, enum style s, const char *text)
{
	char *copy = strdup(text ? text : "");

	if (!copy || vec_push(&t->cells, copy)) {
		free(copy);
		t->failed = true;
		return;
	}
	if (vec_push(&t->styles, (unsigned char)s)) {
		free(t->cells.items[--t->cells.len]);
		t->failed = true;
	}
}

void table_cell(struct table *t, const char *text)
{
	table_cell_styled(t, STYLE_PLAIN, text);
}

void table_cellf(struct table *t, const char *fmt, ...)
{
	AUTO_BUF b = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	t->failed |= b.failed;
	table_cell(t, b.p);
}

size_t table_rows(const struct table *t)
{
	return t->columns ? t->cells.len / t->columns - 1 : 0;
}

/* Takes from the widest column, one at a time, until the row fits; none goes below 8. */
static void shrink(size_t *widths, size_t n, size_t limit)
{
	size_t total = 2 * (n - 1);

	for (size_t i = 0; i < n; i++)
		total += widths[i];
	while (total > limit) {
		size_t widest = 0;
		for (size_t i = 1; i < n; i++)
			if (widths[i] > widths[widest])
				widest = i;
		if (widths[widest] <= 8)
			return;
		widths[widest]--;
		total--;
	}
}

static void print_cell(const char *text, enum style s, size_t width, bool last)
{
	struct str all = str_of(text);
	size_t columns = output_columns(all);

	if (s != STYLE_PLAIN)
		printf("%s", output_style(s));
	if (columns > width) {
		size_t keep = 0;
		for (size_t seen = 0; keep < all.n; keep++)
			if (((unsigned char)all.p[keep] & 0xc0) != 0x80 && seen++ == width - 1)
				break;
		printf("%.*s…", (int)keep, all.p);
		columns = width;
	} else {
		printf("%s", text);
	}
	if (s != STYLE_PLAIN)
		printf("%s", output_style(STYLE_PLAIN));
	if (!last)
		printf("%*s", (int)(width - columns) + 2, "");
}

/* A column without a heading is left out. */
static bool is_shown(const struct table *t, size_t column)
{
	return t->cells.items[column] != NULL;
}

static size_t last_shown(const struct table *t)
{
	size_t last = 0;

	for (size_t col = 0; col < t->columns; col++)
		if (is_shown(t, col))
			last = col;
	return last;
}

/* Where the headings are not shown, they take no room. */
static size_t first_cell(const struct table *t)
{
	return t->no_headings ? t->columns : 0;
}

static void measure(const struct table *t, size_t *widths, size_t n)
{
	for (size_t i = first_cell(t); i < t->cells.len; i++) {
		size_t col = i % t->columns,
		       w = is_shown(t, col) ? output_columns(str_of(t->cells.items[i])) : 0;
		if (col < n && w > widths[col])
			widths[col] = w;
	}
}

static void print_rows(const struct table *t, const size_t *widths, size_t n)
{
	size_t last = last_shown(t);

	for (size_t i = first_cell(t); i < t->cells.len; i++) {
		size_t col = i % t->columns;
		if (is_shown(t, col))
			print_cell(t->cells.items[i], t->styles.items[i], col < n ? widths[col] : 0,
				   col == last);
		if (col == t->columns - 1)
			putchar('\n');
	}
}

void table_print(const struct table *t)
{
	AUTO_MEM size_t *widths = calloc(t->columns + 1, sizeof(*widths));

	if (!widths || t->failed) {
		fprintf(stderr, "weft: out of memory\n");
		return;
	}
	measure(t, widths, t->columns);
	shrink(widths, t->columns, (size_t)output_width());
	print_rows(t, widths, t->columns);
}

void table_print_with(const struct table *t, size_t *widths, size_t n)
{
	if (t->columns > n || t->failed)
		return;
	measure(t, widths, n);
	print_rows(t, widths, n);
}

void table_fini(struct table *t)
{
	for (size_t i = 0; i < t->cells.len; i++)
		free(t->cells.items[i]);
	vec_free(&t->cells);
	vec_free(&t->styles);
}
