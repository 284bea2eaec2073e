/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capture files, read by others: tshark, capinfos. BR45 (lengths), BR79 (an interface for each source, names,
 * drop counts), BR80 (a writer that is killed), BR81 (times, clock source), BR83 (a full disk: cut back to
 * the last whole block, and counted).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/own.h"
#include "pcapng/file.h"

static char dir[] = "/tmp/weft-t-pcapng-XXXXXX";
static const struct pcapng_section section = {.application = {"weft", 4}, .clock = {"the test's own", 14}};
static const uint8_t frame[60] = {2, 0, 0,  0,	0, 1, 2,  0, 0, 0, 0,  2, 8, 0, 0x45, 0,  0, 28, 0, 1,
				  0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0,    53, 0, 53, 0, 8};
enum { START = 1700000000 };

static char *at(const char *name)
{
	static char path[2][1024];
	static unsigned turn;

	turn ^= 1;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", dir, name);
	return path[turn];
}

/* What a command says, both ways; its status is the last line. */
__attribute__((format(printf, 1, 2))) static struct buf says(const char *fmt, ...)
{
	struct buf out = {};
	AUTO_BUF command = {};
	char part[4096];
	va_list ap;
	FILE *f;
	size_t n;

	va_start(ap, fmt);
	buf_vprintf(&command, fmt, ap);
	va_end(ap);
	buf_addz(&command, " 2>&1; echo status $?");
	f = popen(command.p, "r");
	assert_non_null(f);
	while ((n = fread(part, 1, sizeof(part), f)) > 0)
		buf_add(&out, part, n);
	pclose(f);
	buf_addc(&out, '\0');
	return out;
}

static void has(const struct buf *b, const char *text)
{
	if (!strstr(b->p, text))
		fail_msg("\"%s\" is not in:\n%s", text, b->p);
}

static unsigned count(const struct buf *b, const char *text)
{
	unsigned n = 0;

	for (const char *p = b->p; (p = strstr(p, text)); p++)
		n++;
	return n;
}

static void no_tshark(void)
{
	if (system("tshark --version >/dev/null 2>&1 && capinfos --version >/dev/null 2>&1") != 0)
		skip();
}

static struct pcapng_packet packet(uint64_t i)
{
	return (struct pcapng_packet){.time = (START + i) * 1000000000ull + 123456789,
				      .p = frame,
				      .caplen = sizeof(frame),
				      .len = sizeof(frame)};
}

