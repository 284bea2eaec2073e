/* SPDX-License-Identifier: Apache-2.0 */
/* Taps on their way: what is written reads the same; each wrong number is refused with its sentence. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/own.h"
#include "tap/tap.h"

static const struct filter_step steps[2] = {{.op = STEP_RANGE, .slot = SLOT_SPORT, .yes = STEP_YES, .no = 1},
					    {.op = STEP_BITS, .slot = SLOT_HAS, .lo = {64}}};
static const struct filter_classic classic[1] = {{.code = 6, .k = 65535}};
static const struct tap_form forms[2] = {{.steps = steps, .n = 2}, {.classic = classic, .n = 1}};
static const struct tap_judge judges[2] = {{.n = 0}, {.forms = forms, .n = 2}};

struct world {
	struct tap_place places[3];
	struct tap_outlet outlets[3];
	struct taps t;
};

static void make(struct world *w)
{
	*w = (struct world){
	    .places = {{.where = TAP_AT_INTERFACE,
			.name = "eth1",
			.judge = 0,
			.point = 16382,
			.own = 4,
			.feed = true,
			.take = {1u << 31}},
		       {.where = TAP_AT_POD,
			.ifindex = 10001,
			.judge = 1,
			.point = 7,
			.take = {1, 2, 3, 4},
			.directs = 2,
			.direct = {{.outlet = 1023, .take = {1}}, {.outlet = 1, .take = {0, 2}}}},
		       {.where = TAP_AT_POD, .ifindex = 10000, .judge = 1, .point = 0}},
	    .outlets = {{.number = 1023,
			 .way = OUTLET_INTERFACE,
			 .name = "tool0",
			 .finish = true,
			 .edits = true,
			 .edit = {.ranges = 1, .range = {{EDIT_L4, 65535, 1}}, .fill = 255, .slice = 1}},
			{.number = 1, .way = OUTLET_POD, .ifindex = 10009},
			{.number = 2, .way = OUTLET_ROUTED, .name = "uplink0", .answers = true}},
	};
	w->t = (struct taps){.epoch = 77,
			     .judges = judges,
			     .judges_n = 2,
			     .places = w->places,
			     .places_n = 3,
			     .outlets = w->outlets,
			     .outlets_n = 3};
}

static void the_same_comes_back(void **state)
{
	AUTO_BUF bytes = {0}, again = {0}, why = {0}, text = {0};
	struct taps t;
	struct world w;

	(void)state;
	make(&w);
	taps_encode(&bytes, &w.t);
	assert_int_equal(taps_decode(&t, bytes.p, bytes.n, &why), 0);
	assert_int_equal(t.epoch, 77);
	assert_int_equal(t.judges[1].forms[0].steps[1].lo[0], 64);
	assert_int_equal(t.judges[1].forms[1].classic[0].k, 65535);
	assert_int_equal(t.places[1].direct[1].take[1], 2);
	assert_true(t.outlets[0].finish);
	taps_encode(&again, &t);
	assert_int_equal(again.n, bytes.n);
	assert_memory_equal(again.p, bytes.p, bytes.n);
	taps_print(&text, &t);
	assert_string_equal(text.p,
			    "judge 0: everything\n"
			    "judge 1: 2 steps, 1 classic\n"
			    "place pod 10000: point 0 judge 1\n"
			    "place pod 10001: point 7 judge 1 in 0x1 out 0x2 in-dropped 0x3 out-dropped 0x4; "
			    "direct 1023 in 0x1; direct 1 out 0x2\n"
			    "place interface eth1: point 16382 judge 0 in 0x80000000 own 0x4 feed\n"
			    "outlet 1: pod 10009\n"
			    "outlet 2: routed uplink0 answers\n"
			    "outlet 1023: interface tool0 finished mask L4+65535:1 fill 0xff slice L2+0\n");
	taps_fini(&t);
}

static void nothing_is_a_state_too(void **state)
{
	AUTO_BUF bytes = {0}, why = {0}, text = {0};
	struct taps t;

	(void)state;
	taps_encode(&bytes, &(struct taps){.epoch = 1});
	assert_int_equal(taps_decode(&t, bytes.p, bytes.n, &why), 0);
	assert_int_equal(t.places_n, 0);
	taps_print(&text, &t);
	assert_int_equal(text.n, 0);
	taps_fini(&t);
}

static void every_cut_is_refused(void **state)
{
	AUTO_BUF bytes = {0};
	struct world w;

	(void)state;
	make(&w);
	taps_encode(&bytes, &w.t);
	for (size_t n = 0; n < bytes.n; n++) {
		AUTO_BUF why = {0};
		AUTO_MEM char *part = malloc(n + 1); /* so that the sanitizer sees a read behind it */
		struct taps t;

		memcpy(part, bytes.p, n);
		assert_int_equal(taps_decode(&t, part, n, &why), -EPROTO);
		assert_non_null(why.p);
	}
	buf_addc(&bytes, 0);

	AUTO_BUF why = {0};
	struct taps t;

	assert_int_equal(taps_decode(&t, bytes.p, bytes.n, &why), -EPROTO);
	assert_string_equal(why.p, "bytes are left over behind the taps");
}

