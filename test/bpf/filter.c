/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters in the kernel (src/apply/filter.h), loaded on the running kernel and run by BPF_PROG_TEST_RUN. The
 * kernel, the evaluator of user space and a second reading (filter_model.c; libpcap for pcap forms) must say
 * the same of every frame. WEFT_FILTER_FRAMES sets how many random frames each set of filters is held against
 * (20,000; 1,000,000 for the long run).
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "apply/filter_code.h"
#include "base/own.h"
#include "filter/dissect.h"
#include "filter/filter.h"
#include "filter/terms.h"
#include "filter_guard.h"
#include "filter_model.h"
#include "filter_oracle.h"
#include "filter_paged.h"
#include "seam/tap.h"

enum { SET = 31, WALKED_MAX = 12000 };

struct set {
	unsigned n;
	struct filter *filters[SET];
	struct filter_program programs[SET];
	struct model_tree *trees[SET];
	char *texts[SET];
	int plain, tagged; /* programs; tagged: one that first puts the frame's tag beside its bytes */
	uint32_t walked, insns;
	bool judge;	    /* of taps */
	uint32_t some, all; /* bits of any answer, of each */
};

static bool may_load(void)
{
	static int can = -1;
	static const struct filter_classic all[] = {{.code = 6, .k = 1}};

	if (can < 0) {
		struct filter_code code = {};
		AUTO_BUF why = {};
		struct filter_form f = {.classic = all, .n = 1};
		int fd = filter_translate(&code, &f, 1, &why);

		if (!fd)
			fd = filter_load(&code, BPF_PROG_TYPE_SCHED_CLS, NULL, &why);
		filter_code_fini(&code);
		if (fd < 0)
			fprintf(stderr, "# %s\n", why.p);
		can = fd >= 0;
		own_fd(&fd);
	}
	return can;
}

#define INSN(c, d, s, o, i)                                                                                  \
	{                                                                                                    \
		.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)                          \
	}

/* What the kernel does not run as it is: puts the EtherType in (cb[0]), since it takes no IP frame that is
 * cut within its header; then a tag beside the bytes where there is a TPID (priority; the TCI is the mark).
 */
static int load_tagging(const struct filter_code *code, struct buf *why)
{
	const struct bpf_insn first[] = {
	    INSN(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_6, BPF_REG_1, 0, 0),
	    INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1, offsetof(struct __sk_buff, cb), 0),
	    INSN(BPF_STX | BPF_MEM | BPF_H, BPF_REG_10, BPF_REG_2, -8, 0),
	    INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_2, 0, 0, 12),
	    INSN(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_10, 0, 0),
	    INSN(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_3, 0, 0, -8),
	    INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_4, 0, 0, 2),
	    INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_5, 0, 0, 0),
	    INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_skb_store_bytes),
	    INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_6, offsetof(struct __sk_buff, priority), 0),
	    INSN(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_2, 0, 3, 0),
	    INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_3, BPF_REG_6, offsetof(struct __sk_buff, mark), 0),
	    INSN(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_6, 0, 0),
	    INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_skb_vlan_push),
	    INSN(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_6, 0, 0),
	};
	struct filter_code both = {};
	int fd;

	for (size_t i = 0; i < ARRAY_LEN(first); i++)
		vec_push(&both.insns, first[i]);
	VEC_EACH (&code->insns, i)
		vec_push(&both.insns, *i);
	fd = filter_load(&both, BPF_PROG_TYPE_SCHED_CLS, NULL, why);
	filter_code_fini(&both);
	return fd;
}

static void set_add(struct set *s, const char *text, struct model_tree *tree)
{
	AUTO(remarks_fini) struct remarks remarks = {};
	AUTO_BUF why = {};
	unsigned i = s->n++;

	assert_true(i < SET);
	s->texts[i] = strdup(text);
	s->trees[i] = tree;
	if (filter_parse(&s->filters[i], str_of(text), (struct pos){}, &remarks)) {
		remarks_print(stderr, &remarks, false);
		fail_msg("not parsed: %s", text);
	}
	if (filter_program(s->filters[i], &s->programs[i], &why))
		fail_msg("%s: %s", text, why.p);
}

