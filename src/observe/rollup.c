/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The accumulator: see rollup.h. Here is what a record adds, and to which buckets; under which key is in
 * rollup_key.c, the way to the file and back in rollup_batch.c.
 */
#include "observe/rollup_state.h"

#include <errno.h>
#include <stdlib.h>

#include "base/own.h"

enum { JUMP_S = 60, BACK_S = 5, EPOCH_S = 30, BEFORE_S = 1, SLACK_S = 3 };

const int64_t rollup_span[ROLLUP_LEVELS] = {1, 60, 3600};

void rollup_add(uint64_t x[ROLLUP_SUM_COUNT], const uint64_t y[ROLLUP_SUM_COUNT])
{
	for (int i = 0; i < ROLLUP_SUM_COUNT - ROLLUP_MAXES; i++)
		x[i] += y[i];
	for (int i = ROLLUP_SUM_COUNT - ROLLUP_MAXES; i < ROLLUP_SUM_COUNT; i++)
		x[i] = x[i] > y[i] ? x[i] : y[i];
}

int rollup_new(struct rollup **out, const struct rollup_limits *limits)
{
	struct rollup *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->limits = *limits;
	r->keys_max = KEYS_MAX;
	*out = r;
	return 0;
}

/* --- cells ----------------------------------------------------------------------------------------- */

static int64_t bucket_of(int64_t ns, enum rollup_level level)
{
	int64_t s = ns < 0 ? 0 : ns / NS;

	return s - s % rollup_span[level];
}

int rollup_add_at(struct rollup *r, int64_t t, enum rollup_level level, struct rollup_key *key,
		  const uint64_t v[ROLLUP_SUM_COUNT])
{
	struct cell_key k = {t, key, level};
	void *found = hash_get(&r->by_cell, cell_str(&k));

	if (!found) {
		if (vec_reserve(&r->cells, r->cells.len + 1) ||
		    hash_set(&r->by_cell, cell_str(&k), (void *)(uintptr_t)(r->cells.len + 1), NULL))
			return -ENOMEM;
		r->cells.items[r->cells.len++] = (struct rollup_cell){.t = t, .key = key, .level = level};
		key->refs++;
		r->fresh += level == ROLLUP_SECOND;
		found = (void *)(uintptr_t)r->cells.len;
	}
	rollup_add(r->cells.items[(uintptr_t)found - 1].v, v);
	return 0;
}

static int add(struct rollup *r, int64_t ns, struct rollup_key *key, const uint64_t v[ROLLUP_SUM_COUNT])
{
	int res = 0;

	for (int l = 0; l < ROLLUP_LEVELS && !res; l++)
		res = rollup_add_at(r, bucket_of(ns, (enum rollup_level)l), (enum rollup_level)l, key, v);
	return res;
}

static int add_one(struct rollup *r, int64_t ns, struct rollup_key *key, enum rollup_sum what)
{
	uint64_t v[ROLLUP_SUM_COUNT] = {};

	v[what] = 1;
	return add(r, ns, key, v);
}

/* --- connections ----------------------------------------------------------------------------------- */

void rollup_mark(struct rollup *r, struct rollup_known *k)
{
	if (!k->dirty && !vec_push(&r->dirty, k))
		k->dirty = r->dirty.len;
}

static void unmark(struct rollup *r, const struct rollup_known *k)
{
	if (!k->dirty)
		return;
	r->dirty.items[k->dirty - 1] = r->dirty.items[--r->dirty.len];
	if (k->dirty <= r->dirty.len)
		r->dirty.items[k->dirty - 1]->dirty = k->dirty;
}

static void known_over(struct rollup *r, struct rollup_known *k)
{
	struct rollup_open_key key = rollup_open_key(k->o.id, k->o.node);

	hash_del(&r->open, rollup_open_str(&key));
	unmark(r, k);
	/* Out of memory: the file remembers it, until its node begins anew. */
	if (!k->saved || vec_push(&r->over, k->o))
		rollup_key_unref(r, k->o.key);
	free(k);
}

/* What the record has more than what was known. A number that shrank is another one's: it counts whole. */
static uint64_t more(uint64_t now, uint64_t was)
{
	return now >= was ? now - was : now;
}

