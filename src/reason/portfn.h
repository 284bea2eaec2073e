/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port functions: what one policy set says of one class for every protocol and port, as ranges that cover
 * them all. Equal functions have one number, over all engines that share a table, so that a pair of ends
 * costs one comparison of numbers.
 */
#ifndef WEFT_REASON_PORTFN_H
#define WEFT_REASON_PORTFN_H

#include "base/hash.h"
#include "base/vec.h"

enum port_word { PORT_DENY, PORT_NAMES /* only what has a name in force */, PORT_ALLOW };

/* The protocols of a function, in this order; 0 stands for all those without ports. */
enum { PORT_PROTOS = 4 };
extern const uint8_t port_protos[PORT_PROTOS];

struct fn_range {
	uint8_t proto; /* one of port_protos */
	uint8_t word;  /* enum port_word */
	uint16_t low, high;
	uint16_t pad; /* functions are compared as bytes */
	uint32_t rule, names;
};
struct port_fn {
	struct fn_range *ranges; /* by protocol, then port; nothing is left out */
	size_t n;
};

#define FN_ALL 0u /* nobody judges */

struct port_fns {
	VEC(struct port_fn) list;
	VEC(uint32_t) unnamed; /* by function: the same without names, + 1; 0: not asked for yet */
	struct hash by_text;
};
int port_fns_init(struct port_fns *t); /* FN_ALL is there; 0 or -ENOMEM */
void port_fns_fini(struct port_fns *t);
/* The number of a function; joins ranges that say the same. 0 or -ENOMEM. */
int port_fn_get(struct port_fns *t, const struct fn_range *ranges, size_t n, uint32_t *id);
/* The function where names do not count, as for destinations inside the cluster. 0 or -ENOMEM. */
int port_fn_unnamed(struct port_fns *t, uint32_t fn, uint32_t *id);
static inline const struct port_fn *port_fn(const struct port_fns *t, uint32_t id)
{
	return &t->list.items[id];
}
const struct fn_range *port_fn_at(const struct port_fn *f, uint8_t proto, uint16_t port);

/* Walks n functions at once: out[i] is what function i says of [*low, *high] of *proto. Start with a zeroed
 * walk; false at the end. */
struct port_walk {
	size_t at[6];
	uint32_t next; /* first port that was not seen, 65536 at the end of a protocol */
	uint8_t proto;
	bool begun;
};
bool port_walk_next(struct port_walk *w, const struct port_fn *const *fns, size_t n,
		    const struct fn_range **out, uint8_t *proto, uint16_t *low, uint16_t *high);

struct port_span {
	uint8_t proto; /* one of port_protos */
	uint16_t low, high;
};
/* "tcp 80, 8000-8100, udp"; "everything", "everything but tcp 80" where that is shorter. Sorted by protocol,
 * then port. */
void port_spans_print(struct buf *b, const struct port_span *spans, size_t n);
/* "tcp", "udp", "sctp", "icmp and others". */
const char *port_proto_name(uint8_t proto);

#endif
