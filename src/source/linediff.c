/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See linediff.h: what both texts begin and end with is left out, the rest goes through the greedy search for
 * a shortest script; where that would take too long, the middle is one change. Called by the hub and by
 * tests.
 */
#include "source/linediff.h"

#include <errno.h>
#include <stdio.h>

#include "base/own.h"
#include "base/vec.h"

/* Lines that differ, up to which the shortest script is searched. */
enum { STEPS_MAX = 600 };
static const char no_end[] = "\\ No newline at end of file\n";

struct lines {
	VEC(struct str) list; /* each with its line end, where it has one */
	unsigned char *changed;
};

struct pair {
	struct lines a, b;
};

static int split(struct lines *l, struct str text)
{
	int r = 0;
	while (text.n && !r) {
		const char *nl = memchr(text.p, '\n', text.n);
		size_t n = nl ? (size_t)(nl - text.p) + 1 : text.n;
		r = vec_push(&l->list, (struct str){text.p, n});
		text.p += n;
		text.n -= n;
	}
	l->changed = calloc(l->list.len + 1, 1);
	return r || !l->changed ? -ENOMEM : 0;
}

static void lines_fini(struct lines *l)
{
	vec_free(&l->list);
	free(l->changed);
}

static bool same(const struct pair *p, long i, long j)
{
	return str_eq(p->a.list.items[i], p->b.list.items[j]);
}

/* Walks back what the search found: at each step one line went or came, the rest was alike. */
static void mark(struct pair *p, const long *trace, long from, long n, long m, long steps)
{
	long x = n, y = m;
	for (long d = steps; d > 0; d--) {
		const long *v = trace + (d - 1) * (2 * STEPS_MAX + 3) + STEPS_MAX + 1;
		long k = x - y;
		bool down = k == -d || (k != d && v[k - 1] < v[k + 1]);
		long before = down ? k + 1 : k - 1, bx = v[before], by = bx - before;
		if (down)
			p->b.changed[from + by] = 1;
		else
			p->a.changed[from + bx] = 1;
		x = bx;
		y = by;
	}
}

/* A shortest script between n lines of a and m of b, both from `from` on. */
static int search(struct pair *p, long from, long n, long m)
{
	enum { ROW = 2 * STEPS_MAX + 3 };
	AUTO_MEM long *now = calloc(ROW, sizeof(long)), *trace = NULL;
	if (!now)
		return -ENOMEM;
	long *v = now + STEPS_MAX + 1;
	for (long d = 0; d <= STEPS_MAX && d <= n + m; d++) {
		for (long k = -d; k <= d; k += 2) {
			long x = !d					      ? 0
				 : k == -d || (k != d && v[k - 1] < v[k + 1]) ? v[k + 1]
									      : v[k - 1] + 1;
			while (x < n && x - k < m && x >= k && same(p, from + x, from + x - k))
				x++;
			v[k] = x;
			if (x >= n && x - k >= m) {
				mark(p, trace, from, n, m, d);
				return 0;
			}
		}
		long *more = realloc(trace, (size_t)(d + 1) * ROW * sizeof(long));
		if (!more)
			return -ENOMEM;
		trace = more;
		memcpy(trace + d * ROW, now, ROW * sizeof(long));
	}
	return -E2BIG;
}

static int compare(struct pair *p)
{
	long n = (long)p->a.list.len, m = (long)p->b.list.len, from = 0;
	while (from < n && from < m && same(p, from, from))
		from++;
	while (n > from && m > from && same(p, n - 1, m - 1)) {
		n--;
		m--;
	}
	int r = search(p, from, n - from, m - from);
	if (r != -E2BIG)
		return r;
	memset(p->a.changed + from, 1, (size_t)(n - from));
	memset(p->b.changed + from, 1, (size_t)(m - from));
	return 0;
}

static void print_line(struct buf *out, char sign, struct str line)
{
	buf_addc(out, sign);
	buf_adds(out, line);
	if (line.p[line.n - 1] != '\n') {
		buf_addc(out, '\n');
		buf_addz(out, no_end);
	}
}

static void print_range(struct buf *out, char sign, size_t at, size_t n)
{
	buf_printf(out, "%c%zu", sign, n ? at + 1 : at);
	if (n != 1)
		buf_printf(out, ",%zu", n);
}

/* Lines of a from i to i_end with those of b from j on. */
static void print_hunk(struct buf *out, const struct pair *p, size_t i, size_t i_end, size_t j, size_t j_end)
{
	buf_addz(out, "@@ ");
	print_range(out, '-', i, i_end - i);
	buf_addc(out, ' ');
	print_range(out, '+', j, j_end - j);
	buf_addz(out, " @@\n");
	while (i < i_end || j < j_end) {
		if (i < i_end && p->a.changed[i])
			print_line(out, '-', p->a.list.items[i++]);
		else if (j < j_end && p->b.changed[j])
			print_line(out, '+', p->b.list.items[j++]);
		else {
			print_line(out, ' ', p->a.list.items[i++]);
			j++;
		}
	}
}

