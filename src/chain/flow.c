/* SPDX-License-Identifier: Apache-2.0 */
/* The number of a session: see chain_flow() in chain.h. */
#include "chain/chain.h"
#include "chain/digest.h"
#include "chain/layout.h"

struct ends {
	uint8_t a[20], b[20]; /* address and port */
	uint32_t more;	      /* protocol, or what else is the same both ways */
};

static uint64_t number(const struct ends *e, uint64_t seed)
{
	bool swap = memcmp(e->a, e->b, sizeof(e->a)) > 0;
	struct digest d = {seed, ~seed};
	uint8_t bytes[44];

	memcpy(bytes, swap ? e->b : e->a, 20);
	memcpy(bytes + 20, swap ? e->a : e->b, 20);
	set32(bytes + 40, e->more);
	digest_add(&d, bytes, sizeof(bytes));
	return d.a;
}

static struct ends ends_of(const uint8_t *p, uint32_t caplen, const struct layout *l, uint32_t at)
{
	struct ends e = {.more = l->type};
	unsigned n = l->version == 4 ? 4 : 16;

	if (l->version) {
		uint32_t addr = l->l3 + (l->version == 4 ? 12 : 8);

		memcpy(e.a, p + addr, n);
		memcpy(e.b, p + addr + n, n);
		e.more = (uint32_t)l->proto << 8 | l->version;
		if (l->fragment) {
			e.more = l->id ^ 0x80000000u;
		} else if (layout_has_ports(l) && l->l4 + 4 <= caplen) {
			memcpy(e.a + 16, p + l->l4, 2);
			memcpy(e.b + 16, p + l->l4 + 2, 2);
		}
	} else if (l->ethernet) {
		memcpy(e.a, p + at, 6);
		memcpy(e.b, p + at + 6, 6);
	}
	return e;
}

/* What an ICMP error quotes: the start of an IP packet. */
static bool quoted(const uint8_t *p, uint32_t caplen, const struct layout *l, struct layout *q)
{
	uint8_t type;

	if (!l->version || l->murky || layout_later(l) || l->l4 + 8 >= caplen)
		return false;
	type = p[l->l4];
	if (l->proto == PROTO_ICMP ? type != 3 && type != 4 && type != 5 && type != 11 && type != 12
				   : l->proto != PROTO_ICMP6 || type < 1 || type > 4)
		return false;
	layout_read(q, p + l->l4 + 8, caplen - (l->l4 + 8), caplen - (l->l4 + 8), CHAIN_LINK_RAW);
	return q->version;
}

uint64_t chain_flow(const struct chain_packet *k, unsigned options, uint64_t seed)
{
	struct layout layers[CHAIN_OUTER_MAX + 1], q;
	struct tunnel tunnels[CHAIN_OUTER_MAX + 1];
	unsigned most = options & CHAIN_FLOW_INNER ? CHAIN_OUTER_MAX + 1 : 1, n;
	static const uint8_t nothing[1];
	const uint8_t *p = k->caplen ? k->p : nothing;
	uint32_t len = k->len < k->caplen ? k->caplen : k->len;
	const struct layout *l;
	struct ends e;

	n = layers_read(layers, tunnels, most, p, k->caplen, len, k->link);
	l = &layers[n - 1];
	if (options & CHAIN_FLOW_QUOTED && quoted(p, k->caplen, l, &q))
		e = ends_of(p + l->l4 + 8, k->caplen - (l->l4 + 8), &q, 0);
	else
		e = ends_of(p, k->caplen, l, n > 1 ? tunnels[n - 2].inner : 0);
	return number(&e, seed);
}
