/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The objects in force and the last changes to them. One writer; watchers are called inside the write and may
 * not write. Never touches files or the network: the hub keeps what must survive.
 */
#include "store/store.h"

#include <errno.h>
#include <stdlib.h>

#include "base/own.h"
#include "store/ordered.h"

struct subscription {
	struct store *store;
	store_watcher *fn;
	void *ctx;
};

enum { KEPT_ALWAYS = 16 };

struct past {
	struct event event; /* objects are references */
	size_t bytes;	    /* that only this event keeps alive */
};

struct store {
	uint64_t version, oldest;
	struct ordered kinds[KIND_COUNT];
	struct hash by_node;  /* node name → struct ordered of pods */
	struct hash by_owner; /* kind number and owner uid → struct ordered */
	struct past *ring;    /* the last `ring_len` events end before ring_next */
	size_t ring_cap, ring_len, ring_next;
	size_t ring_bytes, ring_bytes_max;
	VEC(struct subscription *) watchers;
	bool notifying;
};

int store_new(struct store **out, size_t history)
{
	struct store *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->ring_cap = history ? history : 10000;
	s->ring = calloc(s->ring_cap, sizeof(*s->ring));
	if (!s->ring) {
		free(s);
		return -ENOMEM;
	}
	*out = s;
	return 0;
}

static void drop(const struct object *o)
{
	struct object *ref = (struct object *)(uintptr_t)o;
	object_unref(&ref);
}

static void index_fini(struct hash *index)
{
	HASH_EACH (index, slot) {
		ordered_fini(slot->value);
		free(slot->value);
	}
	hash_fini(index);
}

void store_free(struct store **sp)
{
	struct store *s = TAKE(*sp);
	if (!s)
		return;
	for (size_t i = 0; i < s->ring_cap; i++) {
		drop(s->ring[i].event.object);
		drop(s->ring[i].event.old);
	}
	free(s->ring);
	index_fini(&s->by_node);
	index_fini(&s->by_owner);
	for (size_t k = 0; k < KIND_COUNT; k++) {
		for (const struct ordered_node *n = s->kinds[k].first[0]; n; n = n->next[0])
			drop(n->object);
		ordered_fini(&s->kinds[k]);
	}
	VEC_EACH (&s->watchers, w)
		free(*w);
	vec_free(&s->watchers);
	free(s);
}

uint64_t store_version(const struct store *s)
{
	return s->version;
}

void store_set_version(struct store *s, uint64_t v)
{
	if (v <= s->version)
		return;
	s->version = v;
	if (!s->ring_len)
		s->oldest = v;
}

uint64_t store_oldest(const struct store *s)
{
	return s->oldest;
}

const struct object *store_get(const struct store *s, enum kind k, struct str ns, struct str name)
{
	return ordered_get(&s->kinds[k], ns, name);
}

static int index_add(struct hash *index, struct str key, const struct object *o)
{
	struct ordered *set = hash_get(index, key);
	if (!set) {
		set = calloc(1, sizeof(*set));
		int r = set ? hash_set(index, key, set, NULL) : -ENOMEM;
		if (r) {
			free(set);
			return r;
		}
	}
	return ordered_put(set, o, NULL);
}

static void index_remove(struct hash *index, struct str key, const struct object *o)
{
	struct ordered *set = hash_get(index, key);
	if (!set)
		return;
	ordered_remove(set, o->meta.ns, o->meta.name);
	if (!set->len) {
		hash_del(index, key);
		ordered_fini(set);
		free(set);
	}
}

static struct str node_of(const struct object *o)
{
	bool bound = o && o->desc->kind == KIND_pod && o->pod && o->pod->spec;
	return bound ? o->pod->spec->node_name : (struct str){0};
}

static int owner_key(struct buf *key, enum kind k, struct str uid)
{
	buf_clear(key);
	buf_printf(key, "%d ", (int)k);
	buf_adds(key, uid);
	return key->failed ? -ENOMEM : 0;
}

static void unindex(struct store *s, const struct object *o)
{
	AUTO_BUF key = {0};
	struct str node = node_of(o);
	if (node.n)
		index_remove(&s->by_node, node, o);
	for (size_t i = 0; i < o->meta.owner_references.len; i++)
		if (!owner_key(&key, o->desc->kind, o->meta.owner_references.items[i].uid))
			index_remove(&s->by_owner, buf_str(&key), o);
}

static int index_object(struct store *s, const struct object *o)
{
	AUTO_BUF key = {0};
	struct str node = node_of(o);
	int r = node.n ? index_add(&s->by_node, node, o) : 0;
	for (size_t i = 0; !r && i < o->meta.owner_references.len; i++) {
		r = owner_key(&key, o->desc->kind, o->meta.owner_references.items[i].uid);
		if (!r)
			r = index_add(&s->by_owner, buf_str(&key), o);
	}
	return r;
}

void store_limit_history(struct store *s, size_t bytes)
{
	s->ring_bytes_max = bytes;
}

size_t store_history_bytes(const struct store *s)
{
	return s->ring_bytes;
}

static void forget_oldest(struct store *s)
{
	struct past *p = &s->ring[(s->ring_next + s->ring_cap - s->ring_len) % s->ring_cap];
	s->oldest = p->event.version;
	s->ring_bytes -= p->bytes;
	s->ring_len--;
	drop(p->event.object);
	drop(p->event.old);
	*p = (struct past){0};
}

