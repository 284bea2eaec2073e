/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * weft_edit: tc ingress at weft-edit1. What taps clone into weft-edit0 for tools whose chain only masks,
 * slices and tags has been split and finished on the way here; it is edited and sent to the tool's interface.
 * What this program cannot edit goes, as it is, to weft-copier, which runs the same tool port's chain.
 */
#include "bpf/lib/edit.h"

ALWAYS_INLINE void edit_hand_over(struct __sk_buff *skb, __u32 number, struct outlet_count *n)
{
	__u32 zero = 0;
	const struct outlet_value *o = bpf_map_lookup_elem(&outlet, &zero);

	skb->tc_index = TAP_TC_INDEX;
	if (!o || !o->ifindex || copy_clone(skb, o->ifindex, TAP_POINT_EDIT | number << TAP_REASON_SHIFT))
		n->direct_failed++;
	else
		n->handed++;
}

SEC("tc") int weft_edit(struct __sk_buff *skb)
{
	__u32 number = skb->mark & ~TAP_MARK_EDIT_BITS;
	const struct outlet_value *o = bpf_map_lookup_elem(&outlet, &number);
	const struct edit_value *e = bpf_map_lookup_elem(&edit, &number);
	struct outlet_count *n = bpf_map_lookup_elem(&outlet_count, &number);
	int r;

	if ((skb->mark & TAP_MARK_EDIT_BITS) != TAP_MARK_EDIT || !o || !e || !n)
		return TC_ACT_STOLEN; /* no copy: the node's stack sent it */
	r = edit_copy(skb, e, n);
	if (r == EDIT_HARD)
		edit_hand_over(skb, number, n);
	else if (r || !o->via)
		n->direct_failed++;
	else
		copy_send(skb, number, o->ifindex, n);
	return TC_ACT_STOLEN;
}
