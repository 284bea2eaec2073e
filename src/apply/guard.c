/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a planner may ask for. Each row is held against the ranges of its record; interfaces must be ours,
 * prefixes canonical, counts bounded. Must never change anything. Sizes were checked by the wire decoder.
 * Called before a transaction begins, for all of its rows.
 */
#include <errno.h>

#include "apply/state.h"
#include "seam/class.h"
#include "seam/config.h"
#include "seam/endpoint.h"

#define ENDPOINT_FLAGS (ENDPOINT_HOST_NET | ENDPOINT_STRICT | ENDPOINT_SELF)
#define ADDRESS_FLAGS  (ADDRESS_POD | ADDRESS_NODE | ADDRESS_SELF | ADDRESS_DNS)

enum { MTU_MIN = 576, MTU_MAX = 65535, SNAT_LOW_MIN = 1024 };

static int no(struct buf *why, int err, const char *text)
{
	buf_addz(why, text);
	return err;
}

static bool canonical(const uint8_t addr[16], uint32_t len)
{
	struct addr a, m;

	if (len > 128)
		return false;
	memcpy(a.b, addr, 16);
	m = a;
	prefix_mask(&m, len);
	return addr_eq(&a, &m);
}

static bool unicast(const uint8_t mac[6])
{
	static const uint8_t zero[6];

	return !(mac[0] & 1) && memcmp(mac, zero, 6);
}

static bool own_index(const struct applier *a, uint32_t index)
{
	if (pod_link_get(a, index))
		return true;
	VEC_EACH (&a->txn.made, made)
		if (*made == index)
			return true;
	return false;
}

static int guard_config(const struct applier *a, const uint8_t *value, struct buf *why)
{
	struct config_value v;

	memcpy(&v, value, sizeof(v));
	if (v.uplink != a->uplink || v.tunnel != a->tunnel || v.mode != a->mode)
		return no(why, -EPERM,
			  "config: uplink, tunnel and mode are not those that the applier was started with");
	if (v.mtu < MTU_MIN || v.mtu > MTU_MAX)
		return no(why, -EPERM, "config: mtu is out of range");
	if (v.snat_low > v.snat_high || (v.snat_high && v.snat_low < SNAT_LOW_MIN))
		return no(why, -EPERM, "config: ports for translation are out of range");
	for (unsigned i = 0; i < BLOCK_LENS; i++)
		if ((v.block_lens4[i] > 128 && v.block_lens4[i] != 255) ||
		    (v.block_lens6[i] > 128 && v.block_lens6[i] != 255))
			return no(why, -EPERM, "config: a block length is out of range");
	if (v.block_trie > 1 || v.vni >= 1U << 24 || v.flags > CONFIG_NAMES)
		return no(why, -EPERM, "config: block_trie, vni or flags are out of range");
	return 0;
}

static int guard_node(uint32_t number, const uint8_t *value, struct buf *why)
{
	struct node_value v;

	memcpy(&v, value, sizeof(v));
	if (!number)
		return no(why, -EPERM, "node: number 0 means this node");
	return v.flags & ~NODE_WIDE6 ? no(why, -EPERM, "node: flags are out of range") : 0;
}

static int guard_endpoint(const struct applier *a, const uint8_t *value, struct buf *why)
{
	struct endpoint_value v;

	memcpy(&v, value, sizeof(v));
	if (!own_index(a, v.ifindex))
		return no(why, -EPERM, "endpoint: the interface is not one that the applier made");
	if (v.flags & ~ENDPOINT_FLAGS || !unicast(v.mac) || v.pad[0] || v.pad[1])
		return no(why, -EPERM, "endpoint: flags or MAC are out of range");
	return 0;
}

static int guard_iface(const struct applier *a, const uint8_t *key, const uint8_t *value, struct buf *why)
{
	struct iface_value v;
	uint32_t index;

	memcpy(&index, key, sizeof(index));
	memcpy(&v, value, sizeof(v));
	if (!own_index(a, index))
		return no(why, -EPERM, "iface: the interface is not one that the applier made");
	if (v.flags & ~ENDPOINT_FLAGS || !unicast(v.mac) || v.pad[0] || v.pad[1])
		return no(why, -EPERM, "iface: flags or MAC are out of range");
	return 0;
}

static bool own_class(uint32_t class)
{
	return class == CLASS_SELF || class == CLASS_SELF6;
}

