/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Epochs: what taps ask for is checked, becomes an image of the BPF maps, and replaces the image in force:
 * new judges, outlets and programs first, then elements of BPF map tap one by one (each names its epoch),
 * then what nothing leads to any more goes. What fails on the way is put back.
 */
#include "apply/tap.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "apply/tap_state.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"

static void image_fini(struct tap_image *i)
{
	vec_free(&i->elements);
	free(i->outlets);
	i->outlets = NULL;
}

static int image_init(struct tap_image *i)
{
	*i = (struct tap_image){.outlets = calloc(OUTLETS_MAX + 1, sizeof(*i->outlets))};
	return i->outlets ? 0 : -ENOMEM;
}

static int by_ifindex(const void *a, const void *b)
{
	uint32_t m = ((const struct tap_element *)a)->ifindex, n = ((const struct tap_element *)b)->ifindex;

	return m < n ? -1 : m > n;
}

static void sort(struct tap_image *i)
{
	if (i->elements.len)
		qsort(i->elements.items, i->elements.len, sizeof(*i->elements.items), by_ifindex);
}

const struct tap_element *tap_element(const struct tap_image *i, uint32_t ifindex)
{
	const struct tap_element key = {.ifindex = ifindex};

	return i->elements.len ? bsearch(&key, i->elements.items, i->elements.len, sizeof(key), by_ifindex)
			       : NULL;
}

/* --- what an earlier process left ------------------------------------------------------------------- */

static int learn(struct tapper *t)
{
	uint32_t key, *last = NULL;
	struct tap_element e;
	int err;

	while (!bpf_map_get_next_key(t->kernel.tap, last, &key)) {
		last = &e.ifindex;
		e.ifindex = key;
		if (bpf_map_lookup_elem(t->kernel.tap, &key, &e.value))
			continue;
		if (vec_push(&t->now.elements, e))
			return -ENOMEM;
		if (e.value.judge < t->kernel.judges)
			t->slots[e.value.judge].used = true;
	}
	sort(&t->now);
	err = tap_slots_learn(t);
	if (err)
		return err;
	for (uint32_t i = 0; i < t->kernel.outlets && i <= OUTLETS_MAX; i++)
		if (bpf_map_lookup_elem(t->kernel.outlet, &i, &t->now.outlets[i]))
			return -errno;
	return 0;
}

int tapper_new(struct tapper **out, const struct tap_kernel *k, struct buf *why)
{
	struct tapper *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return -ENOMEM;
	t->kernel = *k;
	t->route = t->watch = t->lock = t->netdev.fd = -1;
	t->slots = calloc(k->judges + 1, sizeof(*t->slots));
	err = t->slots ? image_init(&t->now) : -ENOMEM;
	if (!err)
		err = tap_feed_open(t);
	for (uint32_t i = 0; t->slots && i < k->judges; i++)
		t->slots[i].filled = true; /* perhaps */
	if (!err)
		err = tap_link_open(t, why);
	if (!err) {
		err = learn(t);
		if (err)
			buf_printf(why, "cannot read the taps that are there: %s", strerror(-err));
	}
	if (err)
		tapper_free(&t);
	else
		*out = t;
	return err;
}

void tapper_free(struct tapper **pt)
{
	struct tapper *t = *pt;

	*pt = NULL;
	if (!t)
		return;
	tap_link_close(t);
	tap_feed_close(t);
	tap_places_close(t);
	taps_fini(&t->taps);
	image_fini(&t->now);
	free(t->slot_of);
	free(t->slots);
	free(t);
}

/* --- what may be asked for -------------------------------------------------------------------------- */

static bool is_pod(const struct tapper *t, uint32_t ifindex)
{
	return t->kernel.pods_last && ifindex >= t->kernel.pods_first && ifindex <= t->kernel.pods_last;
}

static bool may_name(const char name[TAP_NAME])
{
	return strcmp(name, "lo") && strcmp(name, COPY_OUT_NAME) && strcmp(name, COPY_BACK_NAME) &&
	       strcmp(name, EDIT_IN_NAME) && strcmp(name, EDIT_NAME);
}

