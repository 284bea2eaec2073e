/* SPDX-License-Identifier: Apache-2.0 */
/* The guard: steps and classic BPF that are no filter: see filter_guard.h. */
#include "filter_guard.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "apply/filter_code.h"
#include "base/own.h"

static void refuses(const struct filter_form *f, const char *want)
{
	AUTO_BUF why = {};

	assert_int_equal(filter_check(f, &why), -EINVAL);
	if (!why.p || !strstr(why.p, want))
		fail_msg("want \"%s\" in \"%s\"", want, why.p ? why.p : "");
}

void br76_the_guard(void **state)
{
	static const struct {
		struct filter_classic c[2];
		const char *want;
	} classic[] = {
	    {{{.code = 0x30, .k = 0xfffff02c}, {.code = 6}}, "instruction 0: SKF_AD_VLAN_TAG is not offered"},
	    {{{.code = 0x30, .k = 0xfffff024}, {.code = 6}}, "SKF_AD_CPU"},
	    {{{.code = 0x30, .k = 0xfff00000}, {.code = 6}}, "SKF_NET_OFF"},
	    {{{.code = 0x30, .k = 0xffe00000}, {.code = 6}}, "SKF_LL_OFF"},
	    {{{.code = 0x30, .k = 0x80000000}, {.code = 6}}, "beyond the end of every packet"},
	    {{{.code = 0x60, .k = 16}, {.code = 6}}, "16 words"},
	    {{{.code = 0x02, .k = 16}, {.code = 6}}, "16 words"},
	    {{{.code = 0x34, .k = 0}, {.code = 6}}, "divides by zero"},
	    {{{.code = 0x94, .k = 0}, {.code = 6}}, "divides by zero"},
	    {{{.code = 0x64, .k = 32}, {.code = 6}}, "shifts by more"},
	    {{{.code = 0x05, .k = 1}, {.code = 6}}, "beyond the end"},
	    {{{.code = 0x05, .k = 0xffffffff}, {.code = 6}}, "beyond the end"},
	    {{{.code = 0x15, .jt = 1}, {.code = 6}}, "beyond the end"},
	    {{{.code = 0x15, .jf = 1}, {.code = 6}}, "beyond the end"},
	    {{{.code = 0x00}, {.code = 0x00}}, "does not return"},
	    {{{.code = 0xff}, {.code = 6}}, "no such instruction"},
	    {{{.code = 0x120}, {.code = 6}}, "no such instruction"},
	    {{{.code = 0xc4}, {.code = 6}}, "no such instruction"},
	    {{{.code = 0x55}, {.code = 6}}, "no such instruction"},
	};
	static const struct {
		struct filter_step s[2];
		const char *want;
	} steps[] = {
	    {{{.yes = 0, .no = STEP_NO}, {.yes = STEP_YES, .no = STEP_NO}}, "step 0: it leads to no later"},
	    {{{.yes = 1, .no = 2}, {.yes = STEP_YES, .no = STEP_NO}}, "step 0: it leads to no later"},
	    {{{.yes = 1, .no = 1}, {.yes = 1, .no = STEP_NO}}, "step 1: it leads to no later"},
	    {{{.op = 9, .yes = 1, .no = 1}, {.yes = STEP_YES}}, "no such operation"},
	    {{{.slot = SLOT_COUNT, .yes = 1, .no = 1}, {.yes = STEP_YES}}, "no such field"},
	    {{{.slot = SLOT_SRC, .yes = 1, .no = 1}, {.yes = STEP_YES}}, "does not fit"},
	    {{{.op = STEP_ADDRESS, .slot = SLOT_LEN, .yes = 1, .no = 1}, {.yes = STEP_YES}}, "does not fit"},
	    {{{.op = STEP_BITS, .yes = 1, .no = 1}, {.yes = STEP_YES}}, "mask"},
	    {{{.op = STEP_BITS, .lo = {1ull << 40}, .yes = 1, .no = 1}, {.yes = STEP_YES}}, "mask"},
	    {{{.lo = {2}, .hi = {1}, .yes = 1, .no = 1}, {.yes = STEP_YES}}, "before it begins"},
	    {{{.pad = 1, .yes = 1, .no = 1}, {.yes = STEP_YES}}, "padding"},
	};
	static const struct filter_classic far = {.code = 6};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(classic); i++)
		refuses(&(struct filter_form){.classic = classic[i].c, .n = 2}, classic[i].want);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++)
		refuses(&(struct filter_form){.steps = steps[i].s, .n = 2}, steps[i].want);
	refuses(&(struct filter_form){.classic = &far, .n = 0}, "1 to 4096");
	refuses(&(struct filter_form){.classic = &far, .n = 5000}, "1 to 4096");
	refuses(&(struct filter_form){.n = 1}, "either steps or classic");
	/* random programs do not read so far that they would be refused: this one is the largest that is
	 * taken */
	struct filter_classic *large = calloc(FILTER_CLASSIC_MAX, sizeof(*large));

	for (uint32_t i = 0; i < FILTER_CLASSIC_MAX; i++)
		large[i] = (struct filter_classic){.code = i + 1 == FILTER_CLASSIC_MAX ? 6 : 0x50, .k = 12};
	struct filter_form form = {.classic = large, .n = FILTER_CLASSIC_MAX};
	struct filter_code code = {};
	AUTO_BUF why = {};

	assert_int_equal(filter_translate(&code, &form, 1, &why), -E2BIG);
	assert_non_null(strstr(why.p, "too large for one program"));
	free(large);
}
