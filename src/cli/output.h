/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What commands print: tables that fit the terminal, styles that obey NO_COLOR, and a JSON value as JSON or
 * YAML. All of it goes to stdout.
 */
#ifndef WEFT_CLI_OUTPUT_H
#define WEFT_CLI_OUTPUT_H

#include <jansson.h>

#include "base/str.h"
#include "base/vec.h"

enum style { STYLE_PLAIN, STYLE_BOLD, STYLE_DIM, STYLE_GREEN, STYLE_RED, STYLE_YELLOW };

/* Columns of the terminal that stdout is (else $COLUMNS, else unbounded: a large number). */
int output_width(void);
bool output_is_terminal(void);
/* "auto", "always" or "never", above the environment; -1: another word. */
int output_set_color(const char *when);
/* The escape sequence of a style, or "" where there are to be no colours: by --color, else by NO_COLOR, else
 * CLICOLOR_FORCE, else where stdout is no terminal that can show them or CLICOLOR is 0. Static. */
const char *output_style(enum style s);
/* Columns that UTF-8 text takes: code points without combining marks; escape sequences count nothing. */
size_t output_columns(struct str s);

/* A table is filled row by row with the number of cells that it was made with; cells are copied. */
struct table {
	size_t columns;
	VEC(char *) cells; /* the first `columns` are the headings; a heading NULL leaves the column out */
	VEC(unsigned char) styles;
	bool failed, no_headings;
};
/* headings: NULL-terminated list of names. */
void table_init(struct table *t, const char *const *headings);
void table_cell(struct table *t, const char *text);
void table_cell_styled(struct table *t, enum style s, const char *text);
void table_cellf(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
size_t table_rows(const struct table *t);
/* Two spaces between columns. Where the rows are wider than the terminal, the widest columns are cut, with
 * "…". */
void table_print(const struct table *t);
/* The same without cutting, in columns at least as wide as `widths` (n of them), which take over what is
 * wider: rows that come one after the other stay below each other. */
void table_print_with(const struct table *t, size_t *widths, size_t n);
void table_fini(struct table *t);
#define AUTO_TABLE __attribute__((cleanup(table_fini))) struct table

/* Prints v in the form that -o asks for: "json" (indented) or "yaml". */
void output_value(const json_t *v, const char *format);
/* Appends v as block YAML, as kubectl prints it, at this indentation. */
void yaml_print(struct buf *b, const json_t *v, int indent);

static inline void own_json(json_t **v)
{
	json_decref(*v);
	*v = NULL;
}
#define AUTO_JSON __attribute__((cleanup(own_json))) json_t *

#endif