static void refused(const struct world *w, const char *said)
{
	AUTO_BUF bytes = {0}, why = {0};
	struct taps t;

	taps_encode(&bytes, &w->t);
	assert_int_equal(taps_decode(&t, bytes.p, bytes.n, &why), -EPROTO);
	assert_string_equal(why.p, said);
}

#define REFUSED(said, ...)                                                                                   \
	do {                                                                                                 \
		struct world w;                                                                              \
		make(&w);                                                                                    \
		__VA_ARGS__;                                                                                 \
		refused(&w, said);                                                                           \
	} while (0)

static void wrong_places(void **state)
{
	(void)state;
	REFUSED("point 16383: its number is too large", w.places[0].point = TAP_POINTS_MAX);
	REFUSED("point 7: it is there twice", w.places[2].point = 7);
	REFUSED("point 0: there is no such judge", w.places[2].judge = 2);
	REFUSED("point 0: it is neither at a pod nor at an interface", w.places[2].where = 2);
	REFUSED("point 0: it names no interface", w.places[2].ifindex = 0);
	REFUSED("point 0: it names no interface", w.places[2].ifindex = 1u << 31);
	REFUSED("point 0: it names no interface", w.places[2].name[0] = 'x');
	REFUSED("point 16382: it names no interface", w.places[0].ifindex = 3);
	REFUSED("point 16382: it names no interface", w.places[0].name[0] = 0);
	REFUSED("point 16382: it names no interface", w.places[0].name[1] = '/');
	REFUSED("point 16382: it names no interface", w.places[0].name[15] = 'x');
	REFUSED("point 16382: it names no interface", memcpy(w.places[0].name, "..\0\0", 5));
	REFUSED("point 16382: it names no interface", memset(w.places[0].name, 'a', TAP_NAME));
	REFUSED("point 7: there is no outlet 3", w.places[1].direct[0].outlet = 3);
	REFUSED("point 7: there is no outlet 0", w.places[1].direct[0].outlet = 0);
	REFUSED("point 7: there is no outlet 4000000000", w.places[1].direct[0].outlet = 4000000000u);
	REFUSED("point 7: it cannot be a feed", w.places[1].feed = true);
	REFUSED("point 7 leads to outlet 1 twice", w.places[1].direct[0].outlet = 1);
	REFUSED("points 0 and 7 are one interface", w.places[2].ifindex = 10001; w.places[2].point = 0);
}

