/* SPDX-License-Identifier: Apache-2.0 */
/* Names of addresses by asker and time: see domains.h. */
#include "observe/domains.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/own.h"

struct key {
	struct addr asker, addr; /* asker 0: the node */
};

struct told {
	uint64_t at;	 /* first told so; until the next one */
	struct str name; /* owned */
};

struct pair {
	struct pair *older, *newer; /* by when it was told something last */
	struct key key;
	struct told told[DOMAINS_NAMES]; /* oldest first */
	unsigned len;
};

struct domains {
	struct hash by_key;
	struct pair *oldest, *newest;
	size_t most;
	uint64_t made_room, lost;
};

int domains_new(struct domains **out, size_t most)
{
	struct domains *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->most = most;
	*out = d;
	return 0;
}

static struct str key_str(const struct key *k)
{
	return (struct str){(const char *)k, sizeof(*k)};
}

static void pair_free(struct pair *p)
{
	for (unsigned i = 0; i < p->len; i++)
		free((char *)(uintptr_t)p->told[i].name.p);
	free(p);
}

void domains_free(struct domains **pd)
{
	struct domains *d = TAKE(*pd);

	if (!d)
		return;
	for (struct pair *p = d->oldest, *next; p; p = next) {
		next = p->newer;
		pair_free(p);
	}
	hash_fini(&d->by_key);
	free(d);
}

static void unlink_pair(struct domains *d, struct pair *p)
{
	*(p->older ? &p->older->newer : &d->oldest) = p->newer;
	*(p->newer ? &p->newer->older : &d->newest) = p->older;
}

static void link_newest(struct domains *d, struct pair *p)
{
	p->older = d->newest;
	p->newer = NULL;
	*(d->newest ? &d->newest->newer : &d->oldest) = p;
	d->newest = p;
}

static struct pair *pair_get(struct domains *d, const struct key *k)
{
	struct pair *p = hash_get(&d->by_key, key_str(k));

	if (p) {
		unlink_pair(d, p);
		link_newest(d, p);
		return p;
	}
	if (d->by_key.len >= d->most) {
		p = d->oldest;
		unlink_pair(d, p);
		hash_del(&d->by_key, key_str(&p->key));
		pair_free(p);
		d->made_room++;
	}
	p = calloc(1, sizeof(*p));
	if (!p || hash_set(&d->by_key, key_str(k), p, NULL)) {
		free(p);
		return NULL;
	}
	p->key = *k;
	link_newest(d, p);
	return p;
}

static void learn(struct domains *d, const struct key *k, struct str name, uint64_t at)
{
	struct pair *p = pair_get(d, k);
	char *copy;

	if (p && p->len && str_eq(p->told[p->len - 1].name, name))
		return;
	copy = p ? malloc(name.n ? name.n : 1) : NULL;
	if (!copy) {
		d->lost++;
		return;
	}
	memcpy(copy, name.p, name.n);
	if (p->len == DOMAINS_NAMES) {
		free((char *)(uintptr_t)p->told[0].name.p);
		memmove(p->told, p->told + 1, sizeof(p->told) - sizeof(p->told[0]));
		p->len--;
	}
	p->told[p->len++] = (struct told){.at = at, .name = {copy, name.n}};
}

void domains_learn(struct domains *d, const struct addr *asker, const struct addr *a, struct str name,
		   uint64_t at)
{
	struct key own = {*asker, *a}, node = {.addr = *a};

	learn(d, &own, name, at);
	learn(d, &node, name, at);
}

static struct str find(const struct domains *d, const struct key *k, uint64_t at)
{
	const struct pair *p = hash_get(&d->by_key, key_str(k));

	for (unsigned i = p ? p->len : 0; i--;)
		if (p->told[i].at <= at)
			return p->told[i].name;
	return (struct str){};
}

struct str domains_at(const struct domains *d, const struct addr *asker, const struct addr *a, uint64_t at)
{
	struct key own = {*asker, *a}, node = {.addr = *a};
	struct str name = find(d, &own, at);

	return name.n ? name : find(d, &node, at);
}

struct domains_size domains_size(const struct domains *d)
{
	return (struct domains_size){.addresses = d->by_key.len, .made_room = d->made_room, .lost = d->lost};
}
