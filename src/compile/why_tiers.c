/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One direction of a pod, read from the objects in the order of the specification: Admin tier,
 * NetworkPolicies, Baseline tier (CN01 to CN07). Notes what matched, who isolates, and for a refusal the
 * nearest rules that missed. Called by why.c.
 */
#include "compile/why_state.h"

enum { MISSES = 3 };

struct policies {
	VEC(const struct object *) list;
};

bool why_is_staged(const struct object *o)
{
	const struct str *v = strmap_get(&o->meta.annotations, STR("weft.network/staged"));

	return v && str_eqz(*v, "true");
}

static bool has_type(const struct networkpolicy_spec *s, int dir)
{
	for (size_t i = 0; i < s->policy_types.len; i++)
		if (str_eqz(s->policy_types.items[i], dir == DIR_INGRESS ? "Ingress" : "Egress"))
			return true;
	return !s->policy_types.len && (dir == DIR_INGRESS || s->egress.len);
}

static bool selects(const struct why_ctx *x, const struct object *o)
{
	const struct networkpolicy_spec *s = o->networkpolicy->spec;

	return s && str_eq(o->meta.ns, x->subject.pod->home->name) && has_type(s, x->dir) &&
	       selector_matches(s->pod_selector, &x->subject.pod->o->meta.labels);
}

static bool subject_has(const struct why_ctx *x, const struct object *o)
{
	const struct clusternetworkpolicy_spec *s = o->clusternetworkpolicy->spec;
	const struct cluster_subject *sub = s ? s->subject : NULL;
	const struct strmap *home = &x->subject.pod->home->labels;

	if (!sub || !(x->dir == DIR_INGRESS ? s->ingress.len : s->egress.len))
		return false;
	if (sub->namespaces)
		return selector_matches(sub->namespaces, home);
	return sub->pods &&
	       (!sub->pods->namespace_selector || selector_matches(sub->pods->namespace_selector, home)) &&
	       selector_matches(sub->pods->pod_selector, &x->subject.pod->o->meta.labels);
}

/* CN05, CN06: priority, then name. */
static int by_order(const void *a, const void *b)
{
	const struct object *x = *(const struct object *const *)a, *y = *(const struct object *const *)b;
	int64_t p = 0, q = 0;

	if (x->desc->kind == KIND_clusternetworkpolicy) {
		p = x->clusternetworkpolicy->spec->priority.v;
		q = y->clusternetworkpolicy->spec->priority.v;
	}
	return p != q ? (p < q ? -1 : 1) : str_cmp(x->meta.name, y->meta.name);
}

/* Policies of a stage that select the pod, in their order. tier NULL: NetworkPolicies. */
static void stage(struct why_ctx *x, const char *tier, bool staged, struct policies *out)
{
	enum kind k = tier ? KIND_clusternetworkpolicy : KIND_networkpolicy;

	HASH_EACH (&x->c->told[k], s) {
		const struct told *t = s->value;

		if (!t->o || (why_is_staged(t->o) && !staged))
			continue;
		if (tier ? !t->o->clusternetworkpolicy->spec ||
			       !str_eqz(t->o->clusternetworkpolicy->spec->tier, tier) || !subject_has(x, t->o)
			 : !selects(x, t->o))
			continue;
		x->failed |= vec_push(&out->list, t->o) != 0;
	}
	if (out->list.len)
		qsort(out->list.items, out->list.len, sizeof(*out->list.items), by_order);
}

static struct str named(struct why_ctx *x, const struct object *o)
{
	return arena_printf(x->arena, "%s " STR_FMT, o->desc->name, STR_ARG(object_key(o)));
}

static const char *direction(const struct why_ctx *x)
{
	return x->dir == DIR_INGRESS ? "ingress" : "egress";
}

static struct why_rule rule_of(struct why_ctx *x, const struct object *o, size_t i, const void *member,
			       struct str name)
{
	struct why_rule r = {.policy = named(x, o), .name = name, .pos = object_pos(o, member)};

	r.path = arena_printf(x->arena, "%s[%zu]", direction(x), i);
	r.text = arena_printf(x->arena, "%s" STR_FMT "/%s/%zu",
			      o->desc->kind == KIND_clusternetworkpolicy ? "cluster:" : "",
			      STR_ARG(object_key(o)), direction(x), i);
	if (o->desc->kind == KIND_clusternetworkpolicy) {
		r.tier = o->clusternetworkpolicy->spec->tier;
		r.priority = o->clusternetworkpolicy->spec->priority.v;
	}
	x->failed |= !r.policy.p || !r.path.p || !r.text.p;
	return r;
}

