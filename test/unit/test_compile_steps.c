/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing step by step gives the same plan as compiling whole, the steps lead from the one plan to the
 * other, and at no point between them is a flow misjudged: what is allowed (denied) before and after is so
 * throughout (NP79).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "compile_world.h"
#include "seam/class.h"

struct history {
	uint64_t number; /* WEFT_WORLD=number plays it alone */
	struct world w;
	struct verdict_table *live; /* follows the changes of node 1 */
	size_t index;
	struct world_addrs addrs; /* before the change and after */
	struct world_addrs pods;  /* before the change */
	size_t asked, steps_most, changes;
};

static void same_as_whole(struct history *h, const struct compiler *c, int node)
{
	struct compiler *fresh = world_compiler(node);
	struct plan_delta d = {0};
	AUTO_BUF a = {0};
	AUTO_BUF b = {0};
	world_tell_all(fresh, h->w.store);
	world_run(fresh, &d);
	plan_delta_fini(&d);
	world_text(c, &a);
	world_text(fresh, &b);
	if (!str_eq(buf_str(&a), buf_str(&b))) {
		FILE *f = fopen("/tmp/weft-test-compile.diff", "w");
		if (f) {
			fprintf(f, "=== step by step\n%s=== whole\n%s", a.p, b.p);
			fclose(f);
		}
		fail_msg("world %llu: the plans differ, see /tmp/weft-test-compile.diff",
			 (unsigned long long)h->number);
	}
	compiler_free(&fresh);
}

/* Addresses of pods by the plan: who comes or goes has no flows that could be kept. */
static void pods_of(const struct compiler *c, struct world_addrs *out)
{
	struct plan p = {0};
	out->list.len = 0;
	assert_int_equal(compiler_plan(c, &p), 0);
	VEC_EACH (&p.rows, r) {
		struct address_value v;
		struct addr a;
		if (r->type != ROW_MAP || r->table != PLAN_MAP_address)
			continue;
		memcpy(&v, r->value, sizeof(v));
		memcpy(&a, r->key, sizeof(a));
		if (v.flags & ADDRESS_POD)
			vec_push(&out->list, a);
	}
	vec_free(&p.rows);
}

static bool is_pod(const struct world_addrs *pods, const struct addr *a)
{
	VEC_EACH (&pods->list, p)
		if (addr_eq(p, a))
			return true;
	return false;
}

struct pairs {
	VEC(struct question) list;
	VEC(struct str) names; /* of the destination of each */
	bool *before;	       /* allowed */
	bool *after;
};

static bool allowed(const struct verdict_table *t, const struct question *q)
{
	return verdict_ask(t, q).verdict == JUDGED_ALLOW;
}

static void choose_pairs(struct history *h, struct pairs *p)
{
	struct world_addrs now = {0};
	pods_of(h->w.compilers[0], &now);
	for (int i = 0; i < (h->w.dense ? 300 : 150); i++) {
		struct question q;
		struct str name;
		world_question(&h->w, &h->addrs, &name, &q);
		if (addr_is4(&q.src) == addr_is4(&q.dst) && is_pod(&h->pods, &q.src) == is_pod(&now, &q.src))
			assert_false(vec_push(&p->list, q) || vec_push(&p->names, name));
	}
	for (size_t i = 0; i < p->list.len; i++)
		p->list.items[i].names = &p->names.items[i];
	vec_free(&now.list);
	p->before = calloc(p->list.len, sizeof(bool));
	p->after = calloc(p->list.len, sizeof(bool));
}

/* Where to look when a check fails. */
static void tell(const struct history *h, const struct plan_delta *d)
{
	AUTO_BUF b = {0};
	const char *to = getenv("WEFT_TELL");
	FILE *f = to ? fopen(to, "w") : NULL;
	plan_delta_print(&b, d, compiler_names(h->w.compilers[0]));
	if (f) {
		fwrite(b.p, 1, b.n, f);
		fclose(f);
	}
}

