/* SPDX-License-Identifier: Apache-2.0 */
/* The frame of Tables: column definitions and rows. What stands in the cells is in cells.c. See table.h. */
#include "serve/table.h"

#include <stdio.h>

#include "base/clock.h"
#include "serve/cells.h"

static void print_column(struct buf *b, const struct column *c)
{
	buf_printf(b,
		   "{\"name\":\"%s\",\"type\":\"%s\",\"format\":\"%s\",\"description\":\"\",\"priority\":%d}",
		   c->name, c->type, c->format, c->priority);
}

void table_begin_meta(struct buf *b, enum kind k, struct str meta)
{
	const struct cell_table *t = cells_of(k);
	buf_printf(b, "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":" STR_FMT ",",
		   STR_ARG(meta));
	buf_addz(b, "\"columnDefinitions\":[");
	print_column(b, &(struct column){"Name", "string", "name", 0});
	for (size_t i = 0; i < t->n; i++) {
		buf_addc(b, ',');
		print_column(b, &t->columns[i]);
	}
	buf_addz(b, "],\"rows\":[");
}

void table_begin(struct buf *b, enum kind k, uint64_t version)
{
	AUTO_BUF meta = {0};
	buf_printf(&meta, "{\"resourceVersion\":\"%llu\"}", (unsigned long long)version);
	table_begin_meta(b, k, buf_str(&meta));
}

void table_begin_bare(struct buf *b, uint64_t version)
{
	buf_printf(b,
		   "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{\"resourceVersion\":"
		   "\"%llu\"},\"columnDefinitions\":null,\"rows\":[",
		   (unsigned long long)version);
}

/* The printer shows metadata of an object without a body. */
static void print_partial(struct buf *b, const struct object *o)
{
	AUTO_BUF text = {0};
	struct object bare = {.desc = o->desc, .meta = o->meta, .version = o->version};
	object_print_json(&text, &bare, PRINT_PLAIN);
	const char *meta = text.p ? memmem(text.p, text.n, "\"metadata\":", 11) : NULL;
	buf_addz(b, "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\",");
	if (meta)
		buf_add(b, meta, text.n - (size_t)(meta - text.p));
	else
		buf_addz(b, "\"metadata\":{}}");
}

void table_row(struct buf *b, const struct object *o, int64_t now, bool whole, unsigned print)
{
	struct cells c = {.b = b, .now = now};
	buf_addz(b, "{\"cells\":[");
	cell_str(&c, o->meta.name, "");
	cells_of(o->desc->kind)->fill(&c, o);
	buf_addz(b, "],\"object\":");
	if (whole)
		object_print_json(b, o, print);
	else
		print_partial(b, o);
	buf_addc(b, '}');
}

void cell(struct cells *c, const char *fmt, ...)
{
	AUTO_BUF text = {0};
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	if (c->any)
		buf_addc(c->b, ',');
	c->any = true;
	buf_json(c->b, buf_str(&text));
}

void cell_int(struct cells *c, int64_t v)
{
	if (c->any)
		buf_addc(c->b, ',');
	c->any = true;
	buf_printf(c->b, "%lld", (long long)v);
}

void cell_str(struct cells *c, struct str s, const char *none)
{
	if (s.n)
		cell(c, STR_FMT, STR_ARG(s));
	else
		cell(c, "%s", none);
}

void cell_since(struct cells *c, struct str when)
{
	char text[64], age[16];
	int64_t then;
	snprintf(text, sizeof(text), STR_FMT, STR_ARG(when));
	if (!*text || clock_parse(text, &then)) {
		cell(c, "<unknown>");
		return;
	}
	clock_age(c->now > then ? c->now - then : 0, age);
	cell(c, "%s", age);
}

void cell_age(struct cells *c, const struct object *o)
{
	cell_since(c, o->meta.creation_timestamp);
}
