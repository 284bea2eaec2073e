/* SPDX-License-Identifier: Apache-2.0 */
/* Who had which address when: see identity.h. */
#include "observe/identity.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/own.h"
#include "base/vec.h"

struct span { /* until the next one of its address */
	int64_t from;
	const struct identity *who; /* a reference; NULL: nobody */
};

struct owners {
	struct addr addr;
	VEC(struct span) list; /* by time */
};

struct kept {		     /* an identity, and the text that it is found by */
	struct identity who; /* first */
	size_t bytes;
	struct str text; /* behind the strings */
};

struct identities {
	struct hash pool, owners;
	size_t spans, bytes;
	struct buf key; /* scratch */
};

int identities_new(struct identities **out)
{
	struct identities *ids = calloc(1, sizeof(*ids));

	if (!ids)
		return -ENOMEM;
	*out = ids;
	return 0;
}

static void owners_free(struct identities *ids, struct owners *o)
{
	VEC_EACH (&o->list, s)
		identity_unref(ids, &s->who);
	ids->spans -= o->list.len;
	vec_free(&o->list);
	free(o);
}

void identities_free(struct identities **ids)
{
	if (!*ids)
		return;
	HASH_EACH (&(*ids)->owners, slot)
		owners_free(*ids, slot->value);
	hash_fini(&(*ids)->owners);
	HASH_EACH (&(*ids)->pool, slot)
		free(slot->value);
	hash_fini(&(*ids)->pool);
	buf_fini(&(*ids)->key);
	free(TAKE(*ids));
}

/* --- the pool -------------------------------------------------------------------------------------- */

static void add_part(struct buf *b, struct str s)
{
	uint32_t n = (uint32_t)s.n;

	buf_add(b, &n, sizeof(n));
	buf_adds(b, s);
}

static void write_key(struct buf *b, const struct identity *w)
{
	buf_clear(b);
	buf_add(b, &w->kind, sizeof(w->kind));
	add_part(b, w->ns);
	add_part(b, w->name);
	add_part(b, w->workload_kind);
	add_part(b, w->workload);
	add_part(b, w->node);
	add_part(b, w->domain);
	for (unsigned i = 0; i < 2 * w->labels_len; i++)
		add_part(b, w->labels[i]);
}

static struct str copy(char **at, struct str s)
{
	struct str out = {*at, s.n};

	if (s.n)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return out;
}

/* One piece of memory: the identity, its labels' list, all text, the key. */
static struct kept *keep(const struct identity *w, struct str key)
{
	size_t text = w->ns.n + w->name.n + w->workload_kind.n + w->workload.n + w->node.n + w->domain.n;
	size_t list = 2 * w->labels_len * sizeof(struct str), bytes;
	struct kept *k;
	char *at;

	for (unsigned i = 0; i < 2 * w->labels_len; i++)
		text += w->labels[i].n;
	bytes = sizeof(*k) + list + text + key.n;
	k = malloc(bytes);
	if (!k)
		return NULL;
	k->bytes = bytes;
	k->who = (struct identity){.kind = w->kind, .labels_len = w->labels_len};
	k->who.labels = w->labels_len ? (struct str *)(k + 1) : NULL;
	at = (char *)(k + 1) + list;
	k->who.ns = copy(&at, w->ns);
	k->who.name = copy(&at, w->name);
	k->who.workload_kind = copy(&at, w->workload_kind);
	k->who.workload = copy(&at, w->workload);
	k->who.node = copy(&at, w->node);
	k->who.domain = copy(&at, w->domain);
	for (unsigned i = 0; i < 2 * w->labels_len; i++)
		k->who.labels[i] = copy(&at, w->labels[i]);
	k->text = copy(&at, key);
	return k;
}

