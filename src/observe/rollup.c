/* SPDX-License-Identifier: Apache-2.0 */
/* The accumulator: see rollup.h. */
#include "observe/rollup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/own.h"
#include "filter/reason.h"

#define NS 1000000000ll
enum { JUMP_S = 60, BACK_S = 5, EPOCH_S = 30, BEFORE_S = 1, SLACK_S = 3, KEYS_MAX = 32768 };

const int64_t rollup_span[ROLLUP_LEVELS] = {1, 60, 3600};

struct known {
	struct rollup_open o;
	size_t dirty; /* index in the list of those, + 1 */
	bool saved;
};

struct rollup {
	struct rollup_limits limits;
	struct hash keys;    /* packed key → struct rollup_key */
	struct hash by_cell; /* → index in cells, + 1 */
	VEC(struct rollup_cell) cells;
	struct hash open; /* (id, node) → struct known */
	VEC(struct known *) dirty;
	VEC(struct rollup_open) over; /* ended, and in the file */
	VEC(struct rollup_node *) nodes;
	uint32_t fresh;
	size_t keys_max;
	int64_t network_hour; /* in which so many keys with outside networks were new */
	uint32_t networks;
	uint64_t begins; /* mono; 0: the file is older than all */
	struct rollup_counts n;
};

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

/* --- keys ------------------------------------------------------------------------------------------ */

static void pack_text(struct buf *b, struct str s)
{
	uint32_t n = (uint32_t)s.n;

	buf_add(b, &n, sizeof(n));
	buf_adds(b, s);
}

static void pack(struct buf *b, const struct rollup_key *k)
{
	const struct str texts[] = {k->from.ns, k->from.what_kind, k->from.what, k->to.ns, k->to.what_kind,
				    k->to.what, k->service_ns,	   k->service,	 k->node};
	const uint32_t numbers[] = {k->from.kind, k->to.kind,	  k->port,	  k->service_port,
				    k->reason,	  k->proto,	  k->verdict,	  k->kind,
				    k->cause,	  k->rule_egress, k->rule_ingress};

	buf_add(b, numbers, sizeof(numbers));
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		pack_text(b, texts[i]);
}

static void take_text(char **at, struct str *s)
{
	if (s->n)
		memcpy(*at, s->p, s->n);
	s->p = *at;
	*at += s->n;
}

/* It stays: who talked in this second talks in the next one, too. forget_keys() bounds how many. */
static void key_unref(struct rollup *r, struct rollup_key *k)
{
	(void)r;
	if (k)
		k->refs--;
}

static void forget_keys(struct rollup *r)
{
	VEC(struct rollup_key *) gone = {};

	if (r->keys.len < r->keys_max)
		return;
	HASH_EACH (&r->keys, s)
		if (!((struct rollup_key *)s->value)->refs && vec_push(&gone, s->value))
			break;
	VEC_EACH (&gone, k) {
		AUTO_BUF packed = {};

		pack(&packed, *k);
		if (!packed.failed && hash_del(&r->keys, buf_str(&packed)))
			free(*k);
	}
	vec_free(&gone);
	r->keys_max = 2 * r->keys.len > KEYS_MAX ? 2 * r->keys.len : KEYS_MAX;
}

struct rollup_key *rollup_key_get(struct rollup *r, const struct rollup_key *like)
{
	AUTO_BUF packed = {};
	struct rollup_key *k;
	char *at;

	pack(&packed, like);
	if (packed.failed)
		return NULL;
	k = hash_get(&r->keys, buf_str(&packed));
	if (k) {
		k->refs++;
		return k;
	}
	forget_keys(r);
	k = calloc(1, sizeof(*k) + packed.n);
	if (!k)
		return NULL;
	*k = *like;
	k->refs = 1;
	k->file_id = k->file_hour = 0;
	at = k->text;
	struct str *texts[] = {&k->from.ns, &k->from.what_kind, &k->from.what, &k->to.ns, &k->to.what_kind,
			       &k->to.what, &k->service_ns,	&k->service,   &k->node};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		take_text(&at, texts[i]);
	if (hash_set(&r->keys, buf_str(&packed), k, NULL)) {
		free(k);
		return NULL;
	}
	return k;
}

/* The network that an address of nobody's is told by. */
static struct str prefix_of(const struct addr *a, char out[ADDR_TEXT + 4])
{
	char text[ADDR_TEXT];
	struct addr masked = *a;
	unsigned keep = addr_is4(a) ? 15 : 6;