static void interfaces_names_and_counts(void **state)
{
	struct pcapng_file *f = NULL;
	struct pcapng_totals t;
	struct str comments[] = {STR("verdict: dropped, policy-ingress"), STR("rule: shop/deny 7")};
	struct pcapng_interface i = {.link = 1,
				     .name = STR("shop/cart-7f9c"),
				     .description = STR("pod on node-1"),
				     .filter = STR("tcp && port == 80")};
	struct pcapng_interface j = {.link = 1, .name = STR("shop/pay-1"), .snaplen = 64};
	struct pcapng_name names[2] = {{.name = STR("shop.cart")}, {.name = STR("shop.pay")}};
	struct pcapng_packet p = packet(0);
	struct pcapng_statistics s = {.interface = 1,
				      .has_received = true,
				      .received = 77,
				      .has_dropped = true,
				      .dropped = 5,
				      .has_delivered = true,
				      .delivered = 1,
				      .time = p.time};
	uint32_t a, b;

	(void)state;
	no_tshark();
	assert_int_equal(addr_parse(STR("10.0.0.1"), &names[0].addr), 0);
	assert_int_equal(addr_parse(STR("fd00::2"), &names[1].addr), 0);
	assert_int_equal(pcapng_file_open(&f, at("a.pcapng"), &section, NULL), 0);
	assert_int_equal(pcapng_file_interface(f, &i, &a), 0);
	assert_int_equal(pcapng_file_interface(f, &j, &b), 0);
	assert_int_equal(pcapng_file_names(f, names, 2), 0);
	p.direction = PCAPNG_OUT;
	p.comments = comments;
	p.comments_n = 2;
	assert_int_equal(pcapng_file_packet(f, &p), 0);
	p = packet(1);
	p.interface = b;
	p.caplen = 40;
	p.len = 1514;
	p.has_dropped = p.has_id = true;
	p.dropped = 9;
	p.id = 4242;
	assert_int_equal(pcapng_file_packet(f, &p), 0);
	assert_int_equal(pcapng_file_statistics(f, &s), 0);
	p.interface = 2;
	assert_int_equal(pcapng_file_packet(f, &p), -EINVAL);
	assert_int_equal(pcapng_file_close(&f, &t), 0);
	assert_true(t.packets == 2 && t.lost == 1 && t.turned == 0 && t.files == 1);

	AUTO_BUF one =
	    says("tshark -r %s -Nn -T fields -E separator='|' -e frame.interface_name"
		 " -e frame.interface_description -e frame.time_epoch -e frame.len -e frame.cap_len"
		 " -e frame.comment -e frame.packet_flags_direction -e frame.drop_count -e frame.packet_id "
		 "-e ip.src_host",
		 at("a.pcapng"));
	has(&one, "shop/cart-7f9c|pod on node-1|1700000000.123456789|60|60|verdict: dropped, "
		  "policy-ingress,rule: shop/deny 7|0x00000002|||shop.cart");
	has(&one, "shop/pay-1||1700000001.123456789|1514|40||");
	has(&one, "|9|4242|");
	has(&one, "status 0");
	AUTO_BUF two = says("capinfos %s", at("a.pcapng"));
	has(&two, "clock: the test's own");
	has(&two, "Filter string = tcp && port == 80");
	has(&two, "Time precision = nanoseconds (9)");
	has(&two, "Number of interfaces in file: 2");
	AUTO_BUF three = says("tshark -r %s -X 'read_format:MIME Files Format' -V", at("a.pcapng"));
	has(&three, "Number of Dropped Packets: 5");
	has(&three, "Number of Received Packets: 77");
}

static void times_never_go_back(void **state)
{
	struct pcapng_file *f = NULL;
	struct pcapng_totals t;
	struct pcapng_interface i = {.link = 1, .name = STR("one")};
	static const unsigned order[] = {5, 3, 4, 9, 1}, of[] = {0, 0, 1, 0, 1};
	uint32_t n;

	(void)state;
	no_tshark();
	assert_int_equal(pcapng_file_open(&f, at("t.pcapng"), &section, NULL), 0);
	for (unsigned k = 0; k < 2; k++)
		assert_int_equal(pcapng_file_interface(f, &i, &n), 0);
	for (unsigned k = 0; k < ARRAY_LEN(order); k++) {
		struct pcapng_packet p = packet(order[k]);

		p.interface = of[k];
		assert_int_equal(pcapng_file_packet(f, &p), 0);
	}
	assert_int_equal(pcapng_file_close(&f, &t), 0);
	assert_int_equal(t.turned, 2);
	AUTO_BUF b = says("tshark -r %s -T fields -E separator='|' -e frame.interface_id -e "
			  "frame.time_epoch -e frame.comment",
			  at("t.pcapng"));
	has(&b, "0|1700000005.123456789|\n0|1700000005.123456789|time as it came: 1700000003.123456789\n"
		"1|1700000004.123456789|\n0|1700000009.123456789|\n"
		"1|1700000004.123456789|time as it came: 1700000001.123456789\n");
}

