/* SPDX-License-Identifier: Apache-2.0 */
/* Changes laid over a world: see overlay.h. */
#include "cli/overlay.h"

#include <errno.h>

#include "base/own.h"
#include "cli/command.h"
#include "cli/world.h"

/* A pod keeps its address and what it is: files do not say it. */
static void keep_status(struct object *o, const struct object *old)
{
	if (old && o->desc->kind == KIND_pod && !o->pod->status && old->pod->status)
		o->pod->status = old->pod->status;
}

static int put(struct store *s, const struct object *from)
{
	const struct object *old = store_get(s, from->desc->kind, from->meta.ns, from->meta.name);
	struct object *given = NULL, *copy = NULL, *held = NULL;
	int r = object_clone(&given, from);

	if (!r && old && from->desc->kind == KIND_pod)
		r = object_clone(&held, old);
	if (!r && held)
		keep_status(given, held);
	/* what was borrowed of the old one is copied */
	if (!r)
		r = object_clone(&copy, given);
	if (!r)
		r = store_put(s, TAKE(copy), NULL);
	object_unref(&given);
	object_unref(&held);
	return r;
}

static int put_all(struct store *s, const struct store *files)
{
	int r = 0;

	for (int k = 0; k < KIND_COUNT && !r; k++) {
		struct object_refs all = {0};

		r = store_list(files, (enum kind)k, STR(""), &all);
		VEC_EACH (&all.list, o)
			r = r ? r : put(s, *o);
		vec_free(&all.list);
	}
	return r;
}

static int take_away(struct store *s, const char *word)
{
	struct str rest = str_of(word), kind = str_cut(&rest, '/'), ns = {0};
	const struct kind_desc *k = kind_by_name(kind);

	if (k && k->namespaced)
		ns = str_cut(&rest, '/');
	if (!k || !rest.n) {
		cli_error("KIND/NAMESPACE/NAME, or KIND/NAME of what is in no namespace",
			  "--without %s: this names no object", word);
		return -1;
	}
	/* What is not there cannot be missed. */
	return store_delete(s, k->kind, ns, rest) == -ENOMEM ? -1 : 0;
}

int overlay_lay(struct store *s, const struct overlay *o)
{
	const struct world_files files = {.paths = &o->over, .n = 1, .quiet = true, .max_file = o->max_file};
	struct store *over = NULL;
	int r = 0;

	if (o->over && world_from_files(&over, &files))
		return -1;
	if (over && put_all(s, over)) {
		cli_error(NULL, "out of memory");
		r = -1;
	}
	store_free(&over);
	for (size_t i = 0; !r && i < o->without_n; i++)
		r = take_away(s, o->without[i]);
	return r;
}
