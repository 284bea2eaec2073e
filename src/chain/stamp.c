/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stamp: a VLAN tag before all others, and a trailer as Arista's MetaWatch writes it and Wireshark reads it:
 * the CRC of the frame before the stamp, seconds and nanoseconds of the packet's time, flags, device, port.
 * Of a frame that is cut, the trailer follows the cut and the CRC is told to be none.
 */
#include "chain/checksum.h"
#include "chain/state.h"

#include <errno.h>

enum { TRAILER = 16, CRC_GOOD = 1, DUPLICATE = 4, SECOND = 1000000000 };

static void trailer(struct work *w, uint8_t *p)
{
	const struct chain_stamp *s = &w->c->config.stamp;
	bool whole = w->k.caplen == w->k.len;
	uint8_t *t = p + w->k.caplen;

	set32(t, whole ? __builtin_bswap32(crc32_ethernet(p, w->k.caplen))
		       : 0); /* as on the wire: low byte first */
	set32(t + 4, (uint32_t)(w->k.time / SECOND));
	set32(t + 8, (uint32_t)(w->k.time % SECOND));
	t[12] = (uint8_t)((whole ? CRC_GOOD : 0) | (w->k.flags & PACKET_DUPLICATE ? DUPLICATE : 0));
	set16(t + 13, s->device);
	t[15] = s->port;
	w->k.caplen += TRAILER;
	w->k.len += TRAILER;
}

int stamp(struct work *w)
{
	const struct chain_stamp *s = &w->c->config.stamp;
	uint8_t *p;

	if ((!s->vlan_tpid && !s->trailer) || !work_ethernet(w))
		return 0;
	p = work_own(w);
	if (!p)
		return -ENOMEM;
	if (s->trailer)
		trailer(w, p);
	if (s->vlan_tpid) {
		memmove(p - TAG, p, MACS);
		set16(p - TAG + MACS, s->vlan_tpid);
		set16(p - TAG + MACS + 2, s->vlan_tci);
		work_grow(w, TAG);
	}
	w->has_layout = false;
	w->k.flags |= PACKET_STAMPED;
	count(w, CHAIN_STAMPED);
	return 0;
}
