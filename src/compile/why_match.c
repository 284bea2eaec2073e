/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a peer or a port of a policy matches, read from the objects; and where it does not, which field is
 * in the way, in words, and how near it was. Knows nothing of rules' order. Called by why_tiers.c.
 */
#include <errno.h>
#include <netinet/in.h>

#include "compile/why_state.h"

enum { FAR_KIND = 1000, FAR_FAMILY = 300, FAR_PROTO = 500, FAR_ABSENT = 40, FAR_MAX = 400 };

static void gap_set(struct why_ctx *x, struct why_gap *g, unsigned fields, unsigned distance,
		    const void *member, const struct buf *text)
{
	g->fields = fields;
	g->distance = distance;
	g->member = member;
	g->text = arena_str(x->arena, buf_str(text));
	x->failed |= text->failed || !g->text.p;
}

/* --- labels --- */

struct label_gap {
	struct buf want, have;
	unsigned distance;
};

static void label_have(struct label_gap *g, const struct strmap *labels, struct str key, struct str near)
{
	const struct str *v = strmap_get(labels, key);

	if (g->have.n)
		buf_addz(&g->have, " and ");
	if (!v) {
		buf_printf(&g->have, "no " STR_FMT, STR_ARG(key));
		g->distance += FAR_ABSENT;
		return;
	}
	buf_printf(&g->have, STR_FMT "=" STR_FMT, STR_ARG(key), STR_ARG(*v));
	g->distance += 1 + (near.n ? str_distance(*v, near) : 0);
}

static void want_sep(struct label_gap *g)
{
	if (g->want.n)
		buf_addc(&g->want, ' ');
}

static bool requirement_holds(const struct selector_requirement *r, const struct strmap *labels)
{
	const struct label_selector one = {.match_expressions = {.items = (void *)(uintptr_t)r, .len = 1}};

	return selector_matches(&one, labels);
}

/* The parts of a selector that do not hold, and what there is in their place. */
static void labels_compare(const struct label_selector *s, const struct strmap *labels, struct label_gap *g)
{
	for (size_t i = 0; i < s->match_labels.len; i++) {
		const struct strpair *p = &s->match_labels.items[i];
		const struct str *v = strmap_get(labels, p->key);

		if (v && str_eq(*v, p->value))
			continue;
		want_sep(g);
		buf_printf(&g->want, STR_FMT "=" STR_FMT, STR_ARG(p->key), STR_ARG(p->value));
		label_have(g, labels, p->key, p->value);
	}
	for (size_t i = 0; i < s->match_expressions.len; i++) {
		const struct selector_requirement *r = &s->match_expressions.items[i];
		const struct label_selector one = {
		    .match_expressions = {.items = (void *)(uintptr_t)r, .len = 1}};

		if (requirement_holds(r, labels))
			continue;
		want_sep(g);
		label_selector_text(&g->want, &one);
		label_have(g, labels, r->key, r->values.len ? r->values.items[0] : (struct str){0});
	}
}

/* Appends "podSelector: app=cart, but shop/web has app=web". */
static void selector_text(struct buf *b, unsigned *distance, const char *field,
			  const struct label_selector *s, const struct strmap *labels, struct str who,
			  const char *kind)
{
	struct label_gap g = {0};

	labels_compare(s, labels, &g);
	buf_printf(b, "%s: " STR_FMT ", but %s" STR_FMT " has " STR_FMT, field, STR_ARG(buf_str(&g.want)),
		   kind, STR_ARG(who), STR_ARG(buf_str(&g.have)));
	*distance += g.distance;
	b->failed |= g.want.failed || g.have.failed;
	buf_fini(&g.want);
	buf_fini(&g.have);
}

/* --- pods as peers --- */

static const struct strmap *labels_of(const struct why_end *e)
{
	return &e->pod->o->meta.labels;
}

/* Two selectors of a peer. The addresses are those of the fields, where positions are kept. */
struct pods {
	const char *prefix; /* of the fields' names */
	struct str ns;	    /* the only one, where there is no namespace selector; empty: all */
	struct label_selector *const *namespaces, *const *pods; /* NULL: no such field */
};

