/* SPDX-License-Identifier: Apache-2.0 */
/* Which terms settled what a filter said of a packet: see filter_packet_why(). Called by who explains. */
#include "base/own.h"
#include "filter/match.h"

enum { TERMS_MAX = 8 };

struct telling {
	const struct subject *s;
	struct buf *out;
	unsigned n; /* terms that settled it */
};

static void tell_value(struct telling *t, const struct node *n)
{
	bool either = filter_fields[n->field].sided && n->side == SIDE_EITHER;
	struct value v;

	if (!node_value(n, t->s, either ? SIDE_SRC : n->side, &v)) {
		buf_addz(t->out, " (it has none)");
		return;
	}
	buf_addz(t->out, " (it has ");
	value_print(t->out, n->field, &v);
	if (either && node_value(n, t->s, SIDE_DST, &v)) {
		buf_addz(t->out, " and ");
		value_print(t->out, n->field, &v);
	}
	buf_addc(t->out, ')');
}

static bool has_value(const struct node *n)
{
	enum filter_type t = filter_fields[n->field].type;

	return n->op == NODE_TEST && t != TYPE_FLAG && !type_is_text(t) && n->field != FIELD_RULE;
}

/* The term as it stands there, and what the packet has. */
static void tell(struct telling *t, const struct node *n, bool not )
{
	struct node *kids[] = {(struct node *)(uintptr_t)n};
	struct node negation = {.op = NODE_NOT, .kids = kids, .kids_len = 1};

	if (t->n++ >= TERMS_MAX) {
		buf_addz(t->out, t->n == TERMS_MAX + 1 ? ", …" : "");
		return;
	}
	buf_addz(t->out, t->n > 1 ? ", " : "");
	node_print(t->out, not ? &negation : n);
	if (has_value(n))
		tell_value(t, n);
}

/* Tells what settled that the node is `yes`; `not`: within a negation. */
static void settle(struct telling *t, const struct node *n, bool yes, bool not )
{
	switch (n->op) {
	case NODE_NOT:
		settle(t, n->kids[0], !yes, !not );
		return;
	case NODE_AND:
	case NODE_OR:
		/* one kid settles it where a conjunction fails or a disjunction holds, else all do */
		for (unsigned i = 0; i < n->kids_len; i++) {
			if (node_match(n->kids[i], t->s) != yes)
				continue;
			settle(t, n->kids[i], yes, not );
			if ((n->op == NODE_AND) != yes)
				return;
		}
		return;
	default:
		tell(t, n, not );
	}
}

bool filter_packet_why(const struct filter *f, const struct filter_packet *p, struct buf *why)
{
	struct dissected d;
	bool yes, whole = dissect(&d, p);
	struct subject s = {.packet = &d, .record = p->who};
	struct telling t = {.s = &s, .out = why};

	yes = filter_dissected(f, p, &d);
	if (f->root && node_match(f->root, &s) == yes)
		settle(&t, f->root, yes, false);
	else
		buf_addz(why, "the pcap expression as a whole");
	if (!whole)
		buf_addz(why, "; of the packet only what is there was judged");
	return yes;
}
