/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses that change hands. What an address row or a link leaves behind is remembered, and before a row or
 * a link of another owner comes into force, weft_gc removes every connection, translation and fragment with
 * that address: nobody inherits. What nobody takes over goes with the next tick. Called by rows.c, pod.c and
 * applier.c.
 */
#include <bpf/bpf.h>
#include <errno.h>

#include "apply/state.h"
#include "base/clock.h"
#include "base/own.h"
#include "seam/class.h"

/* So many are remembered. Past that, and over BPF maps of an earlier process, every address that comes may
 * have had another owner, for as long as a connection may rest (AGE_TCP of weft_gc). */
enum { REMEMBERED_MAX = 16384, UNSURE_MS = 6 * 3600 * 1000 };

struct left {
	uint32_t owner; /* of the address row that went; 0: none went */
	uint64_t link;	/* hash of the pod uid of the link that went; 0: none went */
	bool due;	/* the next tick removes what it left */
};

static void own_addresses(struct addresses *a)
{
	vec_free(&a->list);
}

static struct str key_of(const struct addr16 *a)
{
	return (struct str){.p = (const char *)a, .n = sizeof(*a)};
}

static uint64_t link_owner(const struct link_value *v)
{
	return hash_bytes(v->uid, strnlen(v->uid, sizeof(v->uid)), 0) | 1;
}

static bool unsure(const struct applier *a)
{
	return a->gone.unsure_until && clock_ms() < a->gone.unsure_until;
}

void gone_fini(struct applier *a)
{
	HASH_EACH (&a->gone.left, s)
		free(s->value);
	hash_fini(&a->gone.left);
	a->gone.left = (struct hash){0};
	a->gone.due = 0;
}

static struct left *remembered(struct applier *a, const struct addr16 *addr)
{
	struct left *l = hash_get(&a->gone.left, key_of(addr));

	if (l)
		return l;
	if (a->gone.left.len < REMEMBERED_MAX)
		l = calloc(1, sizeof(*l));
	if (l && !hash_set(&a->gone.left, key_of(addr), l, NULL))
		return l;
	free(l);
	gone_fini(a);
	a->gone.unsure_until = clock_ms() + UNSURE_MS;
	return NULL;
}

static void drop(struct applier *a, const struct addr16 *addr)
{
	free(hash_del(&a->gone.left, key_of(addr)));
}

static int row_comes(struct applier *a, const struct change *c, bool empty, struct addresses *list)
{
	struct address_value now, was;
	struct addr16 addr;
	const struct left *l;
	bool strange;

	memcpy(&addr, c->row.key, sizeof(addr));
	memcpy(&now, c->row.value, sizeof(now));
	l = hash_get(&a->gone.left, key_of(&addr));
	if (!empty && !map_get(&a->kernel, PLAN_MAP_address, &addr, &was))
		strange = was.owner != now.owner;
	else
		strange = l ? l->owner && l->owner != now.owner : unsure(a);
	return strange ? vec_push(&list->list, addr) : 0;
}

static int row_goes(struct applier *a, const struct change *c)
{
	struct address_value was;
	struct addr16 addr;
	struct left *l;

	memcpy(&addr, c->row.key, sizeof(addr));
	if (map_get(&a->kernel, PLAN_MAP_address, &addr, &was) || !was.owner)
		return 0;
	l = remembered(a, &addr);
	if (!l)
		return 0;
	l->owner = was.owner;
	if (!l->due)
		a->gone.due++;
	l->due = true;
	return 0;
}

int gone_before_rows(struct applier *a, const struct change *c, size_t n)
{
	bool empty = !a->counts[PLAN_MAP_address] && !a->gone.left.len && !unsure(a);
	AUTO(own_addresses) struct addresses list = {0};
	int err = 0;

	for (size_t i = 0; i < n && !err && (!empty || c->op == CHANGE_DEL); i++)
		err = c->op == CHANGE_DEL ? row_goes(a, &c[i])
					  : row_comes(a, &c[i], !a->counts[PLAN_MAP_address], &list);
	if (!err)
		err = sweep_now(a->sweeper, &list);
	VEC_EACH (&list.list, addr) {
		struct left *l = err ? NULL : hash_get(&a->gone.left, key_of(addr));

		if (!l)
			continue;
		a->gone.due -= l->due ? 1 : 0;
		l->due = false;
		l->owner = 0;
		if (!l->link)
			drop(a, addr);
	}
	return err;
}

void gone_link(struct applier *a, const struct link_value *v)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct addr *own = i ? &v->v6 : &v->v4;
		struct addr16 addr;
		struct left *l;

		memcpy(&addr, own, sizeof(addr));
		l = addr_is_zero(own) ? NULL : remembered(a, &addr);
		if (l)
			l->link = link_owner(v);
	}
}

int gone_before_links(struct applier *a, const struct link_value *const *v, size_t n)
{
	AUTO(own_addresses) struct addresses list = {0};
	int err = 0;

	for (size_t i = 0; i < 2 * n && !err; i++) {
		const struct link_value *one = v[i / 2];
		const struct addr *own = i % 2 ? &one->v6 : &one->v4;
		struct addr16 addr;
		struct left *l;

		memcpy(&addr, own, sizeof(addr));
		l = addr_is_zero(own) ? NULL : hash_get(&a->gone.left, key_of(&addr));
		if (!l || !l->link)
			continue;
		if (l->link != link_owner(one))
			err = vec_push(&list.list, addr);
		l->link = 0;
		if (!l->owner)
			drop(a, &addr);
	}
	return err ? err : sweep_now(a->sweeper, &list);
}

/* A row that came back (a transaction was taken back) has left nothing. */
static bool is_back(const struct applier *a, const struct addr16 *addr, const struct left *l)
{
	struct address_value v;

	return !map_get(&a->kernel, PLAN_MAP_address, addr, &v) && v.owner == l->owner;
}

void gone_tick(struct applier *a, struct addresses *out)
{
	AUTO(own_addresses) struct addresses back = {0};
	int err = 0;

	if (!a->gone.due)
		return;
	HASH_EACH (&a->gone.left, s) {
		struct left *l = s->value;
		struct addr16 addr;

		memcpy(&addr, s->key.p, sizeof(addr));
		if (!l->due || err)
			continue;
		if (is_back(a, &addr, l))
			err = vec_push(&back.list, addr);
		else
			err = vec_push(&out->list, addr);
		if (err)
			break; /* the rest with the next tick */
		l->due = false;
		a->gone.due--;
	}
	VEC_EACH (&back.list, addr)
		drop(a, addr);
}

int gone_learn(struct applier *a)
{
	int map = a->kernel.map[PLAN_MAP_gone];
	struct addr16 addr;

	if (!a->kernel.fresh)
		a->gone.unsure_until = clock_ms() + UNSURE_MS;
	/* What a killed process was about to forget. */
	while (!bpf_map_get_next_key(map, NULL, &addr))
		if (bpf_map_delete_elem(map, &addr))
			return -errno;
	return 0;
}
