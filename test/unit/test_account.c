/* SPDX-License-Identifier: Apache-2.0 */
/* Sums over numbers that were read twice: exact when nothing moved, else as far as can be told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "observe/account.h"

static void set(struct account *a, enum account_quantity q, uint64_t low, uint64_t high)
{
	a->low[q] = low;
	a->high[q] = high;
}

static void exact_or_wrong(void **state)
{
	struct account a = {.cpus = 2};

	(void)state;
	set(&a, ACCOUNT_POD_IN, 10, 10);
	set(&a, ACCOUNT_POD_TO_POD, 6, 6);
	set(&a, ACCOUNT_POD_DROP, 4, 4);
	assert_int_equal(account_judge(&a, SUM_POD).says, ACCOUNT_EXACT);
	set(&a, ACCOUNT_POD_IN, 11, 11); /* nothing is within a hook when nothing moves */
	assert_int_equal(account_judge(&a, SUM_POD).says, ACCOUNT_WRONG);
	assert_int_equal(account_judge(&a, SUM_POD).off, 1);
	set(&a, ACCOUNT_POD_IN, 9, 9);
	assert_int_equal(account_judge(&a, SUM_POD).off, -1);
}

static void within_while_packets_flow(void **state)
{
	struct account a = {.cpus = 2};

	(void)state;
	set(&a, ACCOUNT_POD_IN, 100, 120);
	set(&a, ACCOUNT_POD_TO_POD, 90, 115);
	assert_int_equal(account_judge(&a, SUM_POD).says, ACCOUNT_WITHIN);
	set(&a, ACCOUNT_POD_TO_POD, 90, 98); /* two are within the hook */
	assert_int_equal(account_judge(&a, SUM_POD).says, ACCOUNT_WITHIN);
	set(&a, ACCOUNT_POD_TO_POD, 90, 97);
	assert_int_equal(account_judge(&a, SUM_POD).says, ACCOUNT_WRONG);
	assert_int_equal(account_judge(&a, SUM_POD).off, 3);
	set(&a, ACCOUNT_POD_TO_POD, 130, 140); /* more than ever came in */
	assert_int_equal(account_judge(&a, SUM_POD).says, ACCOUNT_WRONG);
	assert_int_equal(account_judge(&a, SUM_POD).off, -10);
}

static void what_is_missing_made_room(void **state)
{
	struct account a = {.cpus = 2};

	(void)state;
	set(&a, ACCOUNT_HALF_INSERTED, 100, 100);
	set(&a, ACCOUNT_CONN_INSERTED, 30, 30);
	set(&a, ACCOUNT_HALF_REMOVED, 20, 20);
	set(&a, ACCOUNT_LIVE_UNANSWERED, 10, 10);
	assert_int_equal(account_judge(&a, SUM_UNANSWERED).says, ACCOUNT_EXACT);
	assert_int_equal(account_rest(&a, SUM_UNANSWERED), 40);
	set(&a, ACCOUNT_LIVE_UNANSWERED, 51, 51); /* nothing made room, and one is too much */
	assert_int_equal(account_judge(&a, SUM_UNANSWERED).says, ACCOUNT_WRONG);
	assert_int_equal(account_rest(&a, SUM_UNANSWERED), 0);
}

/* Each hook's counters stand in a sum, so that none is forgotten when a hook gets another way. */
static void each_way_is_in_a_sum(void **state)
{
	(void)state;
	for (uint32_t c = 0; c < ACCOUNT_LIVE_ANSWERED; c++) {
		const char *name = counter_name(c);
		bool way = strstr(name, "_TO_") ||
			   (strlen(name) > 3 && !strcmp(name + strlen(name) - 3, "_IN")) ||
			   (strlen(name) > 5 && !strcmp(name + strlen(name) - 5, "_DROP"));
		bool found = !way || !strcmp(name, "DIRECT_IN");

		for (size_t i = 0; i < account_terms_count; i++)
			found |= account_terms[i].quantity == c;
		if (!found)
			fail_msg("no sum of tables/account.def has %s", name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(exact_or_wrong),
	    cmocka_unit_test(within_while_packets_flow),
	    cmocka_unit_test(what_is_missing_made_room),
	    cmocka_unit_test(each_way_is_in_a_sum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
