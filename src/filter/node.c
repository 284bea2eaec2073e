/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of a filter, its canonical form and its printing: see node.h. */
#include "filter/node.h"

#include "base/own.h"

struct node *node_new(struct arena *a, enum node_op op)
{
	struct node *n = arena_new(a, struct node);

	if (n)
		n->op = op;
	return n;
}

struct node *node_not(struct arena *a, struct node *of)
{
	struct node *n;

	if (!of)
		return NULL;
	if (of->op == NODE_NOT)
		return of->kids[0];
	if (of->op == NODE_ALL || of->op == NODE_NONE)
		return node_new(a, of->op == NODE_ALL ? NODE_NONE : NODE_ALL);
	n = node_new(a, NODE_NOT);
	if (!n || !(n->kids = arena_array(a, struct node *, 1)))
		return NULL;
	n->kids[0] = of;
	n->kids_len = 1;
	return n;
}

static unsigned spread(struct node **to, enum node_op op, struct node *n)
{
	if (n->op != op) {
		to[0] = n;
		return 1;
	}
	memcpy(to, n->kids, n->kids_len * sizeof(*to));
	return n->kids_len;
}

struct node *node_join(struct arena *a, enum node_op op, struct node *l, struct node *r)
{
	enum node_op neutral = op == NODE_AND ? NODE_ALL : NODE_NONE,
		     final = op == NODE_AND ? NODE_NONE : NODE_ALL;
	struct node *n;

	if (!l || !r)
		return NULL;
	if (l->op == neutral || r->op == final)
		return r;
	if (r->op == neutral || l->op == final)
		return l;
	n = node_new(a, op);
	if (!n || !(n->kids = arena_array(a, struct node *,
					  (l->op == op ? l->kids_len : 1) + (r->op == op ? r->kids_len : 1))))
		return NULL;
	n->kids_len = spread(n->kids, op, l);
	n->kids_len += spread(n->kids + n->kids_len, op, r);
	return n;
}

struct node *node_test(struct arena *a, enum field_id f, enum side side, const struct value *v)
{
	struct node *n = node_new(a, NODE_TEST);

	if (!n)
		return NULL;
	n->field = f;
	n->side = side;
	if (v) {
		if (!(n->values = arena_array(a, struct value, 1)))
			return NULL;
		n->values[0] = *v;
		n->values_len = 1;
	}
	return n;
}

static int compare(const void *l, const void *r, void *type)
{
	const struct value *a = l, *b = r;
	enum filter_type sorting = *(const enum filter_type *)type;

	if (type_is_text(sorting)) {
		int c = str_cmp(a->text, b->text);

		return c ? c : a->glob - b->glob;
	}
	if (sorting == TYPE_ADDRESS) {
		int c = memcmp(&a->from, &b->from, sizeof(a->from));

		return c ? c : memcmp(&a->to, &b->to, sizeof(a->to));
	}
	if (a->lo != b->lo)
		return a->lo < b->lo ? -1 : 1;
	return a->hi < b->hi ? -1 : a->hi > b->hi;
}

static bool address_follows(const struct addr *last, const struct addr *next)
{
	struct addr after = *last;
	bool all = true;

	if (memcmp(next, last, sizeof(*next)) <= 0)
		return addr_is4(next) == addr_is4(last);
	for (int i = 0; i < 16; i++)
		all = all && after.b[i] == 0xff;
	if (all)
		return false;
	for (int i = 15; i >= 0 && !++after.b[i]; i--)
		;
	return addr_eq(&after, next) && addr_is4(next) == addr_is4(last);
}

/* Takes b into a when they overlap or touch. */
static bool absorb(enum filter_type t, struct value *a, const struct value *b)
{
	if (type_is_text(t))
		return str_eq(a->text, b->text) && a->glob == b->glob;
	if (t == TYPE_ADDRESS) {
		if (addr_is4(&a->from) != addr_is4(&b->from) || !address_follows(&a->to, &b->from))
			return false;
		if (memcmp(&b->to, &a->to, sizeof(a->to)) > 0)
			a->to = b->to;
		return true;
	}
	/* Names are not joined to ranges: `verdict in {dropped, staged}` stays so. */
	if (b->lo > a->hi && (b->lo - a->hi > 1 || !type_has_order(t)))
		return false;
	if (b->hi > a->hi)
		a->hi = b->hi;
	return true;
}

