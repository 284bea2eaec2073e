/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSONPath, see jsonpath.h. A path is walked step by step; the values reached so far are an array, never
 * copied. Ranges nest to a bound.
 */
#include "cli/jsonpath.h"

#include "base/own.h"
#include "cli/output.h"

#include <stdlib.h>

enum { RANGE_DEPTH = 8, VALUE_DEPTH = 64 };

struct walk {
	struct str path; /* what is left */
	struct buf *error;
};

static int wrong(struct walk *w, const char *what)
{
	if (!w->error->n)
		buf_printf(w->error, "%s at \"" STR_FMT "\"", what, STR_ARG(w->path));
	return -1;
}

static void drop(struct str *s, size_t n)
{
	s->p += n;
	s->n -= n;
}

static void add(json_t *found, const json_t *v)
{
	if (v)
		json_array_append(found, (json_t *)(uintptr_t)v);
}

static void add_children(json_t *found, const json_t *v)
{
	const char *key;
	json_t *item;
	size_t i;

	json_array_foreach (v, i, item)
		add(found, item);
	json_object_foreach ((json_t *)(uintptr_t)v, key, item)
		add(found, item);
}

/* The member of that name in v and in all that is below it. */
static void add_below(json_t *found, const json_t *v, const char *name, int depth)
{
	AUTO_JSON children = json_array();
	json_t *item;
	size_t i;

	if (json_is_object(v))
		add(found, json_object_get(v, name));
	add_children(children, v);
	json_array_foreach (children, i, item)
		if (depth < VALUE_DEPTH && (json_is_object(item) || json_is_array(item)))
			add_below(found, item, name, depth + 1);
}

/* Each value's own step into the next set. */
enum step_kind { STEP_NAME, STEP_BELOW, STEP_ALL };
static json_t *step(const json_t *from, enum step_kind kind, const char *name)
{
	json_t *next = json_array(), *v;
	size_t i;

	json_array_foreach ((json_t *)(uintptr_t)from, i, v) {
		if (kind == STEP_ALL)
			add_children(next, v);
		else if (kind == STEP_BELOW)
			add_below(next, v, name, 0);
		else
			add(next, json_object_get(v, name));
	}
	return next;
}

/* A name of members: up to a dot or bracket; a backslash takes what follows as it is. */
static void take_name(struct walk *w, struct buf *name)
{
	buf_addz(name, "");
	while (w->path.n && !strchr(".[", *w->path.p)) {
		if (*w->path.p == '\\' && w->path.n > 1)
			drop(&w->path, 1);
		buf_addc(name, *w->path.p);
		drop(&w->path, 1);
	}
}

/* "[1]", "[-1]", "[1:3]", "[:2]" of each array. */
static json_t *take_slice(struct walk *w, const json_t *from, struct str inside)
{
	struct str rest = inside, first = str_cut(&rest, ':');
	bool slice = first.n < inside.n;
	int64_t begin = 0, end = INT32_MAX;
	json_t *v;
	size_t i;

	if ((first.n && str_to_i64(first, INT32_MIN, INT32_MAX, &begin)) ||
	    (rest.n && str_to_i64(rest, INT32_MIN, INT32_MAX, &end)) || (!slice && !first.n)) {
		wrong(w, "no index");
		return NULL;
	}
	json_t *next = json_array();
	json_array_foreach ((json_t *)(uintptr_t)from, i, v) {
		int64_t n = (int64_t)json_array_size(v), b = begin < 0 ? begin + n : begin;
		int64_t e = slice ? end < 0 ? end + n : end : b + 1;
		for (int64_t k = b < 0 ? 0 : b; k < e && k < n && b >= 0; k++)
			add(next, json_array_get(v, (size_t)k));
	}
	return next;
}

static int walk(struct walk *w, json_t **set, int depth);

static bool holds(const json_t *left, struct str op, const json_t *right)
{
	if (!op.n)
		return left != NULL;
	if (!left)
		return false;
	double a = json_number_value(left), b = json_number_value(right);
	int d = json_is_string(left) && json_is_string(right)
		    ? strcmp(json_string_value(left), json_string_value(right))
		: json_is_number(left) && json_is_number(right) ? (a > b) - (a < b)
								: 2;
	if (d == 2)
		return str_eqz(op, "==") ? json_equal(left, right)
					 : str_eqz(op, "!=") && !json_equal(left, right);
	return str_eqz(op, "==")   ? !d
	       : str_eqz(op, "!=") ? d != 0
	       : str_eqz(op, "<=") ? d <= 0
	       : str_eqz(op, ">=") ? d >= 0
	       : str_eqz(op, "<")  ? d < 0
				   : d > 0;
}

