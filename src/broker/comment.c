/* SPDX-License-Identifier: Apache-2.0 */
/* Comments of copies: see comment.h. */
#include "broker/comment.h"

#include "base/own.h"

static void outer_words(struct buf *b, const struct chain_outer *o)
{
	static const char *const kinds[] = {
	    [CHAIN_VXLAN] = "VXLAN",	[CHAIN_GENEVE] = "Geneve",  [CHAIN_GRE] = "GRE",
	    [CHAIN_ERSPAN1] = "ERSPAN", [CHAIN_ERSPAN2] = "ERSPAN", [CHAIN_ERSPAN3] = "ERSPAN",
	    [CHAIN_IPIP] = "IP in IP",	[CHAIN_MPLS] = "MPLS"};
	char src[ADDR_TEXT], dst[ADDR_TEXT];

	addr_print(&o->src, src);
	addr_print(&o->dst, dst);
	buf_printf(b, "%staken out of %s", b->n ? "; " : "", kinds[o->kind]);
	if (o->kind != CHAIN_MPLS)
		buf_printf(b, " %s to %s", src, dst);
	if (o->has_id)
		buf_printf(b, ", %s %u", o->kind == CHAIN_MPLS ? "label" : "number", o->id);
}

/* BR49, BR55. */
void broker_comment(struct buf *b, const struct chain_packet *p)
{
	static const struct {
		uint32_t flag;
		const char *word;
	} marks[] = {{PACKET_MASKED, "masked"},
		     {PACKET_PART_MASKED, "some bytes to be masked are not in it"},
		     {PACKET_MERGED, "several packets of the wire in one"},
		     {PACKET_DUPLICATE, "duplicate"},
		     {PACKET_STAMPED, "stamped"}};

	for (size_t i = 0; i < ARRAY_LEN(marks); i++)
		if (p->flags & marks[i].flag)
			buf_printf(b, "%s%s", b->n ? "; " : "", marks[i].word);
	for (unsigned i = 0; i < p->outers; i++)
		outer_words(b, &p->outer[i]);
}
