/* SPDX-License-Identifier: Apache-2.0 */
/* Permanent neighbours at both ends of a pod's link, so that nobody ever asks who has an address. Called by
 * pod.c. */
#include <linux/neighbour.h>

#include "apply/netlink_object.h"

void neigh_set(struct nl_batch *b, uint32_t index, const struct addr *a, const uint8_t mac[6], int *result)
{
	struct nlmsghdr *nh = nl_message(b, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, result, 0);
	struct ndmsg *m = mnl_nlmsg_put_extra_header(nh, sizeof(*m));
	bool is4 = addr_is4(a);
	size_t n = is4 ? 4 : 16;

	m->ndm_family = is4 ? AF_INET : AF_INET6;
	m->ndm_ifindex = (int)index;
	m->ndm_state = NUD_PERMANENT;
	mnl_attr_put(nh, NDA_DST, n, a->b + 16 - n);
	mnl_attr_put(nh, NDA_LLADDR, 6, mac);
}