static int guard_map(const struct applier *a, const struct change *c, struct buf *why)
{
	const uint8_t *key = c->row.key, *value = c->row.value;
	struct block_key bk;
	struct range_value rv;
	struct address_value av;
	uint32_t word;

	if (map_table[c->row.table].writer == WRITER_KERNEL)
		return no(why, -EPERM, "a BPF map that only the programs write");
	memcpy(&word, key, sizeof(word));
	if (c->row.table == PLAN_MAP_config && word)
		return no(why, -EPERM, "config: it has one element");
	if (c->op == CHANGE_DEL)
		return 0;
	switch (c->row.table) {
	case PLAN_MAP_config:
		return guard_config(a, value, why);
	case PLAN_MAP_endpoint:
		return guard_endpoint(a, value, why);
	case PLAN_MAP_iface:
		return guard_iface(a, key, value, why);
	case PLAN_MAP_address:
		memcpy(&av, value, sizeof(av));
		if (av.flags & ~ADDRESS_FLAGS)
			return no(why, -EPERM, "address: flags are out of range");
		if (!av.owner && av.flags & (ADDRESS_POD | ADDRESS_NODE))
			return no(why, -EPERM, "address: nobody owns it");
		if (own_class(av.class))
			return no(why, -EPERM, "address: the class is not one of addresses");
		return 0;
	case PLAN_MAP_range:
		memcpy(&rv, value, sizeof(rv));
		if (rv.kind < RANGE_POD || rv.kind > RANGE_DIRECT)
			return no(why, -EPERM, "range: kind is out of range");
		/* fall through */
	case PLAN_MAP_block:
	case PLAN_MAP_block_trie:
		memcpy(&bk, key, sizeof(bk));
		if (!canonical(bk.addr.b, bk.len))
			return no(why, -EPERM,
				  "a prefix is longer than 128 bits or has bits beyond its length");
		memcpy(&word, value, sizeof(word));
		return c->row.table != PLAN_MAP_range && own_class(word)
			   ? no(why, -EPERM, "block: the class is not one of addresses")
			   : 0;
	case PLAN_MAP_node:
		return guard_node(word, value, why);
	case PLAN_MAP_policy:
	case PLAN_MAP_port:
	case PLAN_MAP_name:
	case PLAN_MAP_name_match:
		return guard_judging(c, why);
	case PLAN_MAP_service:
	case PLAN_MAP_source_range:
	case PLAN_MAP_backend:
		return guard_service_map(c, why);
	default:
		return no(why, -EPERM, "a BPF map that the plan does not write");
	}
}

static int guard_link(const struct applier *a, const struct change *c, struct buf *why)
{
	struct link_value v;
	uint32_t index;

	memcpy(&index, c->row.key, sizeof(index));
	if (index < LINK_INDEX_FIRST || index > LINK_INDEX_LAST)
		return no(why, -EPERM, "link: the index is out of range");
	if (c->op == CHANGE_DEL)
		return pod_link_get(a, index) ? 0
					      : no(why, -ENOENT, "link: it is not one that the applier made");
	memcpy(&v, c->row.value, sizeof(v));
	if (v.mtu < MTU_MIN || v.mtu > MTU_MAX || !unicast(v.mac) || !unicast(v.gateway_mac))
		return no(why, -EPERM, "link: mtu or a MAC is out of range");
	if (!v.uid[0] || memchr(v.uid, '\0', sizeof(v.uid)) == NULL)
		return no(why, -EPERM, "link: it has no pod uid");
	for (const char *p = v.uid; *p; p++)
		if (*p <= ' ' || *p > '~')
			return no(why, -EPERM, "link: the pod uid has characters that no uid has");
	if ((!addr_is_zero(&v.v4) && !addr_is4(&v.v4)) || (!addr_is_zero(&v.v6) && addr_is4(&v.v6)) ||
	    (addr_is_zero(&v.v4) && addr_is_zero(&v.v6)))
		return no(why, -EPERM, "link: an address is of the wrong family, or both are missing");
	/* Without a namespace that was handed over the row fails by itself: one pod that is gone holds nobody
	 * up. */
	return 0;
}

static int guard_route(const struct applier *a, const struct change *c, struct buf *why)
{
	struct route_key k;
	struct route_value v;
	bool is4;

	memcpy(&k, c->row.key, sizeof(k));
	is4 = addr_is4(&k.to.addr);
	if (!canonical(k.to.addr.b, k.to.len) || k.pad[0] || k.pad[1] || k.pad[2])
		return no(why, -EPERM, "route: the prefix has bits beyond its length");
	if (k.to.len < (is4 ? 96 + 8 : 8))
		return no(why, -EPERM, "route: a prefix shorter than 8 bits is never ours");
	if (c->op == CHANGE_DEL)
		return 0;
	memcpy(&v, c->row.value, sizeof(v));
	if (v.mtu && (v.mtu < MTU_MIN || v.mtu > MTU_MAX))
		return no(why, -EPERM, "route: mtu is out of range");
	switch (v.way) {
	case ROUTE_POD:
		if (!own_index(a, v.ifindex))
			return no(why, -EPERM, "route: the interface is not one that the applier made");
		return 0;
	case ROUTE_TUNNEL:
		return a->tunnel ? 0 : no(why, -EPERM, "route: there is no tunnel in this mode");
	case ROUTE_VIA:
		if (!a->uplink || addr_is_zero(&v.via) || addr_is4(&v.via) != is4)
			return no(why, -EPERM, "route: no uplink, or a next hop of the wrong family");
		return 0;
	case ROUTE_UNREACHABLE:
		return 0;
	default:
		return no(why, -EPERM, "route: unknown way");
	}
}

int guard_change(const struct applier *a, const struct change *c, struct buf *why)
{
	switch (c->row.type) {
	case ROW_MAP:
		return guard_map(a, c, why);
	case ROW_LINK:
		return guard_link(a, c, why);
	case ROW_ROUTE:
		return guard_route(a, c, why);
	case ROW_ADDRESS:
		return guard_address(a, c, why);
	default:
		return no(why, -EPERM, "a row of unknown type");
	}
}
