/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Explanations: the ends of a question, its translation and its ways, and for each pod of this node at an end
 * what the rows in force say beside what the objects say. Changes nothing. See why.h.
 */
#include "compile/why.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include "compile/why_state.h"
#include "seam/class.h"
#include "seam/config.h"
#include "seam/endpoint.h"
#include "seam/event.h"

/* --- ends --- */

static const struct cpod *pod_at(const struct compiler *c, const struct addr *a)
{
	HASH_EACH (&c->pods, s) {
		const struct cpod *p = s->value;

		if (p->kin && (addr_eq(&p->addr[0].a, a) || addr_eq(&p->addr[1].a, a)))
			return p;
	}
	return NULL;
}

static const struct cnode *node_at(const struct compiler *c, const struct addr *a)
{
	HASH_EACH (&c->nodes, s) {
		const struct cnode *n = s->value;

		VEC_EACH (&n->addrs, k)
			if (addr_eq(&(*k)->a, a))
				return n;
	}
	return NULL;
}

static struct str end_words(struct arena *arena, const struct cpod *pod, const struct cnode *node,
			    const struct addr *a)
{
	char text[ADDR_TEXT];

	if (pod)
		return arena_str(arena, object_key(pod->o));
	if (node)
		return arena_printf(arena, "node " STR_FMT, STR_ARG(node->name));
	addr_print(a, text);
	return arena_str(arena, str_of(text));
}

struct why_end why_end(struct why_ctx *x, const struct addr *a)
{
	struct why_end e = {.addr = *a, .pod = pod_at(x->c, a)};

	e.node = e.pod ? NULL : node_at(x->c, a);
	e.words = end_words(x->arena, e.pod, e.node, a);
	x->failed |= !e.words.p;
	return e;
}

/* --- rows --- */

/* Rows lie unaligned: values are copied. */
bool why_row(const struct compiler *c, enum plan_map m, const void *key, void *value, size_t n)
{
	const struct prow *r = row_find(&c->rows, ROW_MAP, (uint16_t)m, key);

	if (!r || !r->in_force || r->value_len != n)
		return false;
	memcpy(value, r->in_force->bytes, n);
	return true;
}
#define ROW_TAKE(c, map, key, value) why_row((c), PLAN_MAP_##map, (key), (value), sizeof(*(value)))

static struct block_key block_key(const struct addr *a, unsigned len)
{
	struct block_key k = {.len = len};
	struct addr masked = *a;

	prefix_mask(&masked, len);
	memcpy(&k.addr, &masked, sizeof(k.addr));
	return k;
}

static uint32_t class_at(const struct compiler *c, const struct addr *a)
{
	struct address_value known;

	if (ROW_TAKE(c, address, a, &known))
		return known.class;
	for (unsigned len = 129; len-- > (addr_is4(a) ? 1u : 0u);) {
		struct block_key k = block_key(a, len);
		struct block_value b;

		if (ROW_TAKE(c, block, &k, &b) || ROW_TAKE(c, block_trie, &k, &b))
			return b.class;
	}
	return CLASS_WORLD;
}

/* What the rows say of one port under a port set: the longest element decides. */
static void port_rows(const struct compiler *c, const struct policy_value *v, uint8_t proto, uint16_t port,
		      struct explanation *e)
{
	bool ports = proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;

	for (int len = ports ? PORT_LEN_MAX : PORT_LEN_ANY; len >= 0; len--) {
		struct port_key k = {.portset = v->portset, .len = (uint8_t)len};
		struct port_value pv;

		if (!(v->lens >> len & 1))
			continue;
		if (len != PORT_LEN_ANY) {
			unsigned cut = (unsigned)(PORT_LEN_MAX - len);

			k.proto = proto;
			k.port = htons((uint16_t)(((uint32_t)port >> cut) << cut));
		}
		if (!ROW_TAKE(c, port, &k, &pv))
			continue;
		e->rows.allowed = pv.verdict == VERDICT_ALLOW;
		e->rows.rule = pv.rule;
		return;
	}
}