static void set_load(struct set *s)
{
	struct filter_form forms[SET];
	struct filter_code code = {};
	AUTO_BUF why = {};
	uint32_t ceiling;

	for (unsigned i = 0; i < s->n; i++)
		forms[i] =
		    (struct filter_form){s->programs[i].steps, s->programs[i].classic, s->programs[i].n};
	if ((s->judge ? filter_translate_judge : filter_translate)(&code, forms, s->n, &why))
		fail_msg("not translated: %s", why.p);
	s->insns = (uint32_t)code.insns.len;
	s->plain = filter_load(&code, BPF_PROG_TYPE_SCHED_CLS, &s->walked, &why);
	s->tagged = s->plain < 0 ? -1 : load_tagging(&code, &why);
	filter_code_fini(&code);
	if (s->plain < 0 || s->tagged < 0)
		fail_msg("not loaded: %s", why.p);
	ceiling = s->insns > WALKED_MAX / 3 ? 3 * s->insns : WALKED_MAX;
	if (s->walked > ceiling)
		fail_msg("the verifier walked %u instructions of %u; the ceiling is %u", s->walked, s->insns,
			 ceiling);
}

static void set_fini(struct set *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		filter_unref(&s->filters[i]);
		filter_program_fini(&s->programs[i]);
		model_free(s->trees[i]);
		free(s->texts[i]);
	}
	own_fd(&s->plain);
	own_fd(&s->tagged);
	memset(s, 0, sizeof(*s));
}

static uint32_t user_space(const struct set *s, const struct model_frame *f)
{
	struct filter_packet p = {.p = f->bytes,
				  .caplen = f->n,
				  .len = f->n,
				  .link = 1,
				  .vlan_in_meta = f->tagged,
				  .vlan_tci = f->tci,
				  .vlan_tpid = f->tpid};
	struct dissected d;
	uint32_t out = 0;

	for (unsigned i = 0; i < s->n; i++)
		out |= (uint32_t)filter_packet(s->filters[i], &p) << i;
	if (s->judge)
		out |= TAP_ALWAYS | (dissect(&d, &p) ? 0 : TAP_UNPARSABLE);
	return out;
}

static uint32_t kernel(const struct set *s, const struct model_frame *f)
{
	struct __sk_buff ctx = {.mark = f->tci,
				.priority = f->tagged ? (uint32_t)__builtin_bswap16(f->tpid) : 0};
	struct model_frame other = *f;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = other.bytes, .data_size_in = f->n, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx));
	uint32_t out = 0;
	int r = f->tagged ? -ERANGE : filter_judge(s->plain, f->bytes, f->n, &out);

	if (r != -ERANGE) {
		assert_int_equal(r, 0);
		return out;
	}
	memcpy(ctx.cb, f->bytes + 12, 2);
	memcpy(other.bytes + 12, (uint8_t[]){0x88, 0xb5}, 2);
	if (bpf_prog_test_run_opts(s->tagged, &opts))
		fail_msg("a frame of %u bytes cannot be run: %s", f->n, strerror(errno));
	return opts.retval;
}

static uint32_t reference(const struct set *s, const struct model_frame *f)
{
	struct model_frame whole = *f;
	uint32_t out = 0;

	if (f->tagged) {
		memmove(whole.bytes + 16, f->bytes + 12, f->n - 12);
		memcpy(whole.bytes + 12,
		       (uint8_t[]){(uint8_t)(f->tpid >> 8), (uint8_t)f->tpid, (uint8_t)(f->tci >> 8),
				   (uint8_t)f->tci},
		       4);
		whole.n += 4;
	}
	for (unsigned i = 0; i < s->n; i++)
		out |= (uint32_t)(s->trees[i] ? model_judge(s->trees[i], f)
					      : s->programs[i].classic &&
						    oracle_classic(s->programs[i].classic, s->programs[i].n,
								   whole.bytes, whole.n))
		       << i;
	return out;
}

static void tell(const struct set *s, const struct model_frame *f, const char *a, uint32_t x, const char *b,
		 uint32_t y)
{
	AUTO_BUF hex = {};

	for (unsigned i = 0; i < f->n; i++)
		buf_printf(&hex, "%02x", f->bytes[i]);
	for (unsigned i = 0; i < s->n; i++)
		if ((x ^ y) >> i & 1)
			fail_msg("%s says %u, %s %u: %s\nframe%s %s", a, x >> i & 1, b, y >> i & 1,
				 s->texts[i], f->tagged ? " (tag beside)" : "", hex.p);
	fail_msg("%s answers %08x, %s %08x\nframe%s %s", a, x, b, y, f->tagged ? " (tag beside)" : "", hex.p);
}

