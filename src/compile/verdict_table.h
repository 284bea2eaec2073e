/* SPDX-License-Identifier: Apache-2.0 */
/* The rows that the engine asks, by node and table. Private to verdict*.c. */
#ifndef WEFT_COMPILE_VERDICT_TABLE_H
#define WEFT_COMPILE_VERDICT_TABLE_H

#include "base/hash.h"
#include "compile/verdict.h"
#include "seam/config.h"
#include "seam/endpoint.h"
#include "seam/policy.h"

struct node_table {
	size_t index;
	struct hash maps[PLAN_MAP_COUNT]; /* key → malloc'd value */
	struct config_value config;
	uint32_t trie_count[129], range_count[129]; /* rows of each length */
	struct hash port_keys;			    /* port set → struct port_keys */
};
struct port_keys {
	VEC(struct port_key) list;
};
struct local { /* a wired pod */
	struct node_table *node;
	struct endpoint_value value;
};
struct verdict_table {
	struct hash endpoints; /* address → struct local */
	VEC(struct node_table *) nodes;
};

static inline const void *table_find(const struct node_table *n, enum plan_map m, const void *key, size_t len)
{
	return hash_get(&n->maps[m], (struct str){key, len});
}

static inline const struct local *table_local(const struct verdict_table *t, const struct addr *a)
{
	return hash_get(&t->endpoints, (struct str){(const char *)a, sizeof(*a)});
}

/* The row of the longest prefix that holds the address; count: how many there are of each length. */
const void *table_longest(const struct node_table *n, enum plan_map m, const uint32_t count[129],
			  const struct addr *a);
const void *table_prefix(const struct node_table *n, enum plan_map m, const struct addr *a, unsigned len);

#endif