static void add_policy(struct why_ctx *x, struct why_side *out, const struct object *o)
{
	struct why_place p = {.name = named(x, o), .staged = why_is_staged(o)};

	if (o->desc->kind == KIND_clusternetworkpolicy) {
		const struct clusternetworkpolicy_spec *s = o->clusternetworkpolicy->spec;

		p.tier = s->tier;
		p.priority = s->priority.v;
		p.pos = object_pos(o, &s->subject);
		p.rules = x->dir == DIR_INGRESS ? s->ingress.len : s->egress.len;
	} else {
		const struct networkpolicy_spec *s = o->networkpolicy->spec;

		p.pos = object_pos(o, &s->pod_selector);
		p.rules = x->dir == DIR_INGRESS ? s->ingress.len : s->egress.len;
	}
	x->failed |= vec_push(&out->policies, p) != 0;
}

/* --- the nearest rules that missed --- */

static bool nearer(const struct why_gap *a, const struct why_gap *b)
{
	return a->fields != b->fields ? a->fields < b->fields : a->distance < b->distance;
}

static void add_miss(struct why_ctx *x, struct why_side *out, const struct object *o,
		     const struct why_gap *gap)
{
	struct why_miss m = {.policy = named(x, o),
			     .what = gap->text,
			     .pos = object_pos(o, gap->member),
			     .fields = gap->fields,
			     .distance = gap->distance};
	size_t at = 0;

	while (at < out->misses.len &&
	       !nearer(gap, &(struct why_gap){
				out->misses.items[at].fields, out->misses.items[at].distance, {0}, NULL}))
		at++;
	if (at >= MISSES)
		return;
	if (vec_push(&out->misses, m)) {
		x->failed = true;
		return;
	}
	memmove(&out->misses.items[at + 1], &out->misses.items[at],
		(out->misses.len - 1 - at) * sizeof(*out->misses.items));
	out->misses.items[at] = m;
	if (out->misses.len > MISSES)
		out->misses.len = MISSES;
}

/* Peers and ports of one rule: what keeps it from matching, in one line. `list` is "from", "to". */
struct reading {
	bool peer, port, named; /* match; named: a domain name would */
	struct why_gap peer_gap, port_gap;
	size_t peer_at, port_at;
	const char *list, *ports;
};

static void keep_nearest(struct why_gap *best, size_t *at, const struct why_gap *gap, size_t i)
{
	if (best->fields && !nearer(gap, best))
		return;
	*best = *gap;
	*at = i;
}

static void join_gaps(struct why_ctx *x, const struct reading *r, size_t rule, struct why_gap *out)
{
	AUTO_BUF b = {0};

	*out = (struct why_gap){0};
	if (!r->peer) {
		*out = r->peer_gap;
		buf_printf(&b, "%s[%zu].%s[%zu]." STR_FMT, direction(x), rule, r->list, r->peer_at,
			   STR_ARG(r->peer_gap.text));
	}
	if (!r->port) {
		if (r->peer)
			buf_printf(&b, "%s[%zu]", direction(x), rule);
		else
			buf_addc(&b, ';');
		buf_printf(&b, "%s%s[%zu]." STR_FMT, r->peer ? "." : " ", r->ports, r->port_at,
			   STR_ARG(r->port_gap.text));
		out->fields += r->port_gap.fields;
		out->distance += r->port_gap.distance;
		if (r->peer)
			out->member = r->port_gap.member;
	}
	out->text = arena_str(x->arena, buf_str(&b));
	x->failed |= b.failed || !out->text.p;
}

/* --- NetworkPolicies --- */

static struct reading read_rule(struct why_ctx *x, const struct object *o, const char *list,
				const struct policy_peer_list *peers, const struct policy_port_list *ports)
{
	struct reading r = {.peer = !peers->len, .port = !ports->len, .list = list, .ports = "ports"};
	struct why_gap gap;

	for (size_t i = 0; i < peers->len && !r.peer; i++) {
		r.peer = why_peer(x, o, &peers->items[i], &gap);
		if (!r.peer)
			keep_nearest(&r.peer_gap, &r.peer_at, &gap, i);
	}
	for (size_t i = 0; i < ports->len && !r.port; i++) {
		r.port = why_port(x, &ports->items[i], &gap);
		if (!r.port)
			keep_nearest(&r.port_gap, &r.port_at, &gap, i);
	}
	return r;
}

