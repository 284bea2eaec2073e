/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pod addresses: one number in a node's range gives the host part in both families. Keeps a bitmap a node.
 * Writes no object. Called by cluster.c for events and by schedule.c for choices. See ipam.h.
 */
#include "hub/ipam_state.h"

#include <errno.h>
#include <stdio.h>

enum { SLOTS_MAX = 1 << 16, SLOT_FIRST = 2 };

int ipam_new(struct ipam **out, const struct prefix *services4, const struct prefix *services6)
{
	struct ipam *ip = calloc(1, sizeof(*ip));
	if (!ip)
		return -ENOMEM;
	ip->services4 = *services4;
	ip->services6 = *services6;
	*out = ip;
	return 0;
}

static void free_values(struct hash *t)
{
	HASH_EACH (t, slot)
		free(slot->value);
	hash_fini(t);
}

void ipam_free(struct ipam **pip)
{
	struct ipam *ip = *pip;
	*pip = NULL;
	if (!ip)
		return;
	free_values(&ip->addrs);
	free_values(&ip->ports);
	free_values(&ip->balancers);
	HASH_EACH (&ip->ranges, slot)
		free(((struct node_range *)slot->value)->bits);
	free_values(&ip->ranges);
	free(ip);
}

static struct node_range *range_get(struct ipam *ip, struct str node)
{
	struct node_range *r = hash_get(&ip->ranges, node);
	if (r)
		return r;
	r = calloc(1, sizeof(*r));
	if (r && hash_set(&ip->ranges, node, r, NULL)) {
		free(r);
		r = NULL;
	}
	return r;
}

/* Number of host parts of a prefix, at most SLOTS_MAX. */
static uint32_t host_parts(const struct prefix *p)
{
	unsigned bits = 128u - p->len;
	return bits >= 16 ? SLOTS_MAX : 1u << bits;
}

static int slot_of(const struct node_range *r, const struct addr *a, uint32_t *slot)
{
	const struct prefix *p = addr_is4(a) ? &r->v4 : &r->v6;
	if (!(addr_is4(a) ? r->has4 : r->has6) || !prefix_has(p, a))
		return -ENOENT;
	uint32_t n = 0;
	for (int i = 13; i < 16; i++)
		n = (n << 8) | (uint32_t)(a->b[i] ^ p->addr.b[i]);
	if (n >= r->slots)
		return -ENOENT;
	*slot = n;
	return 0;
}

static void slot_mark(struct node_range *r, uint32_t slot, bool used)
{
	uint64_t bit = 1ULL << (slot & 63);
	bool was = r->bits[slot >> 6] & bit;
	if (was == used)
		return;
	r->bits[slot >> 6] ^= bit;
	r->used = used ? r->used + 1 : r->used - 1;
}

static bool prefix_same(const struct prefix *a, const struct prefix *b)
{
	return a->len == b->len && addr_eq(&a->addr, &b->addr);
}

void ipam_node_note(struct ipam *ip, const struct object *was, const struct object *now)
{
	const struct object *o = now ? now : was;
	struct node_range *r = range_get(ip, o->meta.name);
	if (!r)
		return;
	struct node_range fresh = {0};
	const struct node_spec *spec = now && now->node ? now->node->spec : NULL;
	for (size_t i = 0; spec && i < spec->pod_cidrs.len; i++) {
		struct prefix p;
		if (prefix_parse(spec->pod_cidrs.items[i], &p))
			continue;
		if (addr_is4(&p.addr)) {
			fresh.v4 = p;
			fresh.has4 = true;
		} else {
			fresh.v6 = p;
			fresh.has6 = true;
		}
	}
	r->known = now != NULL;
	if (fresh.has4 == r->has4 && fresh.has6 == r->has6 && prefix_same(&fresh.v4, &r->v4) &&
	    prefix_same(&fresh.v6, &r->v6))
		return;
	/* Ranges of a node that has pods do not move; a new range starts empty. */
	fresh.slots = SLOTS_MAX;
	if (fresh.has4 && host_parts(&fresh.v4) < fresh.slots)
		fresh.slots = host_parts(&fresh.v4);
	if (fresh.has6 && host_parts(&fresh.v6) < fresh.slots)
		fresh.slots = host_parts(&fresh.v6);
	fresh.words = (fresh.slots + 63) / 64;
	fresh.bits = calloc(fresh.words, sizeof(*fresh.bits));
	fresh.known = now != NULL;
	fresh.cursor = SLOT_FIRST;
	if (!fresh.bits)
		return;
	free(r->bits);
	*r = fresh;
}

static void pod_mark(struct ipam *ip, const struct object *o, bool used)
{
	const struct pod *pod = o->pod;
	if (!pod->spec || !pod->spec->node_name.n || !pod->status || pod->spec->host_network.v)
		return;
	struct node_range *r = hash_get(&ip->ranges, pod->spec->node_name);
	if (!r || !r->bits)
		return;
	for (size_t i = 0; i < pod->status->pod_ips.len; i++) {
		struct addr a;
		uint32_t slot;
		if (addr_parse(pod->status->pod_ips.items[i].ip, &a) || slot_of(r, &a, &slot))
			continue;
		slot_mark(r, slot, used);
		if (used && slot >= r->cursor)
			r->cursor = slot + 1;
	}
}

void ipam_pod_note(struct ipam *ip, const struct object *was, const struct object *now)
{
	if (was)
		pod_mark(ip, was, false);
	if (now)
		pod_mark(ip, now, true);
}

/* The last host part of an IPv4 range is its broadcast address. */
static uint32_t slots_end(const struct node_range *r)
{
	return r->has4 && r->slots > 2 ? r->slots - 1 : r->slots;
}

int ipam_pod_pick(struct ipam *ip, struct str node, struct addr *out4, struct addr *out6)
{
	struct node_range *r = hash_get(&ip->ranges, node);
	if (!r || !r->bits || (!r->has4 && !r->has6))
		return -ENOSPC;
	uint32_t end = slots_end(r);
	if (r->cursor < SLOT_FIRST || r->cursor >= end)
		r->cursor = SLOT_FIRST;
	for (uint32_t n = 0, slot = r->cursor; n < end; n++, slot++) {
		if (slot >= end)
			slot = SLOT_FIRST;
		if (slot >= end || r->bits[slot >> 6] & (1ULL << (slot & 63)))
			continue;
		*out4 = *out6 = (struct addr){0};
		if (r->has4) {
			*out4 = r->v4.addr;
			addr_add(out4, slot);
		}
		if (r->has6) {
			*out6 = r->v6.addr;
			addr_add(out6, slot);
		}
		r->cursor = slot + 1;
		return 0;
	}
	return -ENOSPC;
}

size_t ipam_node_free(const struct ipam *ip, struct str node)
{
	const struct node_range *r = hash_get(&ip->ranges, node);
	if (!r || !r->bits || (!r->has4 && !r->has6))
		return 0;
	uint32_t end = slots_end(r);
	return end <= SLOT_FIRST + r->used ? 0 : end - SLOT_FIRST - r->used;
}