static int guard(const struct tapper *t, const struct taps *taps, struct buf *why)
{
	for (uint32_t i = 0; i < taps->places_n; i++) {
		const struct tap_place *p = &taps->places[i];

		if (p->where == TAP_AT_POD ? is_pod(t, p->ifindex) : may_name(p->name))
			continue;
		buf_printf(why, "point %u: no tap may be at interface %u %.*s", p->point, p->ifindex,
			   TAP_NAME, p->name);
		return -EPERM;
	}
	for (uint32_t i = 0; i < taps->outlets_n; i++) {
		const struct tap_outlet *o = &taps->outlets[i];

		if (o->number < t->kernel.outlets &&
		    (o->way == OUTLET_POD ? is_pod(t, o->ifindex) : may_name(o->name)))
			continue;
		buf_printf(why, "outlet %u: nothing may be sent to interface %u %.*s", o->number, o->ifindex,
			   TAP_NAME, o->name);
		return -EPERM;
	}
	return 0;
}

/* --- from taps to an image -------------------------------------------------------------------------- */

static int name_device(struct tapper *t, const char name[TAP_NAME], bool place, bool finish)
{
	struct tap_device *d = tap_link_device(t, name);

	if (!d) {
		struct tap_device fresh = {.link = -1};

		memcpy(fresh.name, name, TAP_NAME);
		if (vec_push(&t->devices, fresh))
			return -ENOMEM;
		d = &t->devices.items[t->devices.len - 1];
	}
	d->named = true;
	d->place = d->place || place;
	d->finish = d->finish || finish;
	return 0;
}

static int name_devices(struct tapper *t, const struct taps *taps)
{
	int err = 0;

	VEC_EACH (&t->devices, d)
		d->named = d->place = d->finish = d->feeds = d->outlet = false;
	for (uint32_t i = 0; i < taps->places_n && !err; i++) {
		const struct tap_place *p = &taps->places[i];

		if (p->where != TAP_AT_INTERFACE)
			continue;
		err = name_device(t, p->name, true, false);
		if (!err && p->feed)
			tap_link_device(t, p->name)->feeds = true;
	}
	for (uint32_t i = 0; i < taps->outlets_n && !err; i++)
		if (taps->outlets[i].way != OUTLET_POD) {
			err = name_device(t, taps->outlets[i].name, taps->outlets[i].answers,
					  taps->outlets[i].finish);
			if (!err)
				tap_link_device(t, taps->outlets[i].name)->outlet = true;
		}
	return err;
}

/* 0: it is not there. */
static uint32_t index_of(const struct tapper *t, const char name[TAP_NAME])
{
	const struct tap_device *d = tap_link_device(t, name);

	return d && !d->ours ? d->ifindex : 0;
}

static int make_image(struct tapper *t, const struct taps *taps, const uint32_t *slot_of,
		      struct tap_image *out)
{
	if (image_init(out) || vec_reserve(&out->elements, taps->places_n + 1))
		return -ENOMEM;
	for (uint32_t i = 0; i < taps->places_n; i++) {
		const struct tap_place *p = &taps->places[i];
		struct tap_element e = {.ifindex = p->where == TAP_AT_POD ? p->ifindex : index_of(t, p->name),
					.value = {.judge = slot_of[p->judge],
						  .point = p->point,
						  .epoch = taps->epoch,
						  .own = p->own,
						  .directs = p->directs}};
		const struct tap_device *d = p->feed ? tap_link_device(t, p->name) : NULL;

		memcpy(e.value.take, p->take, sizeof(e.value.take));
		memcpy(e.value.direct, p->direct, p->directs * sizeof(*p->direct));
		e.value.feed = d ? d->feed : 0;
		if (e.ifindex && p->where == TAP_AT_INTERFACE)
			e.value.slot = tap_slot(t, e.ifindex);
		if (e.ifindex)
			out->elements.items[out->elements.len++] = e;
	}
	sort(out);
	for (uint32_t i = 0; i < taps->outlets_n; i++) {
		const struct tap_outlet *o = &taps->outlets[i];
		uint32_t index = o->way == OUTLET_POD ? o->ifindex : index_of(t, o->name);

		if (index)
			out->outlets[o->number] = (struct outlet_value){
			    .ifindex = index, .way = (uint32_t)o->way, .via = o->edits ? t->edit_in : 0};
	}
	/* Element 0 tells the programs that there are taps at all, and where copies go. */
	if (out->elements.len)
		out->outlets[0] = (struct outlet_value){.ifindex = t->copy_out, .way = OUTLET_INTERFACE};
	return 0;
}

