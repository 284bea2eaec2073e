/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server-side apply: a manager's whole wish is merged into the object, what it no longer wishes and nobody
 * else owns goes, and a change of what others own is a conflict unless it is forced. Makes the object;
 * write.c hands it on.
 */
#include "serve/apply.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/own.h"
#include "object/decode.h"
#include "serve/fieldset.h"
#include "serve/managed.h"

#define LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"

struct apply {
	const struct kind_desc *kind;
	const struct object *old;
	const struct writer *writer;
	bool force;
	json_t *config, *live, *merged; /* whole objects */
	json_t *entries, *mine;
	json_t *changed, *removed;
};

static void apply_fini(struct apply *p)
{
	json_t *all[] = {p->config, p->live, p->merged, p->entries, p->changed, p->removed};
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		json_decref(all[i]);
}

/* What of the configuration is no wish: what the server makes, and the part that another URL takes. */
static void narrow(json_t *config, const char *sub)
{
	static const char *const made[] = {
	    "uid",	     "resourceVersion",	  "generation", "creationTimestamp",
	    "managedFields", "deletionTimestamp", "selfLink"};
	json_t *meta = json_object_get(config, "metadata");
	for (size_t i = 0; i < ARRAY_LEN(made); i++)
		json_object_del(meta, made[i]);
	const char *key;
	json_t *value;
	void *next;
	if (!*sub)
		json_object_del(config, "status");
	else
		json_object_foreach_safe(config, next, key,
					 value) if (strcmp(key, "status") && strcmp(key, "apiVersion") &&
						    strcmp(key, "kind") && strcmp(key, "metadata"))
		    json_object_del(config, key);
}

/* The fields that a client-side apply set, from its annotation; kubectl takes them over without a conflict.
 */
static json_t *last_applied(const struct apply *p)
{
	const struct str *text = strmap_get(&p->old->meta.annotations, STR(LAST_APPLIED));
	json_t *j = text ? json_loadb(text->p, text->n, 0, NULL) : NULL;
	json_t *set = j ? fieldset_of(j, p->kind, NULL) : NULL;
	json_decref(j);
	return set;
}

/* As other servers name a manager in a conflict. */
static void print_manager(struct buf *b, const json_t *entry)
{
	const char *manager = json_string_value(json_object_get(entry, "manager"));
	const char *operation = json_string_value(json_object_get(entry, "operation"));
	const char *version = json_string_value(json_object_get(entry, "apiVersion"));
	const char *sub = json_string_value(json_object_get(entry, "subresource"));
	const char *time = json_string_value(json_object_get(entry, "time"));
	buf_printf(b, "\"%s\"", manager ? manager : "");
	if (sub)
		buf_printf(b, " with subresource \"%s\"", sub);
	if (operation && !strcmp(operation, "Update"))
		buf_printf(b, " using %s%s%s", version ? version : "", time ? " at " : "", time ? time : "");
}

static void tell_conflict(struct buf *causes, struct buf *list, size_t *n, const json_t *entry,
			  const json_t *set)
{
	AUTO_BUF who = {0};
	AUTO_BUF paths = {0};
	print_manager(&who, entry);
	fieldset_print(&paths, set);
	buf_printf(list, "%sconflict%%s with " STR_FMT ":", list->n ? "\n" : "", STR_ARG(buf_str(&who)));
	for (struct str rest = buf_str(&paths); rest.n; (*n)++) {
		struct str path = str_cut(&rest, '\n');
		AUTO_BUF message = {0};
		buf_printf(&message, "conflict with " STR_FMT, STR_ARG(buf_str(&who)));
		buf_addz(causes, causes->n ? "," : "");
		buf_addz(causes, "{\"reason\":\"FieldManagerConflict\",\"message\":");
		buf_json(causes, buf_str(&message));
		buf_addz(causes, ",\"field\":");
		buf_json(causes, path);
		buf_addc(causes, '}');
		buf_printf(list, "\n- " STR_FMT, STR_ARG(path));
	}
}

/* One line where there is one conflict, else a list by manager. */
static int refuse(struct api_error *e, struct buf *causes, const struct buf *list, size_t n)
{
	AUTO_BUF text = {0};
	for (size_t i = 0; i < list->n; i++) {
		if (!strncmp(list->p + i, "%s", 2)) {
			buf_addz(&text, n > 1 ? "s" : "");
			i++;
		} else if (n == 1 && !strncmp(list->p + i, "\n- ", 3)) {
			buf_addc(&text, ' ');
			i += 2;
		} else {
			buf_addc(&text, list->p[i]);
		}
	}
	api_fail(e, 409, "Conflict", "Apply failed with %zu conflict%s: " STR_FMT, n, n > 1 ? "s" : "",
		 STR_ARG(buf_str(&text)));
	e->more = *causes;
	*causes = (struct buf){0};
	return -EINVAL;
}

