/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every capture of WEFT_INPUTS/pcap, of every link type, and random bytes, through every action: nothing is
 * read outside the packet, the packet stays as it was, the sums hold (BR75 for chains). Then tshark as the
 * judge: what had right checksums before a mask, a strip or a stamp has them after it (BR50, BR52, BR54,
 * BR56, BR62), and the trailer is the one that others write (BR57).
 */
#include "chain_packets.h"

#include <dirent.h>
#include <pcap/pcap.h>
#include <unistd.h>

#include "base/own.h"
#include "pcapng/file.h"

enum {
	STRIP_ALL = CHAIN_STRIP_VLANS | CHAIN_STRIP_MPLS | CHAIN_STRIP_VXLAN | CHAIN_STRIP_GENEVE |
		    CHAIN_STRIP_GRE | CHAIN_STRIP_ERSPAN | CHAIN_STRIP_IPIP | CHAIN_STRIP_PADDING,
	FIELDS = CHAIN_MASK_SRC_MAC | CHAIN_MASK_DST_MAC | CHAIN_MASK_SRC_IP | CHAIN_MASK_DST_IP |
		 CHAIN_MASK_SRC_PORT | CHAIN_MASK_DST_PORT
};

static const struct chain_range from_payload = {CHAIN_PAYLOAD, 0, 0},
				odd[] = {{CHAIN_PAYLOAD, 3, 7},
					 {CHAIN_L4, 1, 2},
					 {CHAIN_L3, 1, 1},
					 {CHAIN_L2, 70, 33},
					 {CHAIN_PAYLOAD, 4000000000u, 4000000000u}};
static struct addr ends[2];

/* Those that tshark judges come first, each one packet in, one out. */
enum { JUDGED = 5 };
static struct chain_config configs[] = {
    {.mask = {&from_payload, 1, 0, 'x', true}},
    {.mask = {NULL, 0, FIELDS, 0x0a, true}},
    {.mask = {odd, 5, CHAIN_MASK_DST_IP, 0xff, true}},
    {.strip = STRIP_ALL},
    {.stamp = {0x8100, 5, true, 7, 3}},
    {.mask = {odd, 5, FIELDS, 0, false}, .slice = {true, CHAIN_PAYLOAD, 0}, .keep_merged = true},
    {.slice = {true, CHAIN_L4, 3}, .guess_unfinished = true, .wire_mtu = 576},
    {.dedup = {.mode = CHAIN_DEDUP_L2, .window = 1000000000, .entries = 100}},
    {.dedup = {.mode = CHAIN_DEDUP_L3, .window = 1000000000, .ignore = 0x7f}, .strip = CHAIN_STRIP_VLAN},
    {.dedup =
	 {.mode = CHAIN_DEDUP_L3, .window = 1000000000, .ignore = CHAIN_IGNORE_OUTER, .count_only = true}},
    {.sample = {3, true, 1},
     .strip = STRIP_ALL,
     .mask = {odd, 5, FIELDS, 1, true},
     .stamp = {0x88a8, 1, true, 1, 1}},
    {.wire_mtu = 600,
     .strip = STRIP_ALL,
     .encap = {.kind = CHAIN_ENCAP_VXLAN, .mtu = 600, .too_big = CHAIN_FRAGMENT}},
    {.encap = {.kind = CHAIN_ENCAP_GRE, .mtu = 576, .too_big = CHAIN_CUT}},
    {.stamp = {0x8100, 1, false, 0, 0}, .encap = {.kind = CHAIN_ENCAP_ERSPAN2, .df = true}},
    {.slice = {true, CHAIN_L2, 0},
     .encap = {.kind = CHAIN_ENCAP_ERSPAN3, .mtu = 1280, .too_big = CHAIN_REFUSE}},
};
enum { CONFIGS = sizeof(configs) / sizeof(*configs) };
static struct chain *chains[CONFIGS];
static struct pcapng_file *before_file, *after[JUDGED];
static char dir[] = "/tmp/weft-t-chain-XXXXXX";
static unsigned long packets, outs, files;

