/* SPDX-License-Identifier: Apache-2.0 */
/* Ids → words, see names.h. Reads the compiler's tables, changes nothing. Called by print.c and the programs.
 */
#include "compile/names.h"

#include <arpa/inet.h>

#include "compile/state.h"
#include "seam/class.h"
#include "seam/service.h"

static void hex(struct buf *b, const char *what, uint32_t id)
{
	buf_printf(b, "%s:%08x", what, id);
}

void name_set(struct buf *b, const struct plan_names *n, uint32_t id)
{
	const struct pset *s = n ? id_find(&n->c->set_ids, id) : NULL;
	if (id == SET_NONE) {
		buf_addz(b, "none");
		return;
	}
	if (!s) {
		hex(b, "set", id);
		return;
	}
	buf_addz(b, s->dir == DIR_INGRESS ? "ingress[" : "egress[");
	for (size_t i = 0; i < s->parts.len; i++)
		buf_printf(b, "%s%s", i ? " " : "", s->parts.items[i]->name);
	VEC_EACH (&s->named, p)
		buf_printf(b, " " STR_FMT "=%u/%s", STR_ARG(p->name), p->low, proto_name(p->proto));
	buf_addc(b, ']');
}

void name_class(struct buf *b, const struct plan_names *n, uint32_t id)
{
	const struct pclass *k = n ? id_find(&n->c->class_ids, id) : NULL;
	if (id == CLASS_WORLD) {
		buf_addz(b, "world");
		return;
	}
	if (!k) {
		hex(b, "class", id);
		return;
	}
	/* by text, which people can follow, not by hash */
	const char *last = "";
	buf_addc(b, '{');
	for (size_t i = 0; i < k->atoms.list.len; i++) {
		const char *next = NULL;
		VEC_EACH (&k->atoms.list, a)
			if (strcmp((*a)->text, last) > 0 && (!next || strcmp((*a)->text, next) < 0))
				next = (*a)->text;
		if (!next)
			break;
		buf_printf(b, "%s%s", i ? " | " : "", next);
		last = next;
	}
	buf_addc(b, '}');
}

static void name_entry(struct buf *b, const struct portset_entry *e)
{
	buf_addz(b, proto_name(e->proto));
	if (e->low == 0 && e->high == 65535)
		return;
	buf_printf(b, "/%u", e->low);
	if (e->high != e->low)
		buf_printf(b, "-%u", e->high);
}

void name_portset(struct buf *b, const struct plan_names *n, uint32_t id)
{
	const struct portset *s = n ? id_find(&n->c->portset_ids, id) : NULL;
	if (id == PORTSET_ALL) {
		buf_addz(b, "all");
		return;
	}
	if (!s) {
		hex(b, "ports", id);
		return;
	}
	buf_addc(b, '(');
	for (size_t i = 0; i < s->list.len; i++) {
		if (i)
			buf_addc(b, ' ');
		name_entry(b, &s->list.items[i]);
	}
	buf_addc(b, ')');
}

static const struct rule *rule_of(const struct plan_names *n, uint32_t id)
{
	return n ? id_find(&n->c->rule_ids, id) : NULL;
}

void name_rule(struct buf *b, const struct plan_names *n, uint32_t id)
{
	const struct rule *r = rule_of(n, id);
	if (id == RULE_NONE)
		buf_addz(b, "no rule");
	else if (id == RULE_NODE)
		buf_addz(b, "own node");
	else if (id == RULE_SELF)
		buf_addz(b, "pod itself");
	else if (r)
		buf_addz(b, r->text);
	else
		hex(b, "rule", id);
}

struct origin name_rule_origin(const struct plan_names *n, uint32_t id)
{
	const struct rule *r = rule_of(n, id);
	struct origin out = {0};
	if (!r || !r->src.o)
		return out;
	out.object = r->src.text;
	out.pos = object_pos(r->src.o, r->member);
	return out;
}

void name_list(struct buf *b, const struct plan_names *n, uint32_t id)
{
	const struct backend_list *l = n ? id_find(&n->c->list_ids, id) : NULL;
	if (!l || l->key.n < sizeof(struct backend_value)) {
		if (id)
			hex(b, "list", id);
		else
			buf_addz(b, "nobody");
		return;
	}
	struct backend_value v;
	struct addr a;
	char text[ADDR_TEXT];
	memcpy(&v, l->key.p, sizeof(v));
	memcpy(&a, &v.addr, sizeof(a));
	addr_print(&a, text);
	buf_printf(b, addr_is4(&a) ? "(%s:%u" : "([%s]:%u", text, ntohs(v.port));
	if (l->count > 1)
		buf_printf(b, " +%u", l->count - 1);
	buf_addc(b, ')');
}

void name_node(struct buf *b, const struct plan_names *n, uint32_t number)
{
	const struct cnode *node = n ? id_find(&n->c->node_ids, number) : NULL;
	if (!number)
		buf_addz(b, "this node");
	else if (node)
		buf_adds(b, node->name);
	else
		hex(b, "node", number);
}
