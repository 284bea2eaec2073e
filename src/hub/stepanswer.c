/* SPDX-License-Identifier: Apache-2.0 */
/* See stepanswer.h. Writes; looks nothing up. */
#include "hub/stepanswer.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/own.h"
#include "hub/record.h"
#include "hub/userpart.h"
#include "source/linediff.h"

static void add(struct buf *b, const char *key, const char *text)
{
	buf_printf(b, "\"%s\":", key);
	if (text)
		buf_json(b, str_of(text));
	else
		buf_addz(b, "null");
}

/* Who reads a User sees no hash. The text without it; on failure none. */
static struct str without_hash(struct buf *out, struct str json)
{
	json_t *o = json_loadb(json.p ? json.p : "", json.n, 0, NULL), *spec = json_object_get(o, "spec");
	char *text = NULL;

	if (json_object_get(spec, "password"))
		json_object_set_new(spec, "password", json_string("<redacted>"));
	text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	if (text)
		buf_addz(out, text);
	free(text);
	json_decref(o);
	return buf_str(out);
}

static void add_yaml(struct buf *b, const char *key, enum kind k, struct str json)
{
	AUTO_BUF yaml = {0};
	AUTO_BUF shown = {0};
	buf_printf(b, ",\"%s\":", key);
	if (k == KIND_user)
		json = without_hash(&shown, json);
	if (json.n && !userpart_yaml(&yaml, json, true))
		buf_json(b, buf_str(&yaml));
	else
		buf_addz(b, "null");
}

static void add_object_yaml(struct buf *b, const char *key, const struct object *o)
{
	AUTO_BUF json = {0};
	if (o && o->desc->kind != KIND_secret)
		userpart_json(&json, o);
	add_yaml(b, key, o ? o->desc->kind : KIND_pod, buf_str(&json));
}

static void add_names(struct buf *b, enum kind k, const char *ns, const char *name)
{
	add(b, "kind", kind_table[k].name);
	buf_addc(b, ',');
	add(b, "namespace", ns);
	buf_addc(b, ',');
	add(b, "name", name);
}

/* Unified; null where a Secret would be in it. */
static void add_file(struct buf *b, const struct plan_file *f, unsigned context)
{
	struct str was = {f->was, f->was_len}, is = {f->now.p ? f->now.p : "", f->now.n};
	if (!f->is)
		is = (struct str){0};
	AUTO_BUF diff = {0};
	bool careful = step_hides(was) || step_hides(is);
	buf_addc(b, '{');
	add(b, "path", f->path);
	buf_addz(b, ",\"diff\":");
	if (f->secret || linediff_print(&diff, f->path, was, is, careful ? 0 : context))
		buf_addz(b, "null");
	else
		buf_json(b, buf_str(&diff));
	buf_addc(b, '}');
}

static void add_remarks(struct buf *b, const struct step_plan *p)
{
	static const char *const levels[] = {"error", "warning", "hint"};
	buf_addz(b, "\"remarks\":[");
	for (size_t i = 0; i < p->remarks.len; i++) {
		const struct plan_remark *pr = &p->remarks.items[i];
		const struct remark *r = &pr->remark;
		buf_printf(b, "%s{\"edit\":%zu,\"level\":\"%s\",\"line\":%u,\"column\":%u,\"length\":%u,",
			   i ? "," : "", pr->edit, levels[r->level], r->line, r->col, r->len);
		add(b, "text", r->text);
		buf_addc(b, ',');
		add(b, "hint", r->hint);
		buf_addc(b, '}');
	}
	buf_addc(b, ']');
}

void answer_made(struct buf *b, const struct step_plan *p, uint64_t id, unsigned context)
{
	bool any = false;
	if (id)
		buf_printf(b, "{\"id\":%llu,\"files\":[", (unsigned long long)id);
	else
		buf_addz(b, "{\"id\":null,\"files\":[");
	VEC_EACH (&p->files, f) {
		struct str now = {f->now.p ? f->now.p : "", f->now.n};
		if (f->was ? f->is && str_eq((struct str){f->was, f->was_len}, now) : !f->is)
			continue;
		if (any)
			buf_addc(b, ',');
		any = true;
		add_file(b, f, context);
	}
	buf_addz(b, "],\"objects\":[");
	for (size_t i = 0; i < p->objects.len; i++) {
		const struct plan_object *o = &p->objects.items[i];
		buf_printf(b, "%s{\"edit\":%zu,", i ? "," : "", o->edit);
		add_names(b, o->kind, o->ns, o->name);
		buf_printf(b, ",\"verb\":\"%s\",\"inFile\":%s",
			   o->gone  ? "removed"
			   : o->was ? "changed"
				    : "created",
			   o->in_file ? "true" : "false");
		add_object_yaml(b, "before", o->was);
		if (o->want && o->kind != KIND_secret && !o->gone)
			add_yaml(b, "after", o->kind, str_of(o->want));
		else
			add_object_yaml(b, "after", o->gone ? NULL : o->is);
		buf_addc(b, '}');
	}
	buf_addz(b, "],");
	add_remarks(b, p);
	buf_addz(b, "}\n");
}