static int add_growth(struct rollup *r, struct rollup_known *k, const struct record *rec, bool counts)
{
	uint32_t retransmits = rec->retransmits[0] + rec->retransmits[1],
		 zero_windows = (uint32_t)rec->zero_windows[0] + rec->zero_windows[1];
	uint64_t rtt = record_rtt(rec);
	uint64_t v[ROLLUP_SUM_COUNT] = {[ROLLUP_bytes_there] = more(rec->bytes[0], k->o.bytes[0]),
					[ROLLUP_bytes_back] = more(rec->bytes[1], k->o.bytes[1]),
					[ROLLUP_packets_there] = more(rec->packets[0], k->o.packets[0]),
					[ROLLUP_packets_back] = more(rec->packets[1], k->o.packets[1]),
					[ROLLUP_retransmits] = more(retransmits, k->o.retransmits),
					[ROLLUP_resets] = more(rec->resets, k->o.resets),
					[ROLLUP_zero_windows] = more(zero_windows, k->o.zero_windows)};
	static const enum rollup_sum ends[] = {[STATE_UNANSWERED] = ROLLUP_unanswered,
					       [STATE_OPEN] = ROLLUP_closed,
					       [STATE_CLOSED] = ROLLUP_closed,
					       [STATE_RESET] = ROLLUP_reset,
					       [STATE_CUT] = ROLLUP_cut};

	if (rec->handshake_us && !k->o.handshake) {
		v[ROLLUP_handshakes] = 1;
		v[ROLLUP_handshake_us] = v[ROLLUP_handshake_max] = rec->handshake_us;
	}
	if (rtt) {
		v[ROLLUP_rtts] = 1;
		v[ROLLUP_rtt_us] = v[ROLLUP_rtt_max] = rtt;
	}
	if (rec->ended && rec->state < ARRAY_LEN(ends))
		v[ends[rec->state]] = 1;
	k->o.bytes[0] = rec->bytes[0];
	k->o.bytes[1] = rec->bytes[1];
	k->o.packets[0] = rec->packets[0];
	k->o.packets[1] = rec->packets[1];
	k->o.retransmits = retransmits;
	k->o.resets = rec->resets;
	k->o.zero_windows = zero_windows;
	k->o.handshake = k->o.handshake || rec->handshake_us;
	return counts ? add(r, rec->last, k->o.key, v) : 0;
}

/* A connection that was there before the file began: how it stood then is nobody's to tell. */
static bool is_older(const struct rollup *r, const struct rollup_node *node, const struct record *rec)
{
	if (!r->begins || node->mono < r->begins || rec->first > node->to)
		return false;
	return node->to - rec->first > (int64_t)(node->mono - r->begins) + SLACK_S * NS;
}

static int take_flow(struct rollup *r, struct rollup_node *node, const struct record *rec)
{
	struct rollup_open_key key = rollup_open_key(rec->id, str_of(node->name));
	struct rollup_known *k = hash_get(&r->open, rollup_open_str(&key));
	struct rollup_known once = {};
	bool follow = !rec->ended && rec->id, older = !k && is_older(r, node, rec);
	int res;

	if (!k && follow && r->open.len >= r->limits.open) {
		r->n.untracked++;
		return 0; /* it counts at its end */
	}
	if (!k) {
		once.o = (struct rollup_open){.id = rec->id, .key = rollup_key_of(r, node, rec)};
		if (!once.o.key)
			return -ENOMEM;
		once.o.node = once.o.key->node;
		k = &once;
		r->n.baselines += older;
		res = older ? 0 : add_one(r, rec->first, k->o.key, ROLLUP_begun);
		if (res) {
			rollup_key_unref(r, once.o.key);
			return res;
		}
	}
	res = add_growth(r, k, rec, !older);
	k->o.epoch = node->epoch;
	if (k != &once) {
		if (rec->ended)
			known_over(r, k);
		else
			rollup_mark(r, k);
		return res;
	}
	struct rollup_known *kept = follow ? malloc(sizeof(*kept)) : NULL;

	if (kept) {
		*kept = once;
		if (!hash_set(&r->open, rollup_open_str(&key), kept, NULL)) {
			rollup_mark(r, kept);
			return res;
		}
		free(kept);
	}
	rollup_key_unref(r, once.o.key);
	return follow ? -ENOMEM : res;
}

