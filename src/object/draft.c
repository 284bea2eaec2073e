/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drafts: edits with bounds. Their texts may be half-written; but a Secret must not be kept on disk, and a
 * draft is.
 */
#include "object/check.h"

enum { EDITS_MAX = 500, TITLE_MAX = 200 };

static struct str unquoted(struct str s)
{
	s = str_trim(s);
	if (s.n > 1 && (*s.p == '"' || *s.p == '\'') && s.p[s.n - 1] == *s.p)
		return (struct str){s.p + 1, s.n - 2};
	return s;
}

/* Whether a line, or a member between braces, says that this is a Secret. Works on texts that no parser
 * takes. */
static bool says_secret(struct str yaml)
{
	while (yaml.n) {
		struct str line = str_cut(&yaml, '\n');
		while (line.n) {
			struct str part = str_cut(&line, ','), value = part, key = str_cut(&value, ':');
			struct str word = str_cut(&value, '#');
			key = str_trim(key);
			while (key.n && strchr("{-", *key.p)) {
				key.p++;
				key.n--;
				key = str_trim(key);
			}
			word = str_trim(word);
			if (word.n && word.p[word.n - 1] == '}')
				word.n--;
			if (str_eqz(unquoted(key), "kind") && str_eqz(unquoted(word), "Secret"))
				return true;
		}
	}
	return false;
}

static void check(struct check *c)
{
	const struct draft_spec *s = c->o->draft->spec;

	if (!s)
		return; /* the field table says that it is required */
	if (s->title.n > TITLE_MAX)
		check_fail(c, &s->title, NULL, "the title has more than %d bytes", TITLE_MAX);
	if (s->edits.len > EDITS_MAX)
		check_fail(c, &s->edits, NULL, "a draft has at most %d edits", EDITS_MAX);
	for (size_t i = 0; i < s->edits.len && i < EDITS_MAX; i++) {
		const struct draft_edit *e = &s->edits.items[i];
		const struct kind_desc *k = kind_by_name(e->kind);
		if ((k && k->kind == KIND_secret && e->yaml.n) || says_secret(e->yaml))
			check_fail(c, &e->yaml, "make the change at once, without a draft",
				   "a Secret is never kept on disk, and a draft is");
	}
}

const struct kind_rules draft_rules = {.check = check};
