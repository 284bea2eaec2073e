/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compiled rows of two nodes say what the reference says, for thousands of random clusters: NP01 to NP11,
 * NP17, NP18, NP22, NP25 to NP38, NP42 to NP60, NP63, NP69, NP70, NP74, NP75.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "compile_world.h"

static void check_pair(const struct verdict_table *t, const struct store *s, const struct question *q,
		       uint64_t seed, size_t counts[4])
{
	enum judgement got = verdict_ask(t, q).verdict, want = world_model(s, q);
	counts[want]++;
	if (got == want)
		return;
	AUTO_BUF b = {0};
	question_text(q, &b);
	fail_msg("seed %llu: %s: rows say %d, the reference %d", (unsigned long long)seed, b.p, got, want);
}

static void one_world(uint64_t seed, size_t counts[4])
{
	struct world w;
	world_init(&w, seed);
	world_fill(&w);
	struct verdict_table *t;
	assert_int_equal(verdict_table_new(&t), 0);
	for (int n = 0; n < WORLD_NODES; n++) {
		struct compiler *c = w.compilers[n] = world_compiler(n);
		struct plan_delta d = {0};
		struct plan p = {0};
		world_tell_all(c, w.store);
		world_run(c, &d);
		plan_delta_fini(&d);
		assert_int_equal(compiler_plan(c, &p), 0);
		assert_int_equal(verdict_table_add(t, &p), 0);
		vec_free(&p.rows);
	}
	struct world_addrs addrs = {0};
	world_addrs(w.store, &addrs);
	for (int i = 0; i < 400; i++) {
		struct question q;
		struct str name;
		world_question(&w, &addrs, &name, &q);
		q.staged = w.tiers && world_random(&w, 3) == 0;
		if (addr_is4(&q.src) == addr_is4(&q.dst))
			check_pair(t, w.store, &q, seed, counts);
	}
	vec_free(&addrs.list);
	verdict_table_free(&t);
	world_fini(&w);
}

static void rows_say_what_the_reference_says(void **state)
{
	(void)state;
	size_t counts[4] = {0};
	const char *worlds = getenv("WEFT_WORLDS");
	int n = worlds ? atoi(worlds) : 300;
	for (int i = 1; i <= n; i++)
		one_world((uint64_t)i, counts);
	for (int v = 0; v < 4; v++) /* a test that meets one answer only shows nothing */
		assert_true(counts[v] > 0);
	print_message("# allowed %zu, denied at egress %zu, at ingress %zu, nobody %zu\n", counts[0],
		      counts[1], counts[2], counts[3]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(rows_say_what_the_reference_says)};
	return cmocka_run_group_tests_name("compile model", tests, NULL, NULL);
}