/* Takes over the references in e. */
static void record(struct store *s, struct event e)
{
	struct past now = {.event = e};
	if (e.old)
		now.bytes += object_memory(e.old);
	if (e.type == EVENT_DELETED)
		now.bytes += object_memory(e.object);
	if (s->ring_len == s->ring_cap)
		forget_oldest(s);
	s->ring[s->ring_next] = now;
	s->ring_next = (s->ring_next + 1) % s->ring_cap;
	s->ring_len++;
	s->ring_bytes += now.bytes;
	while (s->ring_bytes_max && s->ring_bytes > s->ring_bytes_max && s->ring_len > KEPT_ALWAYS)
		forget_oldest(s);
	s->notifying = true;
	for (size_t i = 0; i < s->watchers.len; i++)
		if (s->watchers.items[i]->fn)
			s->watchers.items[i]->fn(s->watchers.items[i]->ctx, &e);
	s->notifying = false;
	for (size_t i = s->watchers.len; i--;) {
		if (s->watchers.items[i]->fn)
			continue;
		free(s->watchers.items[i]);
		vec_remove(&s->watchers, i);
	}
}

static int stamp(struct store *s, struct object *o)
{
	struct str v = arena_printf(&o->arena, "%llu", (unsigned long long)s->version + 1);
	if (!v.p)
		return -ENOMEM;
	o->meta.resource_version = v;
	o->version = s->version + 1;
	return 0;
}

int store_put(struct store *s, struct object *o, const struct object **now)
{
	enum kind k = o->desc->kind;
	const struct object *old = NULL;
	int r = stamp(s, o);
	if (!r)
		r = ordered_put(&s->kinds[k], o, &old);
	if (r) {
		object_unref(&o);
		return r;
	}
	if (old)
		unindex(s, old);
	r = index_object(s, o);
	if (r) { /* back to the state before */
		unindex(s, o);
		if (old && !ordered_put(&s->kinds[k], old, NULL))
			r = index_object(s, old) ? -ENOMEM : r;
		else
			ordered_remove(&s->kinds[k], o->meta.ns, o->meta.name);
		object_unref(&o);
		return r;
	}
	s->version = o->version;
	object_ref(o); /* one for the set, one for the history; the set's reference to `old` goes to the
			  history too */
	record(s, (struct event){.type = old ? EVENT_MODIFIED : EVENT_ADDED,
				 .version = o->version,
				 .object = o,
				 .old = old});
	if (now)
		*now = o;
	return 0;
}

int store_delete(struct store *s, enum kind k, struct str ns, struct str name)
{
	const struct object *had = ordered_get(&s->kinds[k], ns, name);
	if (!had)
		return -ENOENT;
	struct object *last;
	int r = object_clone(&last, had);
	if (!r)
		r = stamp(s, last);
	if (r)
		return r;
	ordered_remove(&s->kinds[k], had->meta.ns, had->meta.name);
	unindex(s, had);
	s->version = last->version;
	record(s,
	       (struct event){.type = EVENT_DELETED, .version = last->version, .object = last, .old = had});
	return 0;
}

static int collect(const struct ordered_node *n, struct str ns, struct object_refs *out)
{
	for (; n; n = n->next[0]) {
		if (ns.n && !str_eq(n->object->meta.ns, ns))
			break;
		int r = vec_push(&out->list, n->object);
		if (r)
			return r;
	}
	return 0;
}

int store_list(const struct store *s, enum kind k, struct str ns, struct object_refs *out)
{
	return collect(ordered_seek(&s->kinds[k], ns, (struct str){0}), ns, out);
}

size_t store_count(const struct store *s, enum kind k)
{
	return s->kinds[k].len;
}

int store_pods_of_node(const struct store *s, struct str node, struct object_refs *out)
{
	const struct ordered *set = hash_get(&s->by_node, node);
	return set ? collect(set->first[0], (struct str){0}, out) : 0;
}

int store_owned_by(const struct store *s, enum kind k, struct str uid, struct object_refs *out)
{
	AUTO_BUF key = {0};
	int r = owner_key(&key, k, uid);
	if (r)
		return r;
	const struct ordered *set = hash_get(&s->by_owner, buf_str(&key));
	return set ? collect(set->first[0], (struct str){0}, out) : 0;
}

int store_subscribe(struct store *s, store_watcher *fn, void *ctx, struct subscription **out)
{
	struct subscription *sub = calloc(1, sizeof(*sub));
	if (!sub)
		return -ENOMEM;
	*sub = (struct subscription){.store = s, .fn = fn, .ctx = ctx};
	int r = vec_push(&s->watchers, sub);
	if (r) {
		free(sub);
		return r;
	}
	*out = sub;
	return 0;
}

void store_unsubscribe(struct subscription **subp)
{
	struct subscription *sub = TAKE(*subp);
	if (!sub)
		return;
	struct store *s = sub->store;
	sub->fn = NULL;
	for (size_t i = 0; !s->notifying && i < s->watchers.len; i++) {
		if (s->watchers.items[i] != sub)
			continue;
		vec_remove(&s->watchers, i);
		free(sub);
		return;
	}
}

int store_replay(const struct store *s, uint64_t since, uint64_t kinds,
		 int (*fn)(void *ctx, const struct event *e), void *ctx)
{
	if (since < s->oldest)
		return -ESTALE;
	size_t first = (s->ring_next + s->ring_cap - s->ring_len) % s->ring_cap, lo = 0, hi = s->ring_len;
	while (lo < hi) { /* versions in the ring rise */
		size_t mid = lo + (hi - lo) / 2;
		if (s->ring[(first + mid) % s->ring_cap].event.version <= since)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < s->ring_len; lo++) {
		const struct event *e = &s->ring[(first + lo) % s->ring_cap].event;
		int r = kinds >> e->object->desc->kind & 1 ? fn(ctx, e) : 0;
		if (r)
			return r;
	}
	return 0;
}