static void policy_rules(struct why_ctx *x, const struct object *o, struct why_side *out)
{
	const struct networkpolicy_spec *s = o->networkpolicy->spec;
	bool in = x->dir == DIR_INGRESS;

	for (size_t i = 0; i < (in ? s->ingress.len : s->egress.len); i++) {
		const struct ingress_rule *a = in ? &s->ingress.items[i] : NULL;
		const struct egress_rule *b = in ? NULL : &s->egress.items[i];
		struct reading r = in ? read_rule(x, o, "from", &a->from, &a->ports)
				      : read_rule(x, o, "to", &b->to, &b->ports);
		struct why_gap gap;

		if (r.peer && r.port) {
			struct why_rule hit = rule_of(x, o, i, in ? (const void *)a : b, (struct str){0});

			x->failed |= vec_push(&out->allow, hit) != 0;
			continue;
		}
		join_gaps(x, &r, i, &gap);
		add_miss(x, out, o, &gap);
	}
}

/* True: the search ends here. */
static bool networkpolicies(struct why_ctx *x, bool staged, struct why_side *out)
{
	struct policies all = {0};

	stage(x, NULL, staged, &all);
	bool isolated = all.list.len;
	VEC_EACH (&all.list, o) {
		add_policy(x, out, *o);
		policy_rules(x, *o, out);
	}
	vec_free(&all.list);
	if (!isolated)
		return false;
	out->allowed = out->allow.len;
	out->reason = out->allowed ? WHY_RULE : WHY_DEFAULT;
	if (out->allowed)
		out->rule = out->allow.items[0];
	return true;
}

/* --- cluster policies --- */

struct cluster_rule { /* of either direction */
	struct str name, action;
	const void *member;
	size_t peers;
	const struct cluster_ingress_rule *in;
	const struct cluster_egress_rule *out;
	const struct cluster_protocol_list *protocols;
	bool closed;
};

static struct cluster_rule cluster_rule(const struct why_ctx *x, const struct clusternetworkpolicy_spec *s,
					size_t i)
{
	if (x->dir == DIR_INGRESS) {
		const struct cluster_ingress_rule *r = &s->ingress.items[i];

		return (struct cluster_rule){.name = r->name,
					     .action = r->action,
					     .member = r,
					     .peers = r->from.len,
					     .in = r,
					     .protocols = &r->protocols,
					     .closed = r->unknown.len};
	}
	const struct cluster_egress_rule *r = &s->egress.items[i];

	return (struct cluster_rule){.name = r->name,
				     .action = r->action,
				     .member = r,
				     .peers = r->to.len,
				     .out = r,
				     .protocols = &r->protocols,
				     .closed = r->unknown.len};
}

static struct why_cluster_peer cluster_peer(const struct cluster_rule *r, size_t i)
{
	struct why_cluster_peer p = {0};

	if (r->in) {
		const struct cluster_ingress_peer *in = &r->in->from.items[i];

		p = (struct why_cluster_peer){
		    .namespaces = &in->namespaces, .pods = in->pods, .member = in, .closed = in->unknown.len};
	} else {
		const struct cluster_egress_peer *out = &r->out->to.items[i];

		p = (struct why_cluster_peer){.namespaces = &out->namespaces,
					      .pods = out->pods,
					      .nodes = &out->nodes,
					      .networks = &out->networks,
					      .domain_names = &out->domain_names,
					      .member = out,
					      .closed = out->unknown.len};
	}
	if (!*p.namespaces && !p.pods && !(p.nodes && *p.nodes) && !(p.networks && p.networks->len) &&
	    !(p.domain_names && p.domain_names->len))
		p.closed = true;
	return p;
}

/* As domain.c keeps a pattern: in lower case, without a dot at its end. */
static struct str lowered(struct why_ctx *x, struct str pattern)
{
	struct str s = arena_str(x->arena, pattern);
	char *p = (char *)(uintptr_t)s.p;

	x->failed |= !p;
	for (size_t i = 0; p && i < s.n; i++)
		p[i] = p[i] >= 'A' && p[i] <= 'Z' ? (char)(p[i] + 32) : p[i];
	s.n -= p && s.n && p[s.n - 1] == '.';
	return p ? s : pattern;
}

/* Names stand for addresses that the cluster does not know. */
static void note_names(struct why_ctx *x, const struct why_cluster_peer *p, const struct why_rule *rule,
		       struct why_side *out)
{
	for (size_t i = 0; p->domain_names && i < p->domain_names->len; i++) {
		struct why_name n = {.pattern = p->domain_names->items[i], .rule = *rule};
		const struct domain *d = hash_get(&x->c->domains, lowered(x, n.pattern));

		n.class = d && d->live ? d->id : 0;

		x->failed |= vec_push(&out->names, n) != 0;
	}
}

