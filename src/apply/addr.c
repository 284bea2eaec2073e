/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of pods: /32 and /128, in force at once (no duplicate address detection: the plan gives each
 * address once). Called by pod.c with the socket of the pod's namespace.
 */
#include <errno.h>
#include <linux/if_addr.h>

#include "apply/netlink_object.h"

void addr_set(struct nl_batch *b, uint32_t index, const struct addr *a, int *result)
{
	struct nlmsghdr *nh = nl_message(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, result, -EEXIST);
	struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(nh, sizeof(*m));
	bool is4 = addr_is4(a);
	size_t n = is4 ? 4 : 16;

	m->ifa_family = is4 ? AF_INET : AF_INET6;
	m->ifa_prefixlen = is4 ? 32 : 128;
	m->ifa_flags = is4 ? 0 : IFA_F_NODAD;
	m->ifa_scope = RT_SCOPE_UNIVERSE;
	m->ifa_index = index;
	mnl_attr_put(nh, IFA_LOCAL, n, a->b + 16 - n);
	mnl_attr_put(nh, IFA_ADDRESS, n, a->b + 16 - n);
}
