/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filter language: what is read, how it prints, what errors say, what holds for records and packets. The
 * captures are in test_filter_corpus.c.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/own.h"
#include "filter/filter.h"
#include "filter/field.h"

static struct filter *parse(const char *text)
{
	AUTO(remarks_fini) struct remarks remarks = {};
	struct filter *f = NULL;

	if (filter_parse(&f, str_of(text), (struct pos){}, &remarks)) {
		remarks_print(stderr, &remarks, false);
		fail_msg("not parsed: %s", text);
	}
	return f;
}

static void prints(const char *text, const char *want)
{
	struct filter *f = parse(text), *again;
	AUTO_BUF out = {};

	filter_print(f, &out);
	assert_string_equal(out.p, want);
	again = parse(out.p);
	assert_true(filter_eq(f, again));
	filter_unref(&f);
	filter_unref(&again);
}

static void br77_prints_what_it_reads(void **state)
{
	(void)state;
	prints("", "true");
	prints("tcp", "tcp");
	prints("tcp && port in {80, 443, 8000-8100} && src.pod.label[\"app\"] == \"web\" && !(dst.cidr == "
	       "10.0.0.0/8)",
	       "tcp && port in {80, 443, 8000-8100} && src.pod.label[\"app\"] == \"web\" && dst.ip != "
	       "10.0.0.0/8");
	prints("port in {81, 80, 82-90, 90, 91}", "port in {80-91}");
	prints("port < 1024", "port <= 1023");
	prints("port>=1024", "port >= 1024");
	prints("port > 1024 || (tcp || udp)", "port >= 1025 || tcp || udp");
	prints("(tcp || udp) && port==53", "(tcp || udp) && port == 53");
	prints("!!tcp", "tcp");
	prints("!(tcp && udp)", "!(tcp && udp)");
	prints("pod == shop/web-1", "pod == \"shop/web-1\"");
	prints("pod ~ 'web-*'", "pod ~ \"web-*\"");
	prints("src.label[app] in {a, \"b c\", 'd\"e'}",
	       "src.pod.label[\"app\"] in {\"a\", \"b c\", \"d\\\"e\"}");
	prints("rtt > 20ms", "tcp.rtt >= 20001us");
	prints("duration <= 1.5s", "duration <= 1500ms");
	prints("bytes >= 1.5M", "bytes >= 1500000");
	prints("verdict == dropped && reason in {policy-ingress, spoofed}",
	       "verdict == dropped && reason in {policy-ingress, spoofed}");
	prints("reason == \"kernel:SOCKET_RCVBUFF\"", "reason == kernel:SOCKET_RCVBUFF");
	prints("reason in {kernel:TCP_CSUM, kernel:UDP_CSUM, spoofed}",
	       "reason in {spoofed, kernel:TCP_CSUM, kernel:UDP_CSUM}");
	prints("reason in {kernel, spoofed, kernel:TCP_CSUM}", "reason in {spoofed, kernel}");
	prints(
	    "dns.name == WWW.Example.Org. && dns.code == NXDOMAIN && dns.time >= 20ms && record == dns",
	    "dns.name == \"www.example.org\" && dns.code == NXDOMAIN && dns.time >= 20ms && record == dns");
	prints("tcp.flags == syn+ack", "tcp.flags == syn+ack");
	prints("tcp.flags == 0x12", "tcp.flags == syn+ack");
	prints("tcp.flags == 0", "tcp.flags == none");
	prints("mac == 02:00:00:00:00:0a", "mac == 02:00:00:00:00:0a");
	prints("ip == 10.0.0.0-10.0.0.255", "ip == 10.0.0.0/24");
	prints("ip == 10.0.0.1-10.0.0.9", "ip == 10.0.0.1-10.0.0.9");
	prints("ip in {10.0.0.0/25, 10.0.0.128/25, fd00::/8}", "ip in {10.0.0.0/24, fd00::/8}");
	prints("ip == ::/0", "ip == ::/0");
	prints("ip == 0.0.0.0/0", "ip == 0.0.0.0/0");
	prints("eth.type == 0x88b5 || eth.type == arp", "eth.type == 0x88b5 || eth.type == arp");
	prints("vlan && vlan.id == 0", "vlan && vlan.id == 0");
	prints("has(src.pod) && !has(dns.name)", "has(src.pod) && !has(dns.name)");
	prints("true && tcp", "tcp");
	prints("false || tcp", "tcp");
	prints("tcp && false", "false");
	prints("dns.code == NXDOMAIN", "dns.code == NXDOMAIN");
	/* pcap, marked and bare */
	prints("pcap:'tcp port 443 and net 10.0.0.0/8'", "pcap:'tcp port 443 and net 10.0.0.0/8'");
	prints("tcp port 443 and net 10.0.0.0/8", "pcap:'tcp port 443 and net 10.0.0.0/8'");
	prints("port 80", "pcap:'port 80'");
	prints("host 10.1.2.3", "pcap:'host 10.1.2.3'");
}

