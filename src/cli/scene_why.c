/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What did not hold in a scene, as text: one line each, before it the place in the page where that is stated.
 * The place is kept as "LINE:COLUMN" and a tab, so that a reader and a report both find it. Plays nothing.
 */
#include "cli/scene.h"

#include "base/own.h"

#include <stdio.h>

void scene_why_add(struct buf *why, struct scene_place at, const char *fmt, ...)
{
	va_list ap;

	if (at.line)
		buf_printf(why, "%u:%u\t", at.line, at.column);
	va_start(ap, fmt);
	buf_vprintf(why, fmt, ap);
	va_end(ap);
	buf_addc(why, '\n');
}

bool scene_why_next(struct str *rest, struct scene_fault *out)
{
	if (!rest->n)
		return false;
	struct str line = str_cut(rest, '\n'), text = line, place = str_cut(&text, '\t');
	struct str column = place, row = str_cut(&column, ':');
	int64_t l = 0, c = 0;

	*out = (struct scene_fault){.text = line};
	if (place.n < line.n && !str_to_i64(row, 1, 1 << 20, &l) && !str_to_i64(column, 1, 1 << 20, &c))
		*out = (struct scene_fault){{(unsigned)l, (unsigned)c}, text};
	return true;
}

struct scene_place scene_place_of(const struct scene_page *p, const json_t *v)
{
	uintptr_t pos = v ? (uintptr_t)hash_get(&p->at, (struct str){(const char *)&v, sizeof(v)}) : 0;

	return (struct scene_place){(unsigned)(pos >> 12), (unsigned)(pos & 0xfff)};
}

/* The page's line with that number, from 1. */
static struct str line_of(const struct scene_page *p, unsigned number)
{
	struct str rest = buf_str(&p->text), line = {0};

	for (unsigned i = 0; i < number && rest.n; i++)
		line = str_cut(&rest, '\n');
	return line;
}

static size_t blanks(struct str s)
{
	size_t n = 0;

	while (n < s.n && (s.p[n] == ' ' || s.p[n] == '\t'))
		n++;
	return n;
}

struct scene_place scene_place_in(const struct scene_page *p, const json_t *text, unsigned line,
				  struct str row, size_t offset)
{
	struct scene_place at = scene_place_of(p, text);
	struct str head = line_of(p, at.line);

	/* Only in a literal block are the page's lines those of the text. */
	if (!at.line || at.column > head.n || head.p[at.column - 1] != '|')
		return at;
	struct str there = line_of(p, at.line + line);
	if (blanks(there) < blanks(row))
		return at;
	return (struct scene_place){at.line + line, (unsigned)(blanks(there) - blanks(row) + offset + 1)};
}
