/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taps in order: objects or pods change → an epoch is made → weft-copier has it → the applier has it → the
 * commit that wires new pods goes out, so that their first packets are copied (BR14). Changes that wire
 * nobody are gathered for a moment. weft-copier is waited for a little while only: without it, tools that get
 * their copies straight from the kernel are served all the same.
 */
#include "agent/taps.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"

enum {
	GATHER_MS = 250,
	FIRST_MS = 1000, /* weft-copier is being started */
	HOLD_MS = 300,
	RETRY_MS = 1000
};

static void on_timer(uv_timer_t *timer)
{
	struct tapping *t = timer->data;

	taps_step(t);
}

static void wake_at(struct tapping *t, uint64_t ms)
{
	uint64_t now = clock_ms();

	uv_timer_start(&t->timer, on_timer, ms > now ? ms - now : 1, 0);
}

int taps_new(struct planner *p)
{
	struct tapping *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->p = p;
	t->fd = -1;
	t->points = (struct numbers){.first = 0, .end = TAP_POINTS_MAX};
	t->outlets = (struct numbers){.first = 1, .next = 1, .end = OUTLETS_MAX + 1};
	uv_timer_init(&p->loop, &t->timer);
	t->timer.data = t;
	p->taps = t;
	return 0;
}

static bool is_here(const struct planner *p, const struct object *o)
{
	return o && o->pod->spec && str_eqz(o->pod->spec->node_name, p->o.node);
}

void taps_note(struct planner *p, const struct event *e)
{
	struct tapping *t = p->taps;

	switch (e->object->desc->kind) {
	case KIND_tool:
	case KIND_toolgroup:
	case KIND_trafficfilter:
	case KIND_trafficmap:
	case KIND_capture:
		t->objects_dirty = true;
		break;
	case KIND_pod:
		t->places_dirty |= t->names || t->shared || is_here(p, e->object) || is_here(p, e->old);
		break;
	case KIND_namespace:
		t->places_dirty = true;
		break;
	case KIND_node:
		t->places_dirty |= t->names || t->shared || str_eqz(e->object->meta.name, p->o.node);
		break;
	case KIND_service:
		t->places_dirty |= t->names || t->services;
		break;
	case KIND_endpointslice:
		t->places_dirty |= t->services;
		break;
	default:
		break;
	}
}

static bool applier_there(const struct planner *p)
{
	return p->state != APPLIER_AWAY && p->state != APPLIER_HELLO;
}

/* Nobody waits for the epoch any more. */
static void go_on(struct tapping *t)
{
	if (!t->held)
		return;
	t->held = false;
	sync_go_on(t->p);
}

static int send_taps(struct tapping *t, const struct buf *taps, enum tapped what)
{
	struct buf b = {0};
	int fd = taps_memory(taps->p, taps->n);

	if (fd < 0)
		return fd;
	wire_start(&b, WIRE_TAPS, t->p->txn);
	link_send(t->p, &b, &fd, 1);
	t->awaited = what;
	return 0;
}

/* weft-copy0 and weft-copy1 without a place: the packet socket comes before the first packet. */
static void prepare(struct tapping *t)
{
	struct taps none = {.epoch = t->epoch - 1};
	AUTO_BUF bytes = {0};

	taps_encode(&bytes, &none);
	if (bytes.failed || send_taps(t, &bytes, TAPPED_PREPARING))
		t->retry = clock_ms() + RETRY_MS;
}

static void want_packets(struct tapping *t)
{
	t->packets = !control_send(CONTROL_FD, CONTROL_WANT, WANT_PACKETS, -1);
}

static void ask_copier(struct tapping *t)
{
	int err = copier_ask(t);

	t->asked = !err;
	if (!err || err == -EAGAIN)
		return;
	log_warn("weft-copier cannot be told: %s", strerror(-err));
	copier_drop(t);
}

static void send_epoch(struct tapping *t)
{
	if (!t->configured && !t->retry && t->b->maps_n)
		log_warn("taps: epoch %u goes on without weft-copier", t->epoch);
	t->sent = !send_taps(t, &t->taps, TAPPED_EPOCH);
	if (!t->sent)
		t->retry = clock_ms() + RETRY_MS;
	go_on(t);
}

void taps_step(struct tapping *t)
{
	uint64_t now = clock_ms();

	if (!t->epoch || t->refused)
		return;
	if (!t->wanted && t->b->maps_n)
		t->wanted = !control_send(CONTROL_FD, CONTROL_WANT, WANT_COPIER, -1);
	if (t->wanted && t->relays && !t->arrivals)
		t->arrivals = !control_send(CONTROL_FD, CONTROL_WANT, WANT_ARRIVALS, -1);
	if (t->poll && !t->packets && !t->awaited && t->in_force)
		want_packets(t);
	if (applier_there(t->p) && !t->awaited && now >= t->retry) {
		if (t->poll && !t->packets && now < t->deadline)
			prepare(t);
		else if (!t->sent && (t->configured || now >= t->deadline || (!t->poll && !t->b->maps_n)))
			send_epoch(t);
	}
	if (t->poll && t->packets && !t->asked && !t->configured)
		ask_copier(t);
	if (!t->sent)
		wake_at(t, now < t->retry ? t->retry : now < t->deadline ? t->deadline : now + RETRY_MS);
}

