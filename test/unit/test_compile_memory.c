/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that runs out in the midst of a run: the run says -ENOMEM, the plan in force is the one of before,
 * and the next run gives what it would have given. Every allocation of a run fails once. Not under the
 * sanitizers, which have the allocator for themselves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <stdlib.h>
#include <cmocka.h>

#include "compile_world.h"

static long left = -1; /* allocations until one fails; negative: none does */

#ifndef __SANITIZE_ADDRESS__
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

static int fails(void)
{
	return left >= 0 && left-- == 0;
}

void *malloc(size_t n)
{
	return fails() ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return fails() ? NULL : __libc_realloc(p, n);
}
#endif

static void rows_bytes(const struct compiler *c, struct buf *b)
{
	struct plan p = {0};
	assert_int_equal(compiler_plan(c, &p), 0);
	VEC_EACH (&p.rows, r) {
		buf_add(b, r->key, r->key_len);
		buf_add(b, r->value, r->value_len);
	}
	vec_free(&p.rows);
}

/* Runs with the nth allocation failing. True when there was no nth one. */
static bool run_short_of(struct compiler *c, long n)
{
	struct plan_delta d = {0};
	struct remarks rs = {0};
	AUTO_BUF before = {0};
	AUTO_BUF after = {0};
	rows_bytes(c, &before);
	left = n;
	int e = compiler_run(c, &d, &rs);
	bool reached = left < 0;
	left = -1;
	remarks_fini(&rs);
	plan_delta_fini(&d);
	if (e) {
		assert_int_equal(e, -ENOMEM);
		assert_true(reached);
		rows_bytes(c, &after);
		assert_int_equal(before.n, after.n);
		assert_true(!before.n || !memcmp(before.p, after.p, before.n));
		world_run(c, &d);
		plan_delta_fini(&d);
	}
	return !reached;
}

static void same_as_fresh(const struct compiler *c, const struct store *s)
{
	struct compiler *fresh = world_compiler(0);
	struct plan_delta d = {0};
	AUTO_BUF a = {0};
	AUTO_BUF b = {0};
	world_tell_all(fresh, s);
	world_run(fresh, &d);
	plan_delta_fini(&d);
	world_text(c, &a);
	world_text(fresh, &b);
	assert_string_equal(a.p, b.p);
	compiler_free(&fresh);
}

static void a_failed_run_moves_nothing(void **state)
{
	(void)state;
#ifdef __SANITIZE_ADDRESS__
	skip();
#endif
	long worst = 0;
	for (uint64_t seed = 1; seed < 3; seed++) {
		bool done = false;
		for (long n = 0; !done; n += 1 + n / 8) {
			struct world w;
			world_init(&w, seed);
			w.compilers[0] = world_compiler(0);
			world_fill(&w);
			done = run_short_of(w.compilers[0], 7 * n);
			same_as_fresh(w.compilers[0], w.store);
			for (int i = 0; i < 4; i++)
				world_change(&w);
			done &= run_short_of(w.compilers[0], n);
			same_as_fresh(w.compilers[0], w.store);
			worst = n > worst ? n : worst;
			world_fini(&w);
		}
	}
	print_message("# up to %ld allocations in a run\n", worst);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_failed_run_moves_nothing)};
	return cmocka_run_group_tests_name("compile memory", tests, NULL, NULL);
}