/* From the change at i and j on, all that is at most twice the context away from it. */
static void hunk(struct buf *out, const struct pair *p, size_t *pi, size_t *pj, size_t context)
{
	size_t n = p->a.list.len, m = p->b.list.len, i = *pi, j = *pj, alike = 0;
	size_t before = i < context ? i : context;
	size_t i_end = i, j_end = j;
	while (i < n || j < m) {
		if (i < n && p->a.changed[i]) {
			i_end = ++i;
			j_end = j;
			alike = 0;
		} else if (j < m && p->b.changed[j]) {
			j_end = ++j;
			i_end = i;
			alike = 0;
		} else if (alike++ >= 2 * context) {
			break;
		} else {
			i++;
			j++;
		}
	}
	size_t rest = n - i_end < context ? n - i_end : context;
	print_hunk(out, p, *pi - before, i_end + rest, *pj - before, j_end + rest);
	*pi = i_end + rest;
	*pj = j_end + rest;
}

int linediff_print(struct buf *out, const char *path, struct str was, struct str now, unsigned context)
{
	struct pair p = {0};
	int r = split(&p.a, was);
	if (!r)
		r = split(&p.b, now);
	if (!r)
		r = compare(&p);
	bool told = false;
	for (size_t i = 0, j = 0;
	     !r && (i < p.a.list.len || j < p.b.list.len || (!told && !was.p != !now.p));) {
		bool changed = (i < p.a.list.len && p.a.changed[i]) || (j < p.b.list.len && p.b.changed[j]);
		if (!told && (changed || !was.p != !now.p)) {
			buf_printf(out, "--- %s\n+++ %s\n", was.p ? path : "/dev/null",
				   now.p ? path : "/dev/null");
			told = true;
		}
		if (changed) {
			hunk(out, &p, &i, &j, context);
		} else if (i < p.a.list.len) {
			i++;
			j++;
		}
	}
	lines_fini(&p.a);
	lines_fini(&p.b);
	return r ? r : out->failed ? -ENOMEM : 0;
}

/* ---- the way back ---- */

struct apply {
	struct str text; /* what is left of it */
	size_t line;	 /* of the text, from 0: the next one */
	struct buf *out;
};

static struct str next_line(struct str *s)
{
	const char *nl = s->n ? memchr(s->p, '\n', s->n) : NULL;
	struct str line = {s->p, nl ? (size_t)(nl - s->p) + 1 : s->n};
	s->p += line.n;
	s->n -= line.n;
	return line;
}

/* "-3,4 +3" of a hunk's head: the start of the side that is read, from 0. */
static int read_head(struct str head, bool back, size_t *start, size_t *count)
{
	unsigned long long v[4] = {0, 1, 0, 1};
	char text[128];
	if (head.n >= sizeof(text))
		return -EINVAL;
	memcpy(text, head.p, head.n);
	text[head.n] = 0;
	if (sscanf(text, "@@ -%llu,%llu +%llu,%llu @@", &v[0], &v[1], &v[2], &v[3]) != 4) {
		v[1] = v[3] = 1;
		if (sscanf(text, "@@ -%llu +%llu,%llu @@", &v[0], &v[2], &v[3]) != 3) {
			v[1] = v[3] = 1;
			if (sscanf(text, "@@ -%llu,%llu +%llu @@", &v[0], &v[1], &v[2]) != 3) {
				v[1] = v[3] = 1;
				if (sscanf(text, "@@ -%llu +%llu @@", &v[0], &v[2]) != 2)
					return -EINVAL;
			}
		}
	}
	size_t i = back ? 2 : 0;
	*count = (size_t)v[i + 1];
	*start = *count ? (size_t)v[i] - 1 : (size_t)v[i];
	return *count && !v[i] ? -EINVAL : 0;
}

static int copy_to(struct apply *a, size_t line)
{
	if (line < a->line)
		return -EINVAL;
	for (; a->line < line; a->line++) {
		if (!a->text.n)
			return -EINVAL;
		buf_adds(a->out, next_line(&a->text));
	}
	return 0;
}

/* One line of the difference; without its line end where the text has none. */
static int apply_line(struct apply *a, char sign, struct str line, bool back)
{
	bool here = sign == ' ' || sign == (back ? '+' : '-');
	if (here) {
		if (!str_eq(next_line(&a->text), line))
			return -EINVAL;
		a->line++;
	}
	if (sign == ' ' || !here)
		buf_adds(a->out, line);
	return 0;
}

int linediff_apply(struct buf *out, struct str diff, struct str text, bool back)
{
	struct apply a = {.text = text, .out = out};
	size_t start, count;
	int r = 0;
	if (diff.n &&
	    (!str_starts(next_line(&diff), STR("--- ")) || !str_starts(next_line(&diff), STR("+++ "))))
		return -EINVAL;
	while (diff.n && !r) {
		struct str line = next_line(&diff);
		char sign = line.p[0];
		if (sign == '@') {
			r = read_head(line, back, &start, &count);
			if (!r)
				r = copy_to(&a, start);
			continue;
		}
		if (!strchr(" +-", sign))
			return -EINVAL;
		if (str_starts(diff, STR("\\"))) {
			line.n--;
			next_line(&diff);
		}
		r = apply_line(&a, sign, (struct str){line.p + 1, line.n - 1}, back);
	}
	if (!r)
		buf_adds(out, a.text);
	return r ? r : out->failed ? -ENOMEM : 0;
}