	memset(masked.b + keep, 0, sizeof(masked.b) - keep);
	addr_print(&masked, text);
	snprintf(out, ADDR_TEXT + 4, "%s/%d", text, addr_is4(a) ? 24 : 48);
	return str_of(out);
}

static void end_of(const struct record_end *e, char text[ADDR_TEXT + 4], struct rollup_end *out)
{
	const struct identity *w = e->who;

	*out = (struct rollup_end){.kind = w ? w->kind : IDENTITY_UNKNOWN};
	if (w)
		out->ns = w->ns;
	if (w && w->workload.n) {
		out->what_kind = w->workload_kind;
		out->what = w->workload;
	} else if (w && w->name.n) {
		out->what_kind = w->kind == IDENTITY_POD    ? STR("Pod")
				 : w->kind == IDENTITY_NODE ? STR("Node")
							    : STR("Service");
		out->what = w->name;
	} else if (w && w->domain.n) {
		out->what_kind = STR("Domain");
		out->what = w->domain;
	} else {
		out->what_kind = STR("Prefix");
		out->what = prefix_of(&e->addr, text);
	}
}

/* Of these there may be any number. */
static bool is_network(const struct rollup_end *e)
{
	return str_eqz(e->what_kind, "Prefix") || str_eqz(e->what_kind, "Domain");
}

static void fold_end(struct rollup_end *e)
{
	if (!is_network(e))
		return;
	e->what_kind = STR("Prefix");
	e->what = (struct str){};
}

static void fold(struct rollup *r, struct rollup_key *k)
{
	r->n.folded++;
	k->port = 0;
	fold_end(&k->from);
	fold_end(&k->to);
}

/* In a flood networks, domains and ports are not told apart, so that it costs no history of what was before.
 */
static struct rollup_key *folded_key(struct rollup *r, struct rollup_key *k, int64_t at)
{
	bool network = is_network(&k->from) || is_network(&k->to);
	size_t before;
	struct rollup_key *key;

	if (at / NS / 3600 != r->network_hour) {
		r->network_hour = at / NS / 3600;
		r->networks = 0;
	}
	if (r->fresh >= r->limits.fresh || (network && r->networks >= r->limits.networks))
		fold(r, k);
	if (r->fresh >= 2 * r->limits.fresh)
		k->from = k->to = (struct rollup_end){.what_kind = STR("Other")};
	before = r->keys.len;
	key = rollup_key_get(r, k);
	r->networks += network && r->keys.len > before;
	return key;
}

static struct rollup_key *key_of(struct rollup *r, const struct rollup_node *node, const struct record *rec)
{
	char from[ADDR_TEXT + 4], to[ADDR_TEXT + 4];
	struct rollup_key k = {.node = str_of(node->name),
			       .port = rec->to.port,
			       .service_port = rec->via_port,
			       .reason = rec->reason > REASON_KERNEL ? REASON_KERNEL : rec->reason,
			       .proto = rec->proto,
			       .verdict = rec->verdict,
			       .kind = (uint8_t)rec->kind,
			       .cause = rec->cause,
			       .rule_egress = rec->rule_egress,
			       .rule_ingress = rec->rule_ingress};

	end_of(&rec->from, from, &k.from);
	end_of(&rec->to, to, &k.to);
	if (rec->service) {
		k.service_ns = rec->service->ns;
		k.service = rec->service->name;
	}
	return folded_key(r, &k, rec->last);
}

/* --- cells ----------------------------------------------------------------------------------------- */

struct cell_key {
	int64_t t;
	const struct rollup_key *key;
	uint64_t level;
};

static struct str cell_str(const struct cell_key *k)
{
	return (struct str){(const char *)k, sizeof(*k)};
}

static int64_t bucket_of(int64_t ns, enum rollup_level level)
{
	int64_t s = ns < 0 ? 0 : ns / NS;

	return s - s % rollup_span[level];
}

static int add_at(struct rollup *r, int64_t t, enum rollup_level level, struct rollup_key *key,
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
		res = add_at(r, bucket_of(ns, (enum rollup_level)l), (enum rollup_level)l, key, v);
	return res;
}

static int add_one(struct rollup *r, int64_t ns, struct rollup_key *key, enum rollup_sum what)
{
	uint64_t v[ROLLUP_SUM_COUNT] = {};

	v[what] = 1;
	return add(r, ns, key, v);
}

static void reindex(struct rollup *r)
{
	hash_fini(&r->by_cell);
	r->by_cell = (struct hash){};
	for (size_t i = 0; i < r->cells.len; i++) {
		struct rollup_cell *c = &r->cells.items[i];
		struct cell_key k = {c->t, c->key, c->level};

		/* Out of memory: it is written as a cell of its own. */
		hash_set(&r->by_cell, cell_str(&k), (void *)(uintptr_t)(i + 1), NULL);
	}
}