/* Bits of natives without a tree are not held against a reference. */
static uint32_t agree(const struct set *s, const struct model_frame *f)
{
	uint32_t k = kernel(s, f), u = user_space(s, f), m = reference(s, f), known = 0;

	for (unsigned i = 0; i < s->n; i++)
		known |= (uint32_t)(s->trees[i] || s->programs[i].classic) << i;
	if (k != u)
		tell(s, f, "the kernel", k, "user space", u);
	if ((k ^ m) & known)
		tell(s, f, "the kernel", k & known, "the reference", m & known);
	return k;
}

static unsigned long frames_wanted(unsigned long preset)
{
	const char *text = getenv("WEFT_FILTER_FRAMES");
	unsigned long n = text ? strtoul(text, NULL, 10) : 0;

	return n ? n : preset;
}

/* each: every filter must both match and not match some frame, else it shows nothing. */
static void hold(struct set *s, const char *name, uint64_t seed, unsigned long frames, bool each)
{
	uint32_t some = 0, all = UINT32_MAX;
	struct model_frame f;
	unsigned long tags = 0, matches = 0;

	for (unsigned long i = 0; i < frames; i++) {
		uint32_t got;

		model_frame(&seed, &f);
		f.tagged = model_random(&seed) % 3 == 0;
		f.tpid = model_random(&seed) & 1 ? 0x8100 : 0x88a8;
		f.tci = (uint16_t)(model_random(&seed) & 1 ? model_random(&seed) : model_random(&seed) % 12);
		got = agree(s, &f);
		some |= got;
		all &= got;
		tags += f.tagged;
		matches += (unsigned)__builtin_popcount(got);
	}
	fprintf(stderr,
		"# %s: %u filters on %lu frames (%lu with a tag beside), %lu matches; %u instructions, %u "
		"walked\n",
		name, s->n, frames, tags, matches, s->insns, s->walked);
	s->some = some;
	s->all = all;
	for (unsigned i = 0; each && frames >= 20000 && i < s->n; i++)
		if (!(some >> i & 1) || all >> i & 1)
			fail_msg("%s always says the same: shows nothing", s->texts[i]);
}

static const char *const pcap_texts[] = {"tcp",
					 "udp",
					 "icmp or icmp6",
					 "arp",
					 "ip",
					 "ip6",
					 "tcp port 80",
					 "port 53",
					 "src port 443",
					 "portrange 1-1024",
					 "host 10.0.0.1",
					 "net 10.0.0.0/8",
					 "src net 10.0.0.0/8 and not dst port 22",
					 "ip6 net fd00::/8",
					 "ip proto 89",
					 "ether proto 0x88cc",
					 "ether src 02:00:00:00:00:01",
					 "less 80",
					 "greater 90 and udp",
					 "vlan",
					 "vlan 5",
					 "vlan and vlan 5",
					 "vlan 5 and tcp port 80",
					 "vlan and ip6",
					 "ether multicast",
					 "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
					 "ip[8] < 5",
					 "ip[6:2] & 0x1fff != 0",
					 "len > 60 and ether[0] & 2 != 0",
					 "ether[11:4] & 0xff0000 = 0x810000",
					 "ip6[40] & 1 = 1"};

static const char *const native_texts[] = {"tcp",
					   "udp && port == 53",
					   "arp",
					   "ip4",
					   "ip6",
					   "port in {22, 80, 440-450}",
					   "dst.port <= 1024",
					   "ip == 10.0.0.0/8",
					   "src.ip == fd00::/8 || dst.ip == 10.0.0.1",
					   "!(ip == 10.0.0.0/8) && tcp",
					   "ip in {10.0.0.1, 192.168.0.0/16, fe80::/10}",
					   "ip == ::/0",
					   "len > 70",
					   "vlan",
					   "vlan.id == 5",
					   "vlan.id == 5 && vlan.inner.id == 3",
					   "vlan.inner.id in {1-7}",
					   "vlan.pcp == 0",
					   "ip.ttl < 5",
					   "ip.dscp == 0",
					   "ip.fragment",
					   "ip.fragment && has(port)",
					   "tcp.flags == syn+ack",
					   "tcp.syn && !tcp.ack",
					   "icmp.type == 8 && icmp.code == 1",
					   "icmp.type in {128-135}",
					   "eth.type in {arp, 0x88cc}",
					   "src.mac == 02:00:00:00:00:01",
					   "proto in {47, 89}",
					   "true",
					   "false"};

