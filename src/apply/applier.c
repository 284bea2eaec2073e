/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The applier's conversation: one message in, answers out. Holds the order of start and end; the work is in
 * the files beside it. Trusts no byte of the planner's.
 */
#include "apply/apply.h"

#include <errno.h>
#include <sys/stat.h>

#include "apply/state.h"
#include "apply/tap.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"

enum { TICK_MS = 1000 };

static int count_maps(struct applier *a)
{
	int bad = map_learn(&a->kernel);

	if (bad)
		return bad;
	for (unsigned m = 0; m < PLAN_MAP_COUNT; m++) {
		int err;

		if (map_table[m].writer != WRITER_PLAN || map_table[m].type == BPF_MAP_TYPE_ARRAY)
			continue;
		err = map_count(&a->kernel, m, &a->counts[m]);
		if (err)
			return err;
	}
	return 0;
}

int applier_new(struct applier **out, const struct applier_options *o, struct buf *why)
{
	struct kernel_options ko = {.bpf_dir = o->bpf_dir, .cgroup = o->cgroup, .entries = o->entries};
	struct applier *a = calloc(1, sizeof(*a));
	struct stat st;
	int err;

	if (!a)
		return -ENOMEM;
	kernel_init(&a->kernel);
	a->mode = o->mode;
	a->keep = o->keep;
	a->keep_ctx = o->keep_ctx;
	a->route_fd = nl_open();
	a->batch = calloc(1, sizeof(*a->batch));
	a->next = clock_ms() + TICK_MS;
	err = a->route_fd < 0 ? a->route_fd : a->batch ? 0 : -ENOMEM;
	if (!err && stat("/proc/self/ns/net", &st))
		err = -errno;
	if (err) {
		buf_printf(why, "cannot open netlink: %s", strerror(-err));
	} else {
		a->netns = st.st_ino;
		err = kernel_open(&a->kernel, &ko, why);
	}
	if (!err)
		err = device_open(a, o->uplink, why);
	if (!err) {
		err = count_maps(a);
		if (!err)
			err = sweeper_new(&a->sweeper, &a->kernel);
		if (!err)
			err = reaper_new(&a->reaper, &a->kernel);
		if (!err)
			err = gone_learn(a);
		/* An earlier process may have ended between an element of `endpoint` and its count. */
		if (!err)
			err = map_raise(&a->kernel, PLAN_MAP_wiring);
		if (!err)
			err = pod_links_adopt(a);
		if (!err)
			err = strict_learn(a);
		if (!err)
			err = fault_learn(a);
		if (!err)
			err = addresses_adopt(a);
		if (!err)
			tapping_adopt(a);
		if (err)
			buf_printf(why, "cannot take over what is in force: %s", strerror(-err));
	}
	if (err) {
		applier_free(&a);
		return err;
	}
	*out = a;
	return 0;
}

void applier_free(struct applier **pa)
{
	struct applier *a = *pa;

	*pa = NULL;
	if (!a)
		return;
	txn_reset(&a->txn);
	tapper_free(&a->tapper);
	sweeper_free(&a->sweeper);
	pod_links_fini(a);
	namespaces_fini(a);
	reaper_free(&a->reaper);
	gone_fini(a);
	hash_fini(&a->strict.pods);
	vec_free(&a->announced);
	kernel_close(&a->kernel);
	own_fd(&a->route_fd);
	free(a->batch);
	free(a);
}

void applier_reset(struct applier *a)
{
	txn_reset(&a->txn);
}

static int welcome(struct applier *a, uint32_t txn, applier_send *send, void *ctx)
{
	struct wire_welcome w = {.mode = a->mode,
				 .uplink = a->uplink,
				 .tunnel = a->tunnel,
				 .mtu = a->mtu,
				 .fresh = a->kernel.fresh,
				 .tapped = a->tapper != NULL};
	AUTO_BUF b = {0};

	memcpy(w.uplink_mac, a->uplink_mac, 6);
	memcpy(w.entries, a->kernel.entries, sizeof(w.entries));
	wire_start(&b, WIRE_WELCOME, txn);
	buf_add(&b, &w, sizeof(w));
	return b.failed ? -ENOMEM : send(ctx, b.p, b.n);
}

static int take_rows(struct applier *a, const void *message, size_t n)
{
	struct wire_reader r;
	struct change c;
	unsigned step;
	int ret;

	wire_reader_init(&r, message, n);
	while ((ret = wire_next(&r, &step, &c)) == 1) {
		int err = txn_add(&a->txn, step, &c);

		if (err)
			return err;
	}
	return ret;
}

