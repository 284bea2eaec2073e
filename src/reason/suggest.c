/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows → rules of both ends' workloads → YAML, see suggest.h. Peers with the same ports share a rule;
 * addresses outside join to a block only where every address of the block was seen.
 */
#include "reason/suggest.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/own.h"
#include "reason/units.h"

struct port {
	uint8_t proto;
	uint16_t number;
};
struct peer {	   /* of one unit and direction */
	long unit; /* or -1: */
	struct prefix block;
	VEC(struct port) ports; /* sorted */
};
struct side {
	VEC(struct peer) peers;
};
struct writer {
	const struct store *s;
	const struct suggest_options *opt;
	struct units units;
	struct side (*sides)[2]; /* by unit: ingress, egress */
	struct buf *out;
	struct suggested *counts;
};

static int by_port(const void *pa, const void *pb)
{
	const struct port *a = pa, *b = pb;

	return a->proto != b->proto ? (int)a->proto - b->proto : (int)a->number - b->number;
}

static struct peer *peer_of(struct side *s, long unit, const struct addr *a)
{
	VEC_EACH (&s->peers, p)
		if (p->unit == unit && (unit >= 0 || (p->block.len == 128 && addr_eq(&p->block.addr, a))))
			return p;
	struct peer fresh = {.unit = unit};
	if (unit < 0)
		fresh.block = (struct prefix){.addr = *a, .len = 128};
	return vec_push(&s->peers, fresh) ? NULL : &s->peers.items[s->peers.len - 1];
}

static int allow(struct side *s, long unit, const struct addr *a, const struct seen_flow *f)
{
	struct peer *p = peer_of(s, unit, a);
	const struct port port = {f->proto, f->port};

	if (!p)
		return -ENOMEM;
	VEC_EACH (&p->ports, x)
		if (!by_port(x, &port))
			return 0;
	if (vec_push(&p->ports, port))
		return -ENOMEM;
	qsort(p->ports.items, p->ports.len, sizeof(port), by_port);
	return 0;
}

/* The node on which a pod of the unit runs reaches it without a rule. */
static bool own_node(const struct writer *w, const struct addr *from, const struct addr *to)
{
	const struct object *node =
	    hash_get(&w->units.nodes, (struct str){(const char *)from, sizeof(*from)});
	long at = unit_of(&w->units, to);

	if (!node || at < 0)
		return false;
	VEC_EACH (&w->units.list.items[at].pods, o) {
		const struct pod_status *st = (*o)->pod->status;
		for (size_t i = 0; i < st->pod_ips.len; i++) {
			struct addr a;
			if (!addr_parse(st->pod_ips.items[i].ip, &a) && addr_eq(&a, to))
				return str_eq((*o)->pod->spec->node_name, node->meta.name);
		}
	}
	return false;
}

/* An address of a pod range that no pod has: its pod is gone. */
static bool is_stranger(const struct writer *w, const struct addr *a)
{
	struct object_refs nodes = {0};
	bool inside = false;

	if (unit_of(&w->units, a) >= 0 ||
	    hash_get(&w->units.nodes, (struct str){(const char *)a, sizeof(*a)}) ||
	    store_list(w->s, KIND_node, STR(""), &nodes))
		return false;
	VEC_EACH (&nodes.list, o) {
		const struct node_spec *spec = (*o)->node->spec;
		struct prefix p;
		for (size_t i = 0; spec && i < spec->pod_cidrs.len; i++)
			inside |= !prefix_parse(spec->pod_cidrs.items[i], &p) && prefix_has(&p, a);
	}
	vec_free(&nodes.list);
	return inside;
}

static int add_flow(struct writer *w, const struct seen_flow *f)
{
	long from = unit_of(&w->units, &f->from), to = unit_of(&w->units, &f->to);
	int r = 0;

	if ((from < 0 && to < 0) || addr_eq(&f->from, &f->to) || own_node(w, &f->from, &f->to))
		return 0;
	if (is_stranger(w, &f->from) || is_stranger(w, &f->to)) {
		w->counts->strangers++;
		return 0;
	}
	if (f->proto != IPPROTO_TCP && f->proto != IPPROTO_UDP && f->proto != IPPROTO_SCTP) {
		w->counts->portless++;
		return 0;
	}
	w->counts->flows++;
	if (from >= 0)
		r = allow(&w->sides[from][1], to, &f->to, f);
	return !r && to >= 0 ? allow(&w->sides[to][0], from, &f->from, f) : r;
}

