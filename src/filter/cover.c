/* SPDX-License-Identifier: Apache-2.0 */
/* What packets must have: see cover.h. */
#include "filter/cover.h"

#include <stdlib.h>

enum { KEYS_MAX = 256 };

const struct dimension cover_dimensions[DIMENSIONS] = {{FIELD_IP, SIDE_SRC, 128},
						       {FIELD_IP, SIDE_DST, 128},
						       {FIELD_PORT, SIDE_SRC, 16},
						       {FIELD_PORT, SIDE_DST, 16},
						       {FIELD_MAC, SIDE_SRC, 48},
						       {FIELD_MAC, SIDE_DST, 48},
						       {FIELD_PROTO, SIDE_EITHER, 3},
						       {FIELD_ETH_TYPE, SIDE_EITHER, 4},
						       {FIELD_VLAN_ID, SIDE_EITHER, 12},
						       {FIELD_VLAN_PCP, SIDE_EITHER, 3},
						       {FIELD_VLAN_INNER_ID, SIDE_EITHER, 12},
						       {FIELD_MPLS_LABEL, SIDE_EITHER, 20},
						       {FIELD_TUNNEL_VNI, SIDE_EITHER, 24},
						       {FIELD_TTL, SIDE_EITHER, 4},
						       {FIELD_DSCP, SIDE_EITHER, 3},
						       {FIELD_TCP_FLAGS, SIDE_EITHER, 4},
						       {FIELD_ICMP_TYPE, SIDE_EITHER, 6},
						       {FIELD_ICMP_CODE, SIDE_EITHER, 6},
						       {FIELD_LEN, SIDE_EITHER, 8}};

int number_compare(const void *a, const void *b)
{
	return number_below(a, b) ? -1 : number_below(b, a);
}

struct number number_of(const struct addr *a)
{
	struct number n = {0};

	for (int i = 0; i < 8; i++) {
		n.high = n.high << 8 | a->b[i];
		n.low = n.low << 8 | a->b[8 + i];
	}
	return n;
}

static int dimension_of(enum field_id f, enum side side)
{
	for (int i = 0; i < DIMENSIONS; i++)
		if (cover_dimensions[i].field == f && cover_dimensions[i].side == side)
			return i;
	return -1;
}

/* 1 / 2^(bits that the range leaves free of those that there are). */
static double share_of(const struct dimension *d, const struct number *from, const struct number *to)
{
	double width = (double)(to->high - from->high) * 18446744073709551616.0 + (double)to->low -
		       (double)from->low + 1,
	       whole = 1;

	/* IPv4 addresses stand among those of IPv6: counted as their own 32 bits. */
	unsigned bits = d->bits == 128 ? (!to->high && to->low <= 0xffffffffffffull ? 32 : 64) : d->bits;

	if (d->bits == 128 && bits == 64)
		width /= 18446744073709551616.0;
	whole = (double)(1ull << (bits / 2)) * (double)(1ull << (bits - bits / 2));
	return width < whole ? width / whole : 1;
}

static bool add_key(struct cover *c, int dimension, struct number from, struct number to)
{
	if (c->n == KEYS_MAX)
		return false;
	if (!c->keys)
		c->keys = calloc(KEYS_MAX, sizeof(*c->keys));
	if (!c->keys)
		return false;
	c->keys[c->n++] = (struct key){(uint32_t)dimension, from, to};
	c->share += share_of(&cover_dimensions[dimension], &from, &to);
	return true;
}

static struct cover everything(struct cover *spent)
{
	free(spent->keys);
	return (struct cover){.all = true, .share = 1};
}

static struct cover cover_side(const struct node *n, enum side side)
{
	struct cover c = {0};
	int dimension = dimension_of(n->field, side);
	bool good = dimension >= 0;

	for (unsigned i = 0; good && i < n->values_len; i++) {
		const struct value *v = &n->values[i];

		good = n->field == FIELD_IP
			   ? add_key(&c, dimension, number_of(&v->from), number_of(&v->to))
			   : add_key(&c, dimension, (struct number){0, v->lo}, (struct number){0, v->hi});
	}
	return good ? c : everything(&c);
}

static struct cover cover_proto(unsigned proto, unsigned other)
{
	struct cover c = {0};
	int dimension = dimension_of(FIELD_PROTO, SIDE_EITHER);

	if (!add_key(&c, dimension, (struct number){0, proto}, (struct number){0, proto}) ||
	    (other && !add_key(&c, dimension, (struct number){0, other}, (struct number){0, other})))
		return everything(&c);
	return c;
}

static struct cover cover_flag(enum field_id f)
{
	switch (f) {
	case FIELD_TCP:
	case FIELD_TCP_FIN:
	case FIELD_TCP_SYN:
	case FIELD_TCP_RST:
	case FIELD_TCP_PSH:
	case FIELD_TCP_ACK:
	case FIELD_TCP_URG:
		return cover_proto(6, 0);
	case FIELD_UDP:
		return cover_proto(17, 0);
	case FIELD_SCTP:
		return cover_proto(132, 0);
	case FIELD_ICMP:
		return cover_proto(1, 58);
	default:
		return (struct cover){.all = true, .share = 1};
	}
}

/* Takes both. */
static struct cover either(struct cover *a, struct cover *b)
{
	bool good = !a->all && !b->all;

	for (uint32_t i = 0; good && i < b->n; i++)
		good = add_key(a, (int)b->keys[i].dimension, b->keys[i].from, b->keys[i].to);
	free(b->keys);
	return good ? *a : everything(a);
}

struct cover cover_of(const struct node *n)
{
	struct cover best = {.all = true, .share = 1}, next;

	switch (n->op) {
	case NODE_NONE:
		return (struct cover){0};
	case NODE_AND:
		for (unsigned i = 0; i < n->kids_len; i++) {
			next = cover_of(n->kids[i]);
			if (next.all || (!best.all && next.share >= best.share)) {
				free(next.keys);
				continue;
			}
			free(best.keys);
			best = next;
		}
		return best;
	case NODE_OR:
		best = cover_of(n->kids[0]);
		for (unsigned i = 1; i < n->kids_len; i++) {
			next = cover_of(n->kids[i]);
			best = either(&best, &next);
		}
		return best;
	case NODE_TEST:
		if (filter_fields[n->field].type == TYPE_FLAG)
			return cover_flag(n->field);
		if (!filter_fields[n->field].sided)
			return cover_side(n, SIDE_EITHER);
		if (n->side != SIDE_EITHER)
			return cover_side(n, n->side);
		best = cover_side(n, SIDE_SRC);
		next = cover_side(n, SIDE_DST);
		return either(&best, &next);
	default: /* all, not, has */
		return best;
	}
}

void cover_fini(struct cover *c)
{
	free(c->keys);
	*c = (struct cover){0};
}