static int prepare(void **state)
{
	(void)state;
	addr_parse(STR("fd00::1"), &ends[0]);
	addr_parse(STR("fd00::2"), &ends[1]);
	for (unsigned i = 0; i < CONFIGS; i++) {
		struct chain_encap *e = &configs[i].encap;

		if (e->kind != CHAIN_ENCAP_NONE) {
			bool six = i % 2;

			e->src = six ? ends[0] : addr_from4(0x0a000001);
			e->dst = six ? ends[1] : addr_from4(0x0a000002);
			if (six && e->mtu && e->mtu < 1280)
				e->mtu = 1280;
		}
		chains[i] = chain_of(&configs[i]);
	}
	return mkdtemp(dir) ? 0 : -1;
}

static int put_away(void **state)
{
	DIR *d = opendir(dir);

	(void)state;
	for (unsigned i = 0; i < CONFIGS; i++)
		chain_free(&chains[i]);
	for (struct dirent *e; d && (e = readdir(d));)
		unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	return rmdir(dir);
}

struct sink {
	struct pcapng_file *file;
	unsigned n;
	const struct chain_packet *in;
};

static void write_out(struct pcapng_file *f, const struct chain_packet *k)
{
	struct pcapng_packet p = {.time = k->time, .p = k->p, .caplen = k->caplen, .len = k->len};

	assert_int_equal(pcapng_file_packet(f, &p), 0);
}

static void look(void *ctx, const struct chain_packet *k)
{
	struct sink *s = ctx;
	uint32_t sum = 0;

	assert_true(k->caplen <= k->len);
	for (uint32_t i = 0; i < k->caplen; i++) /* all of it can be read */
		sum += k->p[i];
	assert_true(sum <= 255u * k->caplen);
	assert_true(k->seen_len > 0 || !s->in->len);
	if (s->file)
		write_out(s->file, k);
	s->n++;
	outs++;
}

static void one(const uint8_t *bytes, uint32_t caplen, uint32_t len, uint32_t link, uint64_t time)
{
	/* just the bytes that are there, so that a read beyond them shows; and a copy to see that they stay
	 */
	uint8_t *copy = malloc(caplen ? caplen : 1);
	struct chain_packet k = {
	    .p = copy, .caplen = caplen, .len = len, .link = link, .time = time, .source = (uint32_t)packets};
	bool judged = before_file && link == CHAIN_LINK_ETHERNET && caplen <= len && caplen;

	memcpy(copy, bytes, caplen);
	packets++;
	if (judged)
		write_out(before_file, &k);
	for (unsigned i = 0; i < CONFIGS; i++) {
		struct sink s = {i < JUDGED && judged ? after[i] : NULL, 0, &k};

		k.flags = 0;
		if (i == 12 && packets % 3 == 0) {
			k.flags = PACKET_VLAN_BESIDE | PACKET_UNFINISHED;
			k.csum_start = (uint16_t)(packets * 7);
			k.csum_offset = (uint16_t)(packets % 50);
		}
		k.gso_size = i == 11 && packets % 5 == 0 ? (uint32_t)(packets % 400) : 0;
		assert_int_equal(chain_run(chains[i], &k, look, &s), 0);
		assert_memory_equal(copy, bytes, caplen);
		if (i < JUDGED)
			assert_int_equal(s.n, 1);
	}
	chain_flow(&k, CHAIN_FLOW_INNER | CHAIN_FLOW_QUOTED, 1);
	free(copy);
}

static void read_file(const char *path)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline(path, error);
	struct pcap_pkthdr *h;
	const uint8_t *bytes;

	if (!pcap)
		return; /* malformed on purpose */
	files++;
	while (pcap_next_ex(pcap, &h, &bytes) == 1)
		one(bytes, h->caplen, h->len, (uint32_t)pcap_datalink(pcap),
		    1700000000000000000ull + packets * 1000);
	pcap_close(pcap);
}

