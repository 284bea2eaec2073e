/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames for a feed, as a card would bring them: made by XDP (BPF_F_TEST_XDP_LIVE_FRAMES) and sent into one
 * end of a veth, at whose other end the feed is. The end of the way counts and drops in XDP as well.
 *
 *   bench-feed sink IFACE           counts and drops there, and says how many for each line that comes in
 *   bench-feed relay FROM TO        a bare XDP redirect between two interfaces, until standard input ends
 *   bench-feed make IFACE FRAMES PORT   UDP frames of 64 bytes of payload out of it; one JSON line with ns of
 * CPU
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Generated text that mixes int and size_t. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "feed.skel.h"
#pragma GCC diagnostic pop

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "feed: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct bench_feed *load(uint32_t to)
{
	struct bench_feed *f = bench_feed__open();

	if (!f)
		die("open");
	f->rodata->to = to;
	if (bench_feed__load(f))
		die("load");
	return f;
}

static void attach(const struct bpf_program *p, const char *name)
{
	LIBBPF_OPTS(bpf_link_create_opts, how, .flags = XDP_FLAGS_DRV_MODE);

	if (bpf_link_create(bpf_program__fd(p), (int)if_nametoindex(name), BPF_XDP, &how) < 0)
		die(name);
	puts("ready");
	fflush(stdout);
}

static int sink(const char *name)
{
	struct bench_feed *f = load(0);
	int cpus = libbpf_num_possible_cpus();
	uint64_t *n = calloc((size_t)cpus, sizeof(*n)), sum;
	uint32_t zero = 0;
	char line[16];

	attach(f->progs.sink, name);
	while (n && fgets(line, sizeof(line), stdin)) {
		sum = 0;
		bpf_map_lookup_elem(bpf_map__fd(f->maps.sunk), &zero, n);
		for (int i = 0; i < cpus; i++)
			sum += n[i];
		printf("%" PRIu64 "\n", sum);
		fflush(stdout);
	}
	free(n);
	return 0;
}

static int relay(const char *from, const char *to)
{
	struct bench_feed *f = load(0);
	uint32_t zero = 0, index = if_nametoindex(to);

	if (bpf_map_update_elem(bpf_map__fd(f->maps.tools), &zero, &index, BPF_ANY))
		die(to);
	attach(f->progs.relay, from);
	while (getchar() != EOF)
		;
	return 0;
}

static int make(const char *name, int frames, int port)
{
	struct bench_feed *f = load(if_nametoindex(name));
	uint8_t frame[106] = {2, 0, 0, 0, 0,  2,  2, 0, 0,  0, 0, 1, 8,	 0, 0x45, 0, 0, 92,
			      0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0,	  2, 0, 99};
	struct xdp_md ctx = {.data_end = sizeof(frame)};
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = frame, .data_size_in = sizeof(frame), .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = frames, .flags = BPF_F_TEST_XDP_LIVE_FRAMES,
		    .batch_size = 64);
	uint64_t begin;

	frame[36] = (uint8_t)(port >> 8);
	frame[37] = (uint8_t)port;
	frame[39] = 72;
	begin = now();
	if (bpf_prog_test_run_opts(bpf_program__fd(f->progs.make), &o))
		die("make");
	printf("{\"frames\":%d,\"cpu_ns\":%" PRIu64 "}\n", frames, now() - begin);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "sink"))
		return sink(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "relay"))
		return relay(argv[2], argv[3]);
	if (argc == 5 && !strcmp(argv[1], "make"))
		return make(argv[2], atoi(argv[3]), atoi(argv[4]));
	fputs("usage: bench-feed sink IFACE | relay FROM TO | make IFACE FRAMES PORT\n", stderr);
	return 2;
}
