/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many filters at once: see choice.h. Of each filter the test that tells most is found (of a conjunction one,
 * of a disjunction one of each part), and stands in a table of its field and side under its values. A record
 * is looked up in each table once, whatever the number of filters.
 */
#include "filter/choice.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/own.h"
#include "base/vec.h"
#include "filter/match.h"

enum { VALUES_MAX = 16 };

struct table {			 /* of a field at a side */
	const struct node *test; /* one of its tests, borrowed: which field, which label */
	enum side side;
	struct hash by_value; /* → index in links, + 1 */
};

struct link { /* filters of one value */
	uint32_t filter;
	uint32_t next; /* index in links, + 1; 0: the last */
};

struct filter_choice {
	VEC(struct table) tables;
	VEC(struct link) links;
	VEC(uint32_t) always;
	VEC(uint64_t) named; /* of each filter: the look-up that named it last */
	uint64_t lookups;
};

/* How much a test of the field tells; 0: its values are no keys. */
static unsigned worth_of(enum field_id f)
{
	switch (f) {
	case FIELD_RULE: /* any of three numbers */
		return 0;
	case FIELD_POD:
	case FIELD_SERVICE:
	case FIELD_LABEL:
	case FIELD_DOMAIN:
	case FIELD_DNS_NAME:
	case FIELD_IP:
	case FIELD_VIA_IP:
		return 5;
	case FIELD_WORKLOAD:
		return 4;
	case FIELD_NS:
	case FIELD_REASON:
		return 3;
	case FIELD_NODE:
	case FIELD_SEEN:
	case FIELD_PORT:
	case FIELD_VIA_PORT:
		return 2;
	default:
		return 1;
	}
}

static bool is_one(enum filter_type t, const struct value *v)
{
	if (type_is_text(t))
		return !v->glob && v->text.n;
	return t == TYPE_ADDRESS ? addr_eq(&v->from, &v->to) : v->lo == v->hi;
}

/* 0: it may match whatever the record has. */
static unsigned worth(const struct node *n)
{
	unsigned w = 0;

	switch (n->op) {
	case NODE_AND:
		for (unsigned i = 0; i < n->kids_len; i++)
			w = worth(n->kids[i]) > w ? worth(n->kids[i]) : w;
		return w;
	case NODE_OR:
		w = worth(n->kids[0]);
		for (unsigned i = 1; i < n->kids_len; i++)
			w = worth(n->kids[i]) < w ? worth(n->kids[i]) : w;
		return w;
	case NODE_TEST:
		if (filter_fields[n->field].type == TYPE_FLAG || !n->values_len || n->values_len > VALUES_MAX)
			return 0;
		for (unsigned i = 0; i < n->values_len; i++)
			if (!is_one(filter_fields[n->field].type, &n->values[i]))
				return 0;
		return worth_of(n->field);
	default:
		return 0;
	}
}

/* --- made ------------------------------------------------------------------------------------------ */

static struct table *table_of(struct filter_choice *c, const struct node *test, enum side side)
{
	VEC_EACH (&c->tables, t)
		if (t->test->field == test->field && t->side == side && str_eq(t->test->key, test->key))
			return t;
	if (vec_push(&c->tables, ((struct table){.test = test, .side = side})))
		return NULL;
	return &c->tables.items[c->tables.len - 1];
}

static int add_key(struct filter_choice *c, struct table *t, struct str key, uint32_t filter)
{
	uintptr_t first = (uintptr_t)hash_get(&t->by_value, key);

	if (vec_push(&c->links, ((struct link){.filter = filter, .next = (uint32_t)first})))
		return -ENOMEM;
	return hash_set(&t->by_value, key, (void *)(uintptr_t)c->links.len, NULL);
}