static void br71_br78_pcap_forms(void **state)
{
	struct set s = {.plain = -1, .tagged = -1};

	(void)state;
	if (!may_load())
		skip();
	for (size_t i = 0; i < ARRAY_LEN(pcap_texts); i++) {
		char text[256];

		snprintf(text, sizeof(text), "pcap:'%s'", pcap_texts[i]);
		set_add(&s, text, NULL);
	}
	set_load(&s);
	hold(&s, "pcap forms", 1, frames_wanted(20000), true);
	set_fini(&s);
}

static void br78_native_forms(void **state)
{
	struct set s = {.plain = -1, .tagged = -1};

	(void)state;
	if (!may_load())
		skip();
	for (size_t i = 0; i < ARRAY_LEN(native_texts); i++)
		set_add(&s, native_texts[i], NULL);
	set_load(&s);
	hold(&s, "native forms", 2, frames_wanted(20000), false);
	set_fini(&s);
}

/* What is cut short or contradicts itself is so in the kernel as in user space; the judge without filters
 * says that alone. */
static void br16_br75_judges(void **state)
{
	(void)state;
	if (!may_load())
		skip();
	for (unsigned n = 0; n <= TAP_FILTERS_MAX; n += TAP_FILTERS_MAX) {
		struct set s = {.plain = -1, .tagged = -1, .judge = true};

		for (size_t i = 0; i < n; i++)
			set_add(&s, native_texts[i], NULL);
		set_load(&s);
		hold(&s, n ? "judge" : "judge without filters", 5, frames_wanted(20000), false);
		assert_true(s.all & TAP_ALWAYS);
		assert_true(s.some & ~s.all & TAP_UNPARSABLE);
		set_fini(&s);
	}
}

/* Alternatives by the hundred: searched through, not asked one by one, and the answer is the same. */
static void br78_many_alternatives(void **state)
{
	static const struct {
		const char *form; /* of k / divide and k % rest */
		unsigned n, divide, rest;
	} cases[] = {
	    {"udp && dst.port == %u", 1000, 1, 1},
	    {"tcp && port == %u && ip == 10.0.0.%u", 500, 1, 3},
	    {"src.ip == 10.%u.0.%u", 400, 100, 100},
	    {"dst.ip in {192.168.%u.%u, fd00::3} && udp", 300, 100, 100},
	    {"vlan.id == %u && port in {%u-1030}", 300, 1, 1000},
	    {"len == %u && !(proto == %u)", 200, 1, 100},
	    {"dst.mac == 02:00:00:00:00:%02x || ip.ttl == %u", 100, 1, 60},
	};
	struct set s = {.plain = -1, .tagged = -1};

	(void)state;
	if (!may_load())
		skip();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_BUF text = {};

		for (unsigned k = 0; k < cases[i].n; k++) {
			buf_addz(&text, k ? " || (" : "(");
			buf_printf(&text, cases[i].form, k / cases[i].divide, k % cases[i].rest);
			buf_addc(&text, ')');
		}
		set_add(&s, text.p, NULL);
	}
	set_load(&s);
	hold(&s, "many alternatives", 7, frames_wanted(20000), true);
	set_fini(&s);
}

static void br77_br78_random_filters(void **state)
{
	const char *text = getenv("WEFT_FILTER_SETS");
	unsigned long sets = text ? strtoul(text, NULL, 10) : 12;
	uint64_t seed = 3;

	(void)state;
	if (!may_load())
		skip();
	for (unsigned long i = 0; i < sets; i++) {
		struct set s = {.plain = -1, .tagged = -1};
		char name[48];

		while (s.n < SET) {
			char words[8192];
			struct model_tree *t = model_tree(&seed, words, sizeof(words));

			set_add(&s, words, t);
		}
		set_load(&s);
		snprintf(name, sizeof(name), "random filters %lu", i);
		hold(&s, name, 1000 + i, frames_wanted(5000), false);
		set_fini(&s);
	}
}