/* A child writes as fast as it can; killed at any moment, what is there reads to its last whole block. */
static void killed_writer_leaves_a_readable_file(void **state)
{
	(void)state;
	no_tshark();
	for (unsigned round = 0; round < 4; round++) {
		struct stat st = {};
		pid_t child = fork();
		int status;

		assert_true(child >= 0);
		if (!child) {
			struct pcapng_file *f = NULL;
			struct pcapng_interface i = {.link = 1};
			struct pcapng_file_options o = {.buffer = 1000 + 70000 * round};
			uint32_t n;

			if (pcapng_file_open(&f, at("k.pcapng"), &section, &o) ||
			    pcapng_file_interface(f, &i, &n))
				_exit(1);
			for (uint64_t k = 0; k < 1000000; k++) {
				struct pcapng_packet p = packet(k);

				if (pcapng_file_packet(f, &p))
					_exit(1);
			}
			_exit(2);
		}
		for (unsigned tries = 0; st.st_size < 400000 + 70000 * (off_t)round && tries < 30000;
		     tries++) {
			if (stat(at("k.pcapng"), &st) < 0)
				st.st_size = 0;
			usleep(1000);
		}
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
		assert_true(WIFSIGNALED(status));
		stat(at("k.pcapng"), &st);
		AUTO_BUF b = says("tshark -r %s -T fields -e frame.protocols", at("k.pcapng"));
		/* 28 + 60 + 4 bytes a block; the head is less than four of them */
		if (count(&b, "eth:ethertype:ip") < st.st_size / 92 - 4)
			fail_msg("%u lines of %lld bytes:\n%.200s", count(&b, "eth:ethertype:ip"),
				 (long long)st.st_size, b.p);
		unlink(at("k.pcapng"));
	}
}

static int fill_the_disk(void)
{
	struct pcapng_interface i = {.link = 1};
	struct pcapng_file_options o = {.buffer = 10000};
	struct pcapng_file *f = NULL;
	struct pcapng_totals t;
	struct stat st;
	uint32_t n;
	unsigned given = 0;
	int r = 0;

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", dir, "tmpfs", 0, "size=64k") < 0)
		return 77;
	if (pcapng_file_open(&f, at("d.pcapng"), &section, &o) || pcapng_file_interface(f, &i, &n))
		return 1;
	for (; given < 2000; given++) {
		struct pcapng_packet p = packet(given);

		r = pcapng_file_packet(f, &p);
	}
	if (r != -ENOSPC || pcapng_file_close(&f, &t) != -ENOSPC || t.error != -ENOSPC)
		return 2;
	if (t.packets + t.lost != given || !t.lost || t.packets < 500)
		return 3;
	if (stat(at("d.pcapng"), &st) < 0 || (uint64_t)st.st_size != t.bytes || st.st_size > 65536)
		return 4;
	AUTO_BUF b = says("capinfos -M -c %s", at("d.pcapng"));
	char want[64];

	snprintf(want, sizeof(want), "Number of packets:   %llu\n", (unsigned long long)t.packets);
	if (!strstr(b.p, want) || !strstr(b.p, "status 0")) {
		fprintf(stderr, "wanted %s in %s\n", want, b.p);
		return 5;
	}
	return 0;
}

