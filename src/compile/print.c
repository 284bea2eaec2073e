/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows as text: for the dry run, the page, golden tests and logs. One line a row: table, key, value, and
 * behind # the origin. Called through row_print(), plan_print() and plan_delta_print().
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "compile/names.h"
#include "seam/class.h"
#include "seam/config.h"
#include "seam/endpoint.h"
#include "seam/name.h"
#include "seam/policy.h"
#include "seam/service.h"

typedef void print_fn(struct buf *b, const struct row *r, const struct plan_names *n);

static void put_addr(struct buf *b, const void *bytes)
{
	struct addr a;
	char text[ADDR_TEXT];
	memcpy(&a, bytes, sizeof(a));
	if (addr_is_zero(&a)) {
		buf_addc(b, '-');
		return;
	}
	addr_print(&a, text);
	buf_addz(b, text);
}

static void put_prefix(struct buf *b, const void *bytes, uint32_t len)
{
	struct prefix p = {.len = (uint8_t)len};
	char text[PREFIX_TEXT];
	memcpy(&p.addr, bytes, sizeof(p.addr));
	prefix_print(&p, text);
	buf_addz(b, text);
}

static void put_mac(struct buf *b, const uint8_t m[6])
{
	buf_printf(b, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
}

static void put_proto(struct buf *b, uint8_t proto)
{
	if (proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP)
		buf_addz(b, proto == IPPROTO_TCP ? "TCP" : proto == IPPROTO_UDP ? "UDP" : "SCTP");
	else
		buf_printf(b, "protocol %u", proto);
}

static void put_addr_port(struct buf *b, const void *bytes, uint16_t port)
{
	struct addr a;
	memcpy(&a, bytes, sizeof(a));
	if (!addr_is4(&a))
		buf_addc(b, '[');
	put_addr(b, bytes);
	buf_printf(b, "%s:%u", addr_is4(&a) ? "" : "]", ntohs(port));
}

static void put_lens(struct buf *b, const uint8_t lens[BLOCK_LENS], unsigned base)
{
	for (unsigned i = 0; i < BLOCK_LENS && lens[i]; i++)
		buf_printf(b, "%s/%u", i ? "," : "", (lens[i] == 255 ? 0u : lens[i]) - base);
	if (!lens[0])
		buf_addc(b, '-');
}

static void print_config(struct buf *b, const struct row *r, const struct plan_names *n)
{
	struct config_value v;
	(void)n;
	memcpy(&v, r->value, sizeof(v));
	buf_addz(b, v.mode == MODE_VXLAN ? "vxlan" : "routes");
	if (v.mode == MODE_VXLAN)
		buf_printf(b, " vni %u tunnel %u", v.vni, v.tunnel);
	buf_printf(b, " mtu %u uplink %u ", v.mtu, v.uplink);
	put_mac(b, v.uplink_mac);
	buf_addz(b, " node ");
	put_addr(b, &v.node4);
	buf_addc(b, ' ');
	put_addr(b, &v.node6);
	buf_printf(b, " ports %u-%u gateway ", v.snat_low, v.snat_high);
	put_mac(b, v.gateway_mac);
	buf_addz(b, v.flags & CONFIG_NAMES ? " names read" : "");
	buf_addz(b, " blocks ");
	if (v.block_trie) {
		buf_addz(b, "by trie");
		return;
	}
	put_lens(b, v.block_lens4, 96);
	buf_addc(b, ' ');
	put_lens(b, v.block_lens6, 0);
}

static void put_sets(struct buf *b, const struct plan_names *n, uint32_t ingress, uint32_t egress)
{
	buf_addz(b, " in ");
	name_set(b, n, ingress);
	buf_addz(b, " out ");
	name_set(b, n, egress);
}

/* What most pods do not have. */
static void put_rest(struct buf *b, const struct plan_names *n, uint32_t flags, uint32_t ingress,
		     uint32_t egress)
{
	if (flags & ENDPOINT_STRICT)
		buf_addz(b, " strict");
	if (flags & ENDPOINT_SELF)
		buf_addz(b, " self");
	if (!ingress && !egress)
		return;
	buf_addz(b, " staged");
	put_sets(b, n, ingress, egress);
}

static void print_endpoint(struct buf *b, const struct row *r, const struct plan_names *n)
{
	struct endpoint_value v;
	memcpy(&v, r->value, sizeof(v));
	put_addr(b, r->key);
	buf_printf(b, " → wp%u ", v.ifindex);
	put_mac(b, v.mac);
	put_sets(b, n, v.ingress_set, v.egress_set);
	put_rest(b, n, v.flags, v.staged_ingress, v.staged_egress);
}

static void print_iface(struct buf *b, const struct row *r, const struct plan_names *n)
{
	struct iface_value v;
	uint32_t ifindex;
	memcpy(&ifindex, r->key, sizeof(ifindex));
	memcpy(&v, r->value, sizeof(v));
	buf_printf(b, "wp%u → ", ifindex);
	put_addr(b, &v.v4);
	buf_addc(b, ' ');
	put_addr(b, &v.v6);
	buf_addc(b, ' ');
	put_mac(b, v.mac);
	put_sets(b, n, v.ingress_set, v.egress_set);
	put_rest(b, n, v.flags, v.staged_ingress, v.staged_egress);
}

static void print_address(struct buf *b, const struct row *r, const struct plan_names *n)
{
	struct address_value v;
	memcpy(&v, r->value, sizeof(v));
	put_addr(b, r->key);
	buf_addz(b, " → ");
	name_class(b, n, v.class);
	if (v.flags & ADDRESS_SELF) {
		buf_addz(b, ", this node");
		return;
	}
	buf_addz(b, v.flags & ADDRESS_POD ? ", pod on " : ", node ");
	name_node(b, n, v.node);
	if (v.flags & ADDRESS_DNS)
		buf_addz(b, ", DNS");
}

static void print_block(struct buf *b, const struct row *r, const struct plan_names *n)
{
	struct block_key k;
	struct block_value v;
	memcpy(&k, r->key, sizeof(k));
	memcpy(&v, r->value, sizeof(v));
	put_prefix(b, &k.addr, k.len);
	buf_addz(b, " → ");
	name_class(b, n, v.class);
}

static void print_range(struct buf *b, const struct row *r, const struct plan_names *n)
{
	struct block_key k;
	struct range_value v;
	memcpy(&k, r->key, sizeof(k));
	memcpy(&v, r->value, sizeof(v));
	put_prefix(b, &k.addr, k.len);
	if (v.kind != RANGE_POD) {
		buf_addz(b, v.kind == RANGE_SERVICE ? " → services" : " → direct");
		return;
	}
	buf_addz(b, " → pods of ");
	name_node(b, n, v.node);
}

static void print_node(struct buf *b, const struct row *r, const struct plan_names *n)
{
	struct node_value v;
	uint32_t number;
	memcpy(&number, r->key, sizeof(number));
	memcpy(&v, r->value, sizeof(v));
	name_node(b, n, number);
	buf_addz(b, " → ");
	put_addr(b, &v.v4);
	buf_addc(b, ' ');
	put_addr(b, &v.v6);
	buf_addz(b, v.flags & NODE_WIDE6 ? ", wide" : "");
}

static void print_policy(struct buf *b, const struct row *r, const struct plan_names *n)
{
	struct policy_key k;
	struct policy_value v;
	memcpy(&k, r->key, sizeof(k));
	memcpy(&v, r->value, sizeof(v));
	name_set(b, n, k.set);
	buf_addc(b, ' ');
	name_class(b, n, k.class);
	buf_addz(b, " → ");
	if (v.portset == PORTSET_ONE) {
		put_proto(b, v.proto);
		buf_printf(b, "/%u", ntohs(v.port));
	} else {
		name_portset(b, n, v.portset);
	}
	if (v.portset <= PORTSET_ONE) {
		buf_addz(b, " by ");
		name_rule(b, n, v.rule);
	}
}

static void print_port(struct buf *b, const struct row *r, const struct plan_names *n)
{
	struct port_key k;
	struct port_value v;
	memcpy(&k, r->key, sizeof(k));
	memcpy(&v, r->value, sizeof(v));
	name_portset(b, n, k.portset);
	buf_addc(b, ' ');
	if (k.len == PORT_LEN_ANY) {
		buf_addz(b, "any protocol");
	} else {
		put_proto(b, k.proto);
		unsigned low = ntohs(k.port), more = (unsigned)(PORT_LEN_MAX - k.len);
		buf_printf(b, "/%u", low);
		if (more)
			buf_printf(b, "-%u", low + (1u << more) - 1);
	}
	buf_addz(b, v.verdict == VERDICT_ALLOW ? " → allow by " : " → deny by ");
	name_rule(b, n, v.rule);
	if (v.names) {
		buf_addz(b, ", but allow ");
		name_nameset(b, n, v.names);
	}
}

static void print_name(struct buf *b, const struct row *r, const struct plan_names *n)
{
	struct name_key k;
	struct name_value v;
	memcpy(&k, r->key, sizeof(k));
	memcpy(&v, r->value, sizeof(v));
	size_t len = k.prefixlen / 8;
	bool exact = len && len <= NAME_BYTES && !k.text[len - 1];
	if (!exact)
		buf_addc(b, '*');
	for (size_t i = len > NAME_BYTES ? 0 : len - exact; i-- > 0;)
		buf_addc(b, (char)k.text[i]);
	buf_addz(b, " → ");
	name_domain(b, n, v.name);
}

static void print_name_match(struct buf *b, const struct row *r, const struct plan_names *n)
{
	struct name_match_key k;
	struct name_match_value v;
	memcpy(&k, r->key, sizeof(k));
	memcpy(&v, r->value, sizeof(v));
	name_nameset(b, n, k.names);
	buf_addc(b, ' ');
	name_domain(b, n, k.name);
	buf_addz(b, " → allow by ");
	name_rule(b, n, v.rule);
}

/* What clients from outside get. */
static void put_outside(struct buf *b, const struct plan_names *n, const struct service_value *v)
{
	if (v->flags & SERVICE_INSIDE_NOT)
		buf_addz(b, ", inside not");
	if (!(v->flags & SERVICE_OUTSIDE_TOO))
		return;
	buf_addz(b, ", outside too");
	if (v->out_list != v->list) {
		buf_addz(b, ": ");
		name_list(b, n, v->out_list);
	}
	if (v->flags & SERVICE_DROP_OUT)
		buf_addz(b, ", dropped");
	if (v->flags & SERVICE_DIRECT)
		buf_addz(b, ", direct return");
	if (v->flags & SERVICE_RANGES)
		buf_printf(b, ", from service:%08x", v->service);
}

static void print_service(struct buf *b, const struct row *r, const struct plan_names *n)
{
	struct service_key k;
	struct service_value v;
	memcpy(&k, r->key, sizeof(k));
	memcpy(&v, r->value, sizeof(v));
	if (!k.proto && !k.port) {
		put_addr(b, &k.addr);
		buf_addz(b, " → refuses its other ports");
		buf_addz(b, v.flags & SERVICE_OUTSIDE_TOO ? ", outside too" : "");
		return;
	}
	put_addr_port(b, &k.addr, k.port);
	buf_addc(b, '/');
	put_proto(b, k.proto);
	buf_addz(b, " → ");
	name_list(b, n, v.list);
	put_outside(b, n, &v);
	if (v.flags & SERVICE_DROP)
		buf_addz(b, ", dropped");
	if (v.affinity)
		buf_printf(b, ", stays %u s", v.affinity);
}

static void print_source(struct buf *b, const struct row *r, const struct plan_names *n)
{
	struct source_key k;
	(void)n;
	memcpy(&k, r->key, sizeof(k));
	buf_printf(b, "service:%08x ", k.service);
	put_prefix(b, &k.addr, k.prefixlen - 32);
	buf_addz(b, " → let in");
}

static void print_backend(struct buf *b, const struct row *r, const struct plan_names *n)
{
	struct backend_key k;
	struct backend_value v;
	memcpy(&k, r->key, sizeof(k));
	memcpy(&v, r->value, sizeof(v));
	name_list(b, n, k.list);
	buf_printf(b, "[%u] → ", k.slot);
	put_addr_port(b, &v.addr, v.port);
}

static void print_link(struct buf *b, const struct row *r, const struct plan_names *n)
{
	struct link_key k;
	struct link_value v;
	(void)n;
	memcpy(&k, r->key, sizeof(k));
	memcpy(&v, r->value, sizeof(v));
	buf_printf(b, "wp%u → ", k.ifindex);
	put_addr(b, &v.v4);
	buf_addc(b, ' ');
	put_addr(b, &v.v6);
	buf_addc(b, ' ');
	put_mac(b, v.mac);
	buf_printf(b, " mtu %u uid %.40s", v.mtu, v.uid);
}

static void print_route(struct buf *b, const struct row *r, const struct plan_names *n)
{
	struct route_key k;
	struct route_value v;
	(void)n;
	memcpy(&k, r->key, sizeof(k));
	memcpy(&v, r->value, sizeof(v));
	put_prefix(b, &k.to.addr, k.to.len);
	buf_addz(b, " → ");
	switch ((enum route_way)v.way) {
	case ROUTE_POD:
		buf_printf(b, "wp%u", v.ifindex);
		break;
	case ROUTE_TUNNEL:
		buf_addz(b, "tunnel");
		break;
	case ROUTE_VIA:
		buf_addz(b, "via ");
		put_addr(b, &v.via);
		break;
	case ROUTE_UNREACHABLE:
		buf_addz(b, "unreachable");
		break;
	}
	if (v.mtu)
		buf_printf(b, " mtu %u", v.mtu);
}

static void print_announced(struct buf *b, const struct row *r, const struct plan_names *n)
{
	(void)n;
	put_addr(b, r->key);
}

static print_fn *const map_prints[PLAN_MAP_COUNT] = {
    [PLAN_MAP_config] = print_config,	    [PLAN_MAP_endpoint] = print_endpoint,
    [PLAN_MAP_iface] = print_iface,	    [PLAN_MAP_address] = print_address,
    [PLAN_MAP_block] = print_block,	    [PLAN_MAP_block_trie] = print_block,
    [PLAN_MAP_range] = print_range,	    [PLAN_MAP_node] = print_node,
    [PLAN_MAP_policy] = print_policy,	    [PLAN_MAP_port] = print_port,
    [PLAN_MAP_name] = print_name,	    [PLAN_MAP_name_match] = print_name_match,
    [PLAN_MAP_service] = print_service,	    [PLAN_MAP_backend] = print_backend,
    [PLAN_MAP_source_range] = print_source,
};

void row_print(struct buf *b, const struct row *r, const struct plan_names *names)
{
	uint16_t kn, vn;
	size_t from = b->n;
	if (row_sizes(r->type, r->table, &kn, &vn) || kn != r->key_len || vn != r->value_len) {
		buf_printf(b, "? row of type %u, table %u\n", r->type, r->table);
		return;
	}
	print_fn *fn = r->type == ROW_LINK	? print_link
		       : r->type == ROW_ROUTE	? print_route
		       : r->type == ROW_ADDRESS ? print_announced
						: map_prints[r->table];
	const char *name = r->type == ROW_LINK	    ? "link"
			   : r->type == ROW_ROUTE   ? "route"
			   : r->type == ROW_ADDRESS ? "announce"
						    : plan_map_name((enum plan_map)r->table);
	buf_printf(b, "%-11s ", name);
	if (fn)
		fn(b, r, names);
	if (r->origin.object) {
		enum { COLUMN = 90 };
		size_t used = b->n - from;
		buf_printf(b, "%*s  # %s", used < COLUMN ? (int)(COLUMN - used) : 0, "", r->origin.object);
		if (r->origin.pos.file) {
			buf_addc(b, ' ');
			pos_print(b, r->origin.pos);
		}
	}
	buf_addc(b, '\n');
}

void plan_print(struct buf *b, const struct plan *p, const struct plan_names *names)
{
	VEC_EACH (&p->rows, r)
		row_print(b, r, names);
}

void plan_delta_print(struct buf *b, const struct plan_delta *d, const struct plan_names *names)
{
	for (size_t i = 0; i < d->steps.len; i++) {
		buf_printf(b, "step %zu\n", i + 1);
		VEC_EACH (&d->steps.items[i].changes, ch) {
			buf_printf(b, "%c ", ch->op == CHANGE_ADD ? '+' : ch->op == CHANGE_SET ? '~' : '-');
			row_print(b, &ch->row, names);
		}
	}
}
