/* SPDX-License-Identifier: Apache-2.0 */
/* Proofs over pairs of groups, see prove.h. Pure. Called by `weft prove` and by check.c. */
#include "reason/prove.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "reason/select.h"

/* Families of an end for which a term holds, as bits. */
static unsigned cidr_holds(const struct ends *e, const struct end *end, const struct prefix *cidr)
{
	unsigned families = 0;

	for (int f = 0; f < FAMILIES; f++) {
		if (!end->has[f])
			continue;
		const struct prefix own = {.addr = end->addr[0][f], .len = 128};
		const struct prefix *p =
		    end->kind == END_OUTSIDE ? &e->regions.list.items[end->region].prefix : &own;
		bool mapped = p->len >= 96 && addr_is4(&p->addr);
		if (prefix_covers(cidr, p) && (!mapped || cidr->len >= 96))
			families |= 1u << f;
	}
	return families;
}

static bool behind(const struct store *s, const struct term *t, const struct end *end)
{
	const struct object *o = store_get(s, KIND_service, t->key, t->value);
	const struct service_spec *spec = o ? o->service->spec : NULL;

	return spec && spec->selector.len && str_eq(end->ns, t->key) &&
	       strmap_contains(&end->o[0]->meta.labels, &spec->selector);
}

static bool has_label(const struct strmap *labels, const struct term *t)
{
	const struct str *v = strmap_get(labels, t->key);

	return v && str_eq(*v, t->value);
}

static bool pod_holds(const struct store *s, const struct term *t, const struct end *end)
{
	const struct object *ns;

	switch (t->kind) {
	case TERM_NS:
		return str_eq(end->ns, t->value);
	case TERM_POD:
		return str_eq(end->ns, t->key) &&
		       (str_eq(end->name, t->value) || str_eq(end->workload, t->value));
	case TERM_SVC:
		return behind(s, t, end);
	case TERM_LABEL:
		return has_label(&end->o[0]->meta.labels, t);
	case TERM_NS_LABEL:
		ns = store_get(s, KIND_namespace, STR(""), end->ns);
		return ns && has_label(&ns->meta.labels, t);
	default:
		return true;
	}
}

static unsigned holds(const struct ends *e, const struct term *t, const struct end *end)
{
	const unsigned all = (end->has[0] ? 1u : 0u) | (end->has[1] ? 2u : 0u);
	bool yes = false;

	switch (t->kind) {
	case TERM_ANY:
		return all;
	case TERM_OUTSIDE:
		return end->kind == END_OUTSIDE ? all : 0;
	case TERM_NODES:
		return end->kind == END_NODE ? all : 0;
	case TERM_NODE:
		yes = end->kind == END_NODE && str_eq(end->name, t->value);
		return end->kind == END_NODE && yes != t->negated ? all : 0;
	case TERM_CIDR:
		return cidr_holds(e, end, &t->cidr);
	default:
		if (end->kind != END_POD)
			return 0;
		return t->kind == TERM_PODS || pod_holds(engine_store(e->engines[0]), t, end) != t->negated
			   ? all
			   : 0;
	}
}

static unsigned selected(const struct ends *e, const struct selection *s, const struct end *end)
{
	unsigned families = 3;

	VEC_EACH (&s->terms, t)
		families &= holds(e, t, end);
	return families;
}

static int regions_of(const struct selection *s, struct regions *out)
{
	int r = 0;

	VEC_EACH (&s->terms, t)
		if (!r && t->kind == TERM_CIDR)
			r = regions_add(out, &t->cidr, REGION_OUTSIDE);
	return r;
}

int assertion_regions(const struct assertion *a, struct regions *out)
{
	int r = regions_of(&a->from, out);

	return r ? r : regions_of(&a->to, out);
}

/* Ends of a selection, by group and the families for which they are meant. */
struct bucket {
	size_t group;
	unsigned families;
	VEC(uint32_t) ends;
};
struct buckets {
	VEC(struct bucket) list;
	size_t ends;
};

