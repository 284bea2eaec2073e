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
	return isalnum((unsigned char)c) || (c && strchr("_.-/*", c));
}

static size_t back_over(struct str text, size_t at, const char *chars)
{
	while (at && text.p[at - 1] && strchr(chars, text.p[at - 1]))
		at--;
	return at;
}

static size_t back_word(struct str text, size_t at)
{
	while (at && word_char(text.p[at - 1]))
		at--;
	return at;
}

/* Where the operator before the unfinished value begins; 0: it is no value. */
static size_t before_operator(struct str text, size_t from)
{
	size_t at = from, end;

	while (at && (word_char(text.p[at - 1]) || strchr(", \"", text.p[at - 1])))
		at--;
	if (at && text.p[at - 1] == '{') {
		at = back_over(text, at - 1, " ");
		return at >= 2 && str_eqz((struct str){text.p + at - 2, 2}, "in") ? at - 2 : 0;
	}
	at = back_over(text, from, " \"");
	end = at;
	at = back_over(text, at, "=!<>~");
	return at == end ? 0 : at;
}

static int value_of(struct str text, struct str *key)
{
	size_t end = before_operator(text, back_word(text, text.n)), from;
	struct str path;

	*key = (struct str){0};
	end = back_over(text, end, " ");
	if (end && text.p[end - 1] == ']') {
		size_t close = back_over(text, end - 1, "\"'");

		from = back_word(text, close);
		*key = (struct str){text.p + from, close - from};
		end = back_over(text, from, "\"'");
		end -= end && text.p[end - 1] == '[';
	}
	from = back_word(text, end);
	path = (struct str){text.p + from, end - from};
	if (str_starts(path, STR("src.")) || str_starts(path, STR("dst.")))
		path = (struct str){path.p + 4, path.n - 4};
	return path.n ? filter_field(path) : -1;
}

const char *filter_complete_value(struct str text, struct str *key)
{
	int f = value_of(text, key);

	return f < 0 ? NULL : filter_fields[f].path;
}

size_t filter_complete_from(struct str text)
{
	size_t from = text.n;

	while (from && text.p[from - 1] && !strchr(" \t(!&|={},\"'", text.p[from - 1]))
		from--;
	return from;
}

void filter_complete(struct str text, bool records,
		     void (*fn)(void *ctx, const char *word, const char *sentence), void *fn_ctx)
{
	size_t from = back_word(text, text.n);
	struct ctx c = {.fn = fn, .fn_ctx = fn_ctx, .word = {text.p + from, text.n - from}};
	struct str key;
	int f = value_of(text, &key);

	if (f >= 0) {
		c.sentence = filter_fields[f].sentence;
		type_names(filter_fields[f].type, propose_name, &c);
		return;
	}
	for (int i = 0; i < FIELD_MAX; i++) {
		if (records && !(filter_fields[i].uses & USE_RECORDS))
			continue;
		propose(&c, "", filter_fields[i].path, filter_fields[i].sentence);
		if (filter_fields[i].sided) {
			propose(&c, "src.", filter_fields[i].path, filter_fields[i].sentence);
			propose(&c, "dst.", filter_fields[i].path, filter_fields[i].sentence);
		}
	}
}
