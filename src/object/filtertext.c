/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters in members of objects: what is wrong in one is told at its column inside the value, however the
 * value was written: plain, in quotes with escapes, or as a block of lines. Called by the kinds' own rules.
 */
#include <errno.h>

#include "base/own.h"
#include "object/check.h"

struct walk { /* through the source beside the value */
	const char *p, *end;
	uint32_t line, col;
};

static bool walk_start(struct walk *w, struct pos at)
{
	const struct file *f = at.file;

	if (!f || !f->text || !at.line)
		return false;
	*w = (struct walk){.p = f->text, .end = f->text + f->len, .line = at.line, .col = at.col};
	for (uint32_t i = 1; i < at.line; i++) {
		const char *nl = memchr(w->p, '\n', (size_t)(w->end - w->p));

		if (!nl)
			return false;
		w->p = nl + 1;
	}
	if ((size_t)(w->end - w->p) < at.col)
		return false;
	w->p += at.col - 1;
	return true;
}

static void step(struct walk *w, size_t n)
{
	for (; n && w->p < w->end; n--, w->p++) {
		w->col = *w->p == '\n' ? 1 : w->col + 1;
		w->line += *w->p == '\n';
	}
}

/* Of one byte of a value in quotes: how many bytes of the source it takes. */
static size_t quoted(const struct walk *w, char quote)
{
	bool pair = w->p + 1 < w->end;

	if (quote == '\'')
		return pair && w->p[0] == '\'' && w->p[1] == '\'' ? 2 : 1;
	return pair && w->p[0] == '\\' ? 2 : 1;
}

static bool is_blank(const struct walk *w)
{
	return w->p < w->end && (*w->p == ' ' || *w->p == '\n' || *w->p == '\r' || *w->p == '\t');
}

/* White space stands for white space: lines are folded, indents left out. Else bytes are what they are, or
 * escaped. false: the source is written in another way. */
static bool follow(struct walk *w, struct str value, size_t offset, char quote)
{
	for (size_t i = 0; i < offset && i < value.n; i++) {
		bool blank = value.p[i] == ' ' || value.p[i] == '\n';
		size_t n = quoted(w, quote);

		if (w->p >= w->end || (blank ? !is_blank(w) : w->p[n - 1] != value.p[i]))
			return false;
		bool line = *w->p == '\n' || *w->p == '\r';

		step(w, n);
		while (blank && is_blank(w) && (line || *w->p == '\n') &&
		       !(i + 1 < value.n && value.p[i + 1] == ' ' && *w->p == ' '))
			step(w, 1);
	}
	return true;
}

/* Where byte `offset` of the value stands in the file; the value's own place where that cannot be said. */
static struct pos inside(struct pos at, struct str value, size_t offset, uint32_t len)
{
	struct walk w;

	if (!walk_start(&w, at))
		return at;
	char first = w.p < w.end ? *w.p : 0, quote = 0;

	if (first == '"' || first == '\'') {
		quote = first;
		step(&w, 1);
	} else if ((first == '|' || first == '>') && value.n && value.p[0] != first) {
		while (w.p < w.end && *w.p != '\n')
			step(&w, 1);
		while (is_blank(&w))
			step(&w, 1);
	}
	if (!follow(&w, value, offset, quote))
		return at;
	return (struct pos){.file = at.file, .line = w.line, .col = w.col, .len = len};
}

void check_filter(struct check *c, const struct str *member, enum filter_use use)
{
	AUTO(remarks_fini) struct remarks rs = {0};
	struct filter *f = NULL;
	AUTO_BUF why = {0};
	int r = filter_parse(&f, *member, (struct pos){0}, &rs);

	VEC_EACH (&rs.list, it)
		check_fail_at(c, member, inside(object_pos(c->o, member), *member, it->col - 1, it->len),
			      it->hint, "column %u of the filter: %s", it->col, it->text);
	if (!r && filter_uses(f, use, &why))
		check_fail(c, member, "`weft filter` says where a filter can run", "%s",
			   why.p ? why.p : "the filter cannot run here");
	if (!r)
		filter_unref(&f);
}
