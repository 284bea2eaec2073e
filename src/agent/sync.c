/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping the kernel equal to the plan. Normally a run of the compiler gives the changes and they are
 * committed; while a commit is on its way, further changes gather and go with the next one. After any doubt
 * (a start, a refusal, a row that failed) the kernel is read back whole and compared. Nothing is committed
 * before every kind was listed once.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#include "agent/planner.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"

enum { AGAIN_PARTLY_MS = 100, AGAIN_REFUSED_MS = 1000 };

void sync_row(struct planner *p, const struct row *r)
{
	if (kept_add(&p->actual, r))
		log_error("out of memory");
}

static void end_delta(struct planner *p)
{
	plan_delta_fini(&p->delta);
	vec_free(&p->plan.rows);
	p->plan = (struct plan){0};
	kept_forget(&p->actual);
}

static void send_delta(struct planner *p)
{
	struct buf b = {0};
	unsigned step = 0;

	p->txn++;
	programming_sent(p);
	since_begin(&p->since, &p->delta);
	link_simple(p, WIRE_BEGIN);
	wire_start(&b, WIRE_ROWS, p->txn);
	VEC_EACH (&p->delta.steps, s) {
		VEC_EACH (&s->changes, c) {
			int err = wire_put(&b, step, c);

			if (err == -EMSGSIZE) {
				link_send(p, &b, NULL, 0);
				wire_start(&b, WIRE_ROWS, p->txn);
				err = wire_put(&b, step, c);
			}
			if (err)
				log_error("a row cannot be sent: %s", strerror(-err));
		}
		step++;
	}
	link_send(p, &b, NULL, 0);
	vec_free(&p->results);
	p->state = APPLIER_COMMITTING;
	link_simple(p, WIRE_COMMIT);
}

static void commit(struct planner *p)
{
	p->state = APPLIER_IDLE;
	if (taps_hold(p))
		p->state = APPLIER_TAPPING;
	else
		send_delta(p);
}

void sync_go_on(struct planner *p)
{
	if (p->state == APPLIER_TAPPING)
		send_delta(p);
}

static void log_remarks(struct remarks *rs)
{
	AUTO_BUF b = {0};

	VEC_EACH (&rs->list, r) {
		buf_clear(&b);
		remark_print(&b, r, false);
		log_info("%.*s", (int)b.n, b.p ? b.p : "");
	}
	remarks_fini(rs);
}

static void on_again(uv_timer_t *t)
{
	struct planner *p = t->data;

	p->hold = false;
	p->whole = true;
}

/* What is in force is no longer known: compares all, but not at once. */
static void hold(struct planner *p, uint64_t ms)
{
	p->hold = true;
	p->whole = true;
	uv_timer_start(&p->again, on_again, ms, 0);
}

/* Whoever waits for the plan asks for the numbers often: they are kept, not counted. */
static void count(struct planner *p, const struct plan_delta *d)
{
	VEC_EACH (&d->steps, s)
		VEC_EACH (&s->changes, c) {
			size_t by = c->op == CHANGE_ADD ? 1 : c->op == CHANGE_DEL ? (size_t)-1 : 0;

			p->rows += by;
			p->links += c->row.type == ROW_LINK ? by : 0;
		}
}

static int run(struct planner *p, struct plan_delta *out)
{
	struct remarks rs = {0};
	int err;

	requests_wire(p);
	p->dirty = false;
	err = compiler_run(p->compiler, out, &rs);
	log_remarks(&rs);
	if (!err)
		count(p, out);
	if (err) {
		buf_clear(&p->alarm);
		buf_printf(&p->alarm, "the plan cannot be made: %s", strerror(-err));
		log_error("%s", p->alarm.p);
		hold(p, AGAIN_REFUSED_MS);
	}
	return err;
}

static void read_back(struct planner *p)
{
	kept_forget(&p->actual);
	p->txn++;
	p->state = APPLIER_READING;
	link_simple(p, WIRE_READBACK);
}

void sync_kick(struct planner *p)
{
	if (p->state != APPLIER_IDLE || !p->compiler || !p->listed)
		return;
	if ((p->whole && !p->hold) || p->readback_asked) {
		read_back(p);
		return;
	}
	if (!p->dirty || p->hold)
		return;
	if (run(p, &p->delta)) {
		end_delta(p);
		return;
	}
	if (plan_delta_changes(&p->delta))
		commit(p);
	else {
		end_delta(p);
		programming_none(p);
		p->noted_us = 0;
		requests_settle(p, false, NULL);
	}
}

static int tell_all(struct planner *p)
{
	for (enum kind k = 0; k < KIND_COUNT; k++) {
		struct object_refs all = {0};
		int err = store_list(p->store, k, (struct str){0}, &all);

		VEC_EACH (&all.list, o)
			if (!err)
				err = compiler_tell(p->compiler, NULL, *o);
		vec_free(&all.list);
		if (err)
			return err;
	}
	return 0;
}

void sync_welcome(struct planner *p)
{
	const struct wire_welcome *w = &p->welcome;
	struct compile_config cfg = {.node = str_of(p->o.node),
				     .mode = w->mode,
				     .uplink = w->uplink,
				     .tunnel = w->tunnel,
				     .mtu = w->mtu,
				     .services4 = p->o.services4,
				     .services6 = p->o.services6,
				     .no_external_ips = p->o.no_external_ips,
				     .strict = p->o.strict};
	int err;

	memcpy(cfg.uplink_mac, w->uplink_mac, 6);
	compiler_free(&p->compiler);
	p->rows = p->links = 0;
	err = compiler_new(&p->compiler, &cfg);
	if (!err)
		err = tell_all(p);
	if (err)
		log_error("no compiler: %s", strerror(-err));
	p->adopted = false;
	p->whole = true;
	p->state = APPLIER_IDLE;
	taps_welcome(p);
}