/* What others own of what changes; forced or allowed, it is theirs no longer. */
static int settle_conflicts(struct apply *p, struct api_error *e)
{
	AUTO_BUF causes = {0};
	AUTO_BUF list = {0};
	size_t i, n = 0;
	json_t *entry, *allowed = !strcmp(p->writer->name, "kubectl") ? last_applied(p) : NULL;
	json_array_foreach (p->entries, i, entry) {
		json_t *set = json_object_get(entry, "set");
		if (entry == p->mine)
			continue;
		json_t *both = fieldset_both(set, p->changed);
		if (allowed)
			fieldset_drop(both, allowed);
		if (!fieldset_empty(both) && !p->force)
			tell_conflict(&causes, &list, &n, entry, both);
		json_decref(both);
		fieldset_drop(set, p->changed);
		fieldset_drop(set, p->removed);
	}
	json_decref(allowed);
	return n ? refuse(e, &causes, &list, n) : 0;
}

/* Objects that nobody owns yet: what is in them counts as set by somebody before. */
static int first_apply(struct apply *p)
{
	if (json_array_size(p->entries))
		return 0;
	json_t *live = json_copy(p->live);
	json_object_del(live, "status");
	json_t *set = fieldset_of(live, p->kind, NULL);
	json_t *entry = managed_entry(p->entries, p->kind, "before-first-apply", "Update", "");
	json_decref(live);
	if (!set || !entry)
		return json_decref(set), -ENOMEM;
	return json_object_set_new(entry, "set", set);
}

/* kubectl's own annotation follows, so that a client-side apply later finds what is wished. */
static void keep_last_applied(struct apply *p)
{
	json_t *notes = json_object_get(json_object_get(p->merged, "metadata"), "annotations");
	if (strcmp(p->writer->name, "kubectl") || !json_object_get(notes, LAST_APPLIED))
		return;
	json_t *config = json_deep_copy(p->config);
	json_object_del(json_object_get(json_object_get(config, "metadata"), "annotations"), LAST_APPLIED);
	AUTO_MEM char *text = json_dumps(config, JSON_COMPACT);
	if (text)
		json_object_set_new(notes, LAST_APPLIED, json_sprintf("%s\n", text));
	json_decref(config);
}

static int merge(struct apply *p, json_t *set, struct api_error *e)
{
	json_t *kept = json_object(), *last = json_deep_copy(json_object_get(p->mine, "set")), *entry;
	size_t i;
	bool same = json_equal(last, set);
	json_object_set(p->mine, "set", set);
	json_array_foreach (p->entries, i, entry)
		fieldset_add(kept, json_object_get(entry, "set"));
	p->merged = json_deep_copy(p->live);
	fieldset_merge(p->merged, p->config, p->kind);
	fieldset_prune(p->merged, last, kept, p->kind);
	json_decref(kept);
	json_decref(last);
	if (fieldset_compare(p->live, p->merged, p->kind, p->changed, p->removed))
		return -ENOMEM;
	if (!same || !fieldset_empty(p->changed) || !fieldset_empty(p->removed))
		managed_touch(p->mine);
	int r = settle_conflicts(p, e);
	keep_last_applied(p);
	return r;
}

static int finish(struct apply *p, struct object **out, struct api_error *e)
{
	struct remarks rs = {0};
	AUTO_MEM char *text = json_dumps(p->merged, JSON_COMPACT);
	int r = text ? decode_json_object(str_of(text), NULL, NULL, out, &rs) : -ENOMEM;
	if (r == -EINVAL)
		api_fail(e, 400, "BadRequest", "the merged object cannot be read: %s",
			 rs.list.len ? rs.list.items[0].text : "?");
	remarks_fini(&rs);
	return r ? r : managed_write(*out, p->entries);
}

int apply_object(struct object **out, struct object *config, const struct object *old, const struct writer *w,
		 bool force, struct api_error *e)
{
	struct apply p = {.kind = config->desc, .old = old, .writer = w, .force = force};
	AUTO_MEM char *why = NULL;
	p.config = managed_json(config);
	p.changed = json_object();
	p.removed = json_object();
	p.entries = old ? managed_read(old) : json_array();
	p.live = old ? managed_json(old) : NULL;
	narrow(p.config, w->sub);
	json_t *set = p.config ? fieldset_of(p.config, p.kind, &why) : NULL;
	int r = set && p.entries ? 0 : -ENOMEM;
	if (!set && why)
		r = api_fail(e, 400, "BadRequest", "the configuration cannot be applied: %s", why);
	if (!r && old)
		r = first_apply(&p);
	if (!r) {
		p.mine = managed_entry(p.entries, p.kind, w->name, "Apply", w->sub);
		r = p.mine ? 0 : -ENOMEM;
	}
	if (!r && old)
		r = merge(&p, set, e);
	if (!r && !old) {
		json_object_set(p.mine, "set", set);
		managed_touch(p.mine);
		p.merged = json_incref(p.config);
	}
	if (!r)
		r = finish(&p, out, e);
	if (r && !e->code)
		r = api_fail(e, 500, "InternalError", "out of memory");
	json_decref(set);
	apply_fini(&p);
	return r;
}
