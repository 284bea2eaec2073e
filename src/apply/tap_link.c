/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taps at interfaces: finding them by name whenever they come, our programs at their hooks, what outlets
 * leave to their card, and the pair weft-copy0, weft-copy1. Touches no interface but those, and of others
 * nothing but its own filters and what it remembers to put back.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "apply/tap_state.h"
#include "base/log.h"
#include "base/own.h"

enum { COPY_MTU = 65535 };
#define TAP_IN_PROGRAM	"weft_tap_in"
#define TAP_OUT_PROGRAM "weft_tap_out"

static int fail(struct buf *why, int err, const char *what)
{
	buf_printf(why, "%s: %s", what, strerror(-err));
	return err;
}

/* --- sockets ---------------------------------------------------------------------------------------- */

static int open_watch(void)
{
	struct sockaddr_nl to = {.nl_family = AF_NETLINK,
				 .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE), err;

	if (fd < 0 || !bind(fd, (const struct sockaddr *)&to, sizeof(to)))
		return fd < 0 ? -errno : fd;
	err = -errno;
	close(fd);
	return err;
}

/* A name that is of this network namespace and ends with the process: one tapper in each. */
static int take_lock(void)
{
	static const char name[] = "\0weft-taps";
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

	memcpy(to.sun_path, name, sizeof(name) - 1);
	if (fd < 0 || !bind(fd, (const struct sockaddr *)&to,
			    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(name) - 1)))
		return fd < 0 ? -errno : fd;
	err = -errno;
	close(fd);
	return err;
}

static bool is_finished(const struct tap_device *d)
{
	return d->off.blocks != 0;
}

/* Name of our program at an interface's ingress, with what there is to be put back. */
static void record(const struct tap_device *d, char out[TC_TAP_NAME])
{
	const uint32_t *b = d->off.bits;
	int n = snprintf(out, TC_TAP_NAME, "%s%s", TAP_IN_PROGRAM, d->qdisc ? " qdisc" : "");

	if (is_finished(d))
		snprintf(out + n, TC_TAP_NAME - (size_t)n, " %x.%x.%x.%x/%u", b[0], b[1], b[2], b[3],
			 d->off.blocks);
}

static void read_record(const char *name, struct tap_device *d)
{
	const char *p = name + strlen(TAP_IN_PROGRAM);
	uint32_t *b = d->off.bits;

	d->qdisc = !strncmp(p, " qdisc", 6);
	if (d->qdisc)
		p += 6;
	if (sscanf(p, " %x.%x.%x.%x/%u", &b[0], &b[1], &b[2], &b[3], &d->off.blocks) != 5 ||
	    d->off.blocks > OFFLOAD_BLOCKS)
		d->off = (struct offload){0};
}

/* Name of the one at its egress: what was switched off for XDP there. */
static void record_out(const struct tap_device *d, char out[TC_TAP_NAME])
{
	const uint32_t *b = d->beside.bits;
	int n = snprintf(out, TC_TAP_NAME, "%s", TAP_OUT_PROGRAM);

	if (d->beside.blocks)
		snprintf(out + n, TC_TAP_NAME - (size_t)n, " %x.%x.%x.%x/%u", b[0], b[1], b[2], b[3],
			 d->beside.blocks);
}

static void read_record_out(const char *name, struct tap_device *d)
{
	uint32_t *b = d->beside.bits;

	d->out = !strncmp(name, TAP_OUT_PROGRAM, strlen(TAP_OUT_PROGRAM));
	if (!d->out ||
	    sscanf(name + strlen(TAP_OUT_PROGRAM), " %x.%x.%x.%x/%u", &b[0], &b[1], &b[2], &b[3],
		   &d->beside.blocks) != 5 ||
	    d->beside.blocks > OFFLOAD_BLOCKS)
		d->beside = (struct offload){0};
}

static int adopt(const struct link_info *l, void *ctx)
{
	struct tapper *t = ctx;
	struct tap_device d = {.ifindex = l->index, .at = l->index, .stale = true, .link = -1};

	if (!strcmp(l->name, COPY_OUT_NAME) && l->group == WEFT_LINK_GROUP)
		t->copy_out = l->index;
	if (!strcmp(l->name, EDIT_IN_NAME) && l->group == WEFT_LINK_GROUP)
		t->edit_in = l->index;
	if (l->group == WEFT_LINK_GROUP)
		return 0;
	memcpy(d.name, l->name, sizeof(d.name));
	return vec_push(&t->devices, d);
}