static void refuses(const char *text, const char *want)
{
	AUTO(remarks_fini) struct remarks remarks = {};
	struct filter *f = NULL;
	AUTO_BUF out = {};

	assert_int_equal(filter_parse(&f, str_of(text), (struct pos){}, &remarks), -EINVAL);
	assert_null(f);
	assert_int_equal(remarks.list.len, 1);
	remark_print(&out, &remarks.list.items[0], false);
	if (!strstr(out.p, want))
		fail_msg("%s: want \"%s\" in:\n%s", text, want, out.p);
}

static void errors_point_at_the_column(void **state)
{
	(void)state;
	refuses("tcp && prt == 80", "filter:1:8: error: there is no field \"prt\"");
	refuses("tcp && prt == 80", "did you mean port?");
	refuses("src.verdict == dropped", "1:1: error: \"src.verdict\": this field has no sides");
	refuses("verdict == droped", "did you mean \"dropped\"?");
	refuses("state == nonsense", "one of: unanswered, open, closed, reset, cut");
	refuses("port == 70000", "port: \"70000\" is more than this field can be");
	refuses("port == http", "is no number");
	refuses("port in {90-80}", "ends before it begins");
	refuses("port < 0", "nothing is beyond that bound");
	refuses("tcp == 1", "tcp is true or not");
	refuses("port", "port needs a comparison");
	refuses("verdict < dropped", "use ==, != or in {…}");
	refuses("port == 80 &&", "1:14: error: the filter ends where a field should follow");
	refuses("(tcp", "\")\", \"&&\" or \"||\"");
	refuses("tcp udp == 3", "\"udp\" stands where \"&&\" or \"||\" should follow");
	refuses("pod.label == web", "[\"KEY\"]");
	refuses("pod == \"web", "this text has no end");
	refuses("ip == 10.0.0.1/8", "has bits set behind the prefix length");
	refuses("rtt > 20 parsecs", "stands where");
	refuses("rtt > 20parsecs", "is no time");
	refuses("pcap:'host'", "as a pcap expression");
	refuses("host example.com", "names are not looked up");
	refuses("tcp port 80 and hots 10.0.0.1", "\"hots\" is no word of it");
	refuses("web", "there is no field \"web\"");
}

static void bounds_hold(void **state)
{
	AUTO_BUF deep = {};
	AUTO(remarks_fini) struct remarks remarks = {};
	struct filter *f = NULL;

	(void)state;
	for (int i = 0; i < 1000; i++)
		buf_addc(&deep, '(');
	assert_int_equal(filter_parse(&f, buf_str(&deep), (struct pos){}, &remarks), -EINVAL);
	buf_clear(&deep);
	for (int i = 0; i < 10000; i++)
		buf_addz(&deep, "!");
	assert_int_equal(filter_parse(&f, buf_str(&deep), (struct pos){}, &remarks), -EINVAL);
	buf_clear(&deep);
	for (int i = 0; i < 20000; i++)
		buf_addz(&deep, "tcp||");
	assert_int_equal(filter_parse(&f, buf_str(&deep), (struct pos){}, &remarks), -EINVAL);
	assert_null(f);
}

static void other(const char *text, const char *want)
{
	struct filter *f = parse(text);
	AUTO_BUF out = {}, why = {};
	int r = filter_print_other(f, &out, &why);

	assert_int_equal(r, 0);
	assert_string_equal(out.p ? out.p : "", want);
	filter_unref(&f);
}