static bool ports_match(struct why_ctx *x, const struct cluster_rule *r, struct reading *out)
{
	struct why_gap gap;

	out->port = !r->protocols->len;
	for (size_t i = 0; i < r->protocols->len && !out->port; i++) {
		out->port = why_cluster_port(x, &r->protocols->items[i], &gap);
		if (!out->port)
			keep_nearest(&out->port_gap, &out->port_at, &gap, i);
	}
	return out->port;
}

/* Whether the rule matches; `deny`: it fails closed (CN11), which is a Deny for all. */
static bool cluster_matches(struct why_ctx *x, const struct object *o, size_t i, const struct cluster_rule *r,
			    struct why_side *out, bool *deny)
{
	struct reading got = {.list = r->in ? "from" : "to", .ports = "protocols"};
	struct why_rule rule = rule_of(x, o, i, r->member, r->name);
	bool accept = str_eqz(r->action, "Accept"), closed = r->closed;
	struct why_gap gap;

	ports_match(x, r, &got);
	for (size_t j = 0; j < r->peers; j++) {
		struct why_cluster_peer p = cluster_peer(r, j);

		closed |= p.closed && !accept;
		if (accept && got.port && !x->peer.pod && !x->peer.node)
			note_names(x, &p, &rule, out);
		if (got.peer)
			continue;
		got.peer = why_cluster_peer(x, &p, &gap);
		if (!got.peer)
			keep_nearest(&got.peer_gap, &got.peer_at, &gap, j);
	}
	if (closed) {
		*deny = !accept;
		return !accept;
	}
	if (got.peer && got.port)
		return true;
	join_gaps(x, &got, i, &gap);
	if (!str_eqz(r->action, "Deny"))
		add_miss(x, out, o, &gap);
	return false;
}

enum outcome { GOES_ON, ENDS, PASSES };

static enum outcome cluster_policy(struct why_ctx *x, const struct object *o, struct why_side *out)
{
	const struct clusternetworkpolicy_spec *s = o->clusternetworkpolicy->spec;
	size_t n = x->dir == DIR_INGRESS ? s->ingress.len : s->egress.len;

	for (size_t i = 0; i < n; i++) {
		struct cluster_rule r = cluster_rule(x, s, i);
		bool deny = str_eqz(r.action, "Deny");

		if (!cluster_matches(x, o, i, &r, out, &deny))
			continue;
		struct why_rule hit = rule_of(x, o, i, r.member, r.name);

		if (!deny && str_eqz(r.action, "Pass")) {
			x->failed |= vec_push(&out->passed, hit) != 0;
			return PASSES;
		}
		out->rule = hit;
		out->allowed = !deny;
		out->reason = deny ? WHY_DENY : WHY_ACCEPT;
		return ENDS;
	}
	return GOES_ON;
}

static bool cluster_tier(struct why_ctx *x, const char *tier, bool staged, struct why_side *out)
{
	enum outcome how = GOES_ON;
	struct policies all = {0};

	stage(x, tier, staged, &all);
	VEC_EACH (&all.list, o) {
		if (how != GOES_ON)
			break;
		add_policy(x, out, *o);
		how = cluster_policy(x, *o, out);
	}
	vec_free(&all.list);
	return how == ENDS;
}

void why_judge(struct why_ctx *x, bool staged, struct why_side *out)
{
	if (cluster_tier(x, "Admin", staged, out))
		return;
	/* NP64, CN18: to itself through a Service a pod is not isolated. */
	if (!x->self && networkpolicies(x, staged, out))
		return;
	if (cluster_tier(x, "Baseline", staged, out))
		return;
	out->allowed = true;
	out->reason = out->policies.len ? WHY_OPEN : WHY_UNSELECTED;
}

bool why_any_staged(struct why_ctx *x)
{
	const enum kind kinds[] = {KIND_networkpolicy, KIND_clusternetworkpolicy};

	for (int k = 0; k < 2; k++) {
		HASH_EACH (&x->c->told[kinds[k]], s) {
			const struct told *t = s->value;

			if (t->o && why_is_staged(t->o) &&
			    (kinds[k] == KIND_networkpolicy ? selects(x, t->o) : subject_has(x, t->o)))
				return true;
		}
	}
	return false;
}