static json_t *literal(struct str s)
{
	AUTO_BUF text = {0};

	if (s.n >= 2 && (*s.p == '\'' || *s.p == '"') && s.p[s.n - 1] == *s.p)
		return json_stringn(s.p + 1, s.n - 2);
	buf_adds(&text, s);
	json_t *v = json_loads(text.p ? text.p : "", JSON_DECODE_ANY, NULL);
	return v ? v : json_stringn(s.p, s.n);
}

/* "@.a.b == 'x'" of each item of each array. */
static json_t *take_filter(struct walk *w, const json_t *from, struct str inside, int depth)
{
	struct str left = inside, op = {0};

	for (size_t i = 0; i < inside.n && !op.n; i++)
		if (strchr("=!<>", inside.p[i])) {
			size_t n = i + 1 < inside.n && inside.p[i + 1] == '=' ? 2 : 1;
			op = (struct str){inside.p + i, n};
			left.n = i;
		}
	struct str right = op.n ? (struct str){op.p + op.n, (size_t)(inside.p + inside.n - op.p) - op.n} : op;
	AUTO_JSON value = literal(str_trim(right));
	AUTO_JSON items = step(from, STEP_ALL, NULL);
	json_t *next = json_array(), *v;
	size_t i;

	json_array_foreach (items, i, v) {
		struct walk inner = {.path = str_trim(left), .error = w->error};
		json_t *set = json_pack("[O]", v);
		if (depth > RANGE_DEPTH || walk(&inner, &set, depth + 1)) {
			json_decref(set);
			json_decref(next);
			return NULL;
		}
		if (holds(json_array_get(set, 0), op, value))
			add(next, v);
		json_decref(set);
	}
	return next;
}

/* Where the bracket ends; quotes are stepped over. */
static size_t bracket_end(struct str s)
{
	char quote = 0;
	int open = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (quote)
			quote = c == quote ? 0 : quote;
		else if (c == '\'' || c == '"')
			quote = c;
		else if (c == '[')
			open++;
		else if (c == ']' && !--open)
			return i;
	}
	return 0;
}

static json_t *take_bracket(struct walk *w, const json_t *from, int depth)
{
	size_t end = bracket_end(w->path);
	struct str inside = {w->path.p + 1, end ? end - 1 : 0};
	AUTO_BUF name = {0};

	if (!end || !inside.n) {
		wrong(w, "a bracket that does not end");
		return NULL;
	}
	drop(&w->path, end + 1);
	inside = str_trim(inside);
	if (str_eqz(inside, "*"))
		return step(from, STEP_ALL, NULL);
	if (*inside.p == '\'' || *inside.p == '"') {
		buf_add(&name, inside.p + 1, inside.n > 1 ? inside.n - 2 : 0);
		return step(from, STEP_NAME, name.p ? name.p : "");
	}
	if (str_starts(inside, STR("?(")) && str_ends(inside, STR(")")))
		return take_filter(w, from, (struct str){inside.p + 2, inside.n - 3}, depth);
	return take_slice(w, from, inside);
}

static int walk(struct walk *w, json_t **set, int depth)
{
	if (w->path.n && strchr("$@", *w->path.p))
		drop(&w->path, 1);
	while (w->path.n) {
		AUTO_BUF name = {0};
		json_t *next;
		if (*w->path.p == '[') {
			next = take_bracket(w, *set, depth);
		} else if (*w->path.p == '.') {
			bool below = w->path.n > 1 && w->path.p[1] == '.';
			drop(&w->path, below ? 2 : 1);
			take_name(w, &name);
			if (!name.n && !below && (!w->path.n || *w->path.p == '['))
				continue; /* "." is the value itself; ".[0]" */
			next = step(*set,
				    name.n == 1 && *name.p == '*' ? STEP_ALL
				    : below			  ? STEP_BELOW
								  : STEP_NAME,
				    name.p);
		} else {
			return wrong(w, "a path goes on with . or [");
		}
		if (!next)
			return -1;
		json_decref(*set);
		*set = next;
	}
	return 0;
}

