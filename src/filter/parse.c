/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parser of the native syntax: recursive descent with a bound on depth, one error with its column and a
 * proposal.
 *
 *   or    := and { "||" and }
 *   and   := unary { "&&" unary }
 *   unary := "!" unary | "(" or ")" | "true" | "false" | "has" "(" field ")" | test
 *   test  := field [ ("==" | "!=" | "<" | "<=" | ">" | ">=") value | "in" "{" value { "," value } "}" | "~"
 * value ] field := ["src." | "dst."] PATH [ "[" text "]" ]
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "base/own.h"
#include "filter/node.h"

enum token { END, WORD, TEXT, SYMBOL, BAD };

struct parser {
	struct arena *arena;
	struct str text;
	size_t next; /* behind the token */
	enum token token;
	size_t from; /* where the token begins */
	struct str word;
	unsigned depth, nodes;
	struct pos at;
	struct remarks *remarks;
	bool failed;
};

/* Keeps the first error only. Columns count from the text's start. */
static void *fail(struct parser *p, size_t from, size_t len, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
static void *fail(struct parser *p, size_t from, size_t len, const char *hint, const char *fmt, ...)
{
	AUTO_BUF what = {};
	struct pos at = p->at;
	va_list ap;

	if (p->failed)
		return NULL;
	p->failed = true;
	at.line = at.line ? at.line : 1;
	at.col = (at.col ? at.col : 1) + (uint32_t)from;
	at.len = (uint32_t)(len ? len : 1);
	va_start(ap, fmt);
	buf_vprintf(&what, fmt, ap);
	va_end(ap);
	remark_add(p->remarks, REMARK_ERROR, at, hint, "%s", what.failed ? "out of memory" : what.p);
	return NULL;
}

static bool word_char(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("_.:/*?%+-", c)) || (unsigned char)c >= 0x80;
}

static void lex_text(struct parser *p)
{
	AUTO_BUF out = {};
	char quote = p->text.p[p->from];
	size_t i = p->from + 1;

	for (; i < p->text.n && p->text.p[i] != quote; i++) {
		if (p->text.p[i] == '\\' && i + 1 < p->text.n)
			i++;
		buf_addc(&out, p->text.p[i]);
	}
	p->next = i + 1;
	if (i >= p->text.n) {
		p->next = p->text.n;
		p->token = BAD;
		fail(p, p->from, i - p->from, "close it with the same quote", "this text has no end");
		return;
	}
	p->token = TEXT;
	p->word = arena_str(p->arena, buf_str(&out));
	if (out.failed || !p->word.p) {
		p->failed = true;
		p->token = BAD;
	}
}

static void advance(struct parser *p)
{
	static const char *const pairs[] = {"&&", "||", "==", "!=", "<=", ">="};
	const char *s = p->text.p;
	size_t i = p->next;

	while (i < p->text.n && isspace((unsigned char)s[i]))
		i++;
	p->from = i;
	p->token = i == p->text.n ? END : SYMBOL;
	p->word = (struct str){s + i, 0};
	p->next = i;
	if (p->token == END)
		return;
	if (s[i] == '"' || s[i] == '\'') {
		lex_text(p);
		return;
	}
	if (word_char(s[i])) {
		while (i < p->text.n && word_char(s[i]))
			i++;
		p->token = WORD;
	} else {
		i++;
		for (size_t k = 0; k < ARRAY_LEN(pairs); k++)
			if (i < p->text.n && s[i - 1] == pairs[k][0] && s[i] == pairs[k][1]) {
				i++;
				break;
			}
	}
	p->word.n = i - p->from;
	p->next = i;
}

static bool is(const struct parser *p, const char *symbol)
{
	return p->token == SYMBOL && str_eqz(p->word, symbol);
}

static bool take(struct parser *p, const char *symbol)
{
	if (!is(p, symbol))
		return false;
	advance(p);
	return true;
}

static void *unexpected(struct parser *p, const char *wanted)
{
	if (p->token == BAD)
		return NULL;
	if (p->token == END)
		return fail(p, p->from, 1, NULL, "the filter ends where %s should follow", wanted);
	return fail(p, p->from, p->next - p->from, NULL, "\"" STR_FMT "\" stands where %s should follow",
		    STR_ARG(((struct str){p->text.p + p->from, p->next - p->from})), wanted);
}

struct nearest {
	struct str word;
	unsigned best;
	const char *name;
	struct buf all;
};

static void consider(void *ctx, const char *name)
{
	struct nearest *n = ctx;
	unsigned d = str_distance(n->word, str_of(name));

	buf_printf(&n->all, "%s%s", n->all.n ? ", " : "", name);
	if (d < n->best && d <= 1 + n->word.n / 3) {
		n->best = d;
		n->name = name;
	}
}