static bool same_ports(const struct peer *a, const struct peer *b)
{
	if (a->ports.len != b->ports.len)
		return false;
	for (size_t i = 0; i < a->ports.len; i++)
		if (by_port(&a->ports.items[i], &b->ports.items[i]))
			return false;
	return true;
}

static int by_block(const void *pa, const void *pb)
{
	const struct peer *a = pa, *b = pb;
	int d = (a->unit < 0) - (b->unit < 0);

	if (d || a->unit >= 0)
		return d ? d : (a->unit > b->unit) - (a->unit < b->unit);
	d = memcmp(&a->block.addr, &b->block.addr, sizeof(a->block.addr));
	return d ? d : (int)a->block.len - (int)b->block.len;
}

/* Two halves of a block with the same ports become the block. */
static void join_blocks(struct side *s)
{
	if (s->peers.len > 1)
		qsort(s->peers.items, s->peers.len, sizeof(*s->peers.items), by_block);
	for (size_t i = 0; i + 1 < s->peers.len;) {
		struct peer *a = &s->peers.items[i], *b = a + 1;
		struct prefix whole = a->block;
		if (a->unit >= 0 || a->block.len != b->block.len || a->block.len < 97 || !same_ports(a, b)) {
			i++;
			continue;
		}
		whole.len--;
		prefix_mask(&whole.addr, whole.len);
		if (!addr_eq(&whole.addr, &a->block.addr) || !prefix_covers(&whole, &b->block)) {
			i++;
			continue;
		}
		a->block = whole;
		vec_free(&b->ports);
		vec_remove(&s->peers, i + 1);
		i -= i > 0; /* perhaps it is a half of the next larger one */
	}
}

