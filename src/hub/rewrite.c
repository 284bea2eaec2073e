/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes to objects of files: the difference that the client asked for goes into the file, and comes into
 * force from there as any other save does, in the same turn. Called by change.c.
 */
#include <errno.h>

#include "base/log.h"
#include "base/own.h"
#include "hub/copy.h"
#include "hub/hub.h"
#include "hub/pen.h"
#include "source/edit.h"
#include "source/files.h"

OWN_DEFINE(object, struct object, object_unref)

const char *const annotations_kept_out[] = {"kubectl.kubernetes.io/last-applied-configuration", NULL};

static bool is_kept_out(struct str key)
{
	for (const char *const *k = annotations_kept_out; *k; k++)
		if (str_eqz(key, *k))
			return true;
	return false;
}

/* Of two sorted maps, whether they hold the same but for what stays in the hub. */
static bool same_annotations(const struct strmap *a, const struct strmap *b)
{
	size_t i = 0, j = 0;
	for (;;) {
		while (i < a->len && is_kept_out(a->items[i].key))
			i++;
		while (j < b->len && is_kept_out(b->items[j].key))
			j++;
		if (i == a->len || j == b->len)
			return i == a->len && j == b->len;
		if (!str_eq(a->items[i].key, b->items[j].key) ||
		    !str_eq(a->items[i].value, b->items[j].value))
			return false;
		i++;
		j++;
	}
}

bool object_same_file_part(const struct object *a, const struct object *b)
{
	return object_same_spec(a, b) && map_same(&a->meta.labels, &b->meta.labels) &&
	       same_annotations(&a->meta.annotations, &b->meta.annotations);
}

/* Node ports that the server chose, and that no file says, stay with their port. */
static void keep_node_ports(struct object *o, const struct object *from)
{
	struct service_port_list *to = o->service->spec ? &o->service->spec->ports : NULL;
	const struct service_port_list *had = from->service->spec ? &from->service->spec->ports : NULL;
	for (size_t i = 0; to && had && i < to->len; i++)
		for (size_t j = 0; j < had->len && !to->items[i].node_port.set; j++)
			if (to->items[i].port.v == had->items[j].port.v &&
			    str_eq(to->items[i].protocol, had->items[j].protocol))
				to->items[i].node_port = had->items[j].node_port;
}

/* From the one that a client just wrote, else from the one in force. */
int object_keep_hub_part(struct hub *h, struct object *o, const struct object *old)
{
	const struct object *from = old;
	int r = 0;
	if (!h->pen)
		return 0;
	for (size_t i = 0; i < h->asked_len; i++)
		if (h->asked[i]->desc == o->desc && str_eq(object_key(h->asked[i]), object_key(o)))
			from = h->asked[i];
	if (o->desc->kind == KIND_service && from != old)
		keep_node_ports(o, from);
	o->meta.managed_fields = text_keep(&o->arena, from->meta.managed_fields);
	for (size_t i = 0; i < from->meta.annotations.len && !r; i++) {
		const struct strpair *p = &from->meta.annotations.items[i];
		if (is_kept_out(p->key) && !strmap_get(&o->meta.annotations, p->key))
			r = strmap_set(&o->arena, &o->meta.annotations, arena_str(&o->arena, p->key),
				       arena_str(&o->arena, p->value));
	}
	return r;
}

static int refuse(const struct object *o, const struct edit_refusal *no, struct api_error *e)
{
	AUTO_BUF at = {0};
	struct pos p = o->pos;
	if (no->line) {
		p.line = no->line;
		p.col = no->col;
	}
	pos_print(&at, p);
	if (no->moved)
		return api_fail(e, 409, "Conflict",
				"%s \"" STR_FMT "\": " STR_FMT ": %s; look at the object again and try again",
				o->desc->plural, STR_ARG(o->meta.name), STR_ARG(buf_str(&at)), no->why);
	return api_fail(e, 409, "Conflict",
			"%s \"" STR_FMT
			"\": this cannot be written into its file, nothing was changed: " STR_FMT
			": %s; change it there by hand",
			o->desc->plural, STR_ARG(o->meta.name), STR_ARG(buf_str(&at)), no->why);
}