static void no_other(const char *text, const char *want)
{
	struct filter *f = parse(text);
	AUTO_BUF out = {}, why = {};

	assert_int_equal(filter_print_other(f, &out, &why), -ENOTSUP);
	if (!why.p || !strstr(why.p, want))
		fail_msg("%s: want \"%s\" in \"%s\"", text, want, why.p ? why.p : "");
	filter_unref(&f);
}

static void prints_in_the_other_form(void **state)
{
	(void)state;
	other("tcp && port == 443", "(tcp and (port 443))");
	other("src.ip == 10.0.0.0/8", "(ip src net 10.0.0.0/8)");
	other("ip == 10.0.0.1-10.0.0.4", "(ip net 10.0.0.1/32 or ip net 10.0.0.2/31 or ip net 10.0.0.4/32)");
	other("tcp port 443 and net 10.0.0.0/8", "tcp && port == 443 && ip == 10.0.0.0/8");
	other("src host 10.0.0.1 or 10.0.0.2", "src.ip == 10.0.0.1 || src.ip == 10.0.0.2");
	other("tcp and not (port 80 or 443)", "tcp && !(port == 80 || port == 443)");
	other("udp dst portrange 100-200", "udp && dst.port in {100-200}");
	other("src and dst net 10", "src.ip == 10.0.0.0/8 && dst.ip == 10.0.0.0/8");
	no_other("pod == web-1", "pod == \"web-1\": has no pcap form");
	no_other("vlan.id == 7", "vlan.id == 7");
	no_other("tcp[13] & 2 != 0", "\"[\" has no native form");
	no_other("vlan 7", "has no native form");
}

/* --- records --------------------------------------------------------------------------------------- */

static struct record shop(void)
{
	static struct str labels[] = {{"app", 3}, {"web", 3}, {"tier", 4}, {"front", 5}};
	static const struct identity web = {.kind = IDENTITY_POD,
					    .ns = {"shop", 4},
					    .name = {"web-1", 5},
					    .workload_kind = {"Deployment", 10},
					    .workload = {"web", 3},
					    .node = {"node-1", 6},
					    .labels = labels,
					    .labels_len = 2},
				     db = {.kind = IDENTITY_POD, .ns = {"shop", 4}, .name = {"db-0", 4}},
				     service = {
					 .kind = IDENTITY_SERVICE, .ns = {"shop", 4}, .name = {"db", 2}};
	struct record r = {.kind = RECORD_FLOW,
			   .from = {.port = 40000, .who = &web},
			   .to = {.port = 5432, .who = &db},
			   .service = &service,
			   .via_port = 5432,
			   .node = "node-1",
			   .proto = 6,
			   .state = STATE_CLOSED,
			   .bytes = {1000, 200000},
			   .packets = {10, 150},
			   .first = 1000000000,
			   .last = 3500000000,
			   .rtt_us = {20000, 5000},
			   .retransmits = {2, 0},
			   .zero_windows = {0, 3},
			   .tcp_seen = SEEN_BOTH,
			   .ended = true};

	addr_parse(STR("10.244.0.5"), &r.from.addr);
	addr_parse(STR("10.244.1.9"), &r.to.addr);
	addr_parse(STR("10.96.0.20"), &r.via);
	return r;
}

static bool holds(const char *text, const struct record *r)
{
	struct filter *f = parse(text);
	bool yes = filter_record(f, r);

	filter_unref(&f);
	return yes;
}

