/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus' text format, joined: see metrics.h. */
#include "serve/metrics.h"

#include <errno.h>

static bool is_head(struct str line, struct str *name)
{
	if (!str_starts(line, STR("# HELP ")) && !str_starts(line, STR("# TYPE ")))
		return false;
	line.p += 7;
	line.n -= 7;
	*name = str_cut(&line, ' ');
	return name->n > 0;
}

static bool is_plain(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 127)
			return false;
	return true;
}

static bool is_sample(struct str line, struct str family, struct str node)
{
	static const struct str label = STR("{node=\"");

	if (!str_starts(line, family))
		return false;
	line.p += family.n;
	line.n -= family.n;
	if (!str_starts(line, label))
		return false;
	line.p += label.n;
	line.n -= label.n;
	return str_starts(line, node) && line.n > node.n && line.p[node.n] == '"';
}

int metrics_check(struct str text, struct str node, const char **why)
{
	struct str family = {0}, name;

	*why = text.n > METRICS_TEXT_MAX ? "the text is too long" : "";
	if (**why)
		return -EINVAL;
	while (text.n) {
		struct str line = str_cut(&text, '\n');

		if (line.n > METRICS_LINE_MAX || !is_plain(line))
			*why = "a line is too long or holds control characters";
		else if (is_head(line, &name))
			family = name;
		else if (!family.n || !is_sample(line, family, node))
			*why = "a line is no sample of the family before it with the node as its first label";
		if (**why)
			return -EINVAL;
	}
	return 0;
}

static struct metrics_family *family_of(struct metrics_join *j, struct str name)
{
	VEC_EACH (&j->families, f)
		if (str_eq(f->name, name))
			return f;
	if (j->families.len >= METRICS_FAMILIES_MAX ||
	    vec_push(&j->families, (struct metrics_family){.name = name}))
		return NULL;
	return &j->families.items[j->families.len - 1];
}

void metrics_join_add(struct metrics_join *j, struct str text)
{
	const char *begin = text.p, *end = text.p + text.n;
	struct metrics_family *f = NULL;
	struct str name;

	while (text.n) {
		struct str line = str_cut(&text, '\n');
		bool head = is_head(line, &name);

		if (head) {
			f = family_of(j, name);
			j->failed |= !f;
		}
		if (!f || (head && (f->name.p < begin || f->name.p >= end))) /* another node has said that */
			continue;
		buf_adds(head ? &f->head : &f->samples, line);
		buf_addc(head ? &f->head : &f->samples, '\n');
	}
}

void metrics_join_print(const struct metrics_join *j, struct buf *out)
{
	VEC_EACH (&j->families, f) {
		buf_adds(out, buf_str(&f->head));
		buf_adds(out, buf_str(&f->samples));
	}
}

void metrics_join_fini(struct metrics_join *j)
{
	VEC_EACH (&j->families, f) {
		buf_fini(&f->head);
		buf_fini(&f->samples);
	}
	vec_free(&j->families);
}