static int collect(const struct ends *e, const struct selection *s, struct buckets *out)
{
	uint32_t *at = calloc(e->groups.len * 4 + 1, sizeof(*at)); /* (group, families) → bucket + 1 */
	int r = at ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < e->list.len && !r; i++) {
		unsigned families = selected(e, s, &e->list.items[i]);
		size_t g = e->list.items[i].group;
		if (!families)
			continue;
		out->ends++;
		uint32_t *b = &at[g * 4 + families];
		if (!*b) {
			r = vec_push(&out->list, (struct bucket){.group = g, .families = families});
			*b = (uint32_t)out->list.len;
		}
		if (!r)
			r = vec_push(&out->list.items[*b - 1].ends, i);
	}
	free(at);
	return r;
}

static void buckets_fini(struct buckets *b)
{
	VEC_EACH (&b->list, x)
		vec_free(&x->ends);
	vec_free(&b->list);
}

/* How many pairs are judged; the first of them in *src and *dst. */
static uint64_t judged(const struct ends *e, const struct bucket *from, const struct bucket *to)
{
	const struct end *ends = e->list.items;
	enum end_kind sk = ends[from->ends.items[0]].kind, dk = ends[to->ends.items[0]].kind;
	uint64_t n = (uint64_t)from->ends.len * to->ends.len;

	if (sk != END_POD && dk != END_POD)
		return 0;
	if (sk == END_NODE) {
		n = 0;
		VEC_EACH (&from->ends, s)
			VEC_EACH (&to->ends, d)
				n += ends_judged(&ends[*s], &ends[*d]);
		return n;
	}
	if (from->group != to->group)
		return n;
	for (size_t i = 0, k = 0; i < from->ends.len && k < to->ends.len;) { /* both are sorted */
		uint32_t a = from->ends.items[i], b = to->ends.items[k];
		n -= a == b;
		i += a <= b;
		k += b <= a;
	}
	return n;
}

bool end_declares(const struct end *end, uint8_t proto, uint16_t port)
{
	const struct pod_spec *spec = end->kind == END_POD ? end->o[0]->pod->spec : NULL;

	for (size_t i = 0; spec && i < spec->containers.len; i++)
		for (size_t k = 0; k < spec->containers.items[i].ports.len; k++) {
			const struct container_port *p = &spec->containers.items[i].ports.items[k];
			uint8_t own = str_eqz(p->protocol, "UDP")    ? IPPROTO_UDP
				      : str_eqz(p->protocol, "SCTP") ? IPPROTO_SCTP
								     : IPPROTO_TCP;
			if (own == proto && p->container_port.v == port)
				return true;
		}
	return false;
}

/* The easier to replay, the smaller: real pods that serve the port, then TCP, UDP, then the rest. */
static unsigned hardship(const struct ends *e, const struct packet *p)
{
	const struct end *src = &e->list.items[p->src], *dst = &e->list.items[p->dst];
	unsigned n = dst->kind == END_POD ? 0 : 32;

	n += end_declares(dst, p->proto, p->port) ? 0 : 16;
	n += p->proto == IPPROTO_TCP ? 0 : p->proto == IPPROTO_UDP ? 4 : 8;
	n += src->kind == END_POD ? 0 : 2;
	return 2 * (n + (p->port ? 0 : 1)) + (p->family ? 1 : 0);
}

struct search {
	const struct ends *e;
	const struct assertion *a;
	struct proof *out;
	unsigned best; /* hardship of the packet at hand */
};

static void consider(struct search *s, const struct packet *p, const struct fn_range *const r[2])
{
	unsigned n = hardship(s->e, p);

	if (!s->out->holds && n >= s->best)
		return;
	s->best = n;
	s->out->holds = false;
	s->out->packet = *p;
	s->out->decision = (struct decision){
	    .egress = *r[0], .ingress = *r[1], .word = r[0]->word < r[1]->word ? r[0]->word : r[1]->word};
}