/* Of all interfaces, those that have our programs already. */
static int adopt_all(struct tapper *t)
{
	int err = link_dump(t->route, adopt, t);
	size_t kept = 0;

	VEC_EACH (&t->devices, d) {
		char in[TC_TAP_NAME] = "", out[TC_TAP_NAME] = "";

		if (err || tc_tap_get(t->route, d->ifindex, false, in) ||
		    tc_tap_get(t->route, d->ifindex, true, out))
			continue;
		read_record_out(out, d);
		if (!strncmp(in, TAP_IN_PROGRAM, strlen(TAP_IN_PROGRAM)))
			read_record(in, d);
		else if (!d->out)
			continue;
		t->devices.items[kept++] = *d;
	}
	t->devices.len = kept;
	return err;
}

int tap_link_open(struct tapper *t, struct buf *why)
{
	int err;

	t->lock = take_lock();
	if (t->lock == -EADDRINUSE)
		buf_addz(why, "another process of Weft has taps in this network namespace");
	if (t->lock < 0)
		return t->lock;
	t->route = nl_open();
	t->watch = t->route < 0 ? t->route : open_watch();
	if (t->watch < 0)
		return fail(why, t->watch, "cannot open netlink");
	t->batch = calloc(1, sizeof(*t->batch));
	err = t->batch ? adopt_all(t) : -ENOMEM;
	return err ? fail(why, err, "cannot look through the interfaces") : 0;
}

void tap_link_close(struct tapper *t)
{
	own_fd(&t->route);
	own_fd(&t->watch);
	own_fd(&t->lock);
	free(t->batch);
	VEC_EACH (&t->devices, d)
		own_fd(&d->link);
	vec_free(&t->devices);
}

/* --- the pairs -------------------------------------------------------------------------------------- */

static int copy_end(struct tapper *t, const char *name, struct link_info *l, struct buf *why)
{
	int err = link_get(t->route, 0, name, l);

	if (!err && (l->group != WEFT_LINK_GROUP || strcmp(l->kind, "veth"))) {
		buf_printf(why, "an interface that is not ours has the name %s: remove it", name);
		return -EEXIST;
	}
	return err;
}

/* Else an end that goes up says who it listens for (MLD), and that would pass for a copy. */
static void no_ipv6(const char *name)
{
	char path[80];
	AUTO_FD int fd = -1;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 ? errno != ENOENT : write(fd, "1", 1) != 1)
		log_warn("%s cannot be written: %s", path, strerror(errno));
}

/* Both ends, made where they are not there yet; nobody but taps sends there. */
static int make_pair(struct tapper *t, const char *one, const char *other, struct link_info ends[2],
		     struct buf *why)
{
	struct nl_batch *b = t->batch;
	int set = 0, err = copy_end(t, one, &ends[0], why);

	if (err == -ENODEV) {
		nl_batch_init(b, t->route);
		link_add_pair(b, one, other, COPY_MTU, &set);
		nl_send(b);
		if (set) {
			buf_printf(why, "cannot make %s and %s: %s", one, other, strerror(-set));
			return set;
		}
		err = copy_end(t, one, &ends[0], why);
	}
	if (!err)
		err = copy_end(t, other, &ends[1], why);
	if (err && !why->n)
		buf_printf(why, "cannot find %s and %s: %s", one, other, strerror(-err));
	if (err)
		return err;
	no_ipv6(one);
	no_ipv6(other);
	return 0;
}

static int set_up(struct tapper *t, const struct link_info ends[2], int *set, struct buf *why)
{
	struct nl_batch *b = t->batch;

	for (unsigned i = 0; i < 2; i++)
		link_up(b, ends[i].index, COPY_MTU, true, set);
	nl_send(b);
	if (*set)
		buf_printf(why, "cannot set %s and %s up: %s", ends[0].name, ends[1].name, strerror(-*set));
	return *set;
}

int tap_link_copy(struct tapper *t, struct buf *why)
{
	const struct tap_kernel *k = &t->kernel;
	struct nl_batch *b = t->batch;
	struct link_info ends[2];
	int set = 0, err = make_pair(t, COPY_OUT_NAME, COPY_BACK_NAME, ends, why);

	if (err)
		return err;
	err = offload_virtio(COPY_OUT_NAME);
	if (err)
		return fail(why, err, "cannot set the offloads of " COPY_OUT_NAME);
	nl_batch_init(b, t->route);
	tc_clsact(b, ends[0].index, &set);
	tc_clsact(b, ends[1].index, &set);
	tc_filter(b, ends[0].index, true, k->copy_out, "weft_copy_out", &set);
	tc_filter(b, ends[0].index, false, k->copy_back, "weft_copy_back", &set);
	tc_filter(b, ends[1].index, false, k->copy_stop, "weft_copy_stop", &set);
	err = set_up(t, ends, &set, why);
	if (!err)
		t->copy_out = ends[0].index;
	return err;
}

