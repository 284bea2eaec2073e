/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes in the main table. Those of the plan carry our own protocol number, and only such are read back or
 * removed: a route of someone else is never touched. Called by rows.c (node), pod.c (inside a pod) and
 * readback.c.
 */
#include <errno.h>

#include "apply/netlink_object.h"

static struct rtmsg *put_prefix(struct nlmsghdr *nh, const struct prefix *to)
{
	bool is4 = addr_is4(&to->addr) && to->len >= 96;
	struct rtmsg *m = mnl_nlmsg_put_extra_header(nh, sizeof(*m));
	size_t n = is4 ? 4 : 16;

	m->rtm_family = is4 ? AF_INET : AF_INET6;
	m->rtm_dst_len = (uint8_t)(is4 ? to->len - 96 : to->len);
	m->rtm_table = RT_TABLE_MAIN;
	if (m->rtm_dst_len)
		mnl_attr_put(nh, RTA_DST, n, to->addr.b + 16 - n);
	return m;
}

void route_set(struct nl_batch *b, const struct route_want *w, bool replace, int *result)
{
	uint16_t flags = (uint16_t)(NLM_F_CREATE | (replace ? NLM_F_REPLACE : NLM_F_EXCL));
	struct nlmsghdr *nh = nl_message(b, RTM_NEWROUTE, flags, result, 0);
	struct rtmsg *m = put_prefix(nh, &w->to);
	size_t n = m->rtm_family == AF_INET ? 4 : 16;

	m->rtm_protocol = w->protocol;
	m->rtm_type = w->unreachable ? RTN_UNREACHABLE : RTN_UNICAST;
	m->rtm_scope =
	    w->via || w->unreachable || m->rtm_family == AF_INET6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	m->rtm_flags = w->onlink ? RTNH_F_ONLINK : 0;
	if (w->index)
		mnl_attr_put_u32(nh, RTA_OIF, w->index);
	if (w->via)
		mnl_attr_put(nh, RTA_GATEWAY, n, w->via->b + 16 - n);
	if (w->mtu) {
		struct nlattr *metrics = mnl_attr_nest_start(nh, RTA_METRICS);

		mnl_attr_put_u32(nh, RTAX_MTU, w->mtu);
		mnl_attr_nest_end(nh, metrics);
	}
}

void route_unset(struct nl_batch *b, const struct prefix *to, int *result)
{
	struct rtmsg *m = put_prefix(nl_message(b, RTM_DELROUTE, 0, result, -ESRCH), to);

	m->rtm_protocol = WEFT_ROUTE_PROTOCOL;
	m->rtm_scope = RT_SCOPE_NOWHERE; /* any scope */
	m->rtm_type = RTN_UNSPEC;	 /* any kind */
}

struct dump_ctx {
	int (*fn)(const struct route_info *r, void *ctx);
	void *ctx;
};

static void take_addr(struct addr *out, bool is4, const struct nlattr *a)
{
	uint16_t n = mnl_attr_get_payload_len(a);

	if (n != (is4 ? 4 : 16))
		return;
	*out = is4 ? addr_from4(0) : (struct addr){0};
	memcpy(out->b + 16 - n, mnl_attr_get_payload(a), n);
}

static int dump_one(const struct nlmsghdr *nh, void *ctx)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(nh);
	struct dump_ctx *d = ctx;
	struct route_info r = {0};
	bool is4 = m->rtm_family == AF_INET;
	uint32_t table = m->rtm_table;

	if (nh->nlmsg_type != RTM_NEWROUTE || m->rtm_protocol != WEFT_ROUTE_PROTOCOL ||
	    (m->rtm_flags & RTM_F_CLONED))
		return 0;
	if (is4)
		r.to.addr = addr_from4(0);
	r.to.len = (uint8_t)(m->rtm_dst_len + (is4 ? 96 : 0));
	r.unreachable = m->rtm_type == RTN_UNREACHABLE;
	NL_ATTRS(a, nh, sizeof(*m))
	{
		switch (mnl_attr_get_type(a)) {
		case RTA_TABLE:
			table = mnl_attr_get_u32(a);
			break;
		case RTA_DST:
			take_addr(&r.to.addr, is4, a);
			break;
		case RTA_OIF:
			r.index = mnl_attr_get_u32(a);
			break;
		case RTA_GATEWAY:
			take_addr(&r.via, is4, a);
			break;
		case RTA_METRICS:
			NL_NESTED(inner, a)
			if (mnl_attr_get_type(inner) == RTAX_MTU)
				r.mtu = mnl_attr_get_u32(inner);
			break;
		default:
			break;
		}
	}
	return table == RT_TABLE_MAIN ? d->fn(&r, d->ctx) : 0;
}