/* Pods whose links stand already were wired by an earlier planner. */
static void adopt(struct planner *p)
{
	HASH_EACH (&p->actual, s) {
		const struct kept_row *k = s->value;
		struct link_value v;

		if (k->type != ROW_LINK)
			continue;
		memcpy(&v, k->bytes + k->key_len, sizeof(v));
		v.uid[sizeof(v.uid) - 1] = '\0';
		compiler_wire(p->compiler, str_of(v.uid), true);
	}
	p->adopted = true;
}

static void print_differences(struct planner *p)
{
	static const char *const words[] = {
	    [CHANGE_ADD] = "missing: ", [CHANGE_SET] = "different: ", [CHANGE_DEL] = "strange: "};

	buf_clear(&p->differences);
	VEC_EACH (&p->delta.steps, s)
		VEC_EACH (&s->changes, c) {
			buf_addz(&p->differences, words[c->op]);
			row_print(&p->differences, &c->row, compiler_names(p->compiler));
			if (p->differences.n && p->differences.p[p->differences.n - 1] != '\n')
				buf_addc(&p->differences, '\n');
		}
	buf_adds(&p->differences, buf_str(&p->faults));
}

/* The plan is in force. Making and comparing all of it took much memory for a moment. */
static void settled(struct planner *p)
{
	if (p->whole)
		malloc_trim(0);
	p->whole = false;
	p->enforcing = true;
	if (!p->since.floor)
		since_end(&p->since, true, clock_wall_ns());
}

void sync_read(struct planner *p, struct str faults)
{
	bool asked = p->readback_asked && (!p->whole || p->hold);
	/* Nothing is in force and nothing was planned: what the first run changes is all there is to compare.
	 */
	bool first = !asked && !p->actual.len && !p->rows;
	struct plan_delta none = {0};
	int err = 0;

	p->state = APPLIER_IDLE;
	buf_clear(&p->faults);
	buf_adds(&p->faults, faults);
	if (!p->adopted)
		adopt(p);
	if (!asked) {
		/* What the run changes is part of the comparison that follows. */
		err = run(p, first ? &p->delta : &none);
		plan_delta_fini(&none);
	}
	if (!err && !first)
		err = compiler_plan(p->compiler, &p->plan);
	if (!err && !first)
		err = kept_compare(&p->actual, &p->plan, &p->delta);
	if (err) {
		end_delta(p);
		return;
	}
	if (p->readback_asked) {
		print_differences(p);
		p->readback_asked = false;
		requests_readback(p);
		buf_fini(&p->differences);
	}
	if (asked || !plan_delta_changes(&p->delta)) {
		bool same = !plan_delta_changes(&p->delta);

		end_delta(p);
		if (!asked && same) {
			settled(p);
			buf_clear(&p->alarm);
			requests_settle(p, false, NULL);
		}
		return;
	}
	commit(p);
}

static void note_failed(struct planner *p, const struct change *c, int32_t result, struct hash *failed)
{
	AUTO_BUF b = {0};
	struct link_value v;

	row_print(&b, &c->row, compiler_names(p->compiler));
	log_error("row not in force: %s: %.*s", strerror(-result), (int)b.n, b.p ? b.p : "");
	if (c->row.type != ROW_LINK || c->op == CHANGE_DEL)
		return;
	memcpy(&v, c->row.value, sizeof(v));
	v.uid[sizeof(v.uid) - 1] = '\0';
	hash_set(failed, str_of(v.uid), (void *)(intptr_t)result, NULL);
	compiler_wire(p->compiler, str_of(v.uid), false);
	p->dirty = true;
}

static void note_results(struct planner *p, struct hash *failed)
{
	size_t i = 0;

	VEC_EACH (&p->delta.steps, s)
		VEC_EACH (&s->changes, c) {
			int32_t result = i < p->results.len ? p->results.items[i] : -EPROTO;

			if (result && result != -ECANCELED)
				note_failed(p, c, result, failed);
			i++;
		}
}

void sync_done(struct planner *p, const struct wire_done *d, struct str text)
{
	struct hash failed = {0};

	p->state = APPLIER_IDLE;
	buf_clear(&p->alarm);
	if (d->status == WIRE_APPLIED) {
		log_debug("%zu rows in force %llu us after the first event, %u us in the applier",
			  p->results.len, p->noted_us ? (unsigned long long)(clock_us() - p->noted_us) : 0ULL,
			  d->us);
		p->noted_us = p->dirty ? clock_us() : 0;
	} else {
		buf_adds(&p->alarm, text);
		log_error("the plan is %s: %.*s", d->status == WIRE_REFUSED ? "refused" : "in force in part",
			  (int)text.n, text.p);
		note_results(p, &failed);
		hold(p, d->status == WIRE_REFUSED ? AGAIN_REFUSED_MS : AGAIN_PARTLY_MS);
	}
	end_delta(p);
	since_end(&p->since, d->status == WIRE_APPLIED, clock_wall_ns());
	if (d->status == WIRE_APPLIED) {
		p->commits++;
		programming_done(p);
		settled(p);
	}
	requests_settle(p, d->status == WIRE_REFUSED, &failed);
	hash_fini(&failed);
}

bool sync_steady(const struct planner *p)
{
	return p->state == APPLIER_IDLE && p->enforcing && !p->dirty && !p->whole && !p->hold;
}

void sync_lost(struct planner *p)
{
	since_end(&p->since, false, 0);
	end_delta(p);
	p->whole = true;
	p->readback_asked = false;
}