/* What goes into it comes out as on the wire: else a mask would miss all segments but the first. */
int tap_link_edit(struct tapper *t, struct buf *why)
{
	struct nl_batch *b = t->batch;
	struct link_info ends[2];
	struct offload left;
	int set = 0, err = make_pair(t, EDIT_IN_NAME, EDIT_NAME, ends, why);

	if (err)
		return err;
	err = offload_unfinished(EDIT_IN_NAME, &left);
	if (!err)
		err = offload_set(EDIT_IN_NAME, &left, false);
	if (err)
		return fail(why, err, "cannot set the offloads of " EDIT_IN_NAME);
	nl_batch_init(b, t->route);
	tc_clsact(b, ends[1].index, &set);
	tc_filter(b, ends[1].index, false, t->kernel.edit, "weft_edit", &set);
	err = set_up(t, ends, &set, why);
	if (!err)
		t->edit_in = ends[0].index;
	return err;
}

/* --- interfaces by name ----------------------------------------------------------------------------- */

struct tap_device *tap_link_device(const struct tapper *t, const char name[TAP_NAME])
{
	VEC_EACH (&t->devices, d)
		if (!strncmp(d->name, name, TAP_NAME))
			return d;
	return NULL;
}

/* Whether it can be a feed, or get frames of one. True: that changed. */
static bool look_at_feed(const struct tapper *t, struct tap_device *d, uint32_t index)
{
	uint64_t before = d->xdp;
	bool addressed = d->addressed;

	d->xdp = 0;
	d->addressed = false;
	if (index && t->netdev.fd >= 0)
		netdev_xdp(&t->netdev, index, &d->xdp);
	if (index && d->feeds && addr_is_there(t->route, index, &d->addressed))
		d->addressed = true;
	return before != d->xdp || addressed != d->addressed;
}

bool tap_link_resolve(struct tapper *t)
{
	bool changed = false;

	VEC_EACH (&t->devices, d) {
		struct link_info l = {0};
		uint32_t index = link_get(t->route, 0, d->name, &l) ? 0 : l.index;
		bool ours = index && l.group == WEFT_LINK_GROUP;

		changed = look_at_feed(t, d, index) || changed || index != d->ifindex || ours != d->ours;
		if (index != d->ifindex) { /* it went with the interface */
			d->off = d->beside = (struct offload){0};
			own_fd(&d->link);
		}
		d->ifindex = index;
		d->ours = ours;
	}
	return changed;
}

/* What is to be switched off there; nothing: that it is no veth. A card does it by itself. */
static void look_at_offloads(const struct tapper *t, const struct tap_device *d, struct offload *out)
{
	struct link_info l;
	int err;

	*out = (struct offload){0};
	if (link_get(t->route, d->ifindex, NULL, &l) || strcmp(l.kind, "veth"))
		return;
	err = offload_unfinished(d->name, out);
	if (!err)
		return;
	*out = (struct offload){0};
	log_warn("%s: packets of tools leave as they came, not split and finished: %s", d->name,
		 strerror(-err));
}

int tap_link_put(struct tapper *t, struct tap_device *d, int in, int out)
{
	struct nl_batch *b = t->batch;
	char name[TC_TAP_NAME];
	int set = 0;

	record(d, name);
	nl_batch_init(b, t->route);
	tc_tap(b, d->at, false, in, name, &set);
	record_out(d, name);
	if (d->out)
		tc_tap(b, d->at, true, out, name, &set);
	nl_send(b);
	return set;
}

static void forget_own(struct tap_device *d)
{
	memset(d->own, 0, sizeof(d->own));
	memset(d->refused, 0, sizeof(d->refused));
}

/* A program of its own that cannot be replaced goes: it would copy as objects said before. If it does not go
 * either, that is tried again with what is to be put there. */
static void put_failed(struct tapper *t, struct tap_device *d, int err)
{
	struct nl_batch *b = t->batch;
	int left = 0;

	nl_batch_init(b, t->route);
	tc_tap_del(b, d->at, false, &left);
	tc_tap_del(b, d->at, true, &left);
	nl_send(b);
	if (!left)
		forget_own(d);
	log_error("%s: its programs cannot be replaced, nothing is copied there: %s", d->name,
		  strerror(-err));
}

