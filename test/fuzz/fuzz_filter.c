/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text as a filter, any bytes as a packet: text up to the first newline, the packet behind it. What is
 * read prints to a text that reads as the same filter; what is refused has one error inside the text. What
 * can run in the kernel passes the applier's checks.
 */
#include <errno.h>
#include <stdlib.h>

#include "apply/filter.h"
#include "base/own.h"
#include "filter/filter.h"
#include "filter/terms.h"

static void check_program(const struct filter *f)
{
	struct filter_program p = {};
	AUTO_BUF why = {};
	int r = filter_program(f, &p, &why);
	struct filter_form form = {p.steps, p.classic, p.n};

	if (r ? r != -ENOTSUP || !why.n : p.steps && filter_check(&form, &why))
		abort();
	/* libpcap compiles reads that no packet can satisfy, too: refused with their reason */
	if (!r && p.classic && filter_check(&form, &why) && !why.n)
		abort();
	filter_program_fini(&p);
}

static void check_terms(const struct filter *f, const struct filter_packet *p)
{
	struct filter_terms t = {};

	if (filter_terms(&t, f, 64, NULL))
		return;
	if (filter_terms_packet(&t, p) != filter_packet(f, p))
		abort();
	filter_terms_fini(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t links[] = {1, 0, 12, 101, 113, 276};
	AUTO(remarks_fini) struct remarks remarks = {};
	struct str rest = {(const char *)data, size}, text = str_cut(&rest, '\n');
	struct filter *f = NULL, *again = NULL;
	int r = filter_parse(&f, text, (struct pos){}, &remarks);

	if (r) {
		if (r == -EINVAL && (remarks.errors != 1 || remarks.list.items[0].col > text.n + 1))
			abort();
		return 0;
	}
	AUTO_BUF printed = {};
	AUTO_BUF other = {};
	AUTO_BUF why = {};

	filter_print(f, &printed);
	if (filter_parse(&again, buf_str(&printed), (struct pos){}, &remarks) || !filter_eq(f, again))
		abort();
	filter_print_other(f, &other, &why);
	check_program(f);
	for (size_t i = 0; i < ARRAY_LEN(links); i++) {
		struct filter_packet p = {.p = (const uint8_t *)rest.p,
					  .caplen = (uint32_t)rest.n,
					  .len = (uint32_t)rest.n,
					  .link = links[i]};

		if (filter_packet(f, &p) != filter_packet(again, &p))
			abort();
		if (i == 0)
			check_terms(f, &p);
	}
	filter_unref(&f);
	filter_unref(&again);
	return 0;
}
