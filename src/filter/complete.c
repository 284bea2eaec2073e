/* SPDX-License-Identifier: Apache-2.0 */
/* Completion of a filter that is being typed: fields, then the names that their values can have. Pure. */
#include <ctype.h>
#include <stdio.h>

#include "base/own.h"
#include "filter/node.h"

struct ctx {
	struct str word;
	void (*fn)(void *ctx, const char *word, const char *sentence);
	void *fn_ctx;
	const char *sentence;
};

static void propose(struct ctx *c, const char *prefix, const char *word, const char *sentence)
{
	AUTO_BUF whole = {};

	buf_printf(&whole, "%s%s", prefix, word);
	if (!whole.failed && str_starts(buf_str(&whole), c->word))
		c->fn(c->fn_ctx, whole.p, sentence);
}

static void propose_name(void *ctx, const char *name)
{
	struct ctx *c = ctx;

	propose(c, "", name, c->sentence);
}

static bool word_char(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("_.-", c));
}

void filter_complete(struct str text, void (*fn)(void *ctx, const char *word, const char *sentence),
		     void *fn_ctx)
{
	size_t from = text.n, end, begin;
	struct ctx c = {.fn = fn, .fn_ctx = fn_ctx};
	struct str path;
	int f = -1;

	while (from && word_char(text.p[from - 1]))
		from--;
	c.word = (struct str){text.p + from, text.n - from};
	/* Behind an operator, or within its set: values of the field before it. */
	end = from;
	while (end && (isspace((unsigned char)text.p[end - 1]) || word_char(text.p[end - 1]) ||
		       text.p[end - 1] == ','))
		end--;
	if (!end || text.p[end - 1] != '{')
		end = from;
	else
		end--;
	while (end && isspace((unsigned char)text.p[end - 1]))
		end--;
	if (end >= 2 && (text.p[end - 1] == '=' || str_eqz((struct str){text.p + end - 2, 2}, "in"))) {
		end -= 2;
		while (end && (isspace((unsigned char)text.p[end - 1]) || strchr("!=<>", text.p[end - 1])))
			end--;
		begin = end;
		while (begin && word_char(text.p[begin - 1]))
			begin--;
		path = (struct str){text.p + begin, end - begin};
		if (str_starts(path, STR("src.")) || str_starts(path, STR("dst.")))
			path = (struct str){path.p + 4, path.n - 4};
		f = filter_field(path);
	}
	if (f >= 0) {
		c.sentence = filter_fields[f].sentence;
		type_names(filter_fields[f].type, propose_name, &c);
		return;
	}
	for (int i = 0; i < FIELD_MAX; i++) {
		propose(&c, "", filter_fields[i].path, filter_fields[i].sentence);
		if (filter_fields[i].sided) {
			propose(&c, "src.", filter_fields[i].path, filter_fields[i].sentence);
			propose(&c, "dst.", filter_fields[i].path, filter_fields[i].sentence);
		}
	}
}
