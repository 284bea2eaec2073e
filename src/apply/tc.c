/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clsact qdisc and one cls_bpf filter at each of its hooks. Adding a filter that exists replaces its
 * program under traffic, without a gap. Filters belong to the qdisc, so they outlive us. Called by pod.c and
 * device.c.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <string.h>

#include "apply/netlink_object.h"

static struct tcmsg *put_hook(struct nlmsghdr *nh, uint32_t index, bool egress)
{
	struct tcmsg *m = mnl_nlmsg_put_extra_header(nh, sizeof(*m));

	m->tcm_family = AF_UNSPEC;
	m->tcm_ifindex = (int)index;
	m->tcm_parent = TC_H_MAKE(TC_H_CLSACT, egress ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS);
	m->tcm_handle = 1;
	m->tcm_info = TC_H_MAKE(1U << 16, (uint32_t)__builtin_bswap16(ETH_P_ALL));
	return m;
}

void tc_clsact(struct nl_batch *b, uint32_t index, int *result)
{
	struct nlmsghdr *nh = nl_message(b, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, result, -EEXIST);
	struct tcmsg *m = mnl_nlmsg_put_extra_header(nh, sizeof(*m));

	m->tcm_family = AF_UNSPEC;
	m->tcm_ifindex = (int)index;
	m->tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	m->tcm_parent = TC_H_CLSACT;
	mnl_attr_put_strz(nh, TCA_KIND, "clsact");
}

void tc_filter(struct nl_batch *b, uint32_t index, bool egress, int prog_fd, const char *name, int *result)
{
	struct nlmsghdr *nh = nl_message(b, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_REPLACE, result, 0);
	struct nlattr *options;

	put_hook(nh, index, egress);
	mnl_attr_put_strz(nh, TCA_KIND, "bpf");
	options = mnl_attr_nest_start(nh, TCA_OPTIONS);
	mnl_attr_put_u32(nh, TCA_BPF_FD, (uint32_t)prog_fd);
	mnl_attr_put_strz(nh, TCA_BPF_NAME, name);
	mnl_attr_put_u32(nh, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
	mnl_attr_nest_end(nh, options);
}

void tc_filter_del(struct nl_batch *b, uint32_t index, bool egress, int *result)
{
	struct nlmsghdr *nh = nl_message(b, RTM_DELTFILTER, 0, result, -ENOENT);

	put_hook(nh, index, egress);
	mnl_attr_put_strz(nh, TCA_KIND, "bpf");
}

static int take_name(const struct nlmsghdr *nh, void *ctx)
{
	char *name = ctx;

	if (nh->nlmsg_type != RTM_NEWTFILTER)
		return 0;
	NL_ATTRS(a, nh, sizeof(struct tcmsg))
	{
		if (mnl_attr_get_type(a) != TCA_OPTIONS)
			continue;
		NL_NESTED(inner, a)
		{
			size_t n = mnl_attr_get_payload_len(inner);

			if (mnl_attr_get_type(inner) != TCA_BPF_NAME || n > 31)
				continue;
			memcpy(name, mnl_attr_get_payload(inner), n);
			name[n] = '\0';
		}
	}
	return 0;
}

int tc_filter_get(int fd, uint32_t index, bool egress, char name[32])
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *nh = mnl_nlmsg_put_header(buf);
	int err;

	name[0] = '\0';
	nh->nlmsg_type = RTM_GETTFILTER;
	put_hook(nh, index, egress);
	mnl_attr_put_strz(nh, TCA_KIND, "bpf");
	err = nl_dump(fd, nh, take_name, name);
	return err == -ENOENT || err == -EINVAL ? 0 : err;
}
