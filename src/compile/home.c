/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespaces as selectors see them. A namespace whose object is not known (yet) has its automatic label only.
 * Called by whatever belongs to a namespace; a change of its labels makes its pods match again.
 */
#include <stdlib.h>

#include "compile/state.h"

static void labels_of(struct home *h)
{
	h->own_label = (struct strpair){.key = STR("kubernetes.io/metadata.name"), .value = h->name};
	if (h->o)
		h->labels = h->o->meta.labels;
	else
		h->labels = (struct strmap){.items = &h->own_label, .len = 1, .set = true};
}

struct home *home_get(struct compiler *c, struct str ns)
{
	struct home *h = hash_get(&c->homes, ns);
	if (h)
		return h;
	h = calloc(1, sizeof(*h));
	if (!h || hash_set(&c->homes, ns, h, NULL)) {
		free(h);
		c->failed = true;
		return NULL;
	}
	h->name = key_copy(c, ns);
	labels_of(h);
	return h;
}

void home_tell(struct compiler *c, struct str name, const struct object *o)
{
	struct home *h = home_get(c, name);
	if (!h)
		return;
	h->o = o;
	labels_of(h);
	VEC_EACH (&h->kins, k)
		kin_match(c, *k);
	policy_check_home(c, h);
}

void homes_fini(struct compiler *c)
{
	HASH_EACH (&c->homes, s) {
		struct home *h = s->value;
		vec_free(&h->kins);
		vec_free(&h->locals);
		free((void *)(uintptr_t)h->name.p);
		free(h);
	}
	hash_fini(&c->homes);
}