/* Gives up seconds: the older half of those that wait. Minutes and hours keep what they were. */
static void give_up(struct rollup *r)
{
	size_t seconds = 0, kept = 0, n = 0;
	int64_t lo = INT64_MAX, hi = 0;

	VEC_EACH (&r->cells, c)
		if (c->level == ROLLUP_SECOND) {
			seconds++;
			lo = c->t < lo ? c->t : lo;
			hi = c->t > hi ? c->t : hi;
		}
	if (seconds <= r->limits.cells)
		return;
	int64_t before = lo + (hi - lo) / 2 + 1;

	for (; n < r->cells.len; n++) {
		struct rollup_cell *c = &r->cells.items[n];

		if (c->level == ROLLUP_SECOND && c->t < before) {
			r->n.gave_up++;
			key_unref(r, c->key);
		} else {
			r->cells.items[kept++] = *c;
		}
	}
	r->cells.len = kept;
	reindex(r);
}

/* --- connections ----------------------------------------------------------------------------------- */

/* (id, node) as a key; the node's name is hashed into it. */
struct open_key {
	uint64_t id, node;
};

static struct open_key open_key(uint64_t id, struct str node)
{
	return (struct open_key){id, hash_bytes(node.p, node.n, 0)};
}

static struct str open_str(const struct open_key *k)
{
	return (struct str){(const char *)k, sizeof(*k)};
}

static void mark(struct rollup *r, struct known *k)
{
	if (!k->dirty && !vec_push(&r->dirty, k))
		k->dirty = r->dirty.len;
}

static void unmark(struct rollup *r, const struct known *k)
{
	if (!k->dirty)
		return;
	r->dirty.items[k->dirty - 1] = r->dirty.items[--r->dirty.len];
	if (k->dirty <= r->dirty.len)
		r->dirty.items[k->dirty - 1]->dirty = k->dirty;
}

static void known_over(struct rollup *r, struct known *k)
{
	struct open_key key = open_key(k->o.id, k->o.node);

	hash_del(&r->open, open_str(&key));
	unmark(r, k);
	/* Out of memory: the file remembers it, until its node begins anew. */
	if (!k->saved || vec_push(&r->over, k->o))
		key_unref(r, k->o.key);
	free(k);
}

/* What the record has more than what was known. A number that shrank is another one's: it counts whole. */
static uint64_t more(uint64_t now, uint64_t was)
{
	return now >= was ? now - was : now;
}

static int add_growth(struct rollup *r, struct known *k, const struct record *rec, bool counts)
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
	struct open_key key = open_key(rec->id, str_of(node->name));
	struct known *k = hash_get(&r->open, open_str(&key));
	struct known once = {};
	bool follow = !rec->ended && rec->id, older = !k && is_older(r, node, rec);
	int res;

	if (!k && follow && r->open.len >= r->limits.open) {
		r->n.untracked++;
		return 0; /* it counts at its end */
	}
	if (!k) {
		once.o = (struct rollup_open){.id = rec->id, .key = key_of(r, node, rec)};
		if (!once.o.key)
			return -ENOMEM;
		once.o.node = once.o.key->node;
		k = &once;
		r->n.baselines += older;
		res = older ? 0 : add_one(r, rec->first, k->o.key, ROLLUP_begun);
		if (res) {
			key_unref(r, once.o.key);
			return res;
		}
	}
	res = add_growth(r, k, rec, !older);
	k->o.epoch = node->epoch;
	if (k != &once) {
		if (rec->ended)
			known_over(r, k);
		else
			mark(r, k);
		return res;
	}
	struct known *kept = follow ? malloc(sizeof(*kept)) : NULL;

	if (kept) {
		*kept = once;
		if (!hash_set(&r->open, open_str(&key), kept, NULL)) {
			mark(r, kept);
			return res;
		}
		free(kept);
	}
	key_unref(r, once.o.key);
	return follow ? -ENOMEM : res;
}