void node_settle(struct node *n)
{
	unsigned kept = 0;
	enum filter_type type = filter_fields[n->field].type;

	if (n->values_len > 1)
		qsort_r(n->values, n->values_len, sizeof(*n->values), compare, &type);
	for (unsigned i = 0; i < n->values_len; i++)
		if (!kept || !absorb(type, &n->values[kept - 1], &n->values[i]))
			n->values[kept++] = n->values[i];
	n->values_len = kept;
}

bool node_eq(const struct node *a, const struct node *b)
{
	enum filter_type type;

	if (a->op != b->op || a->kids_len != b->kids_len || a->values_len != b->values_len)
		return false;
	if ((a->op == NODE_TEST || a->op == NODE_HAS) &&
	    (a->field != b->field || a->side != b->side || !str_eq(a->key, b->key)))
		return false;
	for (unsigned i = 0; i < a->kids_len; i++)
		if (!node_eq(a->kids[i], b->kids[i]))
			return false;
	type = filter_fields[a->field].type;
	for (unsigned i = 0; i < a->values_len; i++)
		if (compare(&a->values[i], &b->values[i], &type))
			return false;
	return true;
}

/* --- printing -------------------------------------------------------------------------------------- */

static void print_field(struct buf *out, const struct node *n)
{
	struct value key = {.text = n->key};

	buf_addz(out, n->side == SIDE_SRC ? "src." : n->side == SIDE_DST ? "dst." : "");
	buf_addz(out, filter_fields[n->field].path);
	if (filter_fields[n->field].type == TYPE_LABEL) {
		buf_addc(out, '[');
		value_print(out, FIELD_LABEL, &key);
		buf_addc(out, ']');
	}
}

static void print_test(struct buf *out, const struct node *n, bool not )
{
	enum filter_type t = filter_fields[n->field].type;
	const struct value *v = n->values;
	uint64_t top = filter_field_top(n->field);

	if (!n->values_len) {
		buf_addz(out, not ? "!" : "");
		print_field(out, n);
		return;
	}
	if (n->values_len == 1 && v->glob) {
		buf_addz(out, not ? "!(" : "");
		print_field(out, n);
		buf_addz(out, " ~ ");
		value_print(out, n->field, v);
		buf_addz(out, not ? ")" : "");
		return;
	}
	if (n->values_len == 1 && (type_is_text(t) || t == TYPE_ADDRESS || v->lo == v->hi)) {
		print_field(out, n);
		buf_addz(out, not ? " != " : " == ");
		value_print(out, n->field, v);
		return;
	}
	buf_addz(out, not ? "!(" : "");
	print_field(out, n);
	if (n->values_len == 1 && type_has_order(t) && (v->lo == 0 || v->hi == top)) {
		struct value bound = {.lo = v->lo ? v->lo : v->hi, .hi = v->lo ? v->lo : v->hi};

		buf_addz(out, v->lo ? " >= " : " <= ");
		value_print(out, n->field, &bound);
	} else {
		buf_addz(out, " in {");
		for (unsigned i = 0; i < n->values_len; i++) {
			buf_addz(out, i ? ", " : "");
			value_print(out, n->field, &v[i]);
		}
		buf_addc(out, '}');
	}
	buf_addz(out, not ? ")" : "");
}

static void print_kid(struct buf *out, const struct node *kid, bool bracket)
{
	buf_addz(out, bracket ? "(" : "");
	node_print(out, kid);
	buf_addz(out, bracket ? ")" : "");
}

void node_print(struct buf *out, const struct node *n)
{
	switch (n->op) {
	case NODE_ALL:
	case NODE_NONE:
		buf_addz(out, n->op == NODE_ALL ? "true" : "false");
		return;
	case NODE_HAS:
		buf_addz(out, "has(");
		print_field(out, n);
		buf_addc(out, ')');
		return;
	case NODE_TEST:
		print_test(out, n, false);
		return;
	case NODE_NOT:
		if (n->kids[0]->op == NODE_TEST) {
			print_test(out, n->kids[0], true);
			return;
		}
		buf_addc(out, '!');
		print_kid(out, n->kids[0], n->kids[0]->op != NODE_HAS);
		return;
	case NODE_AND:
	case NODE_OR:
		for (unsigned i = 0; i < n->kids_len; i++) {
			buf_addz(out, !i ? "" : n->op == NODE_AND ? " && " : " || ");
			print_kid(out, n->kids[i], n->op == NODE_AND && n->kids[i]->op == NODE_OR);
		}
		return;
	}
}
