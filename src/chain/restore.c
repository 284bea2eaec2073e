/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as on the wire, first half: the VLAN tag back in its place, the checksum finished. */
#include "chain/checksum.h"
#include "chain/state.h"

#include <errno.h>

static int tag(struct work *w)
{
	uint8_t *p;

	w->k.flags &= ~(uint32_t)PACKET_VLAN_BESIDE;
	if (!work_ethernet(w))
		return 0;
	p = work_own(w);
	if (!p)
		return -ENOMEM;
	memmove(p - TAG, p, MACS);
	work_grow(w, TAG);
	p -= TAG;
	set16(p + MACS, w->k.vlan_tpid ? w->k.vlan_tpid : 0x8100);
	set16(p + MACS + 2, w->k.vlan_tci);
	if (w->k.flags & PACKET_UNFINISHED)
		w->k.csum_start = (uint16_t)(w->k.csum_start + TAG);
	count(w, CHAIN_TAG_RESTORED);
	return 0;
}

/* Where UDP's header has its checksum: 0 there means that there is none; elsewhere it is right (RFC 1624). */
enum { UDP_SUM = 6 };

/* As the kernel tells it: the sum from `csum_start` to the end, in which the pseudo-header's already stands.
 */
int finish_told(struct work *w)
{
	uint32_t at = (uint32_t)w->k.csum_start + w->k.csum_offset;
	uint16_t sum;
	uint8_t *p;

	if (w->k.caplen < w->k.len || at + 2 > w->k.caplen || w->k.csum_start > at) {
		count(w, CHAIN_CHECKSUM_UNFINISHED);
		return 0;
	}
	p = work_own(w);
	if (!p)
		return -ENOMEM;
	sum = (uint16_t)~sum_fold(sum_add(0, p + w->k.csum_start, w->k.caplen - w->k.csum_start));
	if (!sum && w->k.csum_offset == UDP_SUM)
		sum = 0xffff;
	memcpy(p + at, &sum, 2);
	w->k.flags &= ~(uint32_t)PACKET_UNFINISHED;
	count(w, CHAIN_CHECKSUM_FINISHED);
	return 0;
}

/* A capture does not tell. The field holds the pseudo-header's sum and not the packet's: unfinished. */
static int finish_guessed(struct work *w)
{
	struct layout layers[CHAIN_OUTER_MAX + 1];
	struct tunnel tunnels[CHAIN_OUTER_MAX + 1];
	unsigned n =
	    layers_read(layers, tunnels, CHAIN_OUTER_MAX + 1, w->k.p, w->k.caplen, w->k.len, w->k.link);
	bool found = false;

	while (n--) { /* innermost first: an outer sum covers it */
		const struct layout *l = &layers[n];
		struct transport_sum s = transport_sum(l);
		uint8_t *p;

		if (!layout_has_ports(l) || !s.pseudo || l->fragment || s.at + 2 > l->covered ||
		    !layout_whole(l, w->k.caplen))
			continue;
		if (sum_fold(sum_pseudo(w->k.p, l, l->covered - l->l4)) !=
			sum_fold(sum_add(0, w->k.p + s.at, 2)) ||
		    checksum_right(w->k.p, l))
			continue;
		p = work_own(w);
		if (!p)
			return -ENOMEM;
		checksum_transport(p, l);
		found = true;
	}
	if (found)
		count(w, CHAIN_CHECKSUM_FINISHED);
	return 0;
}

int restore(struct work *w)
{
	int r = w->k.flags & PACKET_VLAN_BESIDE ? tag(w) : 0;

	if (r)
		return r;
	if (w->k.flags & PACKET_UNFINISHED)
		/* A merged one gets its checksums as it is split. */
		return w->k.gso_size && !w->c->config.keep_merged ? 0 : finish_told(w);
	return w->c->config.guess_unfinished ? finish_guessed(w) : 0;
}
