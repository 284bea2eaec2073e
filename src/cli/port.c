/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of rtnetlink → ports: see port.h. Called by broker_ports.c. */
#include "cli/port.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct nlmsghdr *whole(const void *message, size_t n, uint16_t type, size_t head)
{
	const struct nlmsghdr *h = message;

	return n >= sizeof(*h) && h->nlmsg_len >= sizeof(*h) + head && h->nlmsg_len <= n &&
		       h->nlmsg_type == type
		   ? h
		   : NULL;
}

static bool has(const struct nlattr *a, const char *end)
{
	return mnl_attr_ok(a, (int)(end - (const char *)a));
}

static void take_text(char out[16], const struct nlattr *a)
{
	snprintf(out, 16, "%.*s", (int)mnl_attr_get_payload_len(a), (const char *)mnl_attr_get_payload(a));
}

static void take_stats(struct port *p, const struct nlattr *a)
{
	struct rtnl_link_stats64 s = {0};
	size_t n = mnl_attr_get_payload_len(a);

	/* Newer kernels say more, older ones less. */
	memcpy(&s, mnl_attr_get_payload(a), n < sizeof(s) ? n : sizeof(s));
	p->in = (struct port_count){s.rx_packets, s.rx_bytes, s.rx_errors, s.rx_dropped + s.rx_missed_errors};
	p->out = (struct port_count){s.tx_packets, s.tx_bytes, s.tx_errors, s.tx_dropped};
}

static void take_kind(struct port *p, const struct nlattr *info)
{
	const char *end = (const char *)info + info->nla_len;

	for (const struct nlattr *a = mnl_attr_get_payload(info); has(a, end); a = mnl_attr_next(a))
		if (mnl_attr_get_type(a) == IFLA_INFO_KIND)
			take_text(p->kind, a);
}

int port_decode(struct port *out, const void *message, size_t n)
{
	const struct nlmsghdr *h = whole(message, n, RTM_NEWLINK, sizeof(struct ifinfomsg));
	const struct ifinfomsg *i = h ? mnl_nlmsg_get_payload(h) : NULL;
	const char *end = (const char *)message + (h ? h->nlmsg_len : 0);

	if (!h)
		return -EINVAL;
	*out = (struct port){.index = (uint32_t)i->ifi_index};
	out->link = !(i->ifi_flags & IFF_UP)	     ? PORT_DOWN
		    : !(i->ifi_flags & IFF_LOWER_UP) ? PORT_NO_CARRIER
						     : PORT_UP;
	snprintf(out->kind, sizeof(out->kind), "%s",
		 i->ifi_type == ARPHRD_ETHER	  ? "ethernet"
		 : i->ifi_type == ARPHRD_LOOPBACK ? "loopback"
						  : "other");
	for (const struct nlattr *a = mnl_nlmsg_get_payload_offset(h, sizeof(*i)); has(a, end);
	     a = mnl_attr_next(a)) {
		switch (mnl_attr_get_type(a)) {
		case IFLA_IFNAME:
			take_text(out->name, a);
			break;
		case IFLA_MTU:
			if (mnl_attr_get_payload_len(a) >= sizeof(uint32_t))
				out->mtu = mnl_attr_get_u32(a);
			break;
		case IFLA_STATS64:
			take_stats(out, a);
			break;
		case IFLA_LINKINFO:
			take_kind(out, a);
			break;
		default:
			break;
		}
	}
	return *out->name ? 0 : -EINVAL;
}

uint32_t port_addressed(const void *message, size_t n)
{
	const struct nlmsghdr *h = whole(message, n, RTM_NEWADDR, sizeof(struct ifaddrmsg));
	const struct ifaddrmsg *a = h ? mnl_nlmsg_get_payload(h) : NULL;

	return a && a->ifa_scope != RT_SCOPE_LINK ? a->ifa_index : 0;
}

const char *port_link_word(enum port_link link)
{
	static const char *const words[] = {[PORT_DOWN] = "down",
					    [PORT_NO_CARRIER] = "no-carrier",
					    [PORT_UP] = "up",
					    [PORT_ABSENT] = "absent"};

	return words[link];
}

const char *port_role(const struct port *p)
{
	if (p->tool)
		return p->source ? "both" : "tool";
	return p->feed ? "feed" : p->source ? "in" : "none";
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

int port_compare(const char *a, const char *b)
{
	while (*a && *b) {
		if (is_digit(*a) && is_digit(*b)) {
			char *after_a, *after_b;
			unsigned long long x = strtoull(a, &after_a, 10), y = strtoull(b, &after_b, 10);

			if (x != y)
				return x < y ? -1 : 1;
			a = after_a;
			b = after_b;
			continue;
		}
		if (*a != *b)
			return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
		a++;
		b++;
	}
	return !*a && !*b ? 0 : *a ? 1 : -1;
}