static void check_prefix(struct history *h, const struct pairs *p, const struct plan_delta *d, size_t step,
			 size_t change)
{
	for (size_t i = 0; i < p->list.len; i++) {
		if (p->before[i] != p->after[i] || allowed(h->live, &p->list.items[i]) == p->before[i])
			continue;
		AUTO_BUF b = {0};
		question_text(&p->list.items[i], &b);
		tell(h, d);
		fail_msg("world %llu: step %zu, after change %zu: %s is %s, before and after it is not",
			 (unsigned long long)h->number, step, change, b.p,
			 p->before[i] ? "denied" : "allowed");
	}
	h->asked += p->list.len;
}

/* The whole plan in a table of its own: what holds after. */
static struct verdict_table *table_of(const struct compiler *c)
{
	struct verdict_table *t;
	struct plan plan = {0};
	assert_int_equal(verdict_table_new(&t), 0);
	assert_int_equal(compiler_plan(c, &plan), 0);
	assert_int_equal(verdict_table_add(t, &plan), 0);
	vec_free(&plan.rows);
	return t;
}

static void replay(struct history *h, const struct plan_delta *d)
{
	struct pairs p = {0};
	struct verdict_table *end = table_of(h->w.compilers[0]);
	choose_pairs(h, &p);
	for (size_t i = 0; i < p.list.len; i++) {
		p.before[i] = allowed(h->live, &p.list.items[i]);
		p.after[i] = allowed(end, &p.list.items[i]);
	}
	for (size_t s = 0; s < d->steps.len; s++) {
		const struct plan_step *step = &d->steps.items[s];
		for (size_t i = 0; i < step->changes.len; i++) {
			assert_false(i && step->changes.items[i].op < step->changes.items[i - 1].op);
			assert_int_equal(verdict_table_change(h->live, h->index, &step->changes.items[i]), 0);
			check_prefix(h, &p, d, s + 1, i + 1);
		}
	}
	for (size_t i = 0; i < p.list.len; i++)
		assert_int_equal(allowed(h->live, &p.list.items[i]), p.after[i]);
	if (d->steps.len > h->steps_most)
		h->steps_most = d->steps.len;
	h->changes += plan_delta_changes(d);
	vec_free(&p.list);
	vec_free(&p.names);
	free(p.before);
	free(p.after);
	verdict_table_free(&end);
}

static void fill(struct history *h, const struct plan_delta *d)
{
	VEC_EACH (&d->steps, s) {
		VEC_EACH (&s->changes, ch)
			assert_int_equal(verdict_table_change(h->live, h->index, ch), 0);
	}
}

/* What the steps make of the old plan, row by row, is the new plan: checked by text. */
struct shadow {
	struct hash rows;
};

static void shadow_apply(struct shadow *sh, const struct plan_delta *d)
{
	VEC_EACH (&d->steps, s) {
		VEC_EACH (&s->changes, ch) {
			AUTO_BUF key = {0};
			buf_add(&key, &ch->row.type, 1);
			buf_add(&key, &ch->row.table, 2);
			buf_add(&key, ch->row.key, ch->row.key_len);
			void *had = hash_get(&sh->rows, buf_str(&key));
			assert_int_equal(had != NULL, ch->op != CHANGE_ADD);
			if (ch->op == CHANGE_DEL) {
				free(hash_del(&sh->rows, buf_str(&key)));
				continue;
			}
			char *copy = malloc(ch->row.value_len);
			memcpy(copy, ch->row.value, ch->row.value_len);
			free(had);
			assert_int_equal(hash_set(&sh->rows, buf_str(&key), copy, NULL), 0);
		}
	}
}

