/* SPDX-License-Identifier: Apache-2.0 */
/* Netlink: see netlink.h. Must never enter a namespace: the socket decides. Called by fabric.c, node.c,
 * netns.c. */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "base/log.h"
#include "sandbox/netlink.h"

void netlink_begin(struct netlink *nl, int fd)
{
	nl->fd = fd;
	nl->first = nl->seq = (uint32_t)time(NULL) & 0xffffff;
	nl->used = 0;
	nl->full = false;
}

static struct nlmsghdr *request(struct netlink *nl, uint16_t type, uint16_t flags, const char *what)
{
	struct nlmsghdr *h;

	if (nl->full || nl->used + 1024 > sizeof(nl->buf) || nl->seq - nl->first >= NETLINK_REQUESTS) {
		nl->full = true;
		nl->used = 0;
	}
	h = mnl_nlmsg_put_header(nl->buf + nl->used);
	h->nlmsg_type = type;
	h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	h->nlmsg_seq = nl->seq;
	nl->what[(nl->seq - nl->first) % NETLINK_REQUESTS] = what;
	nl->seq++;
	return h;
}

static void finish(struct netlink *nl, const struct nlmsghdr *h)
{
	nl->used += (h->nlmsg_len + 3u) & ~3u;
}

static struct nlmsghdr *link_request(struct netlink *nl, uint16_t type, uint16_t flags, uint32_t index,
				     unsigned if_flags, const char *what)
{
	struct nlmsghdr *h = request(nl, type, flags, what);
	struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));

	m->ifi_index = (int)index;
	m->ifi_flags = if_flags;
	m->ifi_change = if_flags;
	return h;
}

void netlink_bridge(struct netlink *nl, uint32_t index, const char *name)
{
	struct nlmsghdr *h = link_request(nl, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, index, 0, "new bridge");
	struct nlattr *info, *data;

	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	info = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_strz(h, IFLA_INFO_KIND, "bridge");
	data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
	mnl_attr_put_u8(h, IFLA_BR_MCAST_SNOOPING, 0);
	mnl_attr_nest_end(h, data);
	mnl_attr_nest_end(h, info);
	finish(nl, h);
}