int route_dump(int fd, int (*fn)(const struct route_info *r, void *ctx), void *ctx)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	struct dump_ctx d = {fn, ctx};
	int err = 0;

	for (size_t i = 0; i < 2 && !err; i++) {
		char buf[128] __attribute__((aligned(8)));
		struct nlmsghdr *nh = mnl_nlmsg_put_header(buf);
		struct rtmsg *m;

		nh->nlmsg_type = RTM_GETROUTE;
		nh->nlmsg_flags = NLM_F_DUMP;
		m = mnl_nlmsg_put_extra_header(nh, sizeof(*m));
		m->rtm_family = families[i];
		err = nl_dump(fd, nh, dump_one, &d);
		if (err == -EAFNOSUPPORT || err == -EOPNOTSUPP)
			err = 0;
	}
	return err;
}

static int take_type(const struct nlmsghdr *nh, void *ctx)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(nh);

	if (nh->nlmsg_type == RTM_NEWROUTE)
		*(uint8_t *)ctx = m->rtm_type;
	return 0;
}

int route_is_local(int fd, const struct addr *a)
{
	char buf[128] __attribute__((aligned(8)));
	struct nlmsghdr *nh = mnl_nlmsg_put_header(buf);
	struct prefix to = {.addr = *a, .len = 128};
	uint8_t type = RTN_UNSPEC;
	int err;

	nh->nlmsg_type = RTM_GETROUTE;
	put_prefix(nh, &to)->rtm_table = RT_TABLE_UNSPEC;
	err = nl_dump(fd, nh, take_type, &type);
	return err == -EHOSTUNREACH || err == -ENETUNREACH ? 0 : err ? err : type == RTN_LOCAL;
}

struct find_ctx {
	struct route_found *out;
	bool is4, local;
};

static int take_found(const struct nlmsghdr *nh, void *ctx)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(nh);
	struct find_ctx *f = ctx;

	if (nh->nlmsg_type != RTM_NEWROUTE)
		return 0;
	f->local = m->rtm_type != RTN_UNICAST;
	NL_ATTRS(a, nh, sizeof(*m))
	{
		switch (mnl_attr_get_type(a)) {
		case RTA_OIF:
			f->out->index = mnl_attr_get_u32(a);
			break;
		case RTA_PREFSRC:
			take_addr(&f->out->source, f->is4, a);
			break;
		case RTA_METRICS:
			NL_NESTED(inner, a)
			if (mnl_attr_get_type(inner) == RTAX_MTU)
				f->out->mtu = mnl_attr_get_u32(inner);
			break;
		default:
			break;
		}
	}
	return 0;
}

int route_find(int fd, const struct addr *to, struct route_found *out)
{
	char buf[128] __attribute__((aligned(8)));
	struct nlmsghdr *nh = mnl_nlmsg_put_header(buf);
	struct find_ctx f = {.out = out, .is4 = addr_is4(to)};
	struct prefix p = {.addr = *to, .len = 128};
	struct link_info l;
	int err;

	*out = (struct route_found){0};
	nh->nlmsg_type = RTM_GETROUTE;
	put_prefix(nh, &p)->rtm_table = RT_TABLE_UNSPEC;
	err = nl_dump(fd, nh, take_found, &f);
	if (!err && (!out->index || f.local))
		err = -ENETUNREACH;
	if (!err)
		err = link_get(fd, out->index, NULL, &l);
	if (!err && (!out->mtu || out->mtu > l.mtu))
		out->mtu = l.mtu;
	return err;
}
