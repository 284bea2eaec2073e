/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links: veth pairs of pods, the VXLAN device, and what dumps say of links. Knows IFLA attributes and their
 * traps; never decides which link shall exist (rows do). Called by pod.c, device.c and readback.c.
 */
#include <errno.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/veth.h>
#include <string.h>

#include "apply/netlink_object.h"

static struct ifinfomsg *put_info(struct nlmsghdr *nh, uint32_t index)
{
	struct ifinfomsg *i = mnl_nlmsg_put_extra_header(nh, sizeof(*i));

	i->ifi_family = AF_UNSPEC;
	i->ifi_index = (int)index;
	return i;
}

void link_add_veth(struct nl_batch *b, uint32_t index, const char *name, const struct link_value *v,
		   int netns_fd, int *result)
{
	struct nlmsghdr *nh = nl_message(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, result, 0);
	struct nlattr *info, *data, *peer;

	put_info(nh, index);
	mnl_attr_put_strz(nh, IFLA_IFNAME, name);
	mnl_attr_put_u32(nh, IFLA_GROUP, WEFT_LINK_GROUP);
	mnl_attr_put_u32(nh, IFLA_MTU, v->mtu);
	mnl_attr_put(nh, IFLA_ADDRESS, 6, v->gateway_mac);
	info = mnl_attr_nest_start(nh, IFLA_LINKINFO);
	mnl_attr_put_str(nh, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(nh, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(nh, VETH_INFO_PEER);
	put_info(nh, index);
	mnl_attr_put_strz(nh, IFLA_IFNAME, "eth0");
	mnl_attr_put_u32(nh, IFLA_MTU, v->mtu);
	mnl_attr_put(nh, IFLA_ADDRESS, 6, v->mac);
	mnl_attr_put_u32(nh, IFLA_NET_NS_FD, (uint32_t)netns_fd);
	mnl_attr_nest_end(nh, peer);
	mnl_attr_nest_end(nh, data);
	mnl_attr_nest_end(nh, info);
}

void link_add_pair(struct nl_batch *b, const char *name, const char *peer, uint32_t mtu, int *result)
{
	struct nlmsghdr *nh = nl_message(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, result, 0);
	struct nlattr *info, *data, *end;

	put_info(nh, 0);
	mnl_attr_put_strz(nh, IFLA_IFNAME, name);
	mnl_attr_put_u32(nh, IFLA_GROUP, WEFT_LINK_GROUP);
	mnl_attr_put_u32(nh, IFLA_MTU, mtu);
	info = mnl_attr_nest_start(nh, IFLA_LINKINFO);
	mnl_attr_put_str(nh, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(nh, IFLA_INFO_DATA);
	end = mnl_attr_nest_start(nh, VETH_INFO_PEER);
	put_info(nh, 0);
	mnl_attr_put_strz(nh, IFLA_IFNAME, peer);
	mnl_attr_put_u32(nh, IFLA_GROUP, WEFT_LINK_GROUP);
	mnl_attr_put_u32(nh, IFLA_MTU, mtu);
	mnl_attr_nest_end(nh, end);
	mnl_attr_nest_end(nh, data);
	mnl_attr_nest_end(nh, info);
}

void link_add_vxlan(struct nl_batch *b, const char *name, uint32_t mtu, int *result)
{
	struct nlmsghdr *nh = nl_message(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, result, 0);
	struct nlattr *info, *data;

	put_info(nh, 0);
	mnl_attr_put_strz(nh, IFLA_IFNAME, name);
	mnl_attr_put_u32(nh, IFLA_GROUP, WEFT_LINK_GROUP);
	mnl_attr_put_u32(nh, IFLA_MTU, mtu);
	info = mnl_attr_nest_start(nh, IFLA_LINKINFO);
	mnl_attr_put_str(nh, IFLA_INFO_KIND, "vxlan");
	data = mnl_attr_nest_start(nh, IFLA_INFO_DATA);
	mnl_attr_put_u8(nh, IFLA_VXLAN_COLLECT_METADATA, 1);
	mnl_attr_put_u8(nh, IFLA_VXLAN_LEARNING, 0);
	mnl_attr_put_u16(nh, IFLA_VXLAN_PORT, __builtin_bswap16(VXLAN_PORT));
	mnl_attr_put_u8(nh, IFLA_VXLAN_UDP_ZERO_CSUM6_RX, 1);
	mnl_attr_nest_end(nh, data);
	mnl_attr_nest_end(nh, info);
}

void link_no_autoconf(struct nl_batch *b, uint32_t index, int *result)
{
	struct nlmsghdr *nh = nl_message(b, RTM_NEWLINK, 0, result, -EAFNOSUPPORT);
	struct nlattr *spec, *inet6;

	put_info(nh, index);
	spec = mnl_attr_nest_start(nh, IFLA_AF_SPEC);
	inet6 = mnl_attr_nest_start(nh, AF_INET6);
	mnl_attr_put_u8(nh, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(nh, inet6);
	mnl_attr_nest_end(nh, spec);
}

void link_up(struct nl_batch *b, uint32_t index, uint32_t mtu, bool noarp, int *result)
{
	struct nlmsghdr *nh = nl_message(b, RTM_NEWLINK, 0, result, 0);
	struct ifinfomsg *i = put_info(nh, index);

	i->ifi_flags = IFF_UP | (noarp ? IFF_NOARP : 0);
	i->ifi_change = i->ifi_flags;
	if (mtu)
		mnl_attr_put_u32(nh, IFLA_MTU, mtu);
}

void link_alias(struct nl_batch *b, uint32_t index, const char *alias, int *result)
{
	struct nlmsghdr *nh = nl_message(b, RTM_NEWLINK, 0, result, 0);

	put_info(nh, index);
	mnl_attr_put_str(nh, IFLA_IFALIAS, alias);
}

void link_del(struct nl_batch *b, uint32_t index, int *result)
{
	put_info(nl_message(b, RTM_DELLINK, 0, result, -ENODEV), index);
}

void link_group(struct nl_batch *b, uint32_t index, uint32_t group, int *result)
{
	struct nlmsghdr *nh = nl_message(b, RTM_NEWLINK, 0, result, -ENODEV);

	put_info(nh, index);
	mnl_attr_put_u32(nh, IFLA_GROUP, group);
}

void link_del_group(struct nl_batch *b, uint32_t group, int *result)
{
	struct nlmsghdr *nh = nl_message(b, RTM_DELLINK, 0, result, -ENODEV);

	put_info(nh, 0);
	mnl_attr_put_u32(nh, IFLA_GROUP, group);
}

static void copy_text(char *out, size_t size, const struct nlattr *a)
{
	size_t n = mnl_attr_get_payload_len(a);

	n = n < size ? n : size - 1;
	memcpy(out, mnl_attr_get_payload(a), n);
	out[n] = '\0';
}

static void parse(const struct nlmsghdr *nh, struct link_info *l)
{
	const struct ifinfomsg *i = mnl_nlmsg_get_payload(nh);

	*l = (struct link_info){.index = (uint32_t)i->ifi_index, .flags = i->ifi_flags};
	NL_ATTRS(a, nh, sizeof(*i))
	{
		switch (mnl_attr_get_type(a)) {
		case IFLA_IFNAME:
			copy_text(l->name, sizeof(l->name), a);
			break;
		case IFLA_IFALIAS:
			copy_text(l->alias, sizeof(l->alias), a);
			break;
		case IFLA_MTU:
			l->mtu = mnl_attr_get_u32(a);
			break;
		case IFLA_LINK:
			l->peer = mnl_attr_get_u32(a);
			break;
		case IFLA_LINK_NETNSID:
			l->peer_away = true;
			break;
		case IFLA_GROUP:
			l->group = mnl_attr_get_u32(a);
			break;
		case IFLA_ADDRESS:
			if (mnl_attr_get_payload_len(a) == 6)
				memcpy(l->mac, mnl_attr_get_payload(a), 6);
			break;
		case IFLA_LINKINFO:
			NL_NESTED(inner, a)
			if (mnl_attr_get_type(inner) == IFLA_INFO_KIND)
				copy_text(l->kind, sizeof(l->kind), inner);
			break;
		default:
			break;
		}
	}
}

struct dump_ctx {
	int (*fn)(const struct link_info *l, void *ctx);
	void *ctx;
};

static int dump_one(const struct nlmsghdr *nh, void *ctx)
{
	struct dump_ctx *d = ctx;
	struct link_info l;

	if (nh->nlmsg_type != RTM_NEWLINK)
		return 0;
	parse(nh, &l);
	return d->fn(&l, d->ctx);
}

int link_dump(int fd, int (*fn)(const struct link_info *l, void *ctx), void *ctx)
{
	char buf[128] __attribute__((aligned(8)));
	struct nlmsghdr *nh = mnl_nlmsg_put_header(buf);
	struct dump_ctx d = {fn, ctx};

	nh->nlmsg_type = RTM_GETLINK;
	nh->nlmsg_flags = NLM_F_DUMP;
	put_info(nh, 0);
	return nl_dump(fd, nh, dump_one, &d);
}

static int take_one(const struct link_info *l, void *ctx)
{
	memcpy(ctx, l, sizeof(*l));
	return 0;
}

int link_get(int fd, uint32_t index, const char *name, struct link_info *out)
{
	char buf[128] __attribute__((aligned(8)));
	struct nlmsghdr *nh = mnl_nlmsg_put_header(buf);
	struct dump_ctx d = {take_one, out};

	nh->nlmsg_type = RTM_GETLINK;
	put_info(nh, index);
	if (!index)
		mnl_attr_put_strz(nh, IFLA_IFNAME, name);
	return nl_dump(fd, nh, dump_one, &d);
}