/* --- into force ------------------------------------------------------------------------------------- */

/* What outlets do to copies, before anything leads to them. One with another edit has another number. */
static int put_edits(struct tapper *t, const struct taps *taps, struct buf *why)
{
	bool pair = false;

	for (uint32_t i = 0; i < taps->outlets_n; i++) {
		const struct tap_outlet *o = &taps->outlets[i];
		int err = o->edits && !pair ? tap_link_edit(t, why) : 0;

		if (err)
			return err;
		if (!o->edits)
			continue;
		pair = true;
		if (bpf_map_update_elem(t->kernel.edits, &o->number, &o->edit, BPF_ANY)) {
			err = -errno;
			buf_printf(why, "outlet %u cannot be edited: %s", o->number, strerror(-err));
			return err;
		}
	}
	return 0;
}

static int put_outlets(struct tapper *t, const struct tap_image *from, const struct tap_image *to, bool gone)
{
	for (uint32_t i = 0; i < t->kernel.outlets && i <= OUTLETS_MAX; i++) {
		const struct outlet_value *v = &to->outlets[i];

		if (!memcmp(v, &from->outlets[i], sizeof(*v)) || !v->ifindex != gone)
			continue;
		t->retired[i] = false;
		if (bpf_map_update_elem(t->kernel.outlet, &i, v, BPF_ANY))
			return -errno;
	}
	return 0;
}

static int put_elements(const struct tapper *t, const struct tap_image *from, const struct tap_image *to)
{
	VEC_EACH (&to->elements, e) {
		const struct tap_element *old = tap_element(from, e->ifindex);

		if (old && !memcmp(&old->value, &e->value, sizeof(e->value)))
			continue;
		if (bpf_map_update_elem(t->kernel.tap, &e->ifindex, &e->value, BPF_ANY))
			return -errno;
	}
	return 0;
}

static void drop_elements(const struct tapper *t, const struct tap_image *from, const struct tap_image *to)
{
	VEC_EACH (&from->elements, e)
		if (!tap_element(to, e->ifindex))
			bpf_map_delete_elem(t->kernel.tap, &e->ifindex);
}

/* An outlet that is not wanted any more stays until the next change, or for RETIRED_MS: weft-copier may have
 * copies for it. */
#define RETIRED_MS 5000
static void retire_outlets(struct tapper *t, struct tap_image *to)
{
	for (uint32_t i = 1; i <= OUTLETS_MAX; i++) {
		if (to->outlets[i].ifindex) {
			t->retired[i] = false;
		} else if (t->now.outlets[i].ifindex && !t->retired[i]) {
			to->outlets[i] = t->now.outlets[i];
			t->retired[i] = true;
			t->retired_at = clock_ms();
		}
	}
}

/* The image in force becomes *to, which is taken over; or all stays as it is. */
static int settle(struct tapper *t, const struct taps *taps, struct tap_image *to)
{
	int err = put_outlets(t, &t->now, to, false);

	/* Before a copy goes there: a device that gets its clsact refuses packets for a moment. */
	if (!err) {
		tap_link_attach(t);
		err = put_elements(t, &t->now, to);
	}
	if (err) {
		/* Whatever was written goes back: these elements were there, so there is room for them. */
		drop_elements(t, to, &t->now);
		put_elements(t, to, &t->now);
		put_outlets(t, to, &t->now, false);
		put_outlets(t, to, &t->now, true);
		image_fini(to);
		return err;
	}
	drop_elements(t, &t->now, to);
	tap_places_settle(t, taps, to);
	tap_link_detach(t);
	put_outlets(t, &t->now, to, true);
	image_fini(&t->now);
	t->now = *to;
	*to = (struct tap_image){0};
	return 0;
}

static void name_devices_again(struct tapper *t)
{
	if (name_devices(t, &t->taps))
		log_error("interfaces of taps are forgotten: %s", strerror(ENOMEM));
	tap_link_resolve(t);
	tap_link_detach(t);
}