static void wrong_outlets(void **state)
{
	(void)state;
	REFUSED("outlet 0: its number is out of range", w.outlets[0].number = 0);
	REFUSED("outlet 1024: its number is out of range", w.outlets[0].number = OUTLETS_MAX + 1);
	REFUSED("outlet 1: it is there twice", w.outlets[2].number = 1);
	REFUSED("outlet 2: it has no way", w.outlets[2].way = OUTLET_NONE);
	REFUSED("outlet 2: it has no way", w.outlets[2].way = OUTLET_ROUTED + 1);
	REFUSED("outlet 1: it names no interface", w.outlets[1].ifindex = 0);
	REFUSED("outlet 2: it names no interface", w.outlets[2].ifindex = 5);
	REFUSED("outlet 2: it cannot finish packets", w.outlets[2].finish = true);
	REFUSED("outlet 1: it cannot edit packets", w.outlets[1].edits = true);
	REFUSED("outlet 1023: it cannot edit packets", w.outlets[0].finish = false);
}

static void wrong_edits(void **state)
{
	(void)state;
	REFUSED("outlet 1023: its edit has too many ranges", w.outlets[0].edit.ranges = EDIT_RANGES_MAX + 1);
	REFUSED("outlet 1023: its edit begins at no header",
		w.outlets[0].edit.range[0].from = EDIT_PAYLOAD + 1);
	REFUSED("outlet 1023: its edit begins at no header", w.outlets[0].edit.slice_from = EDIT_PAYLOAD + 1);
	REFUSED("outlet 1023: its edit reaches too far",
		w.outlets[0].edit.range[0].offset = EDIT_OFFSET_MAX + 1);
	REFUSED("outlet 1023: its edit reaches too far",
		w.outlets[0].edit.range[5].len = EDIT_OFFSET_MAX + 1);
	REFUSED("outlet 1023: its edit reaches too far", w.outlets[0].edit.slice_bytes = EDIT_OFFSET_MAX + 1);
	REFUSED("outlet 1023: its edit is none", w.outlets[0].edit.fields = EDIT_FIELDS + 1);
	REFUSED("outlet 1023: its edit is none", w.outlets[0].edit.fill = 256);
	REFUSED("outlet 1023: its edit is none", w.outlets[0].edit.slice = 2);
	REFUSED("outlet 1023: its edit has a tag that is none", w.outlets[0].edit.stamp_tpid = 8);
}

static void wrong_judges(void **state)
{
	static const struct filter_classic many[FILTER_CLASSIC_MAX + 1];
	struct tap_form f[TAP_FILTERS_MAX + 1];
	struct tap_judge j[2] = {{.n = 0}, {.forms = f, .n = TAP_FILTERS_MAX + 1}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(f); i++)
		f[i] = forms[i % 2];
	REFUSED("judge 1 has 31 filters; up to 30 are taken", w.t.judges = j);
	j[1].n = 1;
	f[0] = (struct tap_form){.classic = classic, .n = 0};
	REFUSED("judge 1: filter 0 has no form (kind 2, length 0)", w.t.judges = j);
	f[0] = (struct tap_form){.classic = many, .n = FILTER_CLASSIC_MAX + 1};
	REFUSED("judge 1: filter 0 has no form (kind 2, length 4097)", w.t.judges = j);
}

static void another_build_is_refused(void **state)
{
	AUTO_BUF bytes = {0}, why = {0};
	struct taps t;

	(void)state;
	taps_encode(&bytes, &(struct taps){.epoch = 1});
	bytes.p[0]++;
	assert_int_equal(taps_decode(&t, bytes.p, bytes.n, &why), -EPROTO);
	assert_string_equal(why.p, "these are no taps of this build");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_same_comes_back),  cmocka_unit_test(nothing_is_a_state_too),
	    cmocka_unit_test(every_cut_is_refused), cmocka_unit_test(wrong_places),
	    cmocka_unit_test(wrong_outlets),	    cmocka_unit_test(wrong_edits),
	    cmocka_unit_test(wrong_judges),	    cmocka_unit_test(another_build_is_refused),
	};

	return cmocka_run_group_tests_name("tap", tests, NULL, NULL);
}