static int take_event(struct rollup *r, const struct rollup_node *node, const struct record *rec)
{
	uint64_t v[ROLLUP_SUM_COUNT] = {[ROLLUP_events] = 1,
					[ROLLUP_bytes_there] = rec->bytes[0],
					[ROLLUP_packets_there] = rec->packets[0]};
	struct rollup_key *key = rollup_key_of(r, node, rec);
	int res = key ? add(r, rec->last, key, v) : -ENOMEM;

	rollup_key_unref(r, key);
	return res;
}

int rollup_take(struct rollup *r, struct rollup_node *node, uint64_t number, const struct record *rec)
{
	if (number < node->next)
		return 0;
	node->next = number + 1;
	node->dirty = true;
	r->n.taken++;
	if (rec->again || rec->kind == RECORD_DNS)
		return 0; /* the caller's node tells it; it is part of a flow */
	return rec->kind == RECORD_FLOW ? take_flow(r, node, rec) : take_event(r, node, rec);
}

/* --- nodes ----------------------------------------------------------------------------------------- */

struct rollup_node *rollup_node_get(struct rollup *r, struct str name)
{
	VEC_EACH (&r->nodes, n)
		if (str_eqz(name, (*n)->name))
			return *n;
	struct rollup_node *n = calloc(1, sizeof(*n));

	if (n)
		n->name = strndup(name.p, name.n);
	if (!n || !n->name || vec_push(&r->nodes, n)) {
		free(n ? n->name : NULL);
		free(n);
		return NULL;
	}
	return n;
}

/* Connections that the node's new observer did not tell are over; nobody saw how. */
static void end_old(struct rollup *r, struct rollup_node *node)
{
	VEC(struct rollup_known *) gone = {};

	HASH_EACH (&r->open, s) {
		struct rollup_known *k = s->value;

		if (k->o.epoch != node->epoch && str_eqz(k->o.node, node->name) && vec_push(&gone, k))
			break;
	}
	VEC_EACH (&gone, k) {
		add_one(r, node->to, (*k)->o.key, ROLLUP_unseen);
		known_over(r, *k);
	}
	vec_free(&gone);
	node->old_open = false;
}

struct rollup_node *rollup_report(struct rollup *r, struct str name, const struct report *rep, uint64_t mono)
{
	struct rollup_node *n = rollup_node_get(r, name);
	int64_t passed;
	bool whole;

	if (!n)
		return NULL;
	passed = n->mono ? (int64_t)(mono - n->mono) : INT64_MAX / 2;
	whole = n->to && n->epoch == rep->epoch && rep->first <= n->next && rep->lost == n->lost &&
		rep->at >= n->to - BACK_S * NS && (!n->mono || rep->at - n->to <= passed + JUMP_S * NS);
	if (n->epoch != rep->epoch) {
		n->old_open = n->epoch;
		n->epoch = rep->epoch;
		n->next = 0;
		n->epoch_since = rep->at;
	}
	if (!whole) {
		n->from = rep->at - (rep->first ? 0 : BEFORE_S * NS);
		n->to = rep->at;
	}
	n->to = rep->at > n->to ? rep->at : n->to;
	n->lost = rep->lost;
	n->next = rep->first > n->next ? rep->first : n->next;
	n->mono = mono;
	n->dirty = true;
	if (n->old_open && rep->at - n->epoch_since > EPOCH_S * NS)
		end_old(r, n);
	return n;
}

struct rollup_counts rollup_counts(const struct rollup *r)
{
	struct rollup_counts n = r->n;

	n.open = r->open.len;
	n.waiting = r->cells.len;
	n.keys = r->keys.len;
	return n;
}

void rollup_free(struct rollup **pr)
{
	struct rollup *r = *pr;

	if (!r)
		return;
	HASH_EACH (&r->open, s)
		free(s->value);
	HASH_EACH (&r->keys, s)
		free(s->value);
	VEC_EACH (&r->nodes, n) {
		free((*n)->name);
		free(*n);
	}
	hash_fini(&r->open);
	hash_fini(&r->keys);
	hash_fini(&r->by_cell);
	vec_free(&r->cells);
	vec_free(&r->dirty);
	vec_free(&r->over);
	vec_free(&r->nodes);
	free(TAKE(*pr));
}