static int commit(struct applier *a, applier_send *send, void *ctx)
{
	AUTO_BUF out = {0}, why = {0};
	struct wire_done d = txn_commit(a, &why);
	int err = 0;

	wire_start(&out, WIRE_RESULTS, a->txn.id);
	VEC_EACH (&a->txn.results, r) {
		err = wire_put_result(&out, *r);
		if (err == -EMSGSIZE) {
			err = send(ctx, out.p, out.n);
			wire_start(&out, WIRE_RESULTS, a->txn.id);
			if (!err)
				err = wire_put_result(&out, *r);
		}
		if (err)
			return err;
	}
	err = send(ctx, out.p, out.n);
	if (err)
		return err;
	wire_start(&out, WIRE_DONE, a->txn.id);
	buf_add(&out, &d, sizeof(d));
	buf_adds(&out, buf_str(&why));
	txn_reset(&a->txn);
	return out.failed ? -ENOMEM : send(ctx, out.p, out.n);
}

struct sender {
	struct buf b;
	applier_send *send;
	void *ctx;
	uint32_t txn;
};

static int send_row(void *ctx, const struct row *r)
{
	struct sender *s = ctx;
	struct change c = {.op = CHANGE_ADD, .row = *r};
	int err = wire_put(&s->b, 0, &c);

	if (err != -EMSGSIZE)
		return err;
	err = s->send(s->ctx, s->b.p, s->b.n);
	wire_start(&s->b, WIRE_ROWS, s->txn);
	return err ? err : wire_put(&s->b, 0, &c);
}

static int readback(struct applier *a, uint32_t txn, applier_send *send, void *ctx)
{
	struct sender s = {.send = send, .ctx = ctx, .txn = txn};
	AUTO_BUF faults = {0};
	int err;

	wire_start(&s.b, WIRE_ROWS, txn);
	err = readback_rows(a, send_row, &s);
	if (!err)
		err = send(ctx, s.b.p, s.b.n);
	wire_start(&s.b, WIRE_FAULTS, txn);
	readback_faults(a, &faults);
	if (faults.n > WIRE_MESSAGE_MAX / 2)
		faults.n = WIRE_MESSAGE_MAX / 2;
	buf_adds(&s.b, buf_str(&faults));
	if (!err)
		err = s.b.failed ? -ENOMEM : send(ctx, s.b.p, s.b.n);
	buf_fini(&s.b);
	return err;
}

/* Returns 0 when the three descriptors were taken over. */
static int take_namespace(struct applier *a, const void *message, size_t n, const int *fds, unsigned nfds)
{
	char uid[UID_SIZE];
	int err;

	if (n != sizeof(struct wire_head) + UID_SIZE || nfds != 3)
		return -EPROTO;
	memcpy(uid, (const char *)message + sizeof(struct wire_head), UID_SIZE);
	err = namespace_take(a, uid, fds);
	if (err)
		log_warn("namespace of pod %.40s refused: %s", uid, strerror(-err));
	return err;
}

static int ask(struct applier *a, uint32_t txn, const void *message, size_t n, applier_send *send, void *ctx)
{
	static struct ask asks[WIRE_ASKS_MAX];
	AUTO_BUF b = {0};
	size_t count;
	int err = wire_asks_read(message, n, NULL, asks, &count), bad = 0;

	for (size_t i = 0; i < count && !err && !bad; i++)
		bad = kernel_ask(&a->kernel, &asks[i]);
	if (err)
		return err;
	wire_asks(&b, WIRE_ANSWER, txn, bad, asks, bad ? 0 : count);
	return b.failed ? -ENOMEM : send(ctx, b.p, b.n);
}

static int lose(struct applier *a, uint32_t txn, const void *message, size_t n, applier_send *send, void *ctx)
{
	AUTO_BUF b = {0};
	struct wire_loss l;
	int32_t result;

	if (n != sizeof(struct wire_head) + sizeof(l))
		return -EPROTO;
	memcpy(&l, (const char *)message + sizeof(struct wire_head), sizeof(l));
	result = fault_set(a, l.ifindex, l.millionths);
	wire_start(&b, WIRE_LOST, txn);
	wire_put_result(&b, result);
	return b.failed ? -ENOMEM : send(ctx, b.p, b.n);
}