/* With what the server fills in, the new file's object must be what the client would have got. */
static int check_outcome(struct hub *h, struct object *now, const struct object *old,
			 const struct object *wanted, struct api_error *e)
{
	static const struct edit_refusal no = {.why =
						   "the file would give another object than was asked for"};
	struct remarks rs = {0};
	int r = object_default(now);
	if (!r && now->desc->kind == KIND_service)
		keep_node_ports(now, wanted);
	if (!r)
		r = object_validate(now, &rs) ? cluster_admit(h->cluster, now, old, true, &rs) : -EINVAL;
	remarks_fini(&rs);
	if (r == -ENOMEM)
		return api_fail(e, 500, "InternalError", "out of memory");
	return r || !object_same_file_part(now, wanted) ? refuse(old, &no, e) : 0;
}

int rewrite_text(struct hub *h, const struct object *old, const struct object *asked,
		 const struct object *wanted, struct str text, struct buf *out, struct api_error *e)
{
	const struct decode_limits limits = decode_limits_sized(h->opt.max_file);
	AUTO_BUF was = {0};
	AUTO_BUF want = {0};
	AUTO(own_object) struct object *now = NULL;
	struct edit_refusal no;
	object_print_json(&was, old, PRINT_PLAIN);
	if (asked)
		object_print_json(&want, asked, PRINT_PLAIN);
	const struct edit_ask ask = {
	    .text = text,
	    .path = old->pos.file->name,
	    .limits = &limits,
	    .object = old,
	    .in_force = source_dir_find(h->source, old->desc->kind, old->meta.ns, old->meta.name),
	    .old = buf_str(&was),
	    .want = buf_str(&want),
	    .remove = !asked,
	    .keep_out = annotations_kept_out,
	};
	int r = was.failed || want.failed ? -ENOMEM : edit_text(&ask, out, &now, &no);
	if (r == -EINVAL)
		return refuse(old, &no, e);
	if (r)
		return api_fail(e, 500, "InternalError", "%s", strerror(-r));
	return now && wanted ? check_outcome(h, now, old, wanted, e) : 0;
}

int rewrite_object(struct hub *h, const struct object *old, const struct object *asked,
		   const struct object *wanted, bool dry, struct api_error *e)
{
	const char *path = old->pos.file->name, *why = "";
	AUTO_MEM char *text = NULL;
	AUTO_BUF out = {0};
	size_t len = 0;
	int r = files_read(path, decode_limits_sized(h->opt.max_file).bytes, &text, &len);
	if (r)
		return api_fail(e, 409, "Conflict", "%s: %s: nothing was changed", path, strerror(-r));
	r = rewrite_text(h, old, asked, wanted, (struct str){.p = text, .n = len}, &out, e);
	if (r || dry)
		return r;
	r = pen_write(h->pen, path, (struct str){.p = text, .n = len},
		      (struct str){out.p ? out.p : "", out.n}, &why);
	if (r == -ESTALE || r == -EBUSY || r == -EPERM)
		return api_fail(e, 409, "Conflict", "%s \"" STR_FMT "\": nothing was changed, %s: %s",
				old->desc->plural, STR_ARG(old->meta.name), path, why);
	if (r)
		return api_fail(e, 500, "InternalError", "nothing was changed, %s: %s", path, why);
	log_info("%s " STR_FMT ": %s in %s", old->desc->name, STR_ARG(object_key(old)),
		 asked ? "changed" : "removed", path);
	h->asked = &wanted;
	h->asked_len = wanted ? 1 : 0;
	r = files_load(h, false);
	h->asked_len = 0;
	return r ? api_fail(e, 500, "InternalError", "%s is written, but cannot be read: %s", path,
			    strerror(-r))
		 : 0;
}
