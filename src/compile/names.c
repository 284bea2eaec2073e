/* SPDX-License-Identifier: Apache-2.0 */
/* Ids → words, see names.h. Reads the compiler's tables, changes nothing. Called by print.c and the programs.
 */
#include "compile/names.h"

#include <arpa/inet.h>

#include "compile/service.h"
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
	if (id <= CLASS_SELF6) {
		buf_addz(b, id == CLASS_WORLD ? "world" : id == CLASS_SELF ? "itself" : "itself by IPv6");
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

/* "TCP/80" is allowed, "-TCP/80" denied by a rule, "?TCP/443" allowed for some names. */
static void name_piece(struct buf *b, const struct piece *p)
{
	if (p->names)
		buf_addc(b, '?');
	else if (!p->allow)
		buf_addc(b, '-');
	buf_addz(b, p->proto ? proto_name(p->proto) : "other");
	if (!p->proto || (p->low == 0 && p->high == 65535))
		return;
	buf_printf(b, "/%u", p->low);
	if (p->high != p->low)
		buf_printf(b, "-%u", p->high);
}

void name_portset(struct buf *b, const struct plan_names *n, uint32_t id)
{
	const struct portset *s = n ? id_find(&n->c->portset_ids, id) : NULL;
	if (id == PORTSET_ALL || id == PORTSET_NONE) {
		buf_addz(b, id == PORTSET_ALL ? "all" : "nothing");
		return;
	}
	if (!s) {
		hex(b, "ports", id);
		return;
	}
	const struct piece rest = {.allow = s->open};
	const char *sep = "(";
	VEC_EACH (&s->ports.list, p) {
		if (piece_like(p, &rest))
			continue;
		buf_addz(b, sep);
		name_piece(b, p);
		sep = " ";
	}
	buf_addc(b, ')');
}

void name_domain(struct buf *b, const struct plan_names *n, uint32_t id)
{
	const struct domain *d = n ? id_find(&n->c->domain_ids, id) : NULL;
	if (d)
		buf_addz(b, d->text);
	else
		hex(b, "name", id);
}

static void name_claims(struct buf *b, const struct nameset *n)
{
	const char *sep = "";
	if (n->both[0]) {
		name_claims(b, n->both[0]);
		buf_addz(b, " & ");
		name_claims(b, n->both[1]);
	}
	VEC_EACH (&n->list, it) {
		buf_printf(b, "%s%s", sep, it->domain->text);
		sep = " ";
	}
}

void name_nameset(struct buf *b, const struct plan_names *n, uint32_t id)
{
	const struct nameset *s = n ? id_find(&n->c->nameset_ids, id) : NULL;
	if (!s) {
		hex(b, "names", id);
		return;
	}
	buf_addc(b, '<');
	name_claims(b, s);
	buf_addc(b, '>');
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