void taps_answered(struct tapping *t, uint32_t epoch, bool good, struct str error)
{
	if (epoch != t->epoch)
		return; /* of one before */
	t->asked = false;
	t->configured = good;
	t->ever |= good;
	if (!good) {
		log_error("taps: weft-copier refuses epoch %u: " STR_FMT, epoch, STR_ARG(error));
		t->refused = true;
		go_on(t);
	}
	taps_step(t);
}

void taps_copier_gone(struct tapping *t)
{
	if (t->epoch && !t->sent && t->ever)
		t->deadline = clock_ms() + HOLD_MS;
	taps_step(t);
}

static void tell_missing(struct tapping *t, struct str text)
{
	if (str_eq(text, buf_str(&t->missing)))
		return;
	buf_clear(&t->missing);
	buf_adds(&t->missing, text);
	while (text.n) {
		struct str line = str_cut(&text, '\n');

		if (line.n)
			log_warn("taps: " STR_FMT, STR_ARG(line));
	}
}

void taps_tapped(struct planner *p, int32_t result, struct str text)
{
	struct tapping *t = p->taps;
	enum tapped what = t->awaited;

	t->awaited = TAPPED_NOTHING;
	tell_missing(t, text);
	if (result) {
		log_error("taps: %s is not in force: %s",
			  what == TAPPED_PREPARING ? "the interface for copies" : "the epoch",
			  strerror(-result));
		t->retry = clock_ms() + RETRY_MS;
		t->sent &= what == TAPPED_PREPARING;
	} else if (what == TAPPED_PREPARING) {
		want_packets(t);
	} else if (what == TAPPED_EPOCH) {
		t->in_force = true;
	}
	taps_step(t);
}

void taps_welcome(struct planner *p)
{
	if (!p->welcome.tapped || p->taps->epoch)
		return;
	p->taps->left = p->taps->objects_dirty = true;
}

void taps_applier_lost(struct planner *p)
{
	struct tapping *t = p->taps;

	t->awaited = TAPPED_NOTHING;
	t->sent = t->held = false;
}

void taps_copier(struct planner *p, int fd, bool packets)
{
	copier_take(p->taps, fd, packets);
}

void taps_print_status(const struct planner *p, struct buf *out)
{
	const struct tapping *t = p->taps;

	if (!t->epoch && !t->wrong.n)
		return;
	buf_printf(out, ",\"taps\":{\"epoch\":%u,\"inForce\":%s,\"copier\":%s,\"wrong\":", t->epoch,
		   t->in_force && t->sent && !t->awaited ? "true" : "false",
		   t->configured ? "true" : "false");
	buf_json(out, buf_str(&t->wrong));
	buf_addz(out, ",\"missing\":");
	buf_json(out, buf_str(&t->missing));
	buf_addc(out, '}');
}

/* The next epoch, where something changed. */
static bool make(struct tapping *t, bool *fresh)
{
	bool changed;
	int err = taps_make(t, &changed, fresh);

	if (err) {
		log_error("taps: %s", strerror(-err));
		return false;
	}
	t->objects_dirty = t->places_dirty = false;
	if (!changed)
		return false;
	t->made = clock_ms();
	t->deadline = t->made + (t->ever ? HOLD_MS : FIRST_MS);
	t->asked = t->configured = t->sent = t->refused = false;
	t->retry = 0;
	taps_step(t);
	return true;
}

bool taps_hold(struct planner *p)
{
	struct tapping *t = p->taps;
	bool fresh;

	if (!t->objects_dirty && !t->places_dirty)
		return false;
	t->held = true; /* the way may be short */
	if (!make(t, &fresh) || !fresh || t->sent || t->refused) {
		t->held = false;
		return false;
	}
	return true;
}

void taps_kick(struct planner *p)
{
	struct tapping *t = p->taps;
	uint64_t now = clock_ms();
	bool fresh;

	if (p->state != APPLIER_IDLE || !p->listed || p->whole || p->dirty || p->hold)
		return;
	if (!t->objects_dirty && !t->places_dirty) {
		if (t->epoch && !t->sent && !t->awaited)
			taps_step(t);
		return;
	}
	if (now < t->made + GATHER_MS)
		wake_at(t, t->made + GATHER_MS);
	else
		make(t, &fresh);
}
