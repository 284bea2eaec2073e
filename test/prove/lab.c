/* SPDX-License-Identifier: Apache-2.0 */
/* Objects in, rows to the witnesses. */
#include "lab.h"

#include <errno.h>
#include <stdio.h>

#include "kept.h"
#include "learn.h"
#include "object/decode.h"
#include "seam/config.h"

int lab_node(struct str name)
{
	return name.n == 6 && str_starts(name, STR("node-")) ? name.p[5] - '1' : -1;
}

static void heard(void *ctx, const struct event *e)
{
	struct lab *l = ctx;
	bool gone = e->type == EVENT_DELETED;
	for (int n = 0; n < NODES; n++)
		if (compiler_tell(l->compilers[n], gone ? e->object : e->old, gone ? NULL : e->object))
			must_have(NULL);
}

int lab_new(struct lab *l, const struct witnesses *w)
{
	*l = (struct lab){.kernels = w->kernels, .spoil = w->spoil, .sport = 1024};
	int e = store_new(&l->store, 0);
	if (!e)
		e = store_subscribe(l->store, heard, l, &l->sub);
	if (!e)
		e = verdict_table_new(&l->engine);
	for (int n = 0; n < NODES && !e; n++) {
		char name[16];
		snprintf(name, sizeof(name), "node-%d", n + 1);
		struct compile_config cfg = {.node = str_of(name),
					     .mode = MODE_ROUTES,
					     .uplink = KERNEL_UPLINK,
					     .uplink_mac = {2, 0, 0, 0, 0, 1},
					     .mtu = 1500};
		prefix_parse(STR("10.96.0.0/16"), &cfg.services4);
		prefix_parse(STR("fd57:2::/112"), &cfg.services6);
		e = compiler_new(&l->compilers[n], &cfg);
		if (!e)
			compiler_wire_all(l->compilers[n]);
		if (!e)
			e = verdict_table_node(l->engine, &l->index[n]);
		if (w->kernels)
			kernel_reset(w->kernels[n]);
	}
	return e;
}

void lab_free(struct lab *l)
{
	model_fini(&l->model);
	model_fini(&l->staged);
	store_unsubscribe(&l->sub);
	for (int n = 0; n < NODES; n++) {
		compiler_free(&l->compilers[n]);
		vec_free(&l->names[n]);
	}
	vec_free(&l->open);
	vec_free(&l->owners);
	verdict_table_free(&l->engine);
	store_free(&l->store);
}

static int put(struct lab *l, const struct op *op, struct buf *why)
{
	struct object *o = NULL;
	struct remarks rs = {0};
	int e = decode_json_object(str_of(op->json), NULL, NULL, &o, &rs);
	if (!e)
		e = object_default(o);
	if (!e && (rs.errors || !object_validate(o, &rs)))
		e = -EINVAL;
	VEC_EACH (&rs.list, r)
		if (r->level == REMARK_ERROR)
			remark_print(why, r, false);
	remarks_fini(&rs);
	if (!e)
		return store_put(l->store, o, NULL);
	object_unref(&o);
	return e;
}

static int put_in_force(struct lab *l, int node, const struct plan_delta *d, struct buf *why)
{
	VEC_EACH (&d->steps, s) {
		VEC_EACH (&s->changes, c) {
			int e = verdict_table_change(l->engine, l->index[node], c);
			if (e)
				return e;
			if (l->kernels)
				kept_owner(l, node, c);
			e = l->kernels ? kernel_change(l->kernels[node], c) : 0;
			if (e == -ENOENT && l->spoil)
				e = 0; /* it was taken away */
			if (e) {
				buf_printf(why, "node-%d: the kernel refuses a row (%s): ", node + 1,
					   strerror(-e));
				row_print(why, &c->row, compiler_names(l->compilers[node]));
				return -EUCLEAN;
			}
			l->changes++;
		}
	}
	return 0;
}

static bool has_trie(const struct plan *p)
{
	VEC_EACH (&p->rows, r)
		if (r->type == ROW_MAP && r->table == PLAN_MAP_block_trie)
			return true;
	return false;
}

static int run(struct lab *l, int node, struct buf *why)
{
	struct plan_delta d = {0};
	struct remarks rs = {0};
	int e = compiler_run(l->compilers[node], &d, &rs);
	if (!e)
		e = put_in_force(l, node, &d, why);
	plan_delta_fini(&d);
	remarks_fini(&rs);
	if (e || !l->kernels)
		return e;
	struct plan p = {0};
	e = compiler_plan(l->compilers[node], &p);
	if (!e && !l->spoil)
		e = kernel_holds(l->kernels[node], &p, why);
	l->tries += has_trie(&p);
	if (!e)
		e = kept_mark(l, node, &p);
	vec_free(&p.rows);
	if (l->spoil && !kernel_spoil(l->kernels[node], PLAN_MAP_port))
		kernel_spoil(l->kernels[node], PLAN_MAP_policy);
	return e;
}

int lab_apply(struct lab *l, const struct batch *b, struct buf *why)
{
	int e = 0;
	model_fini(&l->model);
	model_fini(&l->staged);
	VEC_EACH (&b->ops, op) {
		if (op->json)
			e = put(l, op, why);
		else
			store_delete(l->store, op->kind, str_of(op->ns), str_of(op->name));
		if (e)
			return e;
	}
	for (int n = 0; n < NODES && !e; n++)
		e = run(l, n, why);
	l->runs = 0;
	l->owners.len = 0;
	if (!e)
		e = model_init(&l->model, l->store);
	if (!e)
		e = model_init(&l->staged, l->store);
	l->staged.staged = true;
	if (!e && l->kernels)
		e = kept_agreed(l, why) ? 0 : -EUCLEAN;
	for (int n = 0; l->kernels && n < NODES; n++)
		kernel_forget(l->kernels[n], true);
	if (e)
		return e;
	learn(l, b);
	kept_open(l, b);
	return 0;
}

void lab_names(struct lab *l, int node)
{
	l->model.names = l->staged.names = node < 0 ? NULL : l->names[node].items;
	l->model.names_len = l->staged.names_len = node < 0 ? 0 : l->names[node].len;
}
