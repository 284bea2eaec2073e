/* SPDX-License-Identifier: Apache-2.0 */
/* Sorted text-to-text maps: labels, annotations, selectors of Services. Memory is the caller's arena. */
#include <errno.h>

#include "object/object.h"

/* Index of the first key not below `key`; *found tells whether it is equal. */
static size_t seek(const struct strmap *m, struct str key, bool *found)
{
	size_t lo = 0, hi = m->len;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (str_cmp(m->items[mid].key, key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*found = lo < m->len && str_eq(m->items[lo].key, key);
	return lo;
}

const struct str *strmap_get(const struct strmap *m, struct str key)
{
	bool found;
	size_t i = m ? seek(m, key, &found) : (found = false, (size_t)0);
	return found ? &m->items[i].value : NULL;
}

bool strmap_contains(const struct strmap *all, const struct strmap *want)
{
	for (size_t i = 0; want && i < want->len; i++) {
		const struct str *have = strmap_get(all, want->items[i].key);
		if (!have || !str_eq(*have, want->items[i].value))
			return false;
	}
	return true;
}

int strmap_set(struct arena *a, struct strmap *m, struct str key, struct str value)
{
	bool found;
	size_t i = seek(m, key, &found);
	struct str v = arena_str(a, value);
	if (!v.p)
		return -ENOMEM;
	if (found) {
		m->items[i].value = v;
		return 0;
	}
	struct strpair *items = arena_array(a, struct strpair, m->len + 1);
	struct str k = arena_str(a, key);
	if (!items || !k.p)
		return -ENOMEM;
	if (i)
		memcpy(items, m->items, i * sizeof(*items));
	items[i] = (struct strpair){.key = k, .value = v};
	if (m->len > i)
		memcpy(items + i + 1, m->items + i, (m->len - i) * sizeof(*items));
	m->items = items;
	m->len++;
	m->set = true;
	return 0;
}