/* Terms say what the filter says, exactly, or there are none (BR76); printed, they are a filter that says it.
 */
static void br76_br77_terms(void **state)
{
	uint64_t seed = 6;
	unsigned expanded = 0, refused = 0, most = 0, matches = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		struct set s = {.plain = -1, .tagged = -1};
		struct filter_terms terms = {};
		char words[8192];
		struct model_tree *t = model_tree(&seed, words, sizeof(words));
		AUTO_BUF why = {};
		AUTO_BUF text = {};
		int r;

		set_add(&s, words, t);
		r = filter_terms(&terms, s.filters[0], 32, &why);
		if (r) {
			assert_int_equal(r, -E2BIG);
			assert_non_null(strstr(why.p, "32 terms"));
			refused++;
			set_fini(&s);
			continue;
		}
		assert_true(terms.n <= 32);
		expanded++;
		most = terms.n > most ? terms.n : most;
		filter_terms_print(&terms, &text);
		set_add(&s, text.p, NULL);
		for (unsigned k = 0; k < 300; k++) {
			struct model_frame f;
			struct filter_packet p;

			model_frame(&seed, &f);
			p = (struct filter_packet){.p = f.bytes, .caplen = f.n, .len = f.n, .link = 1};
			bool want = model_judge(t, &f);

			if (filter_terms_packet(&terms, &p) != want ||
			    filter_packet(s.filters[1], &p) != want)
				fail_msg("%s\nas terms: %s", words, text.p);
			matches += want;
		}
		filter_terms_fini(&terms);
		set_fini(&s);
	}
	fprintf(stderr, "# %u random filters as terms (%u at most), %u refused, %u matches\n", expanded, most,
		refused, matches);
	assert_true(expanded > 300 && refused > 0 && most > 8 && matches > 10000);
}

static void br75_random_bytes(void **state)
{
	struct set s = {.plain = -1, .tagged = -1};
	uint64_t seed = 4;
	unsigned long frames = frames_wanted(20000);

	(void)state;
	if (!may_load())
		skip();
	for (size_t i = 0; i < 15; i++) {
		set_add(&s, pcap_texts[2 * i], NULL);
		set_add(&s, native_texts[2 * i], NULL);
	}
	set_load(&s);
	for (unsigned long i = 0; i < frames; i++) {
		struct model_frame f = {
		    .tagged = i & 1, .tpid = 0x8100, .tci = (uint16_t)model_random(&seed)};

		f.n = 14 + model_random(&seed) % 100;
		for (unsigned k = 0; k < f.n; k++)
			f.bytes[k] = (uint8_t)model_random(&seed);
		/* so that most are looked into further */
		if (i % 4) {
			f.bytes[12] = i % 4 == 1 ? 0x08 : i % 4 == 2 ? 0x86 : 0x81;
			f.bytes[13] = i % 4 == 2 ? 0xdd : 0;
		}
		agree(&s, &f);
	}
	set_fini(&s);
}

/* --- captures -------------------------------------------------------------------------------------- */

struct capture {
	struct set sets[2];
	unsigned long packets, left_out;
};

static void capture_packet(void *ctx, const char *file, const uint8_t *p, uint32_t caplen)
{
	struct capture *c = ctx;
	struct model_frame f = {.n = caplen};

	c->packets++;
	if (caplen < 14 || caplen > sizeof(f.bytes)) {
		c->left_out++;
		return;
	}
	memcpy(f.bytes, p, caplen);
	(void)file;
	for (unsigned i = 0; i < 2; i++)
		agree(&c->sets[i], &f);
}

static void br71_captures(void **state)
{
	const char *inputs = getenv("WEFT_INPUTS");
	struct capture c = {.sets = {{.plain = -1, .tagged = -1}, {.plain = -1, .tagged = -1}}};
	char path[4096];
	unsigned files = 0;

	(void)state;
	if (!may_load())
		skip();
	for (size_t i = 0; i < ARRAY_LEN(pcap_texts); i++) {
		char text[256];

		snprintf(text, sizeof(text), "pcap:'%s'", pcap_texts[i]);
		set_add(&c.sets[0], text, NULL);
	}
	for (size_t i = 0; i < ARRAY_LEN(native_texts); i++)
		set_add(&c.sets[1], native_texts[i], NULL);
	set_load(&c.sets[0]);
	set_load(&c.sets[1]);
	snprintf(path, sizeof(path), "%s/pcap", inputs ? inputs : "../shared/inputs");
	bool there = oracle_captures(path, capture_packet, &c, &files);

	for (unsigned i = 0; i < 2; i++)
		set_fini(&c.sets[i]);
	if (!there) {
		fprintf(stderr, "# no captures in %s\n", path);
		skip();
	}
	fprintf(stderr, "# %u Ethernet captures, %lu packets, %lu of them of no size that can be run\n",
		files, c.packets, c.left_out);
	assert_true(files > 50 && c.packets - c.left_out > 1000);
}

