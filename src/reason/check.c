/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the checks and keeps what they find, see check.h. */
#include "reason/check.h"

#include <errno.h>
#include <stdlib.h>

#include "base/own.h"
#include "reason/checks.h"

const struct check_desc check_table[CHECK_COUNT] = {
#define CHECK(id, text, lvl, what, todo)                                                                     \
	[CHECK_##id] = {.name = (text), .level = REMARK_##lvl, .sentence = (what), .advice = (todo)},
#include "tables/checks.def"
#undef CHECK
};

void finding_add(struct findings *f, enum check check, struct pos at, const char *hint, const char *fmt, ...)
{
	struct finding x = {.check = check};
	AUTO_BUF text = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	x.remark = (struct remark){.level = check_table[check].level,
				   .file = file_ref((struct file *)(uintptr_t)at.file),
				   .line = at.line,
				   .col = at.col,
				   .len = at.len,
				   .text = text.failed ? NULL : strdup(text.p ? text.p : ""),
				   .hint = strdup(hint ? hint : check_table[check].advice)};
	if (x.remark.text && x.remark.hint && !vec_push(&f->list, x))
		return;
	file_unref(&x.remark.file);
	free(x.remark.text);
	free(x.remark.hint);
	f->failed = true;
}

static bool same_place(const struct remark *a, const struct remark *b)
{
	return a->line == b->line && a->col == b->col &&
	       (a->file == b->file || (a->file && b->file && !strcmp(a->file->name, b->file->name)));
}

void findings_take(struct findings *f, struct remarks *rs)
{
	size_t own = f->list.len;

	VEC_EACH (&rs->list, r) {
		bool known = false;
		for (size_t i = 0; i < own && r->line && !known; i++)
			known = r->level != REMARK_ERROR && same_place(&f->list.items[i].remark, r);
		struct finding x = {
		    .check = r->level == REMARK_ERROR ? CHECK_manifest : CHECK_manifest_remark, .remark = *r};
		if (known)
			continue;
		if (vec_push(&f->list, x))
			f->failed = true;
		else
			*r = (struct remark){0};
	}
}

static int by_place(const void *pa, const void *pb)
{
	const struct finding *a = pa, *b = pb;
	int d =
	    strcmp(a->remark.file ? a->remark.file->name : "", b->remark.file ? b->remark.file->name : "");

	if (d || a->remark.line != b->remark.line)
		return d ? d : a->remark.line < b->remark.line ? -1 : 1;
	if (a->remark.col != b->remark.col)
		return a->remark.col < b->remark.col ? -1 : 1;
	d = (int)a->check - (int)b->check;
	return d ? d : strcmp(a->remark.text, b->remark.text);
}

void findings_sort(struct findings *f)
{
	if (f->list.len > 1)
		qsort(f->list.items, f->list.len, sizeof(*f->list.items), by_place);
}

void findings_fini(struct findings *f)
{
	VEC_EACH (&f->list, x) {
		file_unref(&x->remark.file);
		free(x->remark.text);
		free(x->remark.hint);
	}
	vec_free(&f->list);
}

int check_store(const struct store *s, const struct engine_options *opt, struct findings *out,
		struct remarks *rs)
{
	struct check_run c = {.s = s, .opt = opt, .out = out};
	struct port_fns fns = {0};
	struct engine *engine = NULL;
	int r = port_fns_init(&fns);

	if (!r)
		r = engine_new(&engine, s, &fns, opt, rs);
	if (!r)
		r = ends_new(&c.ends, &engine, 1, &fns, NULL, NULL);
	if (!r)
		r = rules_view(&c);
	if (!r) {
		check_policies(&c);
		check_rules(&c);
		check_blocks(&c);
		check_traffic(&c);
		r = c.error ? c.error : out->failed ? -ENOMEM : 0;
	}
	rules_view_fini(&c);
	ends_fini(&c.ends);
	engine_free(&engine);
	port_fns_fini(&fns);
	return r;
}