void netlink_veth(struct netlink *nl, uint32_t index, const char *name, int peer_ns, uint32_t peer_index,
		  const char *peer_name)
{
	struct nlmsghdr *h =
	    link_request(nl, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, index, 0, "new veth pair");
	struct nlattr *info, *data, *peer;
	struct ifinfomsg *m;

	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	info = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_strz(h, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(h, VETH_INFO_PEER);
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifi_index = (int)peer_index;
	mnl_attr_put_strz(h, IFLA_IFNAME, peer_name);
	mnl_attr_put_u32(h, IFLA_NET_NS_FD, (uint32_t)peer_ns);
	mnl_attr_nest_end(h, peer);
	mnl_attr_nest_end(h, data);
	mnl_attr_nest_end(h, info);
	finish(nl, h);
}

void netlink_up(struct netlink *nl, uint32_t index)
{
	finish(nl, link_request(nl, RTM_NEWLINK, 0, index, IFF_UP, "set link up"));
}

void netlink_down(struct netlink *nl, uint32_t index)
{
	struct nlmsghdr *h = link_request(nl, RTM_NEWLINK, 0, index, 0, "set link down");

	((struct ifinfomsg *)mnl_nlmsg_get_payload(h))->ifi_change = IFF_UP;
	finish(nl, h);
}

void netlink_enslave(struct netlink *nl, uint32_t index, uint32_t bridge)
{
	struct nlmsghdr *h = link_request(nl, RTM_NEWLINK, 0, index, 0, "put link into bridge");

	mnl_attr_put_u32(h, IFLA_MASTER, bridge);
	finish(nl, h);
}

void netlink_delete(struct netlink *nl, uint32_t index)
{
	finish(nl, link_request(nl, RTM_DELLINK, 0, index, 0, "delete link"));
}

static bool put_addr(struct nlmsghdr *h, uint16_t attr, const struct addr *a)
{
	if (addr_is4(a))
		mnl_attr_put_u32(h, attr, __builtin_bswap32(addr_to4(a)));
	else
		mnl_attr_put(h, attr, sizeof(a->b), a->b);
	return addr_is4(a);
}

/* "ADDR/LEN" with host bits kept; LEN in its own family. */
static bool split(const char *text, struct addr *a, uint8_t *len)
{
	struct str rest = str_of(text), addr = str_cut(&rest, '/');
	int64_t n;

	if (addr_parse(addr, a) || str_to_i64(rest, 0, 128, &n))
		return false;
	*len = (uint8_t)n;
	return true;
}

void netlink_address(struct netlink *nl, uint32_t index, const char *prefix)
{
	struct nlmsghdr *h = request(nl, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, "add address");
	struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	struct addr a = {0};

	nl->full |= !split(prefix, &a, &m->ifa_prefixlen);
	m->ifa_index = index;
	m->ifa_flags = IFA_F_NODAD;
	m->ifa_family = put_addr(h, IFA_LOCAL, &a) ? AF_INET : AF_INET6;
	put_addr(h, IFA_ADDRESS, &a);
	finish(nl, h);
}

void netlink_route(struct netlink *nl, uint32_t index, const char *to, const char *via)
{
	struct nlmsghdr *h = request(nl, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, "add route");
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	struct addr dst = {0}, gw = {0};

	m->rtm_table = RT_TABLE_MAIN;
	m->rtm_protocol = RTPROT_STATIC;
	m->rtm_type = RTN_UNICAST;
	nl->full |= (to && !split(to, &dst, &m->rtm_dst_len)) || addr_parse(str_of(via), &gw);
	if (to)
		put_addr(h, RTA_DST, &dst);
	m->rtm_family = put_addr(h, RTA_GATEWAY, &gw) ? AF_INET : AF_INET6;
	mnl_attr_put_u32(h, RTA_OIF, index);
	finish(nl, h);
}

void netlink_route_local(struct netlink *nl, uint32_t index, const char *prefix)
{
	struct nlmsghdr *h = request(nl, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, "add local route");
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	struct addr dst = {0};

	m->rtm_table = RT_TABLE_LOCAL;
	m->rtm_protocol = RTPROT_STATIC;
	m->rtm_type = RTN_LOCAL;
	nl->full |= !split(prefix, &dst, &m->rtm_dst_len);
	m->rtm_scope = addr_is4(&dst) ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
	m->rtm_family = put_addr(h, RTA_DST, &dst) ? AF_INET : AF_INET6;
	mnl_attr_put_u32(h, RTA_OIF, index);
	finish(nl, h);
}

int netlink_commit(struct netlink *nl, const char *where)
{
	uint32_t left = nl->seq - nl->first;
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	char in[8192] __attribute__((aligned(8)));
	int first = 0;

	if (nl->full) {
		log_error("%s: a netlink batch is too large or holds what is no address", where);
		return -EINVAL;
	}
	if (!left)
		return 0;
	if (sendto(nl->fd, nl->buf, nl->used, 0, (const struct sockaddr *)&kernel, sizeof(kernel)) < 0) {
		log_error("%s: netlink: %s", where, strerror(errno));
		return -errno;
	}
	while (left) {
		int n = (int)recv(nl->fd, in, sizeof(in), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		for (struct nlmsghdr *h = (void *)in; mnl_nlmsg_ok(h, n); h = mnl_nlmsg_next(h, &n)) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);

			if (h->nlmsg_type != NLMSG_ERROR || h->nlmsg_seq - nl->first >= NETLINK_REQUESTS)
				continue;
			left--;
			if (!e->error)
				continue;
			log_error("%s: %s: %s", where, nl->what[h->nlmsg_seq - nl->first],
				  strerror(-e->error));
			first = first ? first : e->error;
		}
	}
	return first;
}