/* The ports of [low, high] worth trying: the first, and those that the destination declares. */
static void consider_ports(struct search *s, struct packet *p, uint16_t low, uint16_t high,
			   const struct fn_range *const r[2])
{
	const struct end *dst = &s->e->list.items[p->dst];
	const struct pod_spec *spec = dst->kind == END_POD ? dst->o[0]->pod->spec : NULL;

	p->port = low || !high ? low : 1;
	consider(s, p, r);
	for (size_t i = 0; spec && i < spec->containers.len; i++)
		for (size_t k = 0; k < spec->containers.items[i].ports.len; k++) {
			int64_t port = spec->containers.items[i].ports.items[k].container_port.v;
			if (port < low || port > high)
				continue;
			p->port = (uint16_t)port;
			consider(s, p, r);
		}
}

/* A pair of the buckets that is judged. */
static bool example(const struct ends *e, const struct bucket *from, const struct bucket *to,
		    struct packet *p)
{
	VEC_EACH (&from->ends, s)
		VEC_EACH (&to->ends, d)
			if (ends_judged(&e->list.items[*s], &e->list.items[*d])) {
				p->src = *s;
				p->dst = *d;
				return true;
			}
	return false;
}

static int try_family(struct search *s, const struct bucket *from, const struct bucket *to, int f)
{
	const struct group *src = &s->e->groups.items[from->group], *dst = &s->e->groups.items[to->group];
	const struct port_fn *fns[2];
	const struct fn_range *r[2];
	struct packet p = {.family = f};
	struct port_walk walk = {0};
	uint16_t low, high;
	uint32_t eg, in;
	int err = groups_fns(s->e, 0, src, dst, f, &eg, &in);

	if (err || !example(s->e, from, to, &p))
		return err;
	fns[0] = port_fn(s->e->fns, eg);
	fns[1] = port_fn(s->e->fns, in);
	while (port_walk_next(&walk, fns, 2, r, &p.proto, &low, &high)) {
		uint8_t word = r[0]->word < r[1]->word ? r[0]->word : r[1]->word;
		if (s->a->can ? word == PORT_ALLOW : word == PORT_DENY)
			continue;
		for (size_t i = 0; i < s->a->ports.len; i++) {
			const struct port_span *want = &s->a->ports.items[i];
			uint16_t a = want->low > low ? want->low : low;
			uint16_t b = want->high < high ? want->high : high;
			if (want->proto == p.proto && a <= b)
				consider_ports(s, &p, a, b, r);
		}
	}
	return 0;
}

int prove(const struct ends *e, const struct assertion *a, struct proof *out)
{
	struct proof proof = {.holds = true};
	struct search s = {.e = e, .a = a, .out = &proof};
	struct buckets from = {0}, to = {0};
	int r = collect(e, &a->from, &from);

	if (!r)
		r = collect(e, &a->to, &to);
	VEC_EACH (&from.list, x)
		VEC_EACH (&to.list, y) {
			uint64_t n = r ? 0 : judged(e, x, y);
			bool any = false;
			for (int f = 0; f < FAMILIES && n && !r; f++)
				if (x->families & y->families & (1u << f)) {
					any = true;
					r = try_family(&s, x, y, f);
				}
			proof.pairs += any ? n : 0;
		}
	proof.from = from.ends;
	proof.to = to.ends;
	proof.holds = proof.holds && from.ends && to.ends;
	buckets_fini(&from);
	buckets_fini(&to);
	*out = proof;
	return r;
}

int decide(const struct ends *e, const struct packet *p, struct decision *out)
{
	const struct group *src = &e->groups.items[e->list.items[p->src].group];
	const struct group *dst = &e->groups.items[e->list.items[p->dst].group];
	uint32_t eg, in;
	int r = groups_fns(e, 0, src, dst, p->family, &eg, &in);

	if (r)
		return r;
	out->egress = *port_fn_at(port_fn(e->fns, eg), p->proto, p->port);
	out->ingress = *port_fn_at(port_fn(e->fns, in), p->proto, p->port);
	out->word = out->egress.word < out->ingress.word ? out->egress.word : out->ingress.word;
	return 0;
}