static void finds_records(void **state)
{
	static const char *const yes[] = {"",
					  "tcp",
					  "pod == web-1",
					  "pod == shop/web-1",
					  "src.pod == web-1",
					  "dst.pod ~ 'db-*'",
					  "pod ~ 'shop/*'",
					  "ns == shop",
					  "src.pod.label[\"app\"] == \"web\"",
					  "label[tier] in {front, back}",
					  "service == db",
					  "service == shop/db",
					  "service.ip == 10.96.0.20",
					  "port == 5432",
					  "dst.port == 5432",
					  "port in {1-10, 5000-6000}",
					  "ip == 10.244.0.0/16",
					  "dst.ip == 10.244.1.9",
					  "rtt > 20ms",
					  "retransmits >= 2",
					  "tcp.rtt == 25ms",
					  "tcp.rtt.there == 20ms && tcp.rtt.back == 5ms",
					  "tcp.retransmits.back == 0",
					  "tcp.zerowindows == 3 && tcp.zerowindows.there < 1",
					  "tcp.resets == 0",
					  "bytes > 200k",
					  "bytes.there == 1000",
					  "duration == 2.5s",
					  "state == closed",
					  "ended",
					  "verdict == forwarded",
					  "workload == web",
					  "workload == shop/web",
					  "node == node-1",
					  "seen.node == node-1",
					  "kind == pod",
					  "ip4",
					  "tcp port 5432",
					  "net 10.244.0.0/16 and dst port 5432",
					  "!has(reason)",
					  "has(service)",
					  "src.ip != 10.0.0.1",
					  "record == flow",
					  "has(label[app])"},
				 *const no[] = {"udp",
						"pod == web",
						"src.pod == db-0",
						"src.port == 5432",
						"pod == other/web-1",
						"port != 5432",
						"label[app] == \"front\"",
						"ip == ::/0",
						"rtt < 25ms",
						"has(dns.name)",
						"dns.code == NOERROR",
						"verdict == dropped",
						"has(src.domain)",
						"has(reason)",
						"src.kind == outside",
						"udp port 5432",
						"has(label[nothing])",
						"label[nothing] == \"\""};
	struct record r = shop();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(yes); i++)
		if (!holds(yes[i], &r))
			fail_msg("does not match: %s", yes[i]);
	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		if (holds(no[i], &r))
			fail_msg("matches: %s", no[i]);
}

/* BR24: what a node did not see of an end is neither 0 nor more, and is not there either. */
static void unknown_is_not_zero(void **state)
{
	static const char *const unknown[] = {"tcp.rtt < 1s",
					      "has(tcp.rtt)",
					      "tcp.retransmits == 0",
					      "tcp.retransmits >= 0",
					      "has(tcp.retransmits.back)",
					      "tcp.resets < 5",
					      "tcp.zerowindows.back == 0"};
	struct record r = shop();

	(void)state;
	r.rtt_us[1] = 0;
	r.tcp_seen = SEEN_INITIATOR;
	for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
		if (holds(unknown[i], &r))
			fail_msg("matches: %s", unknown[i]);
	assert_true(holds("tcp.retransmits.there == 2 && tcp.rtt.there == 20ms", &r));
	r.tcp_seen = 0;
	assert_false(holds("has(tcp.retransmits.there) || has(tcp.zerowindows.there)", &r));
	r = shop();
	r.proto = 17;
	assert_false(holds("has(tcp.rtt) || has(tcp.resets)", &r));
}

/* What is remembered of ends says the same, whichever side they stand on, and the second time too. */
static void remembers_ends(void **state)
{
	static const char *const texts[] = {"src.pod == web-1",
					    "dst.pod ~ 'db-*'",
					    "src.pod.label[\"app\"] == \"web\" || dst.port == 40000",
					    "has(dst.workload) && ns == shop",
					    "src.ip == 10.244.0.5 && !(dst.ip == 10.244.0.5)",
					    "service == db",
					    "service.ip == 10.96.0.20",
					    "src.kind == pod && node == node-1",
					    "src host 10.244.0.5 and tcp",
					    "src.node != node-1"};
	struct record there = shop(), back = there;

	(void)state;
	back.from = there.to;
	back.to = there.from;
	back.via = (struct addr){};
	back.service = NULL;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		for (uint32_t ends = 0; ends < 5; ends++) {
			struct filter *f = parse(texts[i]);
			struct filter_run *run = filter_run_new(f, ends);

			assert_non_null(run);
			for (int again = 0; again < 3; again++)
				if (filter_run_record(run, &there, 1, 2, 3) != filter_record(f, &there) ||
				    filter_run_record(run, &back, 2, 1, 0) != filter_record(f, &back))
					fail_msg("%s: otherwise with %u ends", texts[i], ends);
			filter_run_free(&run);
			filter_unref(&f);
		}
}

