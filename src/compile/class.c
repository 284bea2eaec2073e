/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classes: sets of atoms that hold for some address. They live while an address or a block has them; what
 * died in a run is buried at its end, since the steps of the change still speak of it.
 */
#include <stdlib.h>

#include "compile/state.h"
#include "seam/class.h"

void class_world(struct compiler *c)
{
	c->world = calloc(1, sizeof(*c->world));
	if (!c->world) {
		c->failed = true;
		return;
	}
	c->world->id = CLASS_WORLD;
	c->world->refs = 1;
	c->world->fresh = true;
	PUSH(c, &c->fresh_classes, c->world);
}

static void class_free(struct pclass *k)
{
	vec_free(&k->atoms.list);
	free((void *)(uintptr_t)k->key.p);
	free(k);
}

static struct pclass *make(struct compiler *c, const struct atoms *atoms, struct str key)
{
	struct pclass *k = calloc(1, sizeof(*k));
	if (!k)
		return NULL;
	uint64_t h = 0;
	VEC_EACH (&atoms->list, a)
		h = hash_bytes(&(*a)->h, sizeof((*a)->h), h);
	k->key = key_copy(c, key);
	k->id = k->key.p ? id_take(&c->class_ids, h, k) : 0;
	if (!k->id || hash_set(&c->classes, key, k, NULL)) {
		class_free(k);
		return NULL;
	}
	VEC_EACH (&atoms->list, a) {
		PUSH(c, &k->atoms.list, *a);
		atom_ref(*a);
		PUSH(c, &(*a)->classes, k);
	}
	k->fresh = true;
	PUSH(c, &c->fresh_classes, k);
	return k;
}

struct pclass *class_get(struct compiler *c, const struct atoms *atoms)
{
	struct pclass *k = c->world;
	if (atoms->list.len) {
		struct str key = {(const char *)atoms->list.items,
				  atoms->list.len * sizeof(*atoms->list.items)};
		k = hash_get(&c->classes, key);
		if (!k)
			k = make(c, atoms, key);
	}
	if (!k) {
		c->failed = true;
		return NULL;
	}
	k->refs++;
	return k;
}

void class_unref(struct compiler *c, struct pclass *k)
{
	if (--k->refs || k->dying)
		return;
	k->dying = true;
	PUSH(c, &c->dying_classes, k);
}

void classes_bury(struct compiler *c)
{
	VEC_EACH (&c->dying_classes, it) {
		struct pclass *k = *it;
		k->dying = false;
		if (k->refs)
			continue;
		VEC_EACH (&k->atoms.list, a) {
			CUT(&(*a)->classes, k);
			atom_unref(c, *a);
		}
		hash_del(&c->classes, k->key);
		id_drop(&c->class_ids, k->id);
		class_free(k);
	}
	c->dying_classes.len = 0;
}

void classes_fini(struct compiler *c)
{
	HASH_EACH (&c->classes, s)
		class_free(s->value);
	hash_fini(&c->classes);
	ids_fini(&c->class_ids);
	if (c->world)
		class_free(c->world);
	c->world = NULL;
	vec_free(&c->fresh_classes);
	vec_free(&c->dying_classes);
}
