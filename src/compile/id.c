/* SPDX-License-Identifier: Apache-2.0 */
/* Ids of contents, see id.h. Called by everything in this room that makes an id; never reuses one in use. */
#include "compile/id.h"

static struct str id_key(const uint32_t *id)
{
	return (struct str){(const char *)id, sizeof(*id)};
}

uint32_t id_take(struct ids *t, uint64_t h, void *content)
{
	return id_take_as(t, h, content, 0, 0);
}

uint32_t id_take_as(struct ids *t, uint64_t h, void *content, uint32_t mask, uint32_t bits)
{
	for (uint64_t salt = 0;; salt++) {
		uint64_t salted = salt ? hash_bytes(&h, sizeof(h), salt) : h;
		uint32_t id = ((uint32_t)(salted ^ (salted >> 32)) & ~mask) | bits;
		if ((id & ~mask) < ID_FIRST)
			continue;
		void *there = hash_get(&t->by_id, id_key(&id));
		if (there == content)
			return id;
		if (there)
			continue;
		return hash_set(&t->by_id, id_key(&id), content, NULL) ? 0 : id;
	}
}

void id_drop(struct ids *t, uint32_t id)
{
	hash_del(&t->by_id, id_key(&id));
}

void *id_find(const struct ids *t, uint32_t id)
{
	return hash_get(&t->by_id, id_key(&id));
}

void ids_fini(struct ids *t)
{
	hash_fini(&t->by_id);
}