/* --- classic BPF ----------------------------------------------------------------------------------- */

/* Random programs, each on random frames; libpcap's memory begins as 0 here too, since each word is set
 * first. */
static void br71_random_classic(void **state)
{
	uint64_t seed = 5;
	unsigned long programs = frames_wanted(20000) / 20, yes = 0, refused = 0;

	(void)state;
	if (!may_load())
		skip();
	for (unsigned long i = 0; i < programs; i++) {
		struct filter_classic body[MODEL_CLASSIC_MAX], c[MODEL_CLASSIC_MAX + 17] = {{.code = 0x00}};
		uint32_t n = model_classic(&seed, body);
		struct set s = {.n = 1, .plain = -1, .tagged = -1};
		AUTO_BUF why = {};

		for (unsigned w = 0; w < 16; w++)
			c[1 + w] = (struct filter_classic){.code = 0x02, .k = w};
		memcpy(c + 17, body, n * sizeof(*body));
		struct filter_form form = {.classic = c, .n = n + 17};
		struct filter_code code = {};

		if (filter_translate(&code, &form, 1, &why))
			fail_msg("program %lu: %s", i, why.p);
		s.plain = filter_load(&code, BPF_PROG_TYPE_SCHED_CLS, NULL, &why);
		s.tagged = s.plain < 0 ? -1 : load_tagging(&code, &why);
		filter_code_fini(&code);
		if (s.plain < 0)
			fail_msg("program %lu: %s", i, why.p);
		for (unsigned k = 0; k < 16; k++) {
			struct model_frame f;

			model_frame(&seed, &f);
			f.tagged = k & 1;
			f.tpid = 0x8100;
			f.tci = (uint16_t)model_random(&seed);
			s.programs[0] = (struct filter_program){.classic = c, .n = n + 17};
			uint32_t got = kernel(&s, &f), want = reference(&s, &f);

			if (got != want) {
				for (uint32_t x = 17; x < n + 17; x++)
					fprintf(stderr, "# %u: code %02x jt %u jf %u k %x\n", x - 17,
						c[x].code, c[x].jt, c[x].jf, c[x].k);
				fail_msg("program %lu: the kernel says %u, libpcap %u (%s)", i, got, want,
					 f.tagged ? "tag beside" : "plain");
			}
			yes += got;
			refused += !got;
		}
		own_fd(&s.plain);
		own_fd(&s.tagged);
	}
	fprintf(stderr, "# %lu random programs of classic BPF: %lu verdicts yes, %lu no\n", programs, yes,
		refused);
	assert_true(yes > programs && refused > programs);
}

/* Each read of 1, 2 and 4 bytes at each place around the tag, direct and by X, on frames that end everywhere:
 * the value must be the one on the wire. */