int applier_message(struct applier *a, const void *message, size_t n, const int *fds, unsigned nfds,
		    applier_send *send, void *ctx)
{
	struct wire_head h;
	bool taken = false;
	int err = wire_head(message, n, &h);

	if (!err) {
		switch (h.type) {
		case WIRE_HELLO:
			err = welcome(a, h.txn, send, ctx);
			break;
		case WIRE_NAMESPACE:
			taken = !take_namespace(a, message, n, fds, nfds);
			break;
		case WIRE_BEGIN:
			txn_reset(&a->txn);
			a->txn.open = true;
			a->txn.id = h.txn;
			break;
		case WIRE_ROWS:
			err = a->txn.open && a->txn.id == h.txn ? take_rows(a, message, n) : -EPROTO;
			break;
		case WIRE_COMMIT:
			err = a->txn.open && a->txn.id == h.txn ? commit(a, send, ctx) : -EPROTO;
			break;
		case WIRE_READBACK:
			err = readback(a, h.txn, send, ctx);
			break;
		case WIRE_ASK:
			err = ask(a, h.txn, message, n, send, ctx);
			break;
		case WIRE_LOSE:
			err = lose(a, h.txn, message, n, send, ctx);
			break;
		case WIRE_TAPS:
			err = n == sizeof(h) ? tapping_take(a, h.txn, fds, nfds, send, ctx) : -EPROTO;
			break;
		default:
			err = -EPROTO;
		}
	}
	for (unsigned i = 0; !taken && i < nfds; i++)
		close(fds[i]);
	return err;
}

uint64_t applier_due(const struct applier *a)
{
	uint64_t mark = strict_due(a);

	return mark < a->next ? mark : a->next;
}

void applier_tick(struct applier *a)
{
	bool tick = clock_ms() >= a->next;
	uint32_t flags = strict_begin(a, tick);
	struct addresses list = {0};
	int err;

	if (!tick && !flags)
		return;
	if (tick) {
		gone_tick(a, &list);
		announce_tick(a);
		tapping_tick(a);
		a->next = clock_ms() + TICK_MS;
	}
	err = sweep_later(a->sweeper, &list, flags);

	if (err && !a->gc_failed)
		log_error("connections cannot be gone through: %s", strerror(-err));
	a->gc_failed = err != 0;
}

int applier_observer_fds(struct applier *a, int fds[APPLIER_FDS_MAX])
{
	static const enum plan_map maps[APPLIER_OBSERVED] = {
	    PLAN_MAP_drop,	   PLAN_MAP_counter,	 PLAN_MAP_conn4,    PLAN_MAP_conn6,
	    PLAN_MAP_half4,	   PLAN_MAP_half6,	 PLAN_MAP_staged,   PLAN_MAP_learned,
	    PLAN_MAP_nat,	   PLAN_MAP_kernel_drop, PLAN_MAP_watching, PLAN_MAP_tapped,
	    PLAN_MAP_outlet_count, PLAN_MAP_tapped_slot};
	static const enum plan_map rings[APPLIER_RINGS] = {PLAN_MAP_asked, PLAN_MAP_ended};
	int n = 0, err = 0;

	for (; n < APPLIER_OBSERVED; n++) {
		fds[n] = kernel_map_readonly(&a->kernel, maps[n]);
		err = fds[n] < 0 ? fds[n] : 0;
		if (err)
			break;
	}
	/* Who reads a ring moves its end: that takes more than reading. First what was asked, then the ended,
	 * then each CPU's events. */
	for (unsigned i = 0; !err && i < APPLIER_RINGS + a->kernel.rings; i++, n++) {
		fds[n] = dup(i < APPLIER_RINGS ? a->kernel.map[rings[i]] : a->kernel.ring[i - APPLIER_RINGS]);
		err = fds[n] < 0 ? -errno : 0;
		if (err)
			break;
	}
	while (err && n > 0)
		close(fds[--n]);
	return err ? err : n;
}

int applier_outlet_fd(struct applier *a, int fds[1])
{
	fds[0] = kernel_map_readonly(&a->kernel, PLAN_MAP_outlet_count);
	return fds[0] < 0 ? fds[0] : 1;
}

void applier_clean(struct applier *a)
{
	int gone = 0;

	tapping_clean(a);
	addresses_clean(a);
	routes_clean(a);
	nl_batch_init(a->batch, a->route_fd);
	link_del_group(a->batch, WEFT_LINK_GROUP, &gone);
	nl_send(a->batch);
	if (gone)
		log_warn("links of pods cannot be removed: %s", strerror(-gone));
	device_clean(a);
	kernel_unpin(&a->kernel);
}
