/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of rtnetlink as ports of a broker host: each field, links in all their states, messages that are
 * cut short at every byte, older and newer statistics; natural order.
 */
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "cli/port.h"

static struct nlmsghdr *link_message(char *bytes, unsigned flags, const char *kind, size_t stats)
{
	struct rtnl_link_stats64 s = {.rx_packets = 1,
				      .tx_packets = 2,
				      .rx_bytes = 300,
				      .tx_bytes = 400,
				      .rx_errors = 5,
				      .tx_errors = 6,
				      .rx_dropped = 7,
				      .tx_dropped = 8,
				      .rx_missed_errors = 9};
	struct nlmsghdr *h = mnl_nlmsg_put_header(bytes);
	struct ifinfomsg *i = mnl_nlmsg_put_extra_header(h, sizeof(*i));
	char more[1024] = {0};

	h->nlmsg_type = RTM_NEWLINK;
	i->ifi_index = 42;
	i->ifi_type = ARPHRD_ETHER;
	i->ifi_flags = flags;
	mnl_attr_put_strz(h, IFLA_IFNAME, "eth1");
	mnl_attr_put_u32(h, IFLA_MTU, 9000);
	memcpy(more, &s, sizeof(s));
	mnl_attr_put(h, IFLA_STATS64, stats, more);
	if (kind) {
		struct nlattr *info = mnl_attr_nest_start(h, IFLA_LINKINFO);

		mnl_attr_put_strz(h, IFLA_INFO_KIND, kind);
		mnl_attr_nest_end(h, info);
	}
	return h;
}

static void fields(void **state)
{
	char bytes[4096];
	struct port p;
	struct nlmsghdr *h =
	    link_message(bytes, IFF_UP | IFF_LOWER_UP, "veth", sizeof(struct rtnl_link_stats64));

	(void)state;
	assert_int_equal(port_decode(&p, h, h->nlmsg_len), 0);
	assert_int_equal(p.index, 42);
	assert_string_equal(p.name, "eth1");
	assert_string_equal(p.kind, "veth");
	assert_int_equal(p.mtu, 9000);
	assert_int_equal(p.link, PORT_UP);
	assert_int_equal(p.in.packets, 1);
	assert_int_equal(p.in.bytes, 300);
	assert_int_equal(p.in.errors, 5);
	assert_int_equal(p.in.drops, 16);
	assert_int_equal(p.out.packets, 2);
	assert_int_equal(p.out.bytes, 400);
	assert_int_equal(p.out.errors, 6);
	assert_int_equal(p.out.drops, 8);
	h = link_message(bytes, IFF_UP | IFF_LOWER_UP, NULL, 64); /* of an old kernel */
	assert_int_equal(port_decode(&p, h, h->nlmsg_len), 0);
	assert_string_equal(p.kind, "ethernet");
	assert_int_equal(p.out.drops, 8);
	h = link_message(bytes, IFF_UP | IFF_LOWER_UP, "a-kind-that-is-far-too-long",
			 512); /* of a newer one */
	assert_int_equal(port_decode(&p, h, h->nlmsg_len), 0);
	assert_string_equal(p.kind, "a-kind-that-is-");
}

static void links(void **state)
{
	static const struct {
		unsigned flags;
		enum port_link link;
		const char *word;
	} cases[] = {{0, PORT_DOWN, "down"},
		     {IFF_LOWER_UP, PORT_DOWN, "down"},
		     {IFF_UP, PORT_NO_CARRIER, "no-carrier"},
		     {IFF_UP | IFF_RUNNING | IFF_LOWER_UP, PORT_UP, "up"}};
	char bytes[4096];
	struct port p;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct nlmsghdr *h = link_message(bytes, cases[i].flags, NULL, 192);

		assert_int_equal(port_decode(&p, h, h->nlmsg_len), 0);
		assert_int_equal(p.link, cases[i].link);
		assert_string_equal(port_link_word(p.link), cases[i].word);
	}
}

/* Whatever stands there, it is read within the bytes that are given (ASan watches). */
static void cut_short(void **state)
{
	char bytes[4096];
	struct nlmsghdr *h = link_message(bytes, IFF_UP, "veth", 192);
	uint32_t all = h->nlmsg_len;

	(void)state;
	for (uint32_t n = 0; n <= all; n++) {
		char *copy = malloc(n ? n : 1);
		struct port p;

		memcpy(copy, bytes, n);
		if (n < all)
			assert_int_equal(port_decode(&p, copy, n), -EINVAL);
		if (n >= sizeof(*h)) {
			((struct nlmsghdr *)(void *)copy)->nlmsg_len = n;
			port_decode(&p, copy, n);
			port_addressed(copy, n);
		}
		free(copy);
	}
}

static void addresses(void **state)
{
	static const struct {
		int scope;
		uint32_t index;
	} cases[] = {{RT_SCOPE_UNIVERSE, 42}, {RT_SCOPE_HOST, 42}, {RT_SCOPE_LINK, 0}};
	char bytes[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct nlmsghdr *h = mnl_nlmsg_put_header(bytes);
		struct ifaddrmsg *a = mnl_nlmsg_put_extra_header(h, sizeof(*a));

		h->nlmsg_type = RTM_NEWADDR;
		a->ifa_index = 42;
		a->ifa_scope = (unsigned char)cases[i].scope;
		assert_int_equal(port_addressed(h, h->nlmsg_len), cases[i].index);
		h->nlmsg_type = RTM_DELADDR;
		assert_int_equal(port_addressed(h, h->nlmsg_len), 0);
	}
}

static void roles(void **state)
{
	(void)state;
	assert_string_equal(port_role(&(struct port){.index = 1}), "none");
	assert_string_equal(port_role(&(struct port){.source = true}), "in");
	assert_string_equal(port_role(&(struct port){.source = true, .feed = true}), "feed");
	assert_string_equal(port_role(&(struct port){.tool = true}), "tool");
	assert_string_equal(port_role(&(struct port){.source = true, .tool = true}), "both");
}

static void order(void **state)
{
	static const char *const rising[] = {"eth1", "eth1.5", "eth2", "eth10", "eth10a", "lo", "wlan0"};
	const size_t n = sizeof(rising) / sizeof(*rising);

	(void)state;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n; k++)
			assert_int_equal(port_compare(rising[i], rising[k]), i < k ? -1 : i > k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(fields),	cmocka_unit_test(links),
					   cmocka_unit_test(cut_short), cmocka_unit_test(addresses),
					   cmocka_unit_test(roles),	cmocka_unit_test(order)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
