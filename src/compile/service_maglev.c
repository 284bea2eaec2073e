/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maglev tables: a list of backends in which each has close to the same number of slots, and keeps nearly all
 * of them when others come and go (Eisenbud and others, "Maglev: A Fast and Reliable Software Network Load
 * Balancer", NSDI 2016, section 3.4). Each backend walks the slots in an order of its own and takes the next
 * free one in its turn. Called by service_list.c for Services that ask for it.
 */
#include <stdlib.h>

#include "compile/service.h"

/* Primes: each step then reaches every slot. */
enum { SLOTS_FEW = 251, SLOTS_MANY = 1021, FEW = 50 };

bool maglev_wanted(const struct object *service)
{
	const struct str *v = strmap_get(&service->meta.annotations, STR(MAGLEV_ANNOTATION));
	return v && str_eqz(*v, "maglev");
}

struct walk {
	uint32_t at, step;
};

static void walk_begin(struct walk *w, const struct backend_value *b, uint32_t slots)
{
	w->at = (uint32_t)(hash_bytes(b, sizeof(*b), 1) % slots);
	w->step = (uint32_t)(hash_bytes(b, sizeof(*b), 2) % (slots - 1)) + 1;
}

static void fill(struct walk *walks, size_t n, uint32_t slots, const struct backends *from,
		 struct backend_value *to, bool *taken)
{
	for (uint32_t filled = 0; filled < slots;) {
		for (size_t i = 0; i < n && filled < slots; i++) {
			struct walk *w = &walks[i];
			while (taken[w->at])
				w->at = (w->at + w->step) % slots;
			taken[w->at] = true;
			to[w->at] = from->list.items[i];
			filled++;
		}
	}
}

/* More backends than slots: a plain list is as good. */
void maglev_table(struct compiler *c, struct backends *b)
{
	uint32_t slots = b->list.len > FEW ? SLOTS_MANY : SLOTS_FEW;
	struct backends to = {0};
	size_t n = b->list.len;
	if (n > slots)
		return;
	struct walk *walks = calloc(n, sizeof(*walks));
	bool *taken = calloc(slots, sizeof(*taken));
	if (!walks || !taken || vec_reserve(&to.list, slots)) {
		c->failed = true;
	} else {
		for (size_t i = 0; i < n; i++)
			walk_begin(&walks[i], &b->list.items[i], slots);
		fill(walks, n, slots, b, to.list.items, taken);
		to.list.len = slots;
		vec_free(&b->list);
		*b = to;
	}
	free(walks);
	free(taken);
}