static void br68_br74_reads_around_the_tag(void **state)
{
	static const uint16_t direct[] = {0x30, 0x28, 0x20}, indirect[] = {0x50, 0x48, 0x40};
	struct model_frame f = {.tagged = true, .tpid = 0x88a8, .tci = 0xa1b2};
	uint8_t wire[40];

	(void)state;
	if (!may_load())
		skip();
	for (unsigned i = 0; i < sizeof(wire); i++)
		wire[i] = (uint8_t)(0x40 + 5 * i);
	memcpy(f.bytes, wire, 12);
	memcpy(f.bytes + 12, wire + 16, sizeof(wire) - 16);
	memcpy(wire + 12, (uint8_t[]){0x88, 0xa8, 0xa1, 0xb2}, 4);
	for (unsigned at = 0; at < 24; at++)
		for (unsigned size = 0; size < 6; size++) {
			unsigned n = 1u << size % 3;
			bool by_x = size >= 3;
			uint32_t value = 0;
			struct filter_classic c[5] = {{.code = 0x01, .k = at / 2},
						      {.code = by_x ? indirect[size % 3] : direct[size % 3],
						       .k = by_x ? at - at / 2 : at},
						      {.code = 0x15, .jf = 1},
						      {.code = 0x06, .k = 1},
						      {.code = 0x06}};
			struct set s = {.n = 1, .plain = -1, .tagged = -1};
			struct filter_form form = {.classic = c, .n = 5};
			struct filter_code code = {};
			AUTO_BUF why = {};

			for (unsigned i = 0; i < n; i++)
				value = value << 8 | wire[at + i];
			c[2].k = value;
			assert_int_equal(filter_translate(&code, &form, 1, &why), 0);
			s.tagged = load_tagging(&code, &why);
			filter_code_fini(&code);
			if (s.tagged < 0)
				fail_msg("%s", why.p);
			for (f.n = 14; f.n < 30; f.n++)
				if (kernel(&s, &f) != (at + n <= f.n + 4))
					fail_msg("%u bytes at %u%s of a frame of %u", n, at,
						 by_x ? " by X" : "", f.n);
			own_fd(&s.tagged);
		}
}

/* --- real skbs ------------------------------------------------------------------------------------- */

static uint32_t paged_user(void *ctx, const uint8_t *p, uint32_t n, bool tagged, uint16_t tci, uint16_t tpid)
{
	const struct set *s = ctx;
	struct filter_packet q = {.p = p,
				  .caplen = n,
				  .len = n,
				  .link = 1,
				  .vlan_in_meta = tagged,
				  .vlan_tci = tci,
				  .vlan_tpid = tpid};

	return filter_packet(s->filters[0], &q);
}

/* Real skbs: data in pages, tags taken off by the stack. */
static void br68_br78_paged(void **state)
{
	static const char *const texts[] = {"tcp && port in {80, 443}",
					    "ip == 10.0.0.0/8 || ip == fd00::/8",
					    "vlan.id in {1-6}",
					    "vlan.id == 5 && vlan.inner.id == 5 || udp",
					    "has(port) && len > 4200",
					    "pcap:'vlan and tcp port 80 or ip6'",
					    "pcap:'vlan 5 or udp'",
					    "pcap:'ether[4000] & 3 = 1'",
					    "pcap:'ether[11:4] & 0xff0000 = 0x810000'"};
	unsigned long judged = 0, matched = 0, tags = 0;

	(void)state;
	if (!may_load())
		skip();
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct set s = {.plain = -1, .tagged = -1};
		struct filter_code code = {};
		AUTO_BUF why = {};
		int fd, r;

		set_add(&s, texts[i], NULL);
		struct filter_form form = {s.programs[0].steps, s.programs[0].classic, s.programs[0].n};

		assert_int_equal(filter_translate_socket(&code, &form, 1, &why), 0);
		fd = filter_load(&code, BPF_PROG_TYPE_SOCKET_FILTER, NULL, &why);
		filter_code_fini(&code);
		if (fd < 0)
			fail_msg("%s: %s", texts[i], why.p);
		r = paged_run(fd, 300, paged_user, &s, &judged, &matched, &tags);
		own_fd(&fd);
		set_fini(&s);
		if (r == -EPERM)
			skip();
		if (r)
			fail_msg("%s: %s", texts[i],
				 r > 0 ? "the kernel and user space differ" : strerror(-r));
	}
	fprintf(stderr, "# %lu frames in pages, %lu with a tag beside, %lu matches\n", judged, tags, matched);
	assert_true(matched > 100 && judged > matched + 100 && tags > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(br71_br78_pcap_forms),
	    cmocka_unit_test(br78_native_forms),
	    cmocka_unit_test(br16_br75_judges),
	    cmocka_unit_test(br77_br78_random_filters),
	    cmocka_unit_test(br78_many_alternatives),
	    cmocka_unit_test(br75_random_bytes),
	    cmocka_unit_test(br71_captures),
	    cmocka_unit_test(br71_random_classic),
	    cmocka_unit_test(br68_br74_reads_around_the_tag),
	    cmocka_unit_test(br76_br77_terms),
	    cmocka_unit_test(br76_the_guard),
	    cmocka_unit_test(br68_br78_paged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
