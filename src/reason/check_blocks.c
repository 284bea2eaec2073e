/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks: excepts that another rule makes void, blocks in blocks, Service and pod ranges. */
#include <errno.h>
#include <stdlib.h>

#include "base/own.h"
#include "reason/checks.h"

/* The blocks of a NetworkPolicy's rule. */
static const struct policy_peer_list *peers_of(const struct rule_view *r)
{
	const struct networkpolicy_spec *spec = r->o->networkpolicy->spec;

	return r->egress ? &spec->egress.items[r->index].to : &spec->ingress.items[r->index].from;
}

static bool read_block(const struct policy_peer *p, struct prefix *out)
{
	return p->ip_block && prefix_parse(p->ip_block->cidr, out) != -EINVAL;
}

static void in_each_other(struct check_run *c, const struct rule_view *r)
{
	const struct policy_peer_list *l = peers_of(r);

	for (size_t i = 0; i < l->len; i++)
		for (size_t k = 0; k < l->len; k++) {
			struct prefix inner, outer;
			if (i == k || !read_block(&l->items[i], &inner) || !read_block(&l->items[k], &outer))
				continue;
			bool same = inner.len == outer.len && addr_eq(&inner.addr, &outer.addr);
			if (!prefix_covers(&outer, &inner) || l->items[k].ip_block->except.len ||
			    (same && (i < k || l->items[i].ip_block->except.len)))
				continue;
			finding_add(c->out, CHECK_block_twice, object_pos(r->o, &l->items[i].ip_block->cidr),
				    NULL, STR_FMT " lies in " STR_FMT " of the same rule",
				    STR_ARG(l->items[i].ip_block->cidr), STR_ARG(l->items[k].ip_block->cidr));
		}
}

static bool share_pods(const struct check_run *c, const struct rule_view *a, const struct rule_view *b)
{
	for (size_t g = 0; g < c->ends.groups.len; g++)
		if (a->subject[g] && b->subject[g])
			return true;
	return false;
}

static bool share_ports(const struct check_run *c, const struct rule_view *a, const struct rule_view *b)
{
	if (a->any_port || b->any_port)
		return true;
	(void)c;
	VEC_EACH (&a->spans.list, x)
		VEC_EACH (&b->spans.list, y)
			if (x->proto == y->proto && x->low <= y->high && y->low <= x->high)
				return true;
	return false;
}

/* A block of rule b that allows some of what is excepted. */
static const struct policy_peer *allows(const struct rule_view *b, const struct prefix *except,
					const struct policy_peer *not_this)
{
	const struct policy_peer_list *l = peers_of(b);

	for (size_t i = 0; i < l->len; i++) {
		struct prefix p, x;
		if (&l->items[i] == not_this || !read_block(&l->items[i], &p) || !prefix_overlaps(&p, except))
			continue;
		bool excepted = false;
		for (size_t k = 0; k < l->items[i].ip_block->except.len; k++)
			excepted |= prefix_parse(l->items[i].ip_block->except.items[k], &x) != -EINVAL &&
				    prefix_covers(&x, except);
		if (!excepted)
			return &l->items[i];
	}
	return NULL;
}

static void check_except(struct check_run *c, const struct rule_view *r, const struct policy_peer *peer,
			 const struct str *text)
{
	struct prefix except;

	if (prefix_parse(*text, &except) == -EINVAL)
		return;
	VEC_EACH (&c->rules, o) {
		if (o->cluster || o->egress != r->egress || !share_pods(c, r, o) ||
		    (o != r && !share_ports(c, r, o)))
			continue;
		const struct policy_peer *by = allows(o, &except, peer);
		if (!by)
			continue;
		AUTO_BUF name = {0};
		rule_name(&name, o);
		finding_add(c->out, CHECK_except_void, object_pos(r->o, text), NULL,
			    STR_FMT " is excepted here, but " STR_FMT " is allowed for the same pods by %s",
			    STR_ARG(*text), STR_ARG(by->ip_block->cidr), name.p ? name.p : "");
		return;
	}
}

static void check_ranges(struct check_run *c, const struct rule_view *r, const struct policy_peer *peer)
{
	const struct prefix *services[] = {&c->opt->services4, &c->opt->services6};
	struct prefix p, x;

	if (!read_block(peer, &p))
		return;
	for (int i = 0; i < 2; i++)
		if (services[i]->len && prefix_covers(services[i], &p)) {
			finding_add(c->out, CHECK_block_of_service, object_pos(r->o, &peer->ip_block->cidr),
				    NULL,
				    STR_FMT " are Service addresses, which are translated before policy is "
					    "asked: this matches nothing",
				    STR_ARG(peer->ip_block->cidr));
			return;
		}
	size_t pods = 0;
	const struct end *example = NULL;
	VEC_EACH (&c->ends.list, e)
		for (int f = 0; f < FAMILIES && e->kind == END_POD; f++) {
			bool in = e->has[f] && prefix_has(&p, &e->addr[0][f]);
			for (size_t i = 0; in && i < peer->ip_block->except.len; i++)
				in = prefix_parse(peer->ip_block->except.items[i], &x) == -EINVAL ||
				     !prefix_has(&x, &e->addr[0][f]);
			pods += in;
			example = in && !example ? e : example;
		}
	if (pods)
		finding_add(c->out, CHECK_block_has_pods, object_pos(r->o, &peer->ip_block->cidr), NULL,
			    STR_FMT " holds addresses of the cluster's pods, as " STR_FMT "/" STR_FMT "'s",
			    STR_ARG(peer->ip_block->cidr), STR_ARG(example->ns), STR_ARG(example->name));
}

void check_blocks(struct check_run *c)
{
	VEC_EACH (&c->rules, r) {
		const struct policy_peer_list *l = r->cluster ? NULL : peers_of(r);
		if (!l)
			continue;
		in_each_other(c, r);
		for (size_t i = 0; i < l->len; i++) {
			const struct ip_block *b = l->items[i].ip_block;
			check_ranges(c, r, &l->items[i]);
			for (size_t k = 0; b && k < b->except.len; k++)
				check_except(c, r, &l->items[i], &b->except.items[k]);
		}
	}
}
