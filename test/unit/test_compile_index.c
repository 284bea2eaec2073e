/* SPDX-License-Identifier: Apache-2.0 */
/* The index of labels: finds what was put and not taken out, and chooses the pair that fewest have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/own.h"
#include "compile/index.h"

enum { ITEMS = 3000, KEYS = 40 };

static struct entry entries[ITEMS];
static unsigned key_of[ITEMS]; /* 0: not in */

static uint64_t key(unsigned i)
{
	char text[8];
	snprintf(text, sizeof(text), "v%u", i);
	struct strpair pair = {.key = STR("app"), .value = str_of(text)};
	return index_key(i % 2 ? entries : NULL, &pair);
}

static void count(void *item, void *ctx)
{
	unsigned *n = ctx;
	(void)item;
	(*n)++;
}

static void finds_what_is_in(void **state)
{
	(void)state;
	struct index x = {0};
	uint32_t r = 1;
	assert_null(index_first(&x, key(1)));
	for (int step = 0; step < 20000; step++) {
		r = r * 1664525 + 1013904223;
		unsigned i = (r >> 8) % ITEMS;
		index_remove(&x, &entries[i]);
		key_of[i] = (r >> 4) % 3 ? 1 + (r >> 20) % KEYS : 0;
		if (key_of[i])
			assert_int_equal(index_add(&x, &entries[i], key(key_of[i]), &key_of[i]), 0);
	}
	for (unsigned k = 1; k <= KEYS; k++) {
		unsigned want = 0, have = 0;
		for (unsigned i = 0; i < ITEMS; i++)
			want += key_of[i] == k;
		INDEX_EACH(&x, key(k), e)
		{
			assert_int_equal(*(unsigned *)e->item, k);
			have++;
		}
		assert_true(want > 0);
		assert_int_equal(have, want);
	}
	index_fini(&x);
}

static void chooses_the_rarest(void **state)
{
	(void)state;
	struct index x = {0};
	struct entry many[40] = {0}, one = {0}, every = {0};
	struct strpair both[] = {{STR("app"), STR("web")}, {STR("tier"), STR("front")}};
	struct label_selector s = {.match_labels = {.items = both, .len = 2}}, none = {0};
	uint64_t got;
	unsigned n = 0;
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		assert_int_equal(index_add(&x, &many[i], index_key(&x, &both[0]), &x), 0);
	assert_int_equal(index_add(&x, &one, index_key(&x, &both[1]), &x), 0);
	assert_true(index_rarest(&x, &x, &s, &got));
	assert_true(got == index_key(&x, &both[1]));
	struct strpair turned[] = {both[1], both[0]};
	s.match_labels.items = turned; /* whichever comes first */
	assert_true(index_rarest(&x, &x, &s, &got));
	assert_true(got == index_key(&x, &both[1]));
	s.match_labels = (struct strmap){.items = both, .len = 1}; /* many, yet better than all */
	assert_true(index_rarest(&x, &x, &s, &got));
	assert_true(got == index_key(&x, &both[0]));
	assert_false(index_rarest(&x, &x, &none, &got));
	assert_false(index_rarest(&x, &x, NULL, &got));

	struct str value = STR("front");
	struct selector_requirement in = {
	    .key = STR("tier"), .op = STR("In"), .values = {.items = &value, .len = 1}};
	struct label_selector by = {.match_expressions = {.items = &in, .len = 1}};
	assert_true(index_rarest(&x, &x, &by, &got));
	assert_true(got == index_key(&x, &both[1]));
	in.op = STR("NotIn");
	assert_false(index_rarest(&x, &x, &by, &got));

	assert_int_equal(index_add(&x, &every, index_key(&x, NULL), &x), 0);
	index_asked(&x, &x, &(struct strmap){.items = &both[1], .len = 1}, count, &n);
	assert_int_equal(n, 2); /* the one, and what asks for no label */
	index_asked(&x, NULL, &(struct strmap){.items = both, .len = 2}, count, &n);
	assert_int_equal(n, 2); /* another scope */
	index_fini(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(finds_what_is_in),
	    cmocka_unit_test(chooses_the_rarest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