void tap_link_common(struct tapper *t, struct tap_device *d)
{
	d->error = tap_link_put(t, d, t->kernel.in, t->kernel.out);
	if (d->error)
		put_failed(t, d, d->error);
	else
		memset(d->own, 0, sizeof(d->own));
}

static void need_clsact(struct tapper *t, struct tap_device *d)
{
	struct nl_batch *b = t->batch;
	int made = 0;

	nl_batch_init(b, t->route);
	tc_clsact_new(b, d->ifindex, &made);
	nl_send(b);
	if (!made)
		d->qdisc = true;
}

/* An interface that copies only leave by has none at its egress: there it would cost each of them. */
static void put_programs(struct tapper *t, struct tap_device *d)
{
	bool own = d->own[0] || d->own[1] || d->stale;
	struct nl_batch *b = t->batch;
	char name[TC_TAP_NAME];
	int set = 0;

	if (d->at != d->ifindex)
		d->out = d->qdisc = own = false;
	if (d->at != d->ifindex || d->error)
		need_clsact(t, d);
	d->at = d->ifindex;
	record(d, name);
	nl_batch_init(b, t->route);
	tc_tap(b, d->ifindex, false, t->kernel.in, name, &set);
	record_out(d, name);
	if (d->place)
		tc_tap(b, d->ifindex, true, t->kernel.out, name, &set);
	else if (d->out)
		tc_tap_del(b, d->ifindex, true, NULL);
	nl_send(b);
	if (!set)
		forget_own(d);
	else if (own)
		put_failed(t, d, set);
	d->out = d->place;
	d->error = set;
	d->stale = d->stale && set;
}

static void attach(struct tapper *t, struct tap_device *d)
{
	bool finish = d->finish && !is_finished(d), restore = !d->finish && is_finished(d);
	bool feed = d->feed > TAP_FEED;

	if (!feed && (d->link >= 0 || d->beside.blocks))
		tap_feed_detach(t, d);
	if (feed && d->link < 0)
		feed = tap_feed_prepare(t, d);
	if (d->at == d->ifindex && d->out == d->place && !d->error && !d->stale && !finish && !restore &&
	    !(feed && d->link < 0))
		return;
	if (finish)
		look_at_offloads(t, d, &d->off);
	if (restore) {
		offload_set(d->name, &d->off, true);
		d->off = (struct offload){0};
	}
	/* First what is to be put back is written down, then it is changed. */
	put_programs(t, d);
	if (finish && is_finished(d))
		offload_set(d->name, &d->off, false);
	if (feed && d->link < 0)
		tap_feed_attach(t, d);
}

void tap_link_attach(struct tapper *t)
{
	VEC_EACH (&t->devices, d)
		if (d->ifindex && !d->ours && (d->place || d->finish))
			attach(t, d);
}

static void detach(struct tapper *t, struct tap_device *d)
{
	struct nl_batch *b = t->batch;

	if (is_finished(d) && d->at == d->ifindex)
		offload_set(d->name, &d->off, true);
	tap_feed_detach(t, d);
	nl_batch_init(b, t->route);
	tc_tap_del(b, d->at, false, NULL);
	tc_tap_del(b, d->at, true, NULL);
	nl_send(b);
	nl_batch_init(b, t->route);
	if (d->qdisc && !tc_has_filter(t->route, d->at, false) && !tc_has_filter(t->route, d->at, true))
		tc_clsact_del(b, d->at, NULL);
	nl_send(b);
	d->off = (struct offload){0};
	forget_own(d);
	d->out = d->qdisc = false;
	d->at = 0;
	d->error = 0;
}

void tap_link_detach(struct tapper *t)
{
	for (size_t i = 0; i < t->devices.len;) {
		struct tap_device *d = &t->devices.items[i];

		if (d->at && ((!d->place && !d->finish) || d->ours || d->at != d->ifindex))
			detach(t, d);
		if (d->named)
			i++;
		else
			vec_remove(&t->devices, i);
	}
}

void tap_link_clean(struct tapper *t)
{
	VEC_EACH (&t->devices, d)
		d->place = d->finish = d->named = d->feeds = false;
	tap_link_detach(t);
	nl_batch_init(t->batch, t->route);
	if (t->copy_out)
		link_del(t->batch, t->copy_out, NULL);
	if (t->edit_in)
		link_del(t->batch, t->edit_in, NULL);
	nl_send(t->batch);
	t->copy_out = t->edit_in = 0;
}
