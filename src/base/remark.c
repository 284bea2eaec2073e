/* SPDX-License-Identifier: Apache-2.0 */
/* Collecting, sorting and printing remarks. See remark.h. */
#include "base/remark.h"

#include <stdlib.h>

#include "base/own.h"

void remark_add(struct remarks *rs, enum remark_level level, struct pos at, const char *hint, const char *fmt,
		...)
{
	if (level == REMARK_ERROR)
		rs->errors++;
	if (rs->list.len >= (rs->limit ? rs->limit : 1000)) {
		rs->dropped++;
		return;
	}
	AUTO_BUF text = {0};
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	struct remark r = {.level = level, .line = at.line, .col = at.col, .len = at.len};
	r.text = TAKE(text.p);
	r.hint = hint ? strdup(hint) : NULL;
	if (!r.text || vec_push(&rs->list, r)) {
		free(r.text);
		free(r.hint);
		rs->dropped++;
		return;
	}
	rs->list.items[rs->list.len - 1].file = file_ref((struct file *)(uintptr_t)at.file);
}

static int by_position(const void *pa, const void *pb)
{
	const struct remark *a = pa, *b = pb;
	int c = strcmp(a->file ? a->file->name : "", b->file ? b->file->name : "");
	if (c)
		return c;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	if (a->col != b->col)
		return a->col < b->col ? -1 : 1;
	if (a->level != b->level)
		return a->level < b->level ? -1 : 1;
	return strcmp(a->text, b->text);
}

void remarks_sort(struct remarks *rs)
{
	if (rs->list.len > 1)
		qsort(rs->list.items, rs->list.len, sizeof(*rs->list.items), by_position);
}

void remarks_move(struct remarks *dst, struct remarks *src)
{
	VEC_EACH (&src->list, r) {
		if (vec_push(&dst->list, *r)) {
			dst->dropped++;
			file_unref(&r->file);
			free(r->text);
			free(r->hint);
		}
	}
	dst->dropped += src->dropped;
	dst->errors += src->errors;
	vec_free(&src->list);
	src->dropped = src->errors = 0;
}

void remarks_fini(struct remarks *rs)
{
	VEC_EACH (&rs->list, r) {
		file_unref(&r->file);
		free(r->text);
		free(r->hint);
	}
	vec_free(&rs->list);
	rs->dropped = rs->errors = 0;
}

/* The line found last: remarks are mostly printed in order, so that each line of a file is stepped over once.
 */
struct finder {
	const struct file *file;
	uint32_t line; /* 1-based line that starts at `at`; 0: none yet */
	size_t at;
};

/* The text of a 1-based line of f, without its line end. */
static struct str line_of(struct finder *at, const struct file *f, uint32_t line)
{
	if (at->file != f || !at->line || at->line > line)
		*at = (struct finder){.file = f, .line = 1};
	while (at->line < line && at->at < f->len) {
		const char *nl = memchr(f->text + at->at, '\n', f->len - at->at);
		at->at = nl ? (size_t)(nl - f->text) + 1 : f->len;
		at->line++;
	}
	struct str rest = {f->text + at->at, f->len - at->at}, l = str_cut(&rest, '\n');
	if (at->line < line)
		l.n = 0;
	if (l.n && l.p[l.n - 1] == '\r')
		l.n--;
	return l;
}

/* Appends text from outside: control characters, which a terminal might obey, as "?" for each byte. */
static void add_visible(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i], next = i + 1 < s.n ? (unsigned char)s.p[i + 1] : 0;
		if (c == 0xc2 && next >= 0x80 && next < 0xa0) {
			buf_addz(b, "??");
			i++;
		} else {
			buf_addc(b, (c < 0x20 && c != '\t') || c == 0x7f ? '?' : (char)c);
		}
	}
}

static void print_span(struct buf *b, struct finder *at, const struct remark *r, const char *on,
		       const char *off)
{
	struct str l = line_of(at, r->file, r->line);
	if (!l.n || l.n > 400)
		return;
	buf_printf(b, "%7u | ", r->line);
	add_visible(b, l);
	buf_addz(b, "\n        | ");
	for (uint32_t i = 1; i < r->col && i <= l.n; i++)
		buf_addc(b, l.p[i - 1] == '\t' ? '\t' : ' ');
	buf_addz(b, on);
	uint32_t len = r->len ? r->len : 1;
	for (uint32_t i = 0; i < len && (!i || r->col + i <= l.n); i++)
		buf_addc(b, '^');
	buf_addz(b, off);
	buf_addc(b, '\n');
}

static void print_one(struct buf *b, struct finder *finder, const struct remark *r, bool colour)
{
	static const char *const names[] = {"error", "warning", "hint"};
	static const char *const paint[] = {"\033[1;31m", "\033[1;33m", "\033[1;36m"};
	const char *on = colour ? paint[r->level] : "", *off = colour ? "\033[0m" : "";
	struct pos at = {.file = r->file, .line = r->line, .col = r->col, .len = r->len};
	pos_print(b, at);
	buf_printf(b, "%s%s%s:%s ", r->file ? ": " : "", on, names[r->level], off);
	add_visible(b, str_of(r->text));
	buf_addc(b, '\n');
	if (r->file && r->file->text && r->line)
		print_span(b, finder, r, on, off);
	if (r->hint) {
		buf_addz(b, "     hint: ");
		add_visible(b, str_of(r->hint));
		buf_addc(b, '\n');
	}
}

void remark_print(struct buf *b, const struct remark *r, bool colour)
{
	struct finder finder = {0};
	print_one(b, &finder, r, colour);
}

void remarks_print(FILE *to, const struct remarks *rs, bool colour)
{
	AUTO_BUF b = {0};
	struct finder finder = {0};
	VEC_EACH (&rs->list, r)
		print_one(&b, &finder, r, colour);
	if (rs->dropped)
		buf_printf(&b, "… and %zu more remarks\n", rs->dropped);
	if (b.n)
		fwrite(b.p, 1, b.n, to);
}