static bool plain(struct str s)
{
	static const char *const words[] = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"};

	if (!s.n || !((s.p[0] >= 'a' && s.p[0] <= 'z') || (s.p[0] >= 'A' && s.p[0] <= 'Z')))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (s.n == strlen(words[i]) && !strncasecmp(s.p, words[i], s.n))
			return false;
	for (size_t i = 0; i < s.n; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./", s.p[i]))
			return false;
	return true;
}

static void put_text(struct buf *b, struct str s)
{
	if (plain(s))
		buf_adds(b, s);
	else
		buf_json(b, s);
}

static void put_labels(struct buf *b, const struct unit *u)
{
	if (!u->labels.len) {
		buf_addz(b, "{}");
		return;
	}
	buf_addz(b, "{matchLabels: {");
	VEC_EACH (&u->labels, l) {
		buf_addz(b, l == u->labels.items ? "" : ", ");
		put_text(b, l->key);
		buf_addz(b, ": ");
		put_text(b, l->value);
	}
	buf_addz(b, "}}");
}

static bool is_dns(const struct writer *w, const struct peer *p)
{
	const struct unit *u = p->unit >= 0 ? &w->units.list.items[p->unit] : NULL;
	const struct str *app = u ? strmap_get(&u->pods.items[0]->meta.labels, STR("k8s-app")) : NULL;

	return u && str_eqz(u->ns, "kube-system") && app && str_eqz(*app, "kube-dns");
}

static void put_peer(struct writer *w, const struct unit *own, const struct peer *p)
{
	char text[PREFIX_TEXT];

	if (p->unit < 0) {
		struct addr a = p->block.addr;
		const struct object *node =
		    hash_get(&w->units.nodes, (struct str){(const char *)&a, sizeof(a)});
		prefix_print(&p->block, text);
		buf_printf(w->out, "    - ipBlock: {cidr: \"%s\"}", text);
		if (node && p->block.len == 128)
			buf_printf(w->out, " # node " STR_FMT, STR_ARG(node->meta.name));
		buf_addc(w->out, '\n');
		return;
	}
	const struct unit *u = &w->units.list.items[p->unit];
	buf_addz(w->out, "    - ");
	if (!str_eq(u->ns, own->ns)) {
		buf_addz(w->out, "namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ");
		put_text(w->out, u->ns);
		buf_addz(w->out, "}}\n      ");
	}
	buf_addz(w->out, "podSelector: ");
	put_labels(w->out, u);
	buf_addc(w->out, '\n');
}

static void put_ports(struct buf *b, const struct peer *p)
{
	buf_addz(b, "    ports:\n");
	VEC_EACH (&p->ports, x)
		buf_printf(b, "    - {protocol: %s, port: %u}\n",
			   x->proto == IPPROTO_TCP   ? "TCP"
			   : x->proto == IPPROTO_UDP ? "UDP"
						     : "SCTP",
			   x->number);
}

static void put_side(struct writer *w, const struct unit *own, struct side *s, bool egress)
{
	AUTO_MEM bool *done = calloc(s->peers.len + 1, sizeof(*done));

	if (!done) {
		w->out->failed = true;
		return;
	}
	if (!s->peers.len)
		return;
	buf_printf(w->out, "  %s:\n", egress ? "egress" : "ingress");
	for (size_t i = 0; i < s->peers.len; i++) {
		const struct peer *first = &s->peers.items[i];
		if (done[i])
			continue;
		buf_printf(w->out, "  - %s:%s\n", egress ? "to" : "from",
			   egress && is_dns(w, first) ? " # the cluster's DNS" : "");
		for (size_t k = i; k < s->peers.len; k++) {
			if (done[k] || !same_ports(first, &s->peers.items[k]))
				continue;
			done[k] = true;
			put_peer(w, own, &s->peers.items[k]);
		}
		put_ports(w->out, first);
	}
}

static void put_policy(struct writer *w, size_t at)
{
	struct unit *u = &w->units.list.items[at];
	bool taken = store_get(w->s, KIND_networkpolicy, u->ns, u->name);

	buf_printf(w->out, "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: ");
	buf_printf(w->out, STR_FMT "%s\n  namespace: ", STR_ARG(u->name), taken ? "-seen" : "");
	put_text(w->out, u->ns);
	buf_addz(w->out, "\nspec:\n  podSelector: ");
	put_labels(w->out, u);
	buf_addz(w->out, "\n  policyTypes: [Ingress, Egress]\n");
	join_blocks(&w->sides[at][0]);
	join_blocks(&w->sides[at][1]);
	put_side(w, u, &w->sides[at][0], false);
	put_side(w, u, &w->sides[at][1], true);
	w->counts->policies++;
}

static bool wanted(const struct writer *w, const struct unit *u)
{
	if (u->dead)
		return false;
	return w->opt->ns.n ? str_eq(u->ns, w->opt->ns) : !str_eqz(u->ns, "kube-system");
}

int suggest(const struct store *s, const struct seen_flows *flows, const struct suggest_options *opt,
	    struct buf *yaml, struct suggested *out)
{
	struct writer w = {.s = s, .opt = opt, .out = yaml, .counts = out};
	int r = units_new(&w.units, s);

	*out = (struct suggested){0};
	w.sides = r ? NULL : calloc(w.units.list.len + 1, sizeof(*w.sides));
	if (!r && !w.sides)
		r = -ENOMEM;
	VEC_EACH (&flows->list, f)
		r = r ? r : add_flow(&w, f);
	for (struct str rest = str_of(opt->about), line; rest.n;) {
		line = str_cut(&rest, '\n');
		buf_printf(yaml, "# " STR_FMT "\n", STR_ARG(line));
	}
	for (size_t i = 0; i < w.units.list.len && !r; i++)
		if (wanted(&w, &w.units.list.items[i]))
			put_policy(&w, i);
	for (size_t i = 0; w.sides && i < w.units.list.len; i++)
		for (int d = 0; d < 2; d++) {
			VEC_EACH (&w.sides[i][d].peers, p)
				vec_free(&p->ports);
			vec_free(&w.sides[i][d].peers);
		}
	free(w.sides);
	units_fini(&w.units);
	return r ? r : yaml->failed ? -ENOMEM : 0;
}