/* A value that is none: says what may stand there. */
static void *bad_value(struct parser *p, enum field_id f, const char *why)
{
	struct nearest n = {.word = p->word, .best = 4};
	AUTO_BUF hint = {};

	type_names(filter_fields[f].type, consider, &n);
	if (n.name)
		buf_printf(&hint, "did you mean \"%s\"?", n.name);
	else if (n.all.n)
		buf_printf(&hint, "one of: %s", n.all.p);
	fail(p, p->from, p->next - p->from, hint.n ? hint.p : NULL, "%s: \"" STR_FMT "\" %s",
	     filter_fields[f].path, STR_ARG(p->word), why);
	buf_fini(&n.all);
	return NULL;
}

static bool parse_value(struct parser *p, enum field_id f, bool glob, struct value *out)
{
	const char *why = NULL;
	int r;

	if (p->token != WORD && p->token != TEXT)
		return unexpected(p, "a value");
	r = value_parse(out, f, p->word, p->arena, &why);
	if (r) {
		if (r == -ENOMEM)
			p->failed = true;
		return r == -EINVAL ? bad_value(p, f, why) : NULL;
	}
	out->glob = glob;
	advance(p);
	return true;
}

/* Reads the field at the token. */
static bool parse_field(struct parser *p, struct node *n)
{
	struct str path = p->word;
	size_t from = p->from, len = p->word.n;
	AUTO_BUF hint = {};
	const char *near;
	int f;

	n->side = SIDE_EITHER;
	if (p->token != WORD)
		return unexpected(p, "a field");
	if (str_starts(path, STR("src.")) || str_starts(path, STR("dst."))) {
		n->side = path.p[0] == 's' ? SIDE_SRC : SIDE_DST;
		path = (struct str){path.p + 4, path.n - 4};
	}
	f = filter_field(path);
	if (f < 0 || (n->side && !filter_fields[f].sided)) {
		near = f < 0 ? filter_field_near(path) : filter_fields[f].path;
		if (near) {
			int nf = filter_field(str_of(near));

			buf_printf(&hint, "did you mean %s%s?",
				   n->side && nf >= 0 && filter_fields[nf].sided
				       ? n->side == SIDE_SRC ? "src." : "dst."
				       : "",
				   near);
		}
		return fail(p, from, len, hint.n ? hint.p : NULL,
			    f < 0 ? "there is no field \"" STR_FMT "\""
				  : "\"" STR_FMT "\": this field has no sides",
			    STR_ARG(p->word));
	}
	n->field = (enum field_id)f;
	advance(p);
	if (filter_fields[f].type != TYPE_LABEL)
		return true;
	if (!take(p, "["))
		return unexpected(p, "[\"KEY\"]");
	if (p->token != TEXT && p->token != WORD)
		return unexpected(p, "the label's key in quotes");
	n->key = arena_str(p->arena, p->word);
	advance(p);
	if (!take(p, "]"))
		return unexpected(p, "\"]\"");
	return true;
}

/* The set of numbers that `OP v` means. False: no such operator on this type. */
static bool order(struct parser *p, const struct node *n, struct str op, size_t from, struct value *v)
{
	uint64_t bound = v->lo, top = filter_field_top(n->field);
	bool empty;

	if (!type_has_order(filter_fields[n->field].type) || v->lo != v->hi) {
		fail(p, from, op.n, v->lo != v->hi ? "use in {A-B}" : "use ==, != or in {…}",
		     "%s: no \"" STR_FMT "\" here", filter_fields[n->field].path, STR_ARG(op));
		return false;
	}
	empty = (str_eqz(op, "<") && !bound) || (str_eqz(op, ">") && bound == top);
	if (empty) {
		fail(p, from, op.n, NULL, "%s: nothing is beyond that bound", filter_fields[n->field].path);
		return false;
	}
	if (op.p[0] == '<') {
		v->lo = 0;
		v->hi = op.n == 2 ? bound : bound - 1;
	} else {
		v->lo = op.n == 2 ? bound : bound + 1;
		v->hi = top;
	}
	return true;
}

static bool parse_set(struct parser *p, struct node *n)
{
	VEC(struct value) set = {};
	struct value v;
	bool ok = take(p, "{") || unexpected(p, "\"{\"");

	while (ok) {
		ok = parse_value(p, n->field, false, &v);
		if (ok && (++p->nodes > FILTER_NODES_MAX || vec_push(&set, v)))
			ok = fail(p, p->from, 1, NULL, "the filter is too large");
		if (!ok || take(p, "}"))
			break;
		ok = take(p, ",") || unexpected(p, "\",\" or \"}\"");
	}
	if (ok) {
		n->values = arena_array(p->arena, struct value, set.len);
		n->values_len = (unsigned)set.len;
		if (n->values)
			memcpy(n->values, set.items, set.len * sizeof(v));
		else
			ok = fail(p, p->from, 1, NULL, "out of memory");
	}
	vec_free(&set);
	return ok;
}

