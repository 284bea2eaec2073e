/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parsed form of a filter: a tree of comparisons, each a field, a side and a set of values. All numbers
 * are ranges, so that == < in and their like are one comparison. Lives in its filter's arena.
 */
#ifndef WEFT_FILTER_NODE_H
#define WEFT_FILTER_NODE_H

#include "filter/field.h"
#include "filter/filter.h"
#include "filter/pcap.h"

enum node_op { NODE_ALL, NODE_NONE, NODE_AND, NODE_OR, NODE_NOT, NODE_TEST, NODE_HAS };
enum side { SIDE_EITHER, SIDE_SRC, SIDE_DST };

struct node {
	enum node_op op;
	struct node **kids; /* AND, OR: two or more; NOT: one */
	unsigned kids_len;
	enum field_id field; /* TEST, HAS */
	enum side side;
	struct str key;	      /* of a label */
	struct value *values; /* TEST: any of them; a flag has none. Sorted, disjoint, not adjacent */
	unsigned values_len;
	uint32_t number; /* TEST, HAS that ask about one end of a record only: 1, 2, …; else 0 */
};

enum { FILTER_TEXT_MAX = 65536, FILTER_DEPTH_MAX = 64, FILTER_NODES_MAX = 16384 };

struct filter {
	unsigned refs;
	struct arena arena;
	struct node *root;	  /* of a pcap expression: the native form, or NULL where there is none */
	struct pcap_filter *pcap; /* NULL: native */
	uint32_t numbered;	  /* tests with a number */
};

/* New nodes; NULL when out of memory (or an operand is NULL). And, or: nested ones of the same kind become
 * one. */
struct node *node_new(struct arena *a, enum node_op op);
struct node *node_not(struct arena *a, struct node *of);
struct node *node_join(struct arena *a, enum node_op op, struct node *l, struct node *r);
/* A test with one value (v may be NULL: a flag). */
struct node *node_test(struct arena *a, enum field_id f, enum side side, const struct value *v);
/* Brings a test's values into their order: sorted, merged. */
void node_settle(struct node *n);
bool node_eq(const struct node *a, const struct node *b);
void node_print(struct buf *out, const struct node *n);

/* Parses native syntax. NULL with what is wrong: an error of remarks, or out of memory (no error then). */
struct node *node_parse(struct arena *a, struct str text, struct pos at, struct remarks *remarks);
/* Reads a pcap expression as a native one of the same meaning on frames without VLAN tags, MPLS and IPv6
 * extension headers. NULL: it cannot be (why), or out of memory. */
struct node *node_from_pcap(struct arena *a, struct str text, struct buf *why);
/* The opposite. 0 or -ENOTSUP (why). */
int node_to_pcap(struct buf *out, const struct node *n, struct buf *why);
/* A tree of the same meaning, with fewer and longer comparisons where alternatives differ in one alone. Names
 * of the old one are borrowed. NULL: out of memory. */
struct node *node_gather(struct arena *a, const struct node *n);
/* As steps for the kernel (malloc'd); all its fields must be the kernel's. 0; -ENOTSUP: too large (why may be
 * NULL); -ENOMEM. */
int node_steps(const struct node *n, struct filter_step **out, uint32_t *len, struct buf *why);

#endif