const struct identity *identity_get(struct identities *ids, const struct identity *like)
{
	struct kept *k;

	write_key(&ids->key, like);
	if (ids->key.failed) {
		buf_fini(&ids->key);
		ids->key = (struct buf){};
		return NULL;
	}
	k = hash_get(&ids->pool, buf_str(&ids->key));
	if (!k) {
		k = keep(like, buf_str(&ids->key));
		if (!k || hash_set(&ids->pool, k->text, k, NULL)) {
			free(k);
			return NULL;
		}
		ids->bytes += k->bytes;
	}
	k->who.refs++;
	return &k->who;
}

/* Counting is the one thing that changes in an identity. */
static struct kept *kept_of(const struct identity *who)
{
	return (struct kept *)(uintptr_t)who;
}

const struct identity *identity_ref(const struct identity *who)
{
	if (who)
		kept_of(who)->who.refs++;
	return who;
}

void identity_unref(struct identities *ids, const struct identity **who)
{
	struct kept *k = *who ? kept_of(*who) : NULL;

	*who = NULL;
	if (!k || --k->who.refs)
		return;
	hash_del(&ids->pool, k->text);
	ids->bytes -= k->bytes;
	free(k);
}

/* --- who had it when ------------------------------------------------------------------------------- */

static struct str addr_key(const struct addr *a)
{
	return (struct str){(const char *)a->b, sizeof(a->b)};
}

int identities_set(struct identities *ids, const struct addr *a, const struct identity *who, int64_t at)
{
	struct owners *o = hash_get(&ids->owners, addr_key(a));
	struct span *last;

	if (!o) {
		if (!who)
			return 0;
		o = calloc(1, sizeof(*o));
		if (!o || hash_set(&ids->owners, addr_key(a), o, NULL)) {
			free(o);
			return -ENOMEM;
		}
		o->addr = *a;
	}
	last = o->list.len ? &o->list.items[o->list.len - 1] : NULL;
	if (last && last->who == who)
		return 0;
	if (last && at < last->from)
		at = last->from;
	if (last && at == last->from) { /* nothing was seen in between */
		identity_unref(ids, &last->who);
		last->who = identity_ref(who);
		return 0;
	}
	if (vec_push(&o->list, (struct span){.from = at, .who = who}))
		return -ENOMEM;
	identity_ref(who);
	ids->spans++;
	return 0;
}

const struct identity *identities_at(const struct identities *ids, const struct addr *a, int64_t at)
{
	const struct owners *o = hash_get(&ids->owners, addr_key(a));

	for (size_t i = o ? o->list.len : 0; i--;)
		if (o->list.items[i].from <= at)
			return o->list.items[i].who;
	return NULL;
}

/* Leaves the spans that reach beyond that time. True: none is left that names somebody. */
static bool shorten(struct identities *ids, struct owners *o, int64_t before)
{
	size_t gone = 0;

	while (gone + 1 < o->list.len && o->list.items[gone + 1].from <= before)
		gone++;
	for (size_t i = 0; i < gone; i++)
		identity_unref(ids, &o->list.items[i].who);
	memmove(o->list.items, o->list.items + gone, (o->list.len - gone) * sizeof(*o->list.items));
	o->list.len -= gone;
	ids->spans -= gone;
	return o->list.len == 1 && !o->list.items[0].who;
}

void identities_forget(struct identities *ids, int64_t before)
{
	VEC(struct owners *) empty = {};

	HASH_EACH (&ids->owners, slot)
		if (shorten(ids, slot->value, before) && vec_push(&empty, slot->value))
			break; /* next time */
	VEC_EACH (&empty, o) {
		hash_del(&ids->owners, addr_key(&(*o)->addr));
		owners_free(ids, *o);
	}
	vec_free(&empty);
}

struct identities_size identities_size(const struct identities *ids)
{
	return (struct identities_size){.identities = ids->pool.len,
					.addresses = ids->owners.len,
					.spans = ids->spans,
					.bytes = ids->bytes + ids->spans * sizeof(struct span) +
						 ids->owners.cap * sizeof(struct hash_slot) +
						 ids->owners.len * sizeof(struct owners)};
}
