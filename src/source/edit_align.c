/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which item of a list became which: the longest common sequence by equality and by name, and what lies
 * between two of its pairs in order. Called by edit_change.c and edit.c.
 */
#include "source/edit_state.h"

enum { CELLS_MAX = 4 * 1024 * 1024 };

static const char *const names[] = {"name", "key", "mountPath", "type", "ip", "containerPort", "port", "uid"};

/* 4: equal; 3: of one name; 0: the names differ or there are none. */
static uint32_t likeness(const json_t *a, const json_t *b)
{
	if (json_equal(a, b))
		return 4;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const json_t *x = json_object_get(a, names[i]), *y = json_object_get(b, names[i]);
		if ((json_is_string(x) || json_is_integer(x)) && y)
			return json_equal(x, y) ? 3 : 0;
	}
	return 0;
}

static void pair_rest(long *to, size_t from, size_t end, size_t old_from, size_t old_end)
{
	for (; from < end && old_from < old_end; from++, old_from++)
		to[from] = (long)old_from;
}

long *edit_align(const json_t *old, const json_t *new)
{
	size_t n = json_array_size(old), m = json_array_size(new);
	if ((n + 1) > CELLS_MAX / (m + 1))
		return NULL;
	long *to = malloc((m + 1) * sizeof(*to));
	uint32_t *best = calloc((n + 1) * (m + 1), sizeof(*best));
	if (!to || !best) {
		free(to);
		free(best);
		return NULL;
	}
#define AT(i, j) best[(i) * (m + 1) + (j)]
	for (size_t i = n; i-- > 0;)
		for (size_t j = m; j-- > 0;) {
			uint32_t like = likeness(json_array_get(old, i), json_array_get(new, j));
			uint32_t take = like ? AT(i + 1, j + 1) + like : 0, skip = AT(i + 1, j);
			skip = skip > AT(i, j + 1) ? skip : AT(i, j + 1);
			AT(i, j) = take > skip ? take : skip;
		}
	size_t i = 0, j = 0, i0 = 0, j0 = 0;
	for (size_t k = 0; k < m; k++)
		to[k] = -1;
	while (i < n && j < m) {
		uint32_t like = likeness(json_array_get(old, i), json_array_get(new, j));
		if (like && AT(i, j) == AT(i + 1, j + 1) + like) {
			pair_rest(to, j0, j, i0, i);
			to[j++] = (long)i++;
			i0 = i;
			j0 = j;
		} else if (AT(i, j) == AT(i + 1, j)) {
			i++;
		} else {
			j++;
		}
	}
	pair_rest(to, j0, m, i0, n);
#undef AT
	free(best);
	return to;
}