int tapper_apply(struct tapper *t, struct taps *taps, struct buf *said)
{
	AUTO_MEM uint32_t *slot_of = calloc((size_t)taps->judges_n + 1, sizeof(*slot_of));
	struct tap_image image = {0};
	int err = slot_of ? guard(t, taps, said) : -ENOMEM;

	if (!err && taps->places_n > t->kernel.taps) {
		buf_printf(said, "%u places; there is room for %u", taps->places_n, t->kernel.taps);
		err = -ENOSPC;
	}
	if (!err)
		err = tap_link_copy(t, said);
	if (!err)
		err = put_edits(t, taps, said);
	if (!err)
		err = tap_judges_load(t, taps, slot_of, said);
	if (err)
		return err;
	err = name_devices(t, taps);
	if (!err) {
		tap_link_resolve(t);
		tap_feed_make(t, taps);
		err = make_image(t, taps, slot_of, &image);
	}
	if (!err) {
		retire_outlets(t, &image);
		err = settle(t, taps, &image);
	} else
		image_fini(&image);
	if (err) {
		buf_printf(said, "epoch %u cannot be put into force: %s", taps->epoch, strerror(-err));
		name_devices_again(t);
		tap_judges_settle(t, false);
		tap_feed_settle(t, false);
		return err;
	}
	tap_judges_settle(t, true);
	tap_feed_settle(t, true);
	taps_fini(&t->taps);
	t->taps = *taps;
	*taps = (struct taps){0};
	free(t->slot_of);
	t->slot_of = TAKE(slot_of);
	tapper_missing(t, said);
	return 0;
}

void tapper_missing(const struct tapper *t, struct buf *out)
{
	VEC_EACH (&t->devices, d) {
		if (!d->named)
			continue;
		if (d->ours)
			buf_printf(out, "interface %s is Weft's own: nothing is tapped there, nothing sent\n",
				   d->name);
		else if (!d->ifindex)
			buf_printf(out, "interface %s is not there\n", d->name);
		else if (d->error)
			buf_printf(out,
				   "interface %s cannot be tapped: %s; does another program hold tc priority "
				   "1 there?\n",
				   d->name, strerror(-d->error));
	}
}

/* --- links that come and go ------------------------------------------------------------------------- */

int tapper_fd(const struct tapper *t)
{
	return t->watch;
}

bool tapper_look(struct tapper *t)
{
	struct tap_image image = {0};
	char bytes[8192];
	int err;

	/* What came is not read: the interfaces are asked for by name, also when the queue had overflowed. */
	while (recv(t->watch, bytes, sizeof(bytes), 0) > 0 || errno == ENOBUFS)
		errno = 0;
	if (!tap_link_resolve(t))
		return false;
	tap_feed_make(t, &t->taps);
	err = make_image(t, &t->taps, t->slot_of, &image);
	if (!err)
		err = settle(t, &t->taps, &image);
	else
		image_fini(&image);
	if (err)
		log_error("taps cannot follow the interfaces: %s", strerror(-err));
	tap_feed_settle(t, !err);
	return true;
}

void tapper_rest(struct tapper *t)
{
	static const struct outlet_value none;

	if (!t->retired_at || clock_ms() - t->retired_at < RETIRED_MS)
		return;
	t->retired_at = 0;
	for (uint32_t i = 1; i < t->kernel.outlets && i <= OUTLETS_MAX; i++)
		if (t->retired[i] && !bpf_map_update_elem(t->kernel.outlet, &i, &none, BPF_ANY)) {
			t->retired[i] = false;
			t->now.outlets[i] = none;
		}
}

int tapper_quiet(struct tapper *t)
{
	struct tap_image image = {0};
	int err = image_init(&image);

	if (err)
		return err;
	memcpy(image.outlets + 1, t->now.outlets + 1, OUTLETS_MAX * sizeof(*image.outlets));
	return settle(t, NULL, &image);
}

void tapper_clean(struct tapper *t)
{
	struct tap_image none = {0};

	if (!image_init(&none)) {
		put_outlets(t, &t->now, &none, true);
		drop_elements(t, &t->now, &none);
	}
	image_fini(&none);
	tap_link_clean(t);
	tap_judges_clean(t);
	tap_feed_clean(t);
	vec_free(&t->now.elements);
	memset(t->now.outlets, 0, (OUTLETS_MAX + 1) * sizeof(*t->now.outlets));
	taps_fini(&t->taps);
}