static int add_value(struct filter_choice *c, struct table *t, const struct value *v, uint32_t filter)
{
	enum filter_type type = filter_fields[t->test->field].type;
	struct str rest = v->text;
	int r;

	if (type == TYPE_ADDRESS)
		return add_key(c, t, (struct str){(const char *)v->from.b, sizeof(v->from.b)}, filter);
	if (!type_is_text(type))
		return add_key(c, t, (struct str){(const char *)&v->lo, sizeof(v->lo)}, filter);
	r = add_key(c, t, v->text, filter);
	str_cut(&rest, '/'); /* "shop/web" is also the name of an end in a namespace */
	return r || !rest.n ? r : add_key(c, t, rest, filter);
}

static int add_test(struct filter_choice *c, const struct node *n, uint32_t filter)
{
	bool both = filter_fields[n->field].sided && n->side == SIDE_EITHER;

	for (int i = 0; i < (both ? 2 : 1); i++) {
		struct table *t = table_of(c, n, both ? (i ? SIDE_DST : SIDE_SRC) : n->side);

		if (!t)
			return -ENOMEM;
		for (unsigned k = 0; k < n->values_len; k++)
			if (add_value(c, t, &n->values[k], filter))
				return -ENOMEM;
	}
	return 0;
}

/* n is worth something. */
static int add(struct filter_choice *c, const struct node *n, uint32_t filter)
{
	const struct node *best = n->kids_len ? n->kids[0] : NULL;
	int r = 0;

	if (n->op == NODE_TEST)
		return add_test(c, n, filter);
	if (n->op == NODE_OR) {
		for (unsigned i = 0; i < n->kids_len && !r; i++)
			r = add(c, n->kids[i], filter);
		return r;
	}
	for (unsigned i = 1; i < n->kids_len; i++)
		best = worth(n->kids[i]) > worth(best) ? n->kids[i] : best;
	return add(c, best, filter);
}

int filter_choice_new(struct filter_choice **out, const struct filter *const *all, uint32_t n)
{
	struct filter_choice *c = calloc(1, sizeof(*c));
	int r = 0;

	if (!c)
		return -ENOMEM;
	for (uint32_t i = 0; i < n && !r; i++) {
		const struct node *root = all[i]->root;

		r = vec_push(&c->named, 0);
		if (!r)
			r = root && worth(root) ? add(c, root, i) : vec_push(&c->always, i);
	}
	if (r) {
		filter_choice_free(&c);
		return -ENOMEM;
	}
	*out = c;
	return 0;
}

void filter_choice_free(struct filter_choice **pc)
{
	struct filter_choice *c = *pc;

	if (!c)
		return;
	VEC_EACH (&c->tables, t)
		hash_fini(&t->by_value);
	vec_free(&c->tables);
	vec_free(&c->links);
	vec_free(&c->always);
	vec_free(&c->named);
	free(TAKE(*pc));
}

/* --- asked ----------------------------------------------------------------------------------------- */

/* The first link of what the record has there, + 1; 0: none. */
static uint32_t first_of(const struct table *t, const struct subject *s)
{
	enum filter_type type = filter_fields[t->test->field].type;
	struct value v;
	struct str key, ns;

	if (type_is_text(type)) {
		if (!node_text(t->test, s, t->side, &key, &ns) || !key.n)
			return 0;
	} else if (!node_value(t->test, s, t->side, &v)) {
		return 0;
	} else if (type == TYPE_ADDRESS) {
		key = (struct str){(const char *)v.from.b, sizeof(v.from.b)};
	} else {
		key = (struct str){(const char *)&v.lo, sizeof(v.lo)};
	}
	return (uint32_t)(uintptr_t)hash_get(&t->by_value, key);
}

uint32_t filter_choice_find(struct filter_choice *c, const struct record *r, uint32_t *which)
{
	const struct subject s = {.record = r};
	uint32_t n = 0;

	c->lookups++;
	VEC_EACH (&c->always, i)
		which[n++] = *i;
	VEC_EACH (&c->tables, t)
		for (uint32_t at = first_of(t, &s); at; at = c->links.items[at - 1].next) {
			uint32_t i = c->links.items[at - 1].filter;

			if (c->named.items[i] != c->lookups)
				which[n++] = i;
			c->named.items[i] = c->lookups;
		}
	return n;
}
