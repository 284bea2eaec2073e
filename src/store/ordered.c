/* SPDX-License-Identifier: Apache-2.0 */
/* Skip list of objects; a node's level comes from the hash of its name, so that equal stores have equal
 * shapes. */
#include "store/ordered.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"

static int compare(const struct object *o, struct str ns, struct str name)
{
	int c = str_cmp(o->meta.ns, ns);
	return c ? c : str_cmp(o->meta.name, name);
}

/* One level more in every fourth node. */
static unsigned level_of(struct str ns, struct str name)
{
	uint64_t h = hash_bytes(name.p, name.n, hash_bytes(ns.p, ns.n, 0));
	unsigned level = 1;
	for (; level < ORDERED_LEVELS && !(h & 3); h >>= 2)
		level++;
	return level;
}

/* Sets links[i] to the link on level i that leads to the first node not before (ns, name). */
static struct ordered_node *find(struct ordered *s, struct str ns, struct str name,
				 struct ordered_node **links[])
{
	struct ordered_node **row = s->first;
	for (unsigned i = ORDERED_LEVELS; i--;) {
		while (row[i] && compare(row[i]->object, ns, name) < 0)
			row = row[i]->next;
		links[i] = &row[i];
	}
	return *links[0];
}

const struct ordered_node *ordered_seek(const struct ordered *s, struct str ns, struct str name)
{
	struct ordered_node **links[ORDERED_LEVELS];
	return find((struct ordered *)(uintptr_t)s, ns, name, links);
}

const struct object *ordered_get(const struct ordered *s, struct str ns, struct str name)
{
	const struct ordered_node *n = ordered_seek(s, ns, name);
	return n && !compare(n->object, ns, name) ? n->object : NULL;
}

int ordered_put(struct ordered *s, const struct object *o, const struct object **old)
{
	struct str ns = o->meta.ns, name = o->meta.name;
	struct ordered_node **links[ORDERED_LEVELS];
	struct ordered_node *n = find(s, ns, name, links);
	const struct object *had = n && !compare(n->object, ns, name) ? n->object : NULL;
	if (had) {
		n->object = o;
	} else {
		unsigned level = level_of(ns, name);
		n = malloc(sizeof(*n) + level * sizeof(n->next[0]));
		if (!n)
			return -ENOMEM;
		n->object = o;
		for (unsigned i = 0; i < level; i++) {
			n->next[i] = *links[i];
			*links[i] = n;
		}
		s->len++;
	}
	if (old)
		*old = had;
	return 0;
}

const struct object *ordered_remove(struct ordered *s, struct str ns, struct str name)
{
	struct ordered_node **links[ORDERED_LEVELS];
	struct ordered_node *n = find(s, ns, name, links);
	if (!n || compare(n->object, ns, name))
		return NULL;
	unsigned level = level_of(ns, name);
	for (unsigned i = 0; i < level; i++)
		*links[i] = n->next[i];
	const struct object *o = n->object;
	free(n);
	s->len--;
	return o;
}

void ordered_fini(struct ordered *s)
{
	for (struct ordered_node *n = s->first[0], *next; n; n = next) {
		next = n->next[0];
		free(n);
	}
	*s = (struct ordered){0};
}
