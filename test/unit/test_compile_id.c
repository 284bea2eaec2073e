/* SPDX-License-Identifier: Apache-2.0 */
/* Ids of contents: stable, never a reserved number, and two contents with one hash have two ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "compile/id.h"

static void equal_content_has_one_id(void **state)
{
	struct ids t = {0};
	int a;
	(void)state;
	uint32_t id = id_take(&t, 0x123456789abcdefULL, &a);
	assert_int_equal(id_take(&t, 0x123456789abcdefULL, &a), id);
	assert_ptr_equal(id_find(&t, id), &a);
	ids_fini(&t);
}

static void a_collision_gives_another_id(void **state)
{
	struct ids t = {0};
	int a, b, c;
	(void)state;
	uint32_t x = id_take(&t, 77777, &a), y = id_take(&t, 77777, &b), z = id_take(&t, 77777, &c);
	assert_int_not_equal(x, y);
	assert_int_not_equal(y, z);
	assert_int_not_equal(x, z);
	assert_ptr_equal(id_find(&t, x), &a);
	assert_ptr_equal(id_find(&t, y), &b);
	id_drop(&t, x);
	assert_null(id_find(&t, x));
	assert_ptr_equal(id_find(&t, z), &c);
	ids_fini(&t);
}

static void reserved_numbers_are_never_given(void **state)
{
	struct ids t = {0};
	int content[ID_FIRST];
	(void)state;
	for (uint64_t h = 0; h < ID_FIRST; h++)
		assert_true(id_take(&t, h, &content[h]) >= ID_FIRST);
	ids_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(equal_content_has_one_id),
					   cmocka_unit_test(a_collision_gives_another_id),
					   cmocka_unit_test(reserved_numbers_are_never_given)};
	return cmocka_run_group_tests_name("compile ids", tests, NULL, NULL);
}