static bool pods_none(struct why_ctx *x, const struct pods *p, struct why_gap *gap)
{
	bool both = p->namespaces && *p->namespaces && p->pods && *p->pods;
	bool pods = p->pods && *p->pods;
	AUTO_BUF b = {0};

	buf_printf(&b, "%s%s: it matches pods only, and " STR_FMT " is none", p->prefix,
		   pods	     ? "podSelector"
		   : p->pods ? "namespaceSelector"
			     : "namespaces",
		   STR_ARG(x->peer.words));
	gap_set(x, gap, both ? 2 : 1, FAR_KIND, pods ? (const void *)p->pods : p->namespaces, &b);
	return false;
}

/* The namespace's part: appends what is wrong. */
static bool home_fits(struct why_ctx *x, const struct pods *p, struct buf *b, unsigned *distance)
{
	const struct home *home = x->peer.pod->home;
	const struct label_selector *s = p->namespaces ? *p->namespaces : NULL;
	AUTO_BUF field = {0};

	if (s && !selector_matches(s, &home->labels)) {
		buf_printf(&field, "%s%s", p->prefix, p->pods ? "namespaceSelector" : "namespaces");
		selector_text(b, distance, field.p ? field.p : "", s, &home->labels, home->name,
			      "namespace ");
		b->failed |= field.failed;
		return false;
	}
	if (s || !p->ns.n || str_eq(p->ns, home->name))
		return true;
	buf_printf(b,
		   "%spodSelector: without namespaceSelector it matches pods of " STR_FMT
		   " only, but " STR_FMT " is in " STR_FMT,
		   p->prefix, STR_ARG(p->ns), STR_ARG(x->peer.words), STR_ARG(home->name));
	*distance += FAR_ABSENT;
	return false;
}

static bool pods_match(struct why_ctx *x, const struct pods *p, struct why_gap *gap)
{
	const struct label_selector *s = p->pods ? *p->pods : NULL;
	const struct why_end *e = &x->peer;
	unsigned distance = 0;
	AUTO_BUF b = {0}, field = {0};

	if (!e->pod)
		return pods_none(x, p, gap);
	bool home = home_fits(x, p, &b, &distance), pod = !s || selector_matches(s, labels_of(e));
	if (!pod) {
		buf_printf(&field, "%s%spodSelector", home ? "" : "; ", home ? p->prefix : "");
		selector_text(&b, &distance, field.p ? field.p : "", s, labels_of(e), e->words, "");
	}
	x->failed |= field.failed;
	if (home && pod)
		return true;
	bool at_ns = !home && p->namespaces && *p->namespaces;
	gap_set(x, gap, !home + !pod, distance, at_ns ? (const void *)p->namespaces : p->pods, &b);
	return false;
}

/* --- addresses as peers --- */

static unsigned common_bits(const struct addr *a, const struct addr *b)
{
	unsigned n = 0;

	while (n < 128 && !((a->b[n / 8] ^ b->b[n / 8]) >> (7 - n % 8) & 1))
		n++;
	return n;
}

static bool prefix_is4(const struct prefix *p)
{
	return p->len >= 96 && addr_is4(&p->addr);
}

/* NP38: a range covers its own family only. */
static bool range_has(struct str text, const struct addr *a, unsigned *distance)
{
	struct prefix p;

	*distance = FAR_KIND;
	if (prefix_parse(text, &p) == -EINVAL)
		return false;
	if (prefix_is4(&p) != addr_is4(a)) {
		*distance = FAR_FAMILY;
		return false;
	}
	if (prefix_has(&p, a))
		return true;
	*distance = p.len - common_bits(&p.addr, a);
	return false;
}

static void words_of(struct buf *b, const struct why_end *e)
{
	char text[ADDR_TEXT];

	addr_print(&e->addr, text);
	buf_adds(b, e->words);
	if (!str_eqz(e->words, text))
		buf_printf(b, " (%s)", text);
}

