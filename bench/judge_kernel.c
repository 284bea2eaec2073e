/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's side of bench-judge: the very program that the applier would make, by BPF_PROG_TEST_RUN. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>

#include "apply/filter.h"
#include "base/own.h"
#include "broker/taps.h"
#include "judge.h"

enum { PACKETS = 10 };

static double fail(const char *what)
{
	fprintf(stderr, "judge: %s\n", what);
	return -1;
}

/* The program of a place to which all maps lead. */
double judge_in_kernel(const struct broker *b, const uint8_t *pool, uint32_t size, uint32_t packets)
{
	uint32_t source = 0;
	struct broker_place place = {
	    .where = TAP_AT_INTERFACE, .name = STR("e"), .point = 1, .sources = &source, .sources_n = 1};
	struct remarks rs = {0};
	struct taps taps;
	struct filter_code code = {0};
	struct filter_form forms[TAP_FILTERS_MAX];
	AUTO_BUF why = {0};
	uint64_t ns = 0;
	int fd;

	if (broker_taps(&taps, b, 1, &place, 1, NULL, 0, (struct str){0}, &rs) || taps.judges_n != 1)
		return fail("no judge");
	for (uint32_t i = 0; i < taps.judges[0].n; i++) {
		const struct tap_form *f = &taps.judges[0].forms[i];

		forms[i] = (struct filter_form){f->steps, f->classic, f->n};
	}
	if (!taps.judges[0].n || filter_translate_judge(&code, forms, taps.judges[0].n, &why))
		return fail(why.n ? why.p : "the place asks for everything");
	fd = filter_load(&code, BPF_PROG_TYPE_SCHED_CLS, NULL, &why);
	if (fd < 0)
		return fail(why.p);
	for (uint32_t i = 0; i < PACKETS; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = pool + (size_t)i * size, .data_size_in = size,
			    .repeat = (int)(packets / PACKETS));

		if (bpf_prog_test_run_opts(fd, &opts))
			return fail("the kernel does not run it");
		ns += opts.duration;
	}
	own_fd(&fd);
	filter_code_fini(&code);
	remarks_fini(&rs);
	taps_fini(&taps);
	return (double)ns / PACKETS;
}