static char *path_of(const char *name)
{
	static char path[300];

	snprintf(path, sizeof(path), "%s/%s.pcapng", dir, name);
	return path;
}

static struct pcapng_file *open_file(const char *name)
{
	struct pcapng_section section = {.application = STR("weft")};
	struct pcapng_interface i = {.link = 1};
	struct pcapng_file *f = NULL;
	uint32_t number;

	assert_int_equal(pcapng_file_open(&f, path_of(name), &section, NULL), 0);
	assert_int_equal(pcapng_file_interface(f, &i, &number), 0);
	return f;
}

static const char *const names[JUDGED] = {"payload", "fields", "odd", "strip", "stamp"};

static void captures(void **state)
{
	const char *inputs = getenv("WEFT_INPUTS");
	char path[4096];
	DIR *d;

	(void)state;
	snprintf(path, sizeof(path), "%s/pcap", inputs ? inputs : "../shared/inputs");
	d = opendir(path);
	if (!d) {
		fprintf(stderr, "no captures in %s\n", path);
		skip();
	}
	before_file = open_file("before");
	for (unsigned i = 0; i < JUDGED; i++)
		after[i] = open_file(names[i]);
	for (struct dirent *e; (e = readdir(d));) {
		char file[4400];

		if (e->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		read_file(file);
	}
	closedir(d);
	assert_int_equal(pcapng_file_close(&before_file, NULL), 0);
	for (unsigned i = 0; i < JUDGED; i++)
		assert_int_equal(pcapng_file_close(&after[i], NULL), 0);
	for (unsigned i = 0; i < CONFIGS; i++)
		sums_hold(chains[i]);
	fprintf(stderr, "# %lu captures, %lu packets, %lu came out of %d chains\n", files, packets, outs,
		CONFIGS);
	assert_true(files > 100 && packets > 1000);
}

static uint64_t draw(void)
{
	static uint64_t s = 88172645463325252ull;

	s ^= s << 13;
	s ^= s >> 7;
	s ^= s << 17;
	return s;
}

/* Built packets with bytes changed, cut anywhere, of any link type. */
static void random_packets(void **state)
{
	static const uint32_t links[] = {1, 1, 1, 1, 1, 0, 12, 101, 108, 113, 228, 229, 276, 147};
	static struct frame f;

	(void)state;
	for (unsigned i = 0; i < 60000; i++) {
		uint32_t bytes = (uint32_t)(draw() % (i % 50 ? 200 : 9000)), caplen;

		payload(&f, bytes, i);
		if (i % 7)
			draw() & 1 ? tcp(&f, 1, 2, 3, 16, (unsigned)(draw() % 3) * 4)
				   : udp(&f, 7, draw() & 1 ? 4789 : 6081);
		if (i % 5)
			draw() & 1 ? eth(ip4(&f, 1, 2, draw() & 1 ? 6 : 17, 3), 0x0800)
				   : eth(ip6(&f, 1, 2, draw() & 1 ? 6 : 17), 0x86dd);
		if (i % 3 == 0)
			vxlan(&f, i);
		if (i % 4 == 0 && f.n >= 14)
			tag(&f, 0x8100, i & 0xfff);
		for (unsigned n = (unsigned)(draw() % 6); n-- && f.n;)
			f.p[draw() % (draw() & 1 && f.n > 60 ? 60 : f.n)] = (uint8_t)draw();
		caplen = draw() % 4 ? f.n : (uint32_t)(draw() % (f.n + 1));
		one(f.p, caplen, draw() % 8 ? f.n : (uint32_t)draw() % 70000, links[draw() % 14],
		    draw() % 5000000000u);
	}
	for (unsigned i = 0; i < CONFIGS; i++)
		sums_hold(chains[i]);
}

static FILE *statuses(const char *name)
{
	char command[1200];
	FILE *f;

	snprintf(
	    command, sizeof(command),
	    "tshark -r %s -T fields -E separator='|' -E occurrence=f -e ip.checksum.status -e "
	    "tcp.checksum.status"
	    " -e udp.checksum.status -e icmp.checksum.status -e icmpv6.checksum.status -e "
	    "sctp.checksum.status"
	    " -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE -o udp.check_checksum:TRUE"
	    " -o sctp.checksum:CRC32C -o ip.defragment:FALSE -o tcp.desegment_tcp_streams:FALSE 2>/dev/null",
	    path_of(name));
	f = popen(command, "r");
	assert_non_null(f);
	return f;
}

/* In a column 1 is right and 0 wrong: what was 1 may not become 0. */
static bool worse(const char *a, const char *b)
{
	for (;;) {
		if (*a == '1' && *b == '0')
			return true;
		a += strcspn(a, "|");
		b += strcspn(b, "|");
		if (!*a || !*b)
			return false;
		a++;
		b++;
	}
}

static void judge(void **state)
{
	/* Three packets of the captures tell no length of their own, or one beyond their frame: a trailer
	 * counts in. */
	unsigned may = strcmp(*state, "stamp") ? 0 : 3;
	unsigned long good = 0, line = 0;
	char a[200], b[200];
	FILE *was, *is;

	if (!packets || system("tshark --version >/dev/null 2>&1") != 0)
		skip();
	was = statuses("before");
	is = statuses(*state);
	while (fgets(a, sizeof(a), was)) {
		line++;
		assert_non_null(fgets(b, sizeof(b), is));
		good += strchr(a, '1') && !strchr(a, '0');
		if (worse(a, b) && !may--)
			fail_msg("%s: packet %lu of the Ethernet ones: checksums were %swhat came out: %s",
				 (char *)*state, line, a, b);
	}
	assert_null(fgets(b, sizeof(b), is));
	pclose(was);
	pclose(is);
	fprintf(stderr, "# %s: %lu of %lu packets had right checksums, and have\n", (char *)*state, good,
		line);
	assert_true(good > 1000);
}

/* MetaWatch's trailer as Wireshark's own dissector reads it. */
static void trailers(void **state)
{
	char command[500], line[200];
	unsigned long n = 0, read = 0;
	FILE *f;

	(void)state;
	if (!packets || system("tshark --version >/dev/null 2>&1") != 0)
		skip();
	snprintf(command, sizeof(command),
		 "tshark -r %s --enable-heuristic metamako_eth -O metamako -Y 'ip && udp' 2>/dev/null",
		 path_of("stamp"));
	f = popen(command, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		n += !strncmp(line, "Frame ", 6);
		read += !strncmp(line, "Metamako ", 9) && strstr(line, "Source Device: 7, Source Port: 3");
	}
	pclose(f);
	fprintf(stderr, "# %lu of %lu trailers read\n", read, n);
	assert_true(read > 100 && read * 10 > n * 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    {"BR75 all captures through every action", captures, NULL, NULL, NULL},
	    {"BR50 tshark: checksums are right where they were: payload masked", judge, NULL, NULL,
	     (void *)"payload"},
	    {"BR50 tshark: checksums are right where they were: fields masked", judge, NULL, NULL,
	     (void *)"fields"},
	    {"BR50 tshark: checksums are right where they were: odd ranges masked", judge, NULL, NULL,
	     (void *)"odd"},
	    {"BR52 BR54 BR56 tshark: what was stripped has right checksums", judge, NULL, NULL,
	     (void *)"strip"},
	    {"BR57 tshark: what was stamped has right checksums", judge, NULL, NULL, (void *)"stamp"},
	    {"BR57 tshark reads the trailer", trailers, NULL, NULL, NULL},
	    {"BR75 random packets through every action", random_packets, NULL, NULL, NULL},
	};

	return cmocka_run_group_tests(tests, prepare, put_away);
}