static void shadow_equals(struct shadow *sh, const struct compiler *c)
{
	struct plan p = {0};
	assert_int_equal(compiler_plan(c, &p), 0);
	assert_int_equal(p.rows.len, sh->rows.len);
	VEC_EACH (&p.rows, r) {
		AUTO_BUF key = {0};
		buf_add(&key, &r->type, 1);
		buf_add(&key, &r->table, 2);
		buf_add(&key, r->key, r->key_len);
		const void *v = hash_get(&sh->rows, buf_str(&key));
		assert_non_null(v);
		assert_memory_equal(v, r->value, r->value_len);
	}
	vec_free(&p.rows);
}

static void one_history(uint64_t number, size_t *asked, size_t *most)
{
	struct history h = {.number = number};
	struct shadow sh = {0};
	bool dense = number & 1;
	world_init(&h.w, number * 7919);
	h.w.dense = dense;
	for (int n = 0; n < WORLD_NODES; n++)
		h.w.compilers[n] = world_compiler(n);
	assert_int_equal(verdict_table_new(&h.live), 0);
	assert_int_equal(verdict_table_node(h.live, &h.index), 0);
	world_fill(&h.w);
	for (int round = 0; round < 12; round++) {
		uint32_t n = round ? 1 + world_random(&h.w, dense ? 5 : 3) : 0;
		while (n--)
			world_change(&h.w);
		world_addrs(h.w.store, &h.addrs);
		for (int node = 0; node < WORLD_NODES; node++) {
			struct plan_delta d = {0};
			world_run(h.w.compilers[node], &d);
			if (!node) {
				if (round)
					replay(&h, &d);
				else /* before there is nothing, and so nothing to keep */
					fill(&h, &d);
				shadow_apply(&sh, &d);
				shadow_equals(&sh, h.w.compilers[0]);
			}
			plan_delta_fini(&d);
			same_as_whole(&h, h.w.compilers[node], node);
		}
		pods_of(h.w.compilers[0], &h.pods);
		h.addrs.list.len = 0;
		world_addrs(h.w.store, &h.addrs);
	}
	*asked += h.asked;
	*most = h.steps_most > *most ? h.steps_most : *most;
	HASH_EACH (&sh.rows, s)
		free(s->value);
	hash_fini(&sh.rows);
	vec_free(&h.addrs.list);
	vec_free(&h.pods.list);
	verdict_table_free(&h.live);
	world_fini(&h.w);
}

static void steps_misjudge_nothing(void **state)
{
	(void)state;
	size_t asked = 0, most = 0;
	const char *worlds = getenv("WEFT_WORLDS");
	int n = worlds ? atoi(worlds) : 12;
	const char *one = getenv("WEFT_WORLD");
	for (int i = one ? atoi(one) : 1; i <= (one ? atoi(one) : n); i++)
		one_history((uint64_t)i, &asked, &most);
	print_message("# %zu verdicts between changes, at most %zu steps\n", asked, most);
}

static void put(struct world *w, const char *json)
{
	AUTO_BUF b = {0};
	buf_addz(&b, json);
	world_put(w, &b);
}

static void put_space(struct world *w, const char *name, const char *team)
{
	AUTO_BUF b = {0};
	buf_printf(&b,
		   "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"%s\",\"labels\":{"
		   "\"team\":"
		   "\"%s\"}}}",
		   name, team);
	world_put(w, &b);
}

static void put_pod(struct world *w, const char *ns, unsigned host)
{
	AUTO_BUF b = {0};
	buf_printf(&b,
		   "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"namespace\":\"%"
		   "s\",\"uid\":\"u-%s\"},"
		   "\"spec\":{\"nodeName\":\"node-1\",\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]},"
		   "\"status\":{\"podIPs\":[{\"ip\":\"10.244.0.%u\"}]}}",
		   ns, ns, host);
	world_put(w, &b);
}