static void says_where_it_cannot_run(void **state)
{
	struct filter *f = parse("tcp && rtt > 20ms");
	AUTO_BUF why = {};

	(void)state;
	assert_int_equal(filter_uses(f, FILTER_RECORDS, &why), 0);
	assert_int_equal(filter_uses(f, FILTER_PACKETS, &why), -ENOTSUP);
	assert_string_equal(why.p, "tcp.rtt cannot be judged over packets: tcp.rtt >= 20001us");
	filter_unref(&f);
	f = parse("tcp[13] & 2 != 0");
	buf_clear(&why);
	assert_int_equal(filter_uses(f, FILTER_RECORDS, &why), -ENOTSUP);
	assert_non_null(strstr(why.p, "reads bytes of packets"));
	assert_int_equal(filter_uses(f, FILTER_KERNEL, &why), 0);
	filter_unref(&f);
	f = parse("pcap:'ip6 protochain 6'");
	buf_clear(&why);
	assert_int_equal(filter_uses(f, FILTER_KERNEL, &why), -ENOTSUP);
	assert_non_null(strstr(why.p, "protochain"));
	filter_unref(&f);
}

/* BR76: what is too large for the kernel is refused, not cut. */
static void br76_bound_of_steps(void **state)
{
	AUTO_BUF text = {}, why = {};
	struct filter_program p = {};
	struct filter *f;

	(void)state;
	for (unsigned i = 0; i < 3000; i++)
		buf_printf(&text, "%s%u", i ? ", " : "port in {", i * 2);
	buf_addc(&text, '}');
	f = parse(text.p);
	assert_int_equal(filter_program(f, &p, &why), -ENOTSUP);
	assert_non_null(strstr(why.p, "4096 comparisons"));
	filter_unref(&f);
	f = parse("tcp && port == 80");
	assert_int_equal(filter_program(f, &p, &why), 0);
	assert_true(p.steps && !p.classic && p.n == 6);
	filter_program_fini(&p);
	filter_unref(&f);
}

/* --- packets --------------------------------------------------------------------------------------- */

static bool sees(const char *text, const char *hex, struct filter_packet p)
{
	struct filter *f = parse(text);
	uint8_t bytes[256];
	size_t n = 0;
	unsigned b;
	bool yes;

	for (; *hex; hex++) {
		if (*hex == ' ')
			continue;
		assert_int_equal(sscanf(hex, "%2x", &b), 1);
		bytes[n++] = (uint8_t)b;
		hex++;
	}
	p.p = bytes;
	p.caplen = p.caplen ? p.caplen : (uint32_t)n;
	p.len = p.len ? p.len : (uint32_t)n;
	p.link = p.link ? p.link : 1;
	yes = filter_packet(f, &p);
	filter_unref(&f);
	return yes;
}

#define ETH4	 "020000000002 020000000001 0800"
#define IP4(prt) "4500 0028 0000 0000 40" prt "0000 0a000001 0a000002"
#define TCP_SYN	 "9c40 0050 00000000 00000000 5002 ffff 0000 0000"
static const struct filter_packet plain;