static int take_event(struct rollup *r, const struct rollup_node *node, const struct record *rec)
{
	uint64_t v[ROLLUP_SUM_COUNT] = {[ROLLUP_events] = 1,
					[ROLLUP_bytes_there] = rec->bytes[0],
					[ROLLUP_packets_there] = rec->packets[0]};
	struct rollup_key *key = key_of(r, node, rec);
	int res = key ? add(r, rec->last, key, v) : -ENOMEM;

	key_unref(r, key);
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

static struct rollup_node *node_get(struct rollup *r, struct str name)
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
	VEC(struct known *) gone = {};

	HASH_EACH (&r->open, s) {
		struct known *k = s->value;

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
	struct rollup_node *n = node_get(r, name);
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

/* --- to the file and back -------------------------------------------------------------------------- */

int rollup_drain(struct rollup *r, struct rollup_batch *out)
{
	struct rollup_batch b = {};

	if (vec_reserve(&b.open, r->dirty.len) || vec_reserve(&b.nodes, r->nodes.len)) {
		vec_free(&b.open);
		vec_free(&b.nodes);
		return -ENOMEM;
	}
	VEC_EACH (&r->dirty, k) {
		b.open.items[b.open.len++] = (*k)->o;
		(*k)->o.key->refs++;
		(*k)->dirty = 0;
		(*k)->saved = true;
	}
	r->dirty.len = 0;
	VEC_EACH (&r->nodes, n)
		if ((*n)->dirty) {
			b.nodes.items[b.nodes.len++] = **n;
			(*n)->dirty = false;
		}
	memcpy(&b.cells, &r->cells, sizeof(b.cells));
	memcpy(&b.over, &r->over, sizeof(b.over));
	memset(&r->cells, 0, sizeof(r->cells));
	memset(&r->over, 0, sizeof(r->over));
	hash_fini(&r->by_cell);
	r->by_cell = (struct hash){};
	r->fresh = 0;
	*out = b;
	return 0;
}

void rollup_written(struct rollup *r, struct rollup_batch *b)
{
	VEC_EACH (&b->cells, c)
		key_unref(r, c->key);
	VEC_EACH (&b->open, o)
		key_unref(r, o->key);
	VEC_EACH (&b->over, o)
		key_unref(r, o->key);
	vec_free(&b->cells);
	vec_free(&b->open);
	vec_free(&b->over);
	vec_free(&b->nodes);
}

void rollup_restore(struct rollup *r, struct rollup_batch *b)
{
	uint32_t fresh = r->fresh;

	VEC_EACH (&b->cells, c)
		if (add_at(r, c->t, c->level, c->key, c->v))
			r->n.gave_up++;
	r->fresh = fresh;
	VEC_EACH (&b->open, o) {
		struct open_key key = open_key(o->id, o->node);
		struct known *k = hash_get(&r->open, open_str(&key));

		if (k)
			mark(r, k);
	}
	VEC_EACH (&b->over, o)
		if (!vec_push(&r->over, *o))
			o->key->refs++;
	VEC_EACH (&r->nodes, n)
		(*n)->dirty = true;
	rollup_written(r, b);
	give_up(r);
}

void rollup_each(const struct rollup *r, void (*fn)(void *ctx, const struct rollup_cell *c), void *ctx)
{
	VEC_EACH (&r->cells, c)
		fn(ctx, c);
}

struct rollup_node *const *rollup_nodes(const struct rollup *r, size_t *n)
{
	*n = r->nodes.len;
	return r->nodes.items;
}

int rollup_load_open(struct rollup *r, const struct rollup_open *o)
{
	struct open_key key = open_key(o->id, o->key->node);
	struct known *k = calloc(1, sizeof(*k));

	if (!k)
		return -ENOMEM;
	k->o = *o;
	k->o.node = o->key->node;
	k->saved = true;
	if (hash_get(&r->open, open_str(&key)) || hash_set(&r->open, open_str(&key), k, NULL)) {
		free(k);
		return -ENOMEM;
	}
	return 0;
}

int rollup_load_node(struct rollup *r, const struct rollup_node *known)
{
	struct rollup_node *n = node_get(r, str_of(known->name));
	char *name = n ? n->name : NULL;

	if (!n)
		return -ENOMEM;
	if (n->to > known->to)
		return 0;
	*n = *known;
	n->name = name;
	n->mono = 0;
	n->dirty = false;
	n->old_open = false;
	return 0;
}

void rollup_begins(struct rollup *r, uint64_t mono)
{
	r->begins = mono;
}

void rollup_forget_file(struct rollup *r)
{
	r->begins = 0;
	HASH_EACH (&r->keys, s) {
		struct rollup_key *k = s->value;

		k->file_id = k->file_hour = 0;
	}
	HASH_EACH (&r->open, s)
		mark(r, s->value);
	VEC_EACH (&r->over, o)
		key_unref(r, o->key);
	r->over.len = 0;
	VEC_EACH (&r->nodes, n)
		(*n)->dirty = true;
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
