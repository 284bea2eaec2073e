/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taps on a host without a cluster: of the BPF object only the programs at interfaces and what they use are
 * loaded, and nothing is pinned. All goes with the process but what it attached: tapper_clean() takes that
 * back, the next tapper_new() finds it otherwise.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "apply/pin.h"
#include "apply/tap.h"
#include "base/log.h"
#include "base/own.h"
/* Generated text that mixes int and size_t. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "weft.skel.h"
#pragma GCC diagnostic pop

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char text[512];

	if (level != LIBBPF_WARN)
		return 0;

	vsnprintf(text, sizeof(text), fmt, ap);
	text[strcspn(text, "\n")] = '\0';
	log_warn("%s", text);
	return 0;
}

static const char *const programs[] = {"weft_tap_in",	 "weft_tap_out",   "weft_copy_out",
				       "weft_copy_back", "weft_copy_stop", "weft_edit"};
static const char *const maps[] = {"tap", "judge", "tapped", "outlet", "outlet_count", "edit", "counter"};

static bool is_among(const char *name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(name, list[i]))
			return true;
	return false;
}

/* Those of bpf/lib/copy.h alone are named after it. */
static bool is_used(const struct bpf_map *m)
{
	const char *name = bpf_map__name(m);

	return bpf_map__is_internal(m) || !strncmp(name, "copy_", 5) || is_among(name, maps, ARRAY_LEN(maps));
}

static void choose(struct bpf_object *o)
{
	struct bpf_program *p;
	struct bpf_map *m;

	bpf_object__for_each_program(p, o)
	    bpf_program__set_autoload(p, is_among(bpf_program__name(p), programs, ARRAY_LEN(programs)));
	bpf_object__for_each_map(m, o) bpf_map__set_autocreate(m, is_used(m));
}

static int program(const struct bpf_object *o, const char *name)
{
	return bpf_program__fd(bpf_object__find_program_by_name(o, name));
}

static int map(const struct bpf_object *o, const char *name)
{
	return bpf_map__fd(bpf_object__find_map_by_name(o, name));
}

int tap_plain_open(struct tap_plain *p, struct buf *why)
{
	size_t size;
	const void *elf = weft__elf_bytes(&size);
	int err;

	*p = (struct tap_plain){0};
	libbpf_set_print(quiet);
	p->object = bpf_object__open_mem(elf, size, NULL);
	if (!p->object)
		return pin_say(why, -errno, "the BPF object cannot be read");
	choose(p->object);
	err = bpf_object__load(p->object);
	if (err) {
		tap_plain_close(p);
		return pin_say(why, err,
			       "the kernel refuses the programs (needs CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON)");
	}
	p->kernel = (struct tap_kernel){.tap = map(p->object, "tap"),
					.judge = map(p->object, "judge"),
					.outlet = map(p->object, "outlet"),
					.edits = map(p->object, "edit"),
					.taps = map_table[PLAN_MAP_tap].entries,
					.judges = map_table[PLAN_MAP_judge].entries,
					.outlets = map_table[PLAN_MAP_outlet].entries,
					.in = program(p->object, "weft_tap_in"),
					.out = program(p->object, "weft_tap_out"),
					.copy_out = program(p->object, "weft_copy_out"),
					.copy_back = program(p->object, "weft_copy_back"),
					.copy_stop = program(p->object, "weft_copy_stop"),
					.edit = program(p->object, "weft_edit")};
	p->tapped = map(p->object, "tapped");
	p->outlet_count = map(p->object, "outlet_count");
	return 0;
}

void tap_plain_close(struct tap_plain *p)
{
	if (p->object)
		bpf_object__close(p->object);
	*p = (struct tap_plain){0};
}