static void policy_row(const struct compiler *c, const struct policy_value *v, uint8_t proto, uint16_t port,
		       struct explanation *e)
{
	e->rows.portset = v->portset;
	e->rows.rule = v->rule;
	if (v->portset == PORTSET_ALL || v->portset == PORTSET_NONE) {
		e->rows.allowed = v->portset == PORTSET_ALL;
	} else if (v->portset == PORTSET_ONE) {
		bool one = v->proto == proto && v->port == htons(port);
		e->rows.allowed |= one; /* the rest is the set's default */
		e->rows.rule = one ? v->rule : RULE_NONE;
	} else {
		e->rows.rule = RULE_NONE;
		port_rows(c, v, proto, port, e);
	}
}

static void rows_say(const struct why_ctx *x, struct explanation *e)
{
	struct endpoint_value ep;
	struct policy_value v;
	struct policy_key k;

	if (!ROW_TAKE(x->c, endpoint, &x->subject.addr, &ep))
		return;
	e->rows.found = true;
	e->rows.set = x->dir == DIR_INGRESS ? ep.ingress_set : ep.egress_set;
	e->rows.class = !x->self		  ? class_at(x->c, &x->peer.addr)
			: addr_is4(&x->peer.addr) ? CLASS_SELF
						  : CLASS_SELF6;
	e->rows.allowed = e->rows.set == SET_NONE || (e->rows.set & SET_OPEN);
	k = (struct policy_key){.set = e->rows.set, .class = e->rows.class};
	if (x->self && !(ep.flags & ENDPOINT_SELF))
		e->rows.allowed = true;
	else if (e->rows.set != SET_NONE && ROW_TAKE(x->c, policy, &k, &v))
		policy_row(x->c, &v, x->proto, x->port, e);
}

/* --- one direction --- */

static bool own_node(const struct why_ctx *x)
{
	return x->dir == DIR_INGRESS && x->peer.node && x->peer.node->self;
}

static void ask_of(const struct why_ctx *x, struct explanation *e)
{
	const struct addr *src = x->dir == DIR_INGRESS ? &x->peer.addr : &x->subject.addr;
	const struct addr *dst = x->dir == DIR_INGRESS ? &x->subject.addr : &x->peer.addr;

	e->ask.dport = htons(x->port);
	e->ask.proto = x->proto;
	e->ask.direction = x->dir == DIR_INGRESS ? DIR_TO_POD : DIR_FROM_POD;
	memcpy(&e->ask.src, src, sizeof(e->ask.src));
	memcpy(&e->ask.dst, dst, sizeof(e->ask.dst));
}

/* Of the rules that match, the one that the rows name. */
static void take_named(const struct explanation *e, struct why_side *s)
{
	VEC_EACH (&s->allow, r)
		if (str_eq(r->text, e->rows.rule_text))
			s->rule = *r;
}

static int explain(struct why_ctx *x, struct explanation *e)
{
	AUTO_BUF text = {0};

	e->dir = x->dir;
	e->self = x->self;
	e->pod = x->subject.words;
	e->peer = x->peer.words;
	ask_of(x, e);
	if (own_node(x) || (addr_eq(&x->subject.addr, &x->peer.addr) && !x->self)) {
		e->now.allowed = true;
		e->now.reason = own_node(x) ? WHY_OWN_NODE : WHY_SELF;
		return x->failed ? -ENOMEM : 0;
	}
	rows_say(x, e);
	name_rule(&text, compiler_names(x->c), e->rows.rule);
	e->rows.rule_text = arena_str(x->arena, buf_str(&text));
	x->failed |= text.failed || !e->rows.rule_text.p;
	why_judge(x, false, &e->now);
	take_named(e, &e->now);
	e->any_staged = why_any_staged(x);
	if (e->any_staged)
		why_judge(x, true, &e->staged);
	return x->failed ? -ENOMEM : 0;
}

int why_to(const struct compiler *c, const struct why_question *q, struct explanation *out)
{
	struct why_ctx x = {.c = c,
			    .arena = &out->arena,
			    .dir = DIR_INGRESS,
			    .proto = q->proto,
			    .port = q->port,
			    .self = q->self};

	x.subject = why_end(&x, &q->dst);
	x.peer = why_end(&x, &q->src);
	x.dst = &x.subject;
	if (!x.subject.pod || !x.subject.pod->local)
		return x.failed ? -ENOMEM : -ENOENT;
	return explain(&x, out);
}