static bool block_matches(struct why_ctx *x, const struct ip_block *k, struct why_gap *gap)
{
	unsigned distance, none;
	AUTO_BUF b = {0};

	if (!range_has(k->cidr, &x->peer.addr, &distance)) {
		buf_printf(&b, "ipBlock.cidr: " STR_FMT " does not hold ", STR_ARG(k->cidr));
		words_of(&b, &x->peer);
		gap_set(x, gap, 1, distance, &k->cidr, &b);
		return false;
	}
	for (size_t i = 0; i < k->except.len; i++) {
		if (!range_has(k->except.items[i], &x->peer.addr, &none))
			continue;
		buf_printf(&b, "ipBlock.except[%zu]: " STR_FMT " takes ", i, STR_ARG(k->except.items[i]));
		words_of(&b, &x->peer);
		buf_addz(&b, " out");
		gap_set(x, gap, 1, 1, &k->except.items[i], &b);
		return false;
	}
	return true;
}

bool why_peer(struct why_ctx *x, const struct object *policy, const struct policy_peer *p,
	      struct why_gap *gap)
{
	if (p->ip_block)
		return block_matches(x, p->ip_block, gap);
	return pods_match(x, &(struct pods){"", policy->meta.ns, &p->namespace_selector, &p->pod_selector},
			  gap);
}

static bool node_matches(struct why_ctx *x, struct label_selector *const *at, struct why_gap *gap)
{
	const struct label_selector *s = *at;
	const struct why_end *e = &x->peer;
	unsigned distance = 0;
	AUTO_BUF b = {0};

	if (e->node && e->node->o && selector_matches(s, &e->node->o->meta.labels))
		return true;
	if (!e->node || !e->node->o) {
		buf_printf(&b, "nodes: it matches nodes only, and " STR_FMT " is none", STR_ARG(e->words));
		distance = FAR_KIND;
	} else {
		selector_text(&b, &distance, "nodes", s, &e->node->o->meta.labels, e->words, "");
	}
	gap_set(x, gap, 1, distance, at, &b);
	return false;
}

static bool networks_match(struct why_ctx *x, const struct strlist *l, struct why_gap *gap)
{
	unsigned best = FAR_KIND + 1, distance;
	size_t at = 0;
	AUTO_BUF b = {0};

	for (size_t i = 0; i < l->len; i++) {
		if (range_has(l->items[i], &x->peer.addr, &distance))
			return true;
		if (distance < best) {
			best = distance;
			at = i;
		}
	}
	buf_printf(&b, "networks[%zu]: " STR_FMT " does not hold ", at,
		   STR_ARG(l->len ? l->items[at] : (struct str){0}));
	words_of(&b, &x->peer);
	gap_set(x, gap, 1, best, l->len ? (const void *)&l->items[at] : l, &b);
	return false;
}

bool why_cluster_peer(struct why_ctx *x, const struct why_cluster_peer *p, struct why_gap *gap)
{
	AUTO_BUF b = {0};

	if (p->closed) {
		buf_addz(&b, "a peer of a kind that Weft does not know: it matches nothing");
		gap_set(x, gap, 1, FAR_KIND, p->member, &b);
		return false;
	}
	if (p->namespaces && *p->namespaces)
		return pods_match(x, &(struct pods){.prefix = "", .namespaces = p->namespaces}, gap);
	if (p->pods)
		return pods_match(x,
				  &(struct pods){.prefix = "pods.",
						 .namespaces = &p->pods->namespace_selector,
						 .pods = &p->pods->pod_selector},
				  gap);
	if (p->nodes && *p->nodes)
		return node_matches(x, p->nodes, gap);
	if (p->networks && p->networks->len)
		return networks_match(x, p->networks, gap);
	buf_addz(&b, "domainNames: the address is not known under a name of it now");
	gap_set(x, gap, 1, FAR_KIND, p->member, &b);
	return false;
}

/* --- ports --- */

static void asked(struct buf *b, const struct why_ctx *x)
{
	if (x->proto == IPPROTO_ICMP || x->proto == IPPROTO_ICMPV6)
		buf_addz(b, "asked ICMP, which passes only where a rule names no ports");
	else
		buf_printf(b, "asked %s %u", proto_name(x->proto), x->port);
}