/* Leads `path` from root into a new array. */
static json_t *lead(struct str path, const json_t *root, struct buf *error)
{
	struct walk w = {.path = str_trim(path), .error = error};
	json_t *set = json_pack("[O]", root);

	if (w.path.n && !strchr("$@.[", *w.path.p))
		wrong(&w, "a path begins with . or [");
	else if (!walk(&w, &set, 0))
		return set;
	json_decref(set);
	return NULL;
}

int jsonpath_find(json_t *found, const char *path, const json_t *root, struct buf *error)
{
	struct str p = str_of(path);

	if (p.n >= 2 && *p.p == '{' && p.p[p.n - 1] == '}')
		p = (struct str){p.p + 1, p.n - 2};
	json_t *set = lead(p, root, error);
	if (!set)
		return -1;
	json_array_extend(found, set);
	json_decref(set);
	return 0;
}

static void print_value(struct buf *out, const json_t *v)
{
	char *text = json_is_string(v) ? NULL : json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);

	buf_addz(out, text ? text : json_is_string(v) ? json_string_value(v) : "");
	free(text);
}

/* The text between quotes, with \n, \t and \" understood. */
static void print_quoted(struct buf *out, struct str s)
{
	for (size_t i = 1; i + 1 < s.n; i++) {
		char c = s.p[i];
		if (c == '\\' && i + 2 < s.n) {
			c = s.p[++i];
			c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
		}
		buf_addc(out, c);
	}
}

/* Takes the next "{…}" off *rest; what is before it goes to out. False at the end. */
static bool next_action(struct buf *out, struct str *rest, struct str *action)
{
	while (rest->n && *rest->p != '{') {
		bool escaped = *rest->p == '\\' && rest->n > 1;
		char c = escaped ? rest->p[1] : *rest->p;
		buf_addc(out, escaped && c == 'n' ? '\n' : escaped && c == 't' ? '\t' : c);
		drop(rest, escaped ? 2 : 1);
	}
	if (!rest->n)
		return false;
	char quote = 0;
	size_t i = 1;
	for (; i < rest->n && (quote || rest->p[i] != '}'); i++) {
		char c = rest->p[i];
		if (quote && c == '\\')
			i++;
		else if (quote)
			quote = c == quote ? 0 : quote;
		else if (c == '\'' || c == '"')
			quote = c;
	}
	*action = str_trim((struct str){rest->p + 1, (i < rest->n ? i : rest->n) - 1});
	drop(rest, i < rest->n ? i + 1 : rest->n);
	return true;
}

/* Prints up to {end} or the template's end; *rest is what follows. */
static int print_part(struct buf *out, struct str *rest, const json_t *root, struct buf *error, int depth)
{
	struct str action;

	while (next_action(out, rest, &action)) {
		if (str_eqz(action, "end"))
			return 0;
		if (action.n && (*action.p == '"' || *action.p == '\'')) {
			print_quoted(out, action);
			continue;
		}
		bool range = str_starts(action, STR("range "));
		AUTO_JSON found =
		    lead(range ? (struct str){action.p + 6, action.n - 6} : action, root, error);
		json_t *v;
		size_t i;
		if (!found)
			return -1;
		if (range && depth == RANGE_DEPTH) {
			buf_addz(error, "too many ranges inside each other");
			return -1;
		}
		struct str body = *rest;
		AUTO_BUF unused = {0};
		/* With no value the body is stepped over. */
		if (range && !json_array_size(found) &&
		    print_part(&unused, rest, json_null(), error, depth + 1))
			return -1;
		json_array_foreach (found, i, v) {
			*rest = range ? body : *rest;
			if (range && print_part(out, rest, v, error, depth + 1))
				return -1;
			if (!range && i)
				buf_addc(out, ' ');
			if (!range)
				print_value(out, v);
		}
	}
	return 0;
}

int jsonpath_print(struct buf *out, const char *template, const json_t *root, struct buf *error)
{
	struct str rest = str_of(template);
	AUTO_BUF whole = {0};

	if (!strchr(template, '{')) {
		buf_printf(&whole, "{%s}", template);
		rest = buf_str(&whole);
	}
	while (rest.n)
		if (print_part(out, &rest, root, error, 0))
			return -1;
	return 0;
}
