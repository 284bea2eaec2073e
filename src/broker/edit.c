/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which chains the kernel runs itself: those that only mask (checksums left alone), slice and tag, with few
 * ranges. See seam/tap.h. Pure.
 */
#include <arpa/inet.h>

#include "broker/taps.h"

_Static_assert((int)EDIT_L2 == CHAIN_L2 && (int)EDIT_L3 == CHAIN_L3 && (int)EDIT_L4 == CHAIN_L4 &&
		   (int)EDIT_PAYLOAD == CHAIN_PAYLOAD,
	       "offsets count from the same headers");
_Static_assert((int)EDIT_SRC_MAC == CHAIN_MASK_SRC_MAC && (int)EDIT_DST_MAC == CHAIN_MASK_DST_MAC &&
		   (int)EDIT_SRC_IP == CHAIN_MASK_SRC_IP && (int)EDIT_DST_IP == CHAIN_MASK_DST_IP &&
		   (int)EDIT_SRC_PORT == CHAIN_MASK_SRC_PORT && (int)EDIT_DST_PORT == CHAIN_MASK_DST_PORT,
	       "fields have the same bits");

static bool take_mask(const struct chain_mask *m, struct edit_value *out)
{
	if (m->n > EDIT_RANGES_MAX || ((m->n || m->fields) && m->fix_checksums))
		return false;
	out->ranges = m->n;
	out->fields = m->fields;
	out->fill = m->n || m->fields ? m->fill : 0;
	for (unsigned i = 0; i < m->n; i++) {
		const struct chain_range *r = &m->ranges[i];

		if (r->offset > EDIT_OFFSET_MAX || r->len > EDIT_OFFSET_MAX)
			return false;
		out->range[i] = (struct edit_range){(uint32_t)r->from, r->offset, r->len};
	}
	return true;
}

bool broker_edit(const struct broker_port *p, struct edit_value *out)
{
	const struct chain_config *c = &p->chain;

	*out = (struct edit_value){0};
	if (p->mtu || c->keep_merged || c->sample.one_in > 1 || c->dedup.mode || c->strip ||
	    c->stamp.trailer || c->slice.bytes > EDIT_OFFSET_MAX || !take_mask(&c->mask, out))
		return false;
	if (c->slice.on) {
		out->slice = 1;
		out->slice_from = (uint32_t)c->slice.from;
		out->slice_bytes = c->slice.bytes;
	}
	if (c->stamp.vlan_tpid) {
		out->stamp_tpid = htons(c->stamp.vlan_tpid);
		out->stamp_tci = c->stamp.vlan_tci;
	}
	return out->ranges || out->fields || out->slice || out->stamp_tpid;
}