static struct node *parse_test(struct parser *p)
{
	struct node *n = node_new(p->arena, NODE_TEST);
	size_t field_from = p->from, from;
	bool not = false, in;
	struct value v;
	struct str op;

	if (!n || !parse_field(p, n))
		return NULL;
	from = p->from;
	op = p->word;
	in = p->token == WORD && str_eqz(op, "in");
	if (p->token != SYMBOL && !in)
		op = STR("");
	if (in) {
		advance(p);
		if (!parse_set(p, n))
			return NULL;
	} else if (str_eqz(op, "~") || str_eqz(op, "==") || str_eqz(op, "!=") ||
		   (op.n && strchr("<>", op.p[0]))) {
		bool glob = str_eqz(op, "~");

		if (filter_fields[n->field].type == TYPE_FLAG)
			return fail(p, from, op.n, NULL,
				    "%s is true or not and takes no value; write %s or !%s",
				    filter_fields[n->field].path, filter_fields[n->field].path,
				    filter_fields[n->field].path);
		if (glob && !type_is_text(filter_fields[n->field].type))
			return fail(p, from, op.n, NULL, "%s: \"~\" is for names",
				    filter_fields[n->field].path);
		advance(p);
		if (!parse_value(p, n->field, glob, &v))
			return NULL;
		if (strchr("<>", op.p[0]) && !order(p, n, op, from, &v))
			return NULL;
		if (!(n->values = arena_array(p->arena, struct value, 1)))
			return NULL;
		n->values[0] = v;
		n->values_len = 1;
		not = op.p[0] == '!';
	} else if (filter_fields[n->field].type != TYPE_FLAG) {
		return fail(p, field_from, from - field_from, NULL,
			    "%s needs a comparison, like %s == …; has(%s) asks whether there is one",
			    filter_fields[n->field].path, filter_fields[n->field].path,
			    filter_fields[n->field].path);
	}
	if (filter_fields[n->field].type == TYPE_FLAG && n->values_len)
		return fail(p, from, op.n, NULL, "%s is true or not and takes no value",
			    filter_fields[n->field].path);
	node_settle(n);
	return not ? node_not(p->arena, n) : n;
}

static struct node *parse_or(struct parser *p);

static struct node *parse_unary(struct parser *p)
{
	struct node *n;

	if (p->depth > FILTER_DEPTH_MAX || ++p->nodes > FILTER_NODES_MAX)
		return fail(p, p->from, 1, NULL, "the filter is too deep or too large");
	if (take(p, "!")) {
		p->depth++;
		n = parse_unary(p);
		p->depth--;
		return node_not(p->arena, n);
	}
	if (take(p, "(")) {
		p->depth++;
		n = parse_or(p);
		p->depth--;
		if (n && !take(p, ")"))
			return unexpected(p, "\")\", \"&&\" or \"||\"");
		return n;
	}
	if (p->token == WORD && (str_eqz(p->word, "true") || str_eqz(p->word, "false"))) {
		n = node_new(p->arena, str_eqz(p->word, "true") ? NODE_ALL : NODE_NONE);
		advance(p);
		return n;
	}
	if (p->token == WORD && str_eqz(p->word, "has")) {
		advance(p);
		if (!take(p, "("))
			return unexpected(p, "\"(\"");
		n = node_new(p->arena, NODE_HAS);
		if (!n || !parse_field(p, n))
			return NULL;
		if (!take(p, ")"))
			return unexpected(p, "\")\"");
		if (filter_fields[n->field].type == TYPE_FLAG)
			n->op = NODE_TEST;
		return n;
	}
	return parse_test(p);
}

static struct node *parse_and(struct parser *p)
{
	struct node *n = parse_unary(p);

	while (n && take(p, "&&"))
		n = node_join(p->arena, NODE_AND, n, parse_unary(p));
	return n;
}

static struct node *parse_or(struct parser *p)
{
	struct node *n = parse_and(p);

	while (n && take(p, "||"))
		n = node_join(p->arena, NODE_OR, n, parse_and(p));
	return n;
}

struct node *node_parse(struct arena *a, struct str text, struct pos at, struct remarks *remarks)
{
	struct parser p = {.arena = a, .text = text, .at = at, .remarks = remarks};
	struct node *n;

	advance(&p);
	if (p.token == END)
		return node_new(a, NODE_ALL);
	n = parse_or(&p);
	if (n && p.token != END) {
		const char *hint = p.token != WORD	    ? NULL
				   : str_eqz(p.word, "and") ? "write &&"
				   : str_eqz(p.word, "or")  ? "write ||"
							    : NULL;

		if (hint)
			return fail(&p, p.from, p.word.n, hint, "\"" STR_FMT "\" is of the pcap syntax",
				    STR_ARG(p.word));
		return unexpected(&p, "\"&&\" or \"||\"");
	}
	return n;
}