void answer_refused(struct buf *b, const struct step_plan *p)
{
	AUTO_BUF why = {0};
	bool conflict = p->conflicts.len;
	if (conflict) {
		const struct plan_conflict *c = &p->conflicts.items[0];
		buf_printf(&why, "nothing was changed: %s %s%s%s: %s", kind_table[c->kind].name, c->ns,
			   *c->ns ? "/" : "", c->name, c->why);
		if (p->conflicts.len > 1)
			buf_printf(&why, "; and %zu more", p->conflicts.len - 1);
	} else {
		VEC_EACH (&p->remarks, r)
			if (r->remark.level == REMARK_ERROR && !why.n)
				buf_printf(&why, "nothing was changed: edit %zu: %s", r->edit + 1,
					   r->remark.text);
	}
	buf_printf(b,
		   "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","
		   "\"reason\":\"%s\","
		   "\"code\":%d,",
		   conflict ? "Conflict" : "Invalid", conflict ? 409 : 422);
	add(b, "message", why.p ? why.p : "");
	buf_addz(b, ",\"conflicts\":[");
	for (size_t i = 0; i < p->conflicts.len; i++) {
		const struct plan_conflict *c = &p->conflicts.items[i];
		buf_printf(b, "%s{\"edit\":%zu,", i ? "," : "", c->edit);
		add_names(b, c->kind, c->ns, c->name);
		buf_addc(b, ',');
		add(b, "why", c->why);
		buf_addc(b, '}');
	}
	buf_addz(b, "],");
	add_remarks(b, p);
	buf_addz(b, "}\n");
}

static void add_step_files(struct buf *b, const struct step *st, bool whole)
{
	buf_addz(b, ",\"files\":[");
	for (size_t i = 0; i < st->files.len; i++) {
		buf_addz(b, i ? ",{" : "{");
		add(b, "path", st->files.items[i].path);
		if (whole) {
			buf_addz(b, ",\"diff\":");
			if (st->files.items[i].diff)
				buf_json(b,
					 (struct str){st->files.items[i].diff, st->files.items[i].diff_len});
			else
				buf_addz(b, "null");
		}
		buf_addc(b, '}');
	}
	buf_addc(b, ']');
}

void answer_step(struct buf *b, const struct step *st, uint64_t undone, bool whole)
{
	buf_printf(b, "{\"id\":%llu,\"at\":%lld,\"origin\":\"%s\",", (unsigned long long)st->id,
		   (long long)st->at, step_origin_name(st->origin));
	add(b, "user", st->origin == STEP_FILES ? "file on disk" : st->user);
	buf_addc(b, ',');
	add(b, "name", st->name);
	buf_addc(b, ',');
	add(b, "reason", st->reason);
	buf_addz(b, ",\"undoes\":");
	if (st->undoes)
		buf_printf(b, "%llu", (unsigned long long)st->undoes);
	else
		buf_addz(b, "null");
	buf_addz(b, ",\"undone\":");
	if (undone)
		buf_printf(b, "%llu", (unsigned long long)undone);
	else
		buf_addz(b, "null");
	buf_addz(b, ",\"objects\":[");
	for (size_t i = 0; i < st->objects.len; i++) {
		const struct step_object *o = &st->objects.items[i];
		buf_addz(b, i ? ",{" : "{");
		add_names(b, o->kind, o->ns, o->name);
		buf_printf(b, ",\"verb\":\"%s\",", step_verb(o));
		add(b, "file", o->file);
		if (whole) {
			buf_printf(b, ",\"kept\":%s", o->kept ? "true" : "false");
			add_yaml(b, "before", o->kind, str_of(o->before));
			add_yaml(b, "after", o->kind, str_of(o->after));
		}
		buf_addc(b, '}');
	}
	buf_printf(b, "],\"more\":%zu", st->more);
	add_step_files(b, st, whole);
	buf_addc(b, '}');
}

void answer_list_end(struct buf *b, struct steplog_sizes s, bool writable)
{
	buf_printf(b,
		   "],\"writable\":%s,\"kept\":%llu,\"bytes\":%llu,\"bytesMax\":%d,\"madeRoom\":%llu,"
		   "\"lost\":%llu}\n",
		   writable ? "true" : "false", (unsigned long long)s.steps, (unsigned long long)s.bytes,
		   STEPLOG_BYTES_MAX, (unsigned long long)s.dropped, (unsigned long long)s.lost);
}

/* What the hub makes of itself in every cluster. */
static bool is_own(const struct object *o)
{
	return o->desc->kind == KIND_node ||
	       (o->desc->kind == KIND_namespace && !o->pos.file &&
		(str_eqz(o->meta.name, "default") || str_eqz(o->meta.name, "kube-system")));
}

int answer_export(struct buf *b, const struct object *o)
{
	AUTO_BUF json = {0};
	if (record_passes_over(o->desc->kind) || o->desc->kind == KIND_secret || object_controller(o) ||
	    o->meta.deletion_timestamp.n || is_own(o))
		return 0;
	int r = userpart_json(&json, o);
	if (b->n)
		buf_addz(b, "---\n");
	if (!r)
		r = userpart_yaml(b, buf_str(&json), false);
	if (!r && b->n && b->p[b->n - 1] != '\n')
		buf_addc(b, '\n');
	return r == -EINVAL ? 0 : r;
}