static void br13_br72_br73_br74_headers(void **state)
{
	static const char syn
	    [] = ETH4 IP4("06") TCP_SYN,
	 tagged[] = "020000000002 020000000001 8100 000a 0800" IP4("06") TCP_SYN,
	 stacked[] = "020000000002 020000000001 88a8 000a 8100 0014 0800" IP4("06") TCP_SYN,
	 later[] = ETH4 "4500 0028 0000 0005 4006 0000 0a000001 0a000002" TCP_SYN,
	 first[] = ETH4 "4500 0028 0000 2000 4006 0000 0a000001 0a000002" TCP_SYN,
	 six[] =
	     "020000000002 020000000001 86dd 60000000 0030 00 40 fd000000000000000000000000000001"
	     "fd000000000000000000000000000002 2b00 000000000000 3c00 000000000000 0600 000000000000" TCP_SYN,
	 vxlan[] = ETH4 IP4("11") "c000 12b5 0010 0000 08000000 00002a00";

	(void)state;
	assert_true(sees("port == 80", syn, plain));
	assert_true(sees("dst.port == 80", syn, plain));
	assert_false(sees("src.port == 80", syn, plain));
	assert_true(sees("port 80", syn, plain));
	assert_true(sees("tcp.flags == syn && tcp.syn && !tcp.ack", syn, plain));
	assert_true(sees("src.mac == 02:00:00:00:00:01", syn, plain));
	assert_true(sees("len == 54 && ip.ttl == 64", syn, plain));
	/* a tag in the bytes, a tag beside them */
	assert_true(sees("vlan.id == 10 && tcp && port == 80", tagged, plain));
	assert_false(sees("vlan", syn, plain));
	assert_true(sees("vlan.id == 10 && !has(vlan.inner.id)", syn,
			 (struct filter_packet){.vlan_in_meta = true, .vlan_tci = 10}));
	assert_true(sees("pcap:'vlan 10 and tcp port 80'", syn,
			 (struct filter_packet){.vlan_in_meta = true, .vlan_tci = 10}));
	assert_true(sees("vlan.id == 10 && vlan.inner.id == 20", stacked, plain));
	assert_true(sees("vlan.inner.id == 20", tagged + 0,
			 (struct filter_packet){.vlan_in_meta = true, .vlan_tci = 5}) == false);
	assert_true(sees("vlan.id == 5 && vlan.inner.id == 10", tagged,
			 (struct filter_packet){.vlan_in_meta = true, .vlan_tci = 5}));
	/* BR72: addresses of a later fragment, no ports */
	assert_true(sees("ip == 10.0.0.1 && tcp && ip.fragment", later, plain));
	assert_false(sees("port == 80 || has(tcp.flags)", later, plain));
	assert_true(sees("port == 80 && ip.fragment", first, plain));
	/* BR73: behind routing and destination options */
	assert_true(sees("tcp && port == 80", six, plain));
	assert_true(sees("ip6 && src.ip == fd00::1", six, plain));
	assert_true(sees("tunnel && tunnel.vni == 42", vxlan, plain));
}

/* BR75: random bytes never crash and read nothing beyond the end (AddressSanitizer watches). */
static void br75_random_bytes(void **state)
{
	static const uint32_t links[] = {1, 0, 12, 101, 108, 113, 228, 229, 276, 147};
	struct filter *f =
	    parse("tcp && port == 80 || vlan.id == 3 || ip6 && icmp.type == 1 || tunnel.vni == 5");
	struct filter *g = parse("pcap:'tcp port 80 or vlan 3 or icmp6'");
	unsigned seed = 7, matched = 0;

	(void)state;
	for (unsigned i = 0; i < 300000; i++) {
		unsigned n = i % 97;
		uint8_t *p = malloc(n ? n : 1);
		struct filter_packet packet = {
		    .p = p, .caplen = n, .len = n, .link = links[i / 8 % ARRAY_LEN(links)]};

		for (unsigned k = 0; k < n; k++) {
			seed = seed * 1103515245 + 12345;
			p[k] = (uint8_t)(seed >> 16);
		}
		/* half of them look like IP */
		if (n > 14 && i & 1) {
			memcpy(p + 12, i & 2 ? "\x08\x00\x45" : "\x86\xdd\x60", n > 15 ? 3 : 2);
			if (n > 23)
				p[23] = i & 4 ? 6 : 17;
		}
		matched += filter_packet(f, &packet) + filter_packet(g, &packet);
		free(p);
	}
	assert_true(matched > 0);
	filter_unref(&f);
	filter_unref(&g);
}

/* --- random filters -------------------------------------------------------------------------------- */

static unsigned dice(unsigned *seed, unsigned sides)
{
	*seed = *seed * 1103515245 + 12345;
	return (*seed >> 16) % sides;
}

