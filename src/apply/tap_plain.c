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
#include <sys/socket.h>

#include "apply/pin.h"
#include "apply/tap.h"
#include "base/log.h"
#include "base/own.h"
/* Generated text that mixes int and size_t. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "feed.skel.h"
#include "weft.skel.h"
#pragma GCC diagnostic pop

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

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
static const char *const maps[] = {"tap",	   "judge",	  "tapped", "tapped_slot", "outlet",
				   "outlet_count", "outlet_rest", "edit",   "counter"};

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

static bool is_shared(const struct bpf_map *m)
{
	static const char *const shared[] = {"tap", "tapped", "tapped_slot", "outlet_count"};

	return is_among(bpf_map__name(m), shared, ARRAY_LEN(shared));
}

static uint64_t namespace_cookie(void)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);
	AUTO_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len);
	return cookie;
}

/* Programs and BPF maps of feeds, which share those of taps. */
static int load_feeds(struct tap_plain *p)
{
	struct weft_feeds *f = weft_feeds__open();
	struct bpf_map *m;
	int err = f ? 0 : -errno;

	if (err)
		return err;
	p->feeds = f;
	f->rodata->feed_net = namespace_cookie();
	bpf_object__for_each_map(m, f->obj)
	{
		if (is_shared(m))
			err = err ? err : bpf_map__reuse_fd(m, map(p->object, bpf_map__name(m)));
		else if (!bpf_map__is_internal(m) && strncmp(bpf_map__name(m), "feed_", 5))
			bpf_map__set_autocreate(m, false);
	}
	if (!err)
		err = weft_feeds__load(f);
	if (err)
		return err;
	p->lost = bpf_raw_tracepoint_open("xdp_devmap_xmit", bpf_program__fd(f->progs.weft_feed_lost));
	p->xdp.feed = bpf_program__fd(f->progs.weft_feed);
	p->xdp.sent = bpf_program__fd(f->progs.weft_feed_sent);
	p->xdp.judge = bpf_map__fd(f->maps.feed_judge);
	p->xdp.set = bpf_map__fd(f->maps.feed_set);
	p->xdp.way = bpf_map__fd(f->maps.feed_way);
	return p->lost < 0 ? -errno : 0;
}

static void open_feeds(struct tap_plain *p, enum tap_xdp_mode mode)
{
	int err = mode == TAP_XDP_OFF ? 0 : load_feeds(p);

	p->xdp.mode = err ? TAP_XDP_NONE : mode;
	if (err)
		log_warn("feeds are left to tc: the programs for XDP cannot be loaded: %s", strerror(-err));
	p->kernel.xdp = &p->xdp;
}

int tap_plain_open(struct tap_plain *p, enum tap_xdp_mode mode, struct buf *why)
{
	size_t size;
	const void *elf = weft__elf_bytes(&size);
	int err;

	*p = (struct tap_plain){.lost = -1};
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
					.tapped = map(p->object, "tapped"),
					.tapped_slot = map(p->object, "tapped_slot"),
					.outlet_count = map(p->object, "outlet_count"),
					.outlet_rest = map(p->object, "outlet_rest"),
					.counter = map(p->object, "counter"),
					.taps = map_table[PLAN_MAP_tap].entries,
					.judges = map_table[PLAN_MAP_judge].entries,
					.outlets = map_table[PLAN_MAP_outlet].entries,
					.in = program(p->object, "weft_tap_in"),
					.out = program(p->object, "weft_tap_out"),
					.copy_out = program(p->object, "weft_copy_out"),
					.copy_back = program(p->object, "weft_copy_back"),
					.copy_stop = program(p->object, "weft_copy_stop"),
					.edit = program(p->object, "weft_edit")};
	p->tapped = p->kernel.tapped;
	p->tapped_slot = p->kernel.tapped_slot;
	p->outlet_count = p->kernel.outlet_count;
	open_feeds(p, mode);
	return 0;
}

void tap_plain_close(struct tap_plain *p)
{
	own_fd(&p->lost);
	if (p->feeds)
		weft_feeds__destroy(p->feeds);
	if (p->object)
		bpf_object__close(p->object);
	*p = (struct tap_plain){.lost = -1};
}
