/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clsact qdisc and one cls_bpf filter at each of its hooks. Adding a filter that exists replaces its
 * program under traffic, without a gap. Filters belong to the qdisc, so they outlive us. Called by pod.c,
 * device.c and tap_link.c.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <string.h>

#include "apply/netlink_object.h"

/* Handles of one priority: its newest filter runs first, so taps see packets before the others judge. */
enum { HANDLE = 1, HANDLE_TAP = 0x7765, PRIORITY = 1 };

static struct tcmsg *put_hook(struct nlmsghdr *nh, uint32_t index, bool egress, uint32_t handle)
{
	struct tcmsg *m = mnl_nlmsg_put_extra_header(nh, sizeof(*m));

	m->tcm_family = AF_UNSPEC;
	m->tcm_ifindex = (int)index;
	m->tcm_parent = TC_H_MAKE(TC_H_CLSACT, egress ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS);
	m->tcm_handle = handle;
	m->tcm_info = TC_H_MAKE((uint32_t)PRIORITY << 16, (uint32_t)__builtin_bswap16(ETH_P_ALL));
	return m;
}

static void put_clsact(struct nlmsghdr *nh, uint32_t index)
{
	struct tcmsg *m = mnl_nlmsg_put_extra_header(nh, sizeof(*m));

	m->tcm_family = AF_UNSPEC;
	m->tcm_ifindex = (int)index;
	m->tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	m->tcm_parent = TC_H_CLSACT;
	mnl_attr_put_strz(nh, TCA_KIND, "clsact");
}

void tc_clsact(struct nl_batch *b, uint32_t index, int *result)
{
	put_clsact(nl_message(b, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, result, -EEXIST), index);
}

void tc_clsact_new(struct nl_batch *b, uint32_t index, int *result)
{
	put_clsact(nl_message(b, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, result, 0), index);
}

void tc_clsact_del(struct nl_batch *b, uint32_t index, int *result)
{
	put_clsact(nl_message(b, RTM_DELQDISC, 0, result, -ENOENT), index);
}

static void put_filter(struct nl_batch *b, uint32_t index, bool egress, uint32_t handle, int prog_fd,
		       const char *name, int *result)
{
	struct nlmsghdr *nh = nl_message(b, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_REPLACE, result, 0);
	struct nlattr *options;

	put_hook(nh, index, egress, handle);
	mnl_attr_put_strz(nh, TCA_KIND, "bpf");
	options = mnl_attr_nest_start(nh, TCA_OPTIONS);
	mnl_attr_put_u32(nh, TCA_BPF_FD, (uint32_t)prog_fd);
	mnl_attr_put_strz(nh, TCA_BPF_NAME, name);
	mnl_attr_put_u32(nh, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
	mnl_attr_nest_end(nh, options);
}

static void put_filter_del(struct nl_batch *b, uint32_t index, bool egress, uint32_t handle, int *result)
{
	struct nlmsghdr *nh = nl_message(b, RTM_DELTFILTER, 0, result, -ENOENT);

	put_hook(nh, index, egress, handle);
	mnl_attr_put_strz(nh, TCA_KIND, "bpf");
}

void tc_filter(struct nl_batch *b, uint32_t index, bool egress, int prog_fd, const char *name, int *result)
{
	put_filter(b, index, egress, HANDLE, prog_fd, name, result);
}

void tc_filter_del(struct nl_batch *b, uint32_t index, bool egress, int *result)
{
	put_filter_del(b, index, egress, HANDLE, result);
}

void tc_tap(struct nl_batch *b, uint32_t index, bool egress, int prog_fd, const char *name, int *result)
{
	put_filter(b, index, egress, HANDLE_TAP, prog_fd, name, result);
}

void tc_tap_del(struct nl_batch *b, uint32_t index, bool egress, int *result)
{
	put_filter_del(b, index, egress, HANDLE_TAP, result);
}

struct found {
	uint32_t handle;
	char *name;
	size_t size;
};

static int take_name(const struct nlmsghdr *nh, void *ctx)
{
	const struct tcmsg *m = mnl_nlmsg_get_payload(nh);
	const struct found *found = ctx;

	if (nh->nlmsg_type != RTM_NEWTFILTER || m->tcm_handle != found->handle ||
	    TC_H_MAJ(m->tcm_info) >> 16 != PRIORITY)
		return 0;
	NL_ATTRS(a, nh, sizeof(struct tcmsg))
	{
		if (mnl_attr_get_type(a) != TCA_OPTIONS)
			continue;
		NL_NESTED(inner, a)
		{
			size_t n = mnl_attr_get_payload_len(inner);

			if (mnl_attr_get_type(inner) != TCA_BPF_NAME || n >= found->size)
				continue;
			memcpy(found->name, mnl_attr_get_payload(inner), n);
			found->name[n] = '\0';
		}
	}
	return 0;
}

static int get_name(int fd, uint32_t index, bool egress, uint32_t handle, char *name, size_t size)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *nh = mnl_nlmsg_put_header(buf);
	struct found found = {handle, name, size};
	int err;

	name[0] = '\0';
	nh->nlmsg_type = RTM_GETTFILTER;
	put_hook(nh, index, egress, handle);
	mnl_attr_put_strz(nh, TCA_KIND, "bpf");
	err = nl_dump(fd, nh, take_name, &found);
	return err == -ENOENT || err == -EINVAL ? 0 : err;
}

static int note_filter(const struct nlmsghdr *nh, void *ctx)
{
	if (nh->nlmsg_type == RTM_NEWTFILTER)
		*(bool *)ctx = true;
	return 0;
}

bool tc_has_filter(int fd, uint32_t index, bool egress)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *nh = mnl_nlmsg_put_header(buf);
	bool any = false;

	nh->nlmsg_type = RTM_GETTFILTER;
	put_hook(nh, index, egress, 0)->tcm_info = 0;
	nl_dump(fd, nh, note_filter, &any);
	return any;
}

int tc_filter_get(int fd, uint32_t index, bool egress, char name[32])
{
	return get_name(fd, index, egress, HANDLE, name, 32);
}

int tc_tap_get(int fd, uint32_t index, bool egress, char name[TC_TAP_NAME])
{
	return get_name(fd, index, egress, HANDLE_TAP, name, TC_TAP_NAME);
}