static void random_test(struct buf *out, unsigned *seed)
{
	static const char *const tests[] = {"tcp",
					    "udp",
					    "icmp",
					    "arp",
					    "ip4",
					    "ip6",
					    "vlan",
					    "port == %u",
					    "src.port in {%u, 5-9}",
					    "dst.port < %u",
					    "len >= %u",
					    "ip == 10.0.%u.0/24",
					    "src.ip == 10.0.0.1-10.0.%u.9",
					    "dst.ip != fd00:%u::/32",
					    "vlan.id == %u",
					    "pod == \"p%u\"",
					    "label[a] in {x, y%u}",
					    "rtt > %ums",
					    "bytes <= %uk",
					    "verdict == dropped",
					    "has(dns.name)",
					    "reason == spoofed",
					    "tcp.syn",
					    "tcp.flags == %u",
					    "pod ~ 'x%u*'"};

	buf_printf(out, tests[dice(seed, ARRAY_LEN(tests))], 1 + dice(seed, 250));
}

static void random_filter(struct buf *out, unsigned *seed, unsigned depth)
{
	unsigned kind = depth ? dice(seed, 5) : 0;

	if (kind < 2) {
		random_test(out, seed);
		return;
	}
	buf_addz(out, kind == 2 ? "!(" : "(");
	random_filter(out, seed, depth - 1);
	if (kind > 2) {
		buf_addz(out, kind == 3 ? " && " : " || ");
		random_filter(out, seed, depth - 1);
	}
	buf_addc(out, ')');
}

static void br77_random_filters_print_alike(void **state)
{
	unsigned seed = 42;
	struct record r = shop();

	(void)state;
	for (int i = 0; i < 20000; i++) {
		AUTO_BUF text = {};
		AUTO_BUF first = {};
		AUTO_BUF second = {};
		struct filter *f, *g;

		random_filter(&text, &seed, 6);
		f = parse(text.p);
		filter_print(f, &first);
		g = parse(first.p);
		filter_print(g, &second);
		assert_string_equal(first.p, second.p);
		assert_true(filter_eq(f, g));
		assert_int_equal(filter_record(f, &r), filter_record(g, &r));
		filter_unref(&f);
		filter_unref(&g);
	}
}

static void collect(void *ctx, const char *word, const char *sentence)
{
	assert_true(*sentence);
	buf_printf(ctx, "%s ", word);
}

static void assert_value(const char *text, const char *field, const char *key)
{
	struct str found;

	assert_string_equal(filter_complete_value(str_of(text), &found) ?: "", field);
	assert_true(str_eqz(found, key));
}

static void completes(void **state)
{
	AUTO_BUF out = {};

	(void)state;
	filter_complete(STR("tcp && src.po"), false, collect, &out);
	assert_string_equal(out.p, "src.port src.pod src.pod.label ");
	buf_clear(&out);
	filter_complete(STR("verdict == d"), true, collect, &out);
	assert_string_equal(out.p, "dropped ");
	buf_clear(&out);
	filter_complete(STR("src.kind in {pod, "), true, collect, &out);
	assert_string_equal(out.p, "pod node service outside unknown ");
	buf_clear(&out);
	filter_complete(STR("tcp && (vla"), true, collect, &out);
	assert_true(!out.n);
	filter_complete(STR("tcp && (vla"), false, collect, &out);
	assert_string_equal(out.p, "vlan vlan.id vlan.pcp vlan.inner.id ");
	assert_value("tcp && src.pod.label[\"app\"] == \"p", "pod.label", "app");
	assert_value("label[app]!=", "pod.label", "app");
	assert_value("workload in {shop/cart, shop/c", "workload", "");
	assert_value("tcp && dst.pod == shop/", "pod", "");
	assert_value("pod ~ 'x*", "", "");
	assert_value("tcp && (por", "", "");
	assert_value("", "", "");
	assert_value("== ", "", "");
	assert_value("]==", "", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(br77_prints_what_it_reads),
	    cmocka_unit_test(errors_point_at_the_column),
	    cmocka_unit_test(bounds_hold),
	    cmocka_unit_test(prints_in_the_other_form),
	    cmocka_unit_test(finds_records),
	    cmocka_unit_test(unknown_is_not_zero),
	    cmocka_unit_test(remembers_ends),
	    cmocka_unit_test(says_where_it_cannot_run),
	    cmocka_unit_test(br76_bound_of_steps),
	    cmocka_unit_test(br13_br72_br73_br74_headers),
	    cmocka_unit_test(br75_random_bytes),
	    cmocka_unit_test(br77_random_filters_print_alike),
	    cmocka_unit_test(completes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