static const char egress_to_red[] =
    "{\"apiVersion\":\"networking.k8s.io/"
    "v1\",\"kind\":\"NetworkPolicy\",\"metadata\":{\"name\":\"out\",\"namespace\":\"a\"},"
    "\"spec\":{\"podSelector\":{},\"policyTypes\":[\"Egress\"],\"egress\":[{\"to\":[{\"namespaceSelector\":"
    "{\"matchLabels\":{\"team\":\"red\"}}}]}]}}";
static const char ingress_from_red[] =
    "{\"apiVersion\":\"networking.k8s.io/"
    "v1\",\"kind\":\"NetworkPolicy\",\"metadata\":{\"name\":\"in\",\"namespace\":\"b\"},"
    "\"spec\":{\"podSelector\":{},\"policyTypes\":[\"Ingress\"],\"ingress\":[{\"from\":[{"
    "\"namespaceSelector\":"
    "{\"matchLabels\":{\"team\":\"red\"}}}]}]}}";

/* Runs the change and asks at each point for one flow, which neither the old nor the new plan allows. */
static size_t never_allowed(struct world *w, struct verdict_table *t, size_t index, unsigned from,
			    unsigned to)
{
	struct question q = {.src = addr_from4(0x0af40000u + from),
			     .dst = addr_from4(0x0af40000u + to),
			     .proto = IPPROTO_TCP,
			     .port = 80};
	struct plan_delta d = {0};
	assert_false(allowed(t, &q));
	world_run(w->compilers[0], &d);
	size_t steps = d.steps.len;
	VEC_EACH (&d.steps, s) {
		VEC_EACH (&s->changes, ch) {
			assert_int_equal(verdict_table_change(t, index, ch), 0);
			assert_false(allowed(t, &q));
		}
	}
	plan_delta_fini(&d);
	return steps;
}

static void start(struct world *w, struct verdict_table **t, size_t *index)
{
	world_init(w, 1);
	w->compilers[0] = world_compiler(0);
	world_put_node(w, 0);
	put_space(w, "a", "red");
	put_space(w, "b", "blue");
	put(w, egress_to_red);
	put(w, ingress_from_red);
	assert_int_equal(verdict_table_new(t), 0);
	assert_int_equal(verdict_table_node(*t, index), 0);
}

static void first_run(struct world *w, struct verdict_table *t, size_t index)
{
	struct plan_delta d = {0};
	world_run(w->compilers[0], &d);
	VEC_EACH (&d.steps, s)
		VEC_EACH (&s->changes, ch)
			assert_int_equal(verdict_table_change(t, index, ch), 0);
	plan_delta_fini(&d);
}

/* Before, the sender's egress refuses; after, the receiver's ingress does. Both namespaces change at once
 * (NP16). */
static void two_relabels_open_no_gap(void **state)
{
	(void)state;
	for (unsigned order = 0; order < 2; order++) {
		struct world w;
		struct verdict_table *t;
		size_t index;
		start(&w, &t, &index);
		put_pod(&w, "a", order ? 4 : 9);
		put_pod(&w, "b", 6);
		first_run(&w, t, index);
		put_space(&w, "a", "blue");
		put_space(&w, "b", "red");
		assert_true(never_allowed(&w, t, index, order ? 4 : 9, 6) > 1);
		verdict_table_free(&t);
		world_fini(&w);
	}
}

/* A pod comes that would take from red, while the sender stops to be red. */
static void a_new_pod_sees_no_old_label(void **state)
{
	struct world w;
	struct verdict_table *t;
	size_t index;
	(void)state;
	start(&w, &t, &index);
	put_space(&w, "b", "red");
	put_pod(&w, "a", 9);
	first_run(&w, t, index);
	put_space(&w, "a", "blue");
	put_pod(&w, "b", 6);
	never_allowed(&w, t, index, 9, 6);
	verdict_table_free(&t);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(steps_misjudge_nothing),
					   cmocka_unit_test(two_relabels_open_no_gap),
					   cmocka_unit_test(a_new_pod_sees_no_old_label)};
	return cmocka_run_group_tests_name("compile steps", tests, NULL, NULL);
}