static uint16_t declared(const struct why_ctx *x, uint8_t proto, struct str name)
{
	return x->dst->pod && x->dst->pod->kin ? kin_port(x->dst->pod->kin, proto, name) : 0;
}

static unsigned far(int64_t low, int64_t high, uint16_t port)
{
	int64_t d = port < low ? low - port : port > high ? port - high : 0;

	return d > FAR_MAX ? FAR_MAX : (unsigned)d;
}

/* "6379 to 6390", or "" for all. */
static void range_text(struct buf *b, int64_t low, int64_t high)
{
	if (low == 0 && high == 65535)
		return;
	buf_printf(b, " %lld", (long long)low);
	if (high != low)
		buf_printf(b, " to %lld", (long long)high);
}

static bool numbers_match(struct why_ctx *x, uint8_t proto, int64_t low, int64_t high, const char *field,
			  const void *member, struct why_gap *gap)
{
	AUTO_BUF b = {0};

	if (proto == x->proto && x->port >= low && x->port <= high)
		return true;
	buf_printf(&b, "%s: %s", field, proto_name(proto));
	range_text(&b, low, high);
	buf_addz(&b, ", ");
	asked(&b, x);
	gap_set(x, gap, 1, (proto != x->proto ? FAR_PROTO : 0) + far(low, high, x->port), member, &b);
	return false;
}

static bool name_matches(struct why_ctx *x, uint8_t proto, struct str name, const char *field,
			 const void *member, struct why_gap *gap)
{
	uint16_t n = declared(x, proto, name);
	AUTO_BUF b = {0};

	if (n && proto == x->proto && n == x->port)
		return true;
	buf_printf(&b, "%s: \"" STR_FMT "\" is ", field, STR_ARG(name));
	if (n)
		buf_printf(&b, "%s %u on ", proto_name(proto), n);
	else if (x->dst->pod)
		buf_printf(&b, "no %s port that is declared by ", proto_name(proto));
	else
		buf_addz(&b, "a name, and names are declared by pods only, not by ");
	buf_adds(&b, x->dst->words);
	buf_addz(&b, ", ");
	asked(&b, x);
	gap_set(x, gap, 1, (n ? far(n, n, x->port) : FAR_MAX) + (proto != x->proto ? FAR_PROTO : 0), member,
		&b);
	return false;
}

bool why_port(struct why_ctx *x, const struct policy_port *p, struct why_gap *gap)
{
	uint8_t proto = proto_number(p->protocol);

	if (p->port.type == INTSTR_STR)
		return name_matches(x, proto, p->port.s, "port", &p->port, gap);
	if (p->port.type == INTSTR_INT)
		return numbers_match(x, proto, p->port.i, p->end_port.set ? p->end_port.v : p->port.i,
				     p->end_port.set ? "endPort" : "port", &p->port, gap);
	return numbers_match(x, proto, 0, 65535, "protocol", &p->protocol, gap);
}

bool why_cluster_port(struct why_ctx *x, const struct cluster_protocol *p, struct why_gap *gap)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};
	static const char *const fields[] = {"tcp", "udp", "sctp"};
	const struct cluster_transport *t[] = {p->tcp, p->udp, p->sctp};
	const void *at[] = {&p->tcp, &p->udp, &p->sctp};

	for (int i = 0; i < 3; i++) {
		const struct cluster_port *cp = t[i] ? t[i]->destination_port : NULL;
		int64_t low = 0, high = 65535;

		if (!t[i])
			continue;
		if (cp && cp->range) {
			low = cp->range->start.v;
			high = cp->range->end.v;
		} else if (cp) {
			low = high = cp->number.v;
		}
		return numbers_match(x, protos[i], low, high, fields[i], at[i], gap);
	}
	/* The protocol is one that is declared under the name; there may be several. */
	bool own = declared(x, x->proto, p->destination_named_port);
	for (int i = 0; i < 3; i++)
		if (!own && declared(x, protos[i], p->destination_named_port))
			return name_matches(x, protos[i], p->destination_named_port, "destinationNamedPort",
					    &p->destination_named_port, gap);
	return name_matches(x, x->proto, p->destination_named_port, "destinationNamedPort",
			    &p->destination_named_port, gap);
}