static void full_disk_cuts_back_to_a_whole_block(void **state)
{
	pid_t child;
	int status;

	(void)state;
	no_tshark();
	child = fork();
	assert_true(child >= 0);
	if (!child)
		_exit(fill_the_disk());
	waitpid(child, &status, 0);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

struct done {
	uint64_t packets[8];
	unsigned n;
};

static void told(void *ctx, const char *path, uint64_t packets, uint64_t bytes)
{
	struct done *done = ctx;
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_true((uint64_t)st.st_size == bytes && bytes <= 4096);
	done->packets[done->n++] = packets;
}

static void rows_of_files(void **state)
{
	struct pcapng_interface i = {.link = 1, .name = STR("source")};
	struct done done = {};
	struct pcapng_file_options o = {.max_bytes = 4096, .keep = 3, .done = told, .ctx = &done};
	struct pcapng_file *f = NULL;
	struct pcapng_totals t;
	uint32_t n;

	(void)state;
	no_tshark();
	assert_int_equal(pcapng_file_open(&f, at("r.pcapng"), &section, &o), 0);
	assert_int_equal(pcapng_file_interface(f, &i, &n), 0);
	for (unsigned k = 0; k < 200; k++) {
		struct pcapng_packet p = packet(k);

		assert_int_equal(pcapng_file_packet(f, &p), 0);
	}
	assert_int_equal(pcapng_file_close(&f, &t), 0);
	assert_true(t.packets == 200 && t.files == 5 && done.n == 5);
	assert_int_equal(access(at("r-00002.pcapng"), F_OK), -1);
	AUTO_BUF b = says("cd %s && for f in r-*.pcapng; do tshark -r $f -T fields -e frame.interface_name "
			  "-e frame.time_epoch; done",
			  dir);
	has(&b, "source\t1700000199.123456789");
	assert_int_equal(count(&b, "source\t"), 200 - done.packets[0] - done.packets[1]);
}

static void what_does_not_fit_is_refused_whole(void **state)
{
	AUTO_MEM char *huge = calloc(1, 70000);
	struct str comment = {huge, 70000};
	struct pcapng_packet p = packet(0);
	AUTO_BUF b = {};

	(void)state;
	memset(huge, 'x', 70000);
	assert_int_equal(pcapng_put_packet(&b, &p), 0);
	assert_int_equal(b.n, 92);
	p.comments = &comment;
	p.comments_n = 1;
	assert_int_equal(pcapng_put_packet(&b, &p), -EMSGSIZE);
	assert_int_equal(pcapng_put_interface(&b, &(struct pcapng_interface){.link = 65536}), -EMSGSIZE);
	assert_int_equal(b.n, 92);
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

/* What stands at the name is never followed: neither the last part of it, nor, below a folder, any. */
static void links_are_not_followed(void **state)
{
	struct pcapng_file_options beneath = {.beneath = true};
	char here[4096], real[2200], outside[2200];
	struct pcapng_file *f = NULL;

	(void)state;
	snprintf(real, sizeof(real), "%s/real", dir);
	snprintf(outside, sizeof(outside), "%s/real/b.pcapng", dir);
	assert_int_equal(mkdir(real, 0700), 0);
	assert_int_equal(symlink(real, at("way")), 0);
	assert_int_equal(symlink("target.pcapng", at("l.pcapng")), 0);
	assert_int_equal(pcapng_file_open(&f, at("l.pcapng"), &section, NULL), -ELOOP);
	assert_int_equal(access(at("target.pcapng"), F_OK), -1);
	assert_int_equal(pcapng_file_open(&f, at("way/a.pcapng"), &section, NULL), 0);
	assert_int_equal(pcapng_file_close(&f, NULL), 0);
	assert_int_equal(access(at("real/a.pcapng"), F_OK), 0);
	assert_non_null(getcwd(here, sizeof(here)));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(pcapng_file_open(&f, "way/b.pcapng", &section, &beneath), -ELOOP);
	assert_int_equal(pcapng_file_open(&f, "real/../../b.pcapng", &section, &beneath), -EXDEV);
	assert_int_equal(pcapng_file_open(&f, outside, &section, &beneath), -EXDEV);
	assert_int_equal(pcapng_file_open(&f, "real/b.pcapng", &section, &beneath), 0);
	assert_int_equal(pcapng_file_close(&f, NULL), 0);
	assert_int_equal(chdir(here), 0);
	assert_int_equal(unlink(at("real/a.pcapng")) | unlink(outside) | unlink(at("way")) |
			     unlink(at("l.pcapng")) | rmdir(real),
			 0);
}

static int remove_dir(void **state)
{
	DIR *d = opendir(dir);

	(void)state;
	for (struct dirent *e; d && (e = readdir(d));)
		unlink(at(e->d_name));
	if (d)
		closedir(d);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    {"BR45 BR79 interfaces, names, comments, lengths and drop counts as tshark reads them",
	     interfaces_names_and_counts, NULL, NULL, NULL},
	    {"BR81 times of one interface never go back; the clock is told", times_never_go_back, NULL, NULL,
	     NULL},
	    {"BR80 a killed writer leaves a file that reads to its last block",
	     killed_writer_leaves_a_readable_file, NULL, NULL, NULL},
	    {"BR83 a full disk: the file is cut back to a whole block, the rest counted",
	     full_disk_cuts_back_to_a_whole_block, NULL, NULL, NULL},
	    {"rows of files: each whole, old ones removed", rows_of_files, NULL, NULL, NULL},
	    {"a symbolic link is not followed", links_are_not_followed, NULL, NULL, NULL},
	    {"what does not fit is refused whole", what_does_not_fit_is_refused_whole, NULL, NULL, NULL},
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