static int why_out(const struct compiler *c, const struct why_question *q, struct explanation *out)
{
	struct why_ctx x = {.c = c,
			    .arena = &out->arena,
			    .dir = DIR_EGRESS,
			    .proto = q->proto,
			    .port = q->port,
			    .self = q->self};

	x.subject = why_end(&x, &q->src);
	x.peer = why_end(&x, &q->dst);
	x.dst = &x.peer;
	return explain(&x, out);
}

/* --- translation and ways --- */

/* Kind of the range that holds the address; 0: none. */
static uint32_t range_of(const struct compiler *c, const struct addr *a)
{
	for (unsigned len = 129; len-- > 0;) {
		struct block_key k = block_key(a, len);
		struct range_value r;

		if (ROW_TAKE(c, range, &k, &r))
			return r.kind;
	}
	return 0;
}

/* Does the client keep its address on its way from outside to this flow's end? */
static bool keeps_source(const struct compiler *c, const struct why_question *q, const struct why_flow *f,
			 const struct cnode *node, bool direct)
{
	if (f->way == WAY_HERE || f->way == WAY_OWN_NODE)
		return true;
	return direct && f->way == WAY_OVER_TUNNEL && !pod_at(c, &q->src) && !node_at(c, &q->src) &&
	       (addr_is4(&q->src) || !node_is_wide6(node));
}

static void way_of(const struct compiler *c, const struct why_question *q, bool direct, struct why_flow *f)
{
	const struct cpod *pod = pod_at(c, &f->dst), *from = pod_at(c, &q->src);
	const struct cnode *node = pod ? pod->node : node_at(c, &f->dst);

	if (node)
		f->node = node->name;
	if (pod && node && node->self) {
		f->way = WAY_HERE;
	} else if (pod) {
		f->way = c->cfg.mode == MODE_VXLAN ? WAY_OVER_TUNNEL : WAY_BY_ROUTE;
	} else if (node) {
		f->way = node->self ? WAY_OWN_NODE : WAY_TO_NODE;
	} else {
		uint32_t range = range_of(c, &f->dst);

		f->way = range == RANGE_POD	       ? WAY_NOBODY
			 : range != RANGE_SERVICE      ? WAY_OUT
			 : why_is_assigned(c, &f->dst) ? WAY_NO_SERVICE
						       : WAY_UNASSIGNED;
		f->masquerade = from && !range;
	}
	/* SV11: what came to a NodePort for a pod elsewhere must come back this way. */
	f->masquerade |= q->outside && !keeps_source(c, q, f, node, direct);
	if (f->masquerade && c->self)
		f->seen_src = addr_is4(&q->src) ? c->self->v4 : c->self->v6;
}

int why_add_flow(const struct compiler *c, const struct why_question *q, const struct addr *dst,
		 uint16_t port, bool translated, struct why_answer *out)
{
	struct why_question one = *q;
	struct why_flow f = {.dst = *dst, .port = port, .seen_src = q->src};
	const struct cpod *from = pod_at(c, &q->src), *to = pod_at(c, dst);

	if (to) {
		f.pod = arena_str(&out->arena, object_key(to->o));
		if (!f.pod.p)
			return -ENOMEM;
	}
	f.self = translated && addr_eq(dst, &q->src);
	way_of(c, q, out->direct, &f);
	if (vec_push(&out->flows, f))
		return -ENOMEM;
	if (!from || !from->local)
		return 0;
	struct why_flow *kept = &out->flows.items[out->flows.len - 1];

	kept->judged = true;
	one.dst = *dst;
	one.port = port;
	one.self = f.self;
	return why_out(c, &one, &kept->egress);
}

int why_from(const struct compiler *c, const struct why_question *q, struct why_answer *out)
{
	int e = 0;

	out->node = c->cfg.node;
	if (why_translate(c, q, out, &e))
		return e;
	return why_add_flow(c, q, &q->dst, q->port, false, out);
}

static void side_fini(struct why_side *s)
{
	vec_free(&s->passed);
	vec_free(&s->allow);
	vec_free(&s->policies);
	vec_free(&s->misses);
	vec_free(&s->names);
}

void explanation_fini(struct explanation *e)
{
	side_fini(&e->now);
	side_fini(&e->staged);
	arena_fini(&e->arena);
}

void why_answer_fini(struct why_answer *a)
{
	VEC_EACH (&a->flows, f)
		explanation_fini(&f->egress);
	vec_free(&a->flows);
	arena_fini(&a->arena);
}
