/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses: /32 and /128, in force at once (no duplicate address detection: the plan gives each address
 * once). Those of pods by pod.c with the socket of the pod's namespace; those of Services by addresses.c.
 */
#include <errno.h>
#include <linux/if_addr.h>

#include "apply/netlink_object.h"

#ifndef IFA_PROTO
#define IFA_PROTO 11
#endif

static struct nlmsghdr *put_addr(struct nl_batch *b, uint16_t type, uint16_t flags, uint32_t index,
				 const struct addr *a, int *result, int ignore)
{
	struct nlmsghdr *nh = nl_message(b, type, flags, result, ignore);
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
	return nh;
}

void addr_set(struct nl_batch *b, uint32_t index, const struct addr *a, int *result)
{
	put_addr(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, index, a, result, -EEXIST);
}

void addr_offer(struct nl_batch *b, uint32_t index, const struct addr *a, int *result)
{
	const struct ifa_cacheinfo life = {.ifa_prefered = 0, .ifa_valid = UINT32_MAX};
	struct nlmsghdr *nh = put_addr(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, a, result, 0);

	mnl_attr_put_u32(nh, IFA_FLAGS, (addr_is4(a) ? 0 : IFA_F_NODAD) | IFA_F_NOPREFIXROUTE);
	mnl_attr_put(nh, IFA_CACHEINFO, sizeof(life), &life);
	mnl_attr_put_u8(nh, IFA_PROTO, WEFT_ROUTE_PROTOCOL);
}

void addr_unset(struct nl_batch *b, uint32_t index, const struct addr *a, int *result)
{
	put_addr(b, RTM_DELADDR, 0, index, a, result, -EADDRNOTAVAIL);
}

struct dump_ctx {
	int (*fn)(uint32_t index, const struct addr *a, void *ctx);
	void *ctx;
};

static int dump_one(const struct nlmsghdr *nh, void *ctx)
{
	const struct ifaddrmsg *m = mnl_nlmsg_get_payload(nh);
	const struct nlattr *local = NULL, *address = NULL;
	const struct dump_ctx *d = ctx;
	uint8_t protocol = 0;
	struct addr addr = {0};
	size_t n = m->ifa_family == AF_INET ? 4 : 16;

	if (nh->nlmsg_type != RTM_NEWADDR)
		return 0;
	NL_ATTRS(a, nh, sizeof(*m))
	{
		uint16_t type = mnl_attr_get_type(a);

		if (type == IFA_LOCAL)
			local = a;
		else if (type == IFA_ADDRESS)
			address = a;
		else if (type == IFA_PROTO)
			protocol = mnl_attr_get_u8(a);
	}
	local = local ? local : address; /* IPv6 has no other */
	if (protocol != WEFT_ROUTE_PROTOCOL || !local || mnl_attr_get_payload_len(local) != n)
		return 0;
	if (n == 4)
		addr = addr_from4(0);
	memcpy(addr.b + 16 - n, mnl_attr_get_payload(local), n);
	return d->fn(m->ifa_index, &addr, d->ctx);
}

static int dump(int fd, int (*fn)(const struct nlmsghdr *nh, void *ctx), void *ctx)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	int err = 0;

	for (size_t i = 0; i < 2 && !err; i++) {
		char buf[128] __attribute__((aligned(8)));
		struct nlmsghdr *nh = mnl_nlmsg_put_header(buf);
		struct ifaddrmsg *m;

		nh->nlmsg_type = RTM_GETADDR;
		nh->nlmsg_flags = NLM_F_DUMP;
		m = mnl_nlmsg_put_extra_header(nh, sizeof(*m));
		m->ifa_family = families[i];
		err = nl_dump(fd, nh, fn, ctx);
		if (err == -EAFNOSUPPORT || err == -EOPNOTSUPP)
			err = 0;
	}
	return err;
}

int addr_dump(int fd, int (*fn)(uint32_t index, const struct addr *a, void *ctx), void *ctx)
{
	struct dump_ctx d = {fn, ctx};

	return dump(fd, dump_one, &d);
}

struct there_ctx {
	uint32_t index;
	bool yes;
};

static int look_at(const struct nlmsghdr *nh, void *ctx)
{
	const struct ifaddrmsg *m = mnl_nlmsg_get_payload(nh);
	struct there_ctx *t = ctx;

	t->yes |= nh->nlmsg_type == RTM_NEWADDR && m->ifa_index == t->index && m->ifa_scope < RT_SCOPE_LINK;
	return 0;
}

int addr_is_there(int fd, uint32_t index, bool *yes)
{
	struct there_ctx t = {.index = index};
	int err = dump(fd, look_at, &t);

	*yes = t.yes;
	return err;
}
