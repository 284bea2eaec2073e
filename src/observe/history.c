/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records in memory: see history.h. A record is kept in 152 bytes; addresses with their identities, names of
 * nodes and DNS names are shared by number.
 */
#include "observe/history.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/own.h"
#include "base/vec.h"

enum { NOBODY = 0, NODES_MAX = 65535, FOLLOW_SCAN_MAX = 65536, SUMS = 2 * (RECORD_DNS + 1) };

struct end { /* an address and who had it */
	struct addr addr;
	const struct identity *who; /* a reference */
	uint32_t refs;
};

struct text {
	char *p; /* owned */
	uint32_t n, refs;
};

struct kept {
	uint64_t id, bytes[2], packets[2];
	int64_t first, last;
	uint32_t from, to, via; /* ends; via 0: none */
	uint32_t dns;		/* text; 0: none */
	uint32_t cause, rule_egress, rule_ingress, epoch;
	uint32_t handshake_us, rtt_us[2], retransmits[2];
	uint16_t from_port, to_port, via_port, reason, resets, zero_windows[2], node, dns_type;
	uint8_t proto, verdict, state, dns_code;
	uint8_t kind, ended, again, doubted, reset_by, tcp_seen;
	uint32_t number;
	uint64_t news; /* number of the last time that it began, ended or took another state */
};
_Static_assert(sizeof(struct kept) == 152, "a record of history");

enum { ANSWERED, LESSER, QUESTIONS, RINGS };

struct circle { /* of ended ones */
	struct kept *items;
	uint32_t max, len, next;
	uint64_t entered; /* ever */
	int64_t since;
};

struct node_sums {
	struct history_sum of[SUMS]; /* by kind and again */
};

struct history {
	struct identities *ids;
	struct circle rings[RINGS];
	VEC(struct kept) open;
	uint32_t open_max, open_lesser;
	struct hash by_id; /* (node, id) → index in open, + 1 */
	VEC(struct end) ends;
	VEC(uint32_t) free_ends;
	struct hash by_end;
	VEC(struct text) texts; /* 0: none */
	VEC(uint32_t) free_texts;
	struct hash by_text;
	VEC(char *) nodes;
	VEC(struct node_sums) sums; /* one for each node */
	uint64_t put, pushed_out, no_room, news;
	size_t text_bytes;
};

static unsigned ring_of(const struct kept *k)
{
	if (k->kind == RECORD_DNS)
		return QUESTIONS;
	return k->kind == RECORD_FLOW && k->state != STATE_UNANSWERED ? ANSWERED : LESSER;
}

int history_new(struct history **out, struct identities *ids, uint32_t ended, uint32_t open)
{
	struct history *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->ids = ids;
	h->open_max = open;
	h->rings[LESSER].max = h->rings[QUESTIONS].max = ended / 4 ? ended / 4 : 1;
	h->rings[ANSWERED].max = ended > h->rings[LESSER].max ? ended - h->rings[LESSER].max : 1;
	/* Untouched pages of the rings cost nothing. */
	for (unsigned i = 0; i < RINGS; i++) {
		h->rings[i].items = calloc(h->rings[i].max, sizeof(struct kept));
		if (!h->rings[i].items) {
			history_free(&h);
			return -ENOMEM;
		}
	}
	if (vec_push(&h->ends, (struct end){}) || vec_push(&h->texts, (struct text){})) {
		history_free(&h);
		return -ENOMEM;
	}
	*out = h;
	return 0;
}

void history_free(struct history **h)
{
	struct history *old = *h;

	if (!old)
		return;
	VEC_EACH (&old->ends, e)
		identity_unref(old->ids, &e->who);
	VEC_EACH (&old->texts, t)
		free(t->p);
	VEC_EACH (&old->nodes, n)
		free(*n);
	hash_fini(&old->by_id);
	hash_fini(&old->by_end);
	hash_fini(&old->by_text);
	vec_free(&old->ends);
	vec_free(&old->free_ends);
	vec_free(&old->texts);
	vec_free(&old->free_texts);
	vec_free(&old->nodes);
	vec_free(&old->sums);
	vec_free(&old->open);
	for (unsigned i = 0; i < RINGS; i++)
		free(old->rings[i].items);
	free(TAKE(*h));
}

/* --- what records share ---------------------------------------------------------------------------- */

struct end_key {
	struct addr addr;
	const struct identity *who;
};

static struct str key_of(const struct end_key *k)
{
	return (struct str){(const char *)k, sizeof(*k)};
}

static void *as_value(uint32_t n)
{
	return (void *)(uintptr_t)(n + 1);
}

static uint32_t end_get(struct history *h, const struct addr *a, const struct identity *who)
{
	struct end_key key = {.addr = *a, .who = who};
	void *found = hash_get(&h->by_end, key_of(&key));
	uint32_t n = found ? (uint32_t)(uintptr_t)found - 1 : 0;

	if (!found) {
		if (h->free_ends.len) {
			n = h->free_ends.items[h->free_ends.len - 1];
		} else {
			n = (uint32_t)h->ends.len;
			if (vec_reserve(&h->free_ends, h->ends.len + 1) || vec_push(&h->ends, (struct end){}))
				return NOBODY;
			h->free_ends.items[h->free_ends.len++] = n;
		}
		if (hash_set(&h->by_end, key_of(&key), as_value(n), NULL))
			return NOBODY;
		h->free_ends.len--;
		h->ends.items[n] = (struct end){.addr = *a, .who = identity_ref(who)};
	}
	h->ends.items[n].refs++;
	return n;
}

static void end_unref(struct history *h, uint32_t n)
{
	struct end *e = &h->ends.items[n];

	if (!n || --e->refs)
		return;
	struct end_key key = {.addr = e->addr, .who = e->who};

	hash_del(&h->by_end, key_of(&key));
	identity_unref(h->ids, &e->who);
	h->free_ends.items[h->free_ends.len++] = n; /* room was made with the end */
}

static uint32_t text_get(struct history *h, struct str s)
{
	void *found = hash_get(&h->by_text, s);
	uint32_t n = found ? (uint32_t)(uintptr_t)found - 1 : 0;

	if (!s.n)
		return 0;
	if (!found) {
		char *p = malloc(s.n);

		if (!p)
			return 0;
		memcpy(p, s.p, s.n);
		if (!h->free_texts.len) {
			if (vec_reserve(&h->free_texts, h->texts.len + 1) ||
			    vec_push(&h->texts, (struct text){})) {
				free(p);
				return 0;
			}
			h->free_texts.items[h->free_texts.len++] = (uint32_t)h->texts.len - 1;
		}
		n = h->free_texts.items[h->free_texts.len - 1];
		if (hash_set(&h->by_text, s, as_value(n), NULL)) {
			free(p);
			return 0;
		}
		h->free_texts.len--;
		h->texts.items[n] = (struct text){.p = p, .n = (uint32_t)s.n};
		h->text_bytes += s.n;
	}
	h->texts.items[n].refs++;
	return n;
}

static void text_unref(struct history *h, uint32_t n)
{
	struct text *t = &h->texts.items[n];

	if (!n || --t->refs)
		return;
	hash_del(&h->by_text, (struct str){t->p, t->n});
	h->text_bytes -= t->n;
	free(TAKE(t->p));
	h->free_texts.items[h->free_texts.len++] = n;
}

static int node_number(struct history *h, const char *name, uint16_t *out)
{
	for (size_t i = 0; i < h->nodes.len; i++)
		if (!strcmp(h->nodes.items[i], name)) {
			*out = (uint16_t)i;
			return 0;
		}
	char *copy = h->nodes.len < NODES_MAX ? strdup(name) : NULL;

	if (!copy || vec_reserve(&h->sums, h->nodes.len + 1) || vec_push(&h->nodes, copy)) {
		free(copy);
		return -ENOMEM;
	}
	h->sums.items[h->sums.len++] = (struct node_sums){};
	*out = (uint16_t)(h->nodes.len - 1);
	return 0;
}

static void let_go(struct history *h, const struct kept *k)
{
	end_unref(h, k->from);
	end_unref(h, k->to);
	end_unref(h, k->via);
	text_unref(h, k->dns);
}

/* --- in -------------------------------------------------------------------------------------------- */

static const struct identity *named(const struct history *h, const struct identity *who, const struct addr *a,
				    int64_t at)
{
	return who ? who : identities_at(h->ids, a, at);
}

static int pack(struct history *h, const struct record *r, struct kept *k)
{
	*k = (struct kept){.id = r->id,
			   .bytes = {r->bytes[0], r->bytes[1]},
			   .packets = {r->packets[0], r->packets[1]},
			   .first = r->first,
			   .last = r->last,
			   .cause = r->cause,
			   .rule_egress = r->rule_egress,
			   .rule_ingress = r->rule_ingress,
			   .epoch = r->epoch,
			   .handshake_us = r->handshake_us,
			   .rtt_us = {r->rtt_us[0], r->rtt_us[1]},
			   .retransmits = {r->retransmits[0], r->retransmits[1]},
			   .from_port = r->from.port,
			   .to_port = r->to.port,
			   .via_port = r->via_port,
			   .reason = r->reason,
			   .resets = r->resets,
			   .zero_windows = {r->zero_windows[0], r->zero_windows[1]},
			   .reset_by = r->reset_by,
			   .tcp_seen = r->tcp_seen,
			   .dns_type = r->dns_type,
			   .proto = r->proto,
			   .verdict = r->verdict,
			   .state = r->state,
			   .dns_code = r->dns_code,
			   .kind = (uint8_t)r->kind,
			   .ended = r->ended,
			   .again = r->again,
			   .number = r->number};
	if (node_number(h, r->node, &k->node))
		return -ENOMEM;
	k->from = end_get(h, &r->from.addr, named(h, r->from.who, &r->from.addr, r->first));
	k->to = end_get(h, &r->to.addr, named(h, r->to.who, &r->to.addr, r->first));
	if (!addr_is_zero(&r->via) || r->service)
		k->via = end_get(h, &r->via, named(h, r->service, &r->via, r->first));
	k->dns = text_get(h, r->dns);
	if (k->from && k->to)
		return 0;
	let_go(h, k);
	return -ENOMEM;
}

static void add_up(struct history *h, const struct kept *k)
{
	struct history_sum *s = &h->sums.items[k->node].of[2 * k->kind + k->again];

	if (k->kind == RECORD_DNS) /* its flow counts its packets */
		return;
	s->records++;
	for (unsigned i = 0; i < 2; i++) {
		s->packets[i] += k->packets[i];
		s->bytes[i] += k->bytes[i];
	}
}

static void into_ring(struct history *h, const struct kept *k)
{
	struct circle *c = &h->rings[ring_of(k)];
	struct kept *at = &c->items[c->next];

	add_up(h, k);
	c->entered++;
	if (c->len == c->max) {
		if (at->last > c->since)
			c->since = at->last;
		h->pushed_out++;
		let_go(h, at);
	} else {
		c->len++;
	}
	*at = *k;
	c->next = (c->next + 1) % c->max;
}

struct id_key {
	uint64_t id, node;
};

static struct str id_str(const struct id_key *k)
{
	return (struct str){(const char *)k, sizeof(*k)};
}

static void close_open(struct history *h, uint32_t i)
{
	struct kept *last = &h->open.items[h->open.len - 1], *k = &h->open.items[i];
	struct id_key key = {k->id, k->node}, moved = {last->id, last->node};

	hash_del(&h->by_id, id_str(&key));
	h->open_lesser -= ring_of(k) == LESSER;
	if (last != k) {
		*k = *last;
		hash_set(&h->by_id, id_str(&moved), as_value(i), NULL); /* replaces: cannot fail */
	}
	h->open.len--;
}

static bool has_room(const struct history *h, unsigned ring)
{
	return h->open.len < h->open_max && (ring != LESSER || h->open_lesser < h->open_max / 2);
}

static int open_new(struct history *h, const struct kept *k)
{
	struct id_key key = {k->id, k->node};

	if (!has_room(h, ring_of(k)))
		return -ENOSPC;
	if (vec_reserve(&h->open, h->open.len + 1) ||
	    hash_set(&h->by_id, id_str(&key), as_value((uint32_t)h->open.len), NULL))
		return -ENOMEM;
	h->open.items[h->open.len++] = *k;
	h->open_lesser += ring_of(k) == LESSER;
	return 0;
}

/* Nothing that a reader who saw `before` would not know. */
static bool says_the_same(const struct kept *before, const struct kept *k)
{
	return before->state == k->state &&
	       (!k->ended || (before->packets[0] == k->packets[0] && before->packets[1] == k->packets[1] &&
			      before->state != STATE_OPEN && before->state != STATE_UNANSWERED));
}

static bool has_domain(const struct history *h, uint32_t end)
{
	const struct identity *who = h->ends.items[end].who;

	return who && who->domain.n;
}

/* A name that its node has forgotten since stays: it is that of the time. */
static void keep_domain(const struct history *h, uint32_t *before, uint32_t *now)
{
	uint32_t x = *before;

	if (!has_domain(h, x) || has_domain(h, *now) ||
	    !addr_eq(&h->ends.items[x].addr, &h->ends.items[*now].addr))
		return;
	*before = *now; /* is let go */
	*now = x;
}

/* Takes over what k refers to, unless it fails. */
static int place(struct history *h, struct kept *k)
{
	struct id_key key = {k->id, k->node};
	void *found = k->id ? hash_get(&h->by_id, id_str(&key)) : NULL;

	if (found) {
		uint32_t i = (uint32_t)(uintptr_t)found - 1;
		struct kept *before = &h->open.items[i];

		k->news = says_the_same(before, k) ? before->news : ++h->news;
		keep_domain(h, &before->from, &k->from);
		keep_domain(h, &before->to, &k->to);
		let_go(h, before);
		if (!k->ended) {
			h->open_lesser -= ring_of(before) == LESSER;
			h->open_lesser += ring_of(k) == LESSER;
			*before = *k;
			return 0;
		}
		close_open(h, i);
	} else {
		k->news = ++h->news;
	}
	if (!k->ended && k->id)
		return open_new(h, k);
	into_ring(h, k);
	return 0;
}

int history_put(struct history *h, const struct record *r)
{
	struct kept k;
	int res = pack(h, r, &k);

	if (!res) {
		res = place(h, &k);
		if (res)
			let_go(h, &k);
	}
	if (res)
		h->no_room++;
	else
		h->put++;
	return res;
}

static void end_one(struct history *h, uint32_t i)
{
	struct kept k = h->open.items[i];

	k.ended = true;
	k.news = ++h->news;
	close_open(h, i);
	into_ring(h, &k);
}

void history_doubt(struct history *h, const char *node)
{
	uint16_t n;

	if (node_number(h, node, &n))
		return;
	VEC_EACH (&h->open, k)
		k->doubted |= k->node == n;
}

void history_end_doubted(struct history *h, const char *node)
{
	uint16_t n;

	if (node_number(h, node, &n))
		return;
	for (size_t i = h->open.len; i--;)
		if (h->open.items[i].doubted && h->open.items[i].node == n)
			end_one(h, (uint32_t)i);
}

void history_end_silent(struct history *h, int64_t before)
{
	for (size_t i = h->open.len; i--;)
		if (h->open.items[i].state == STATE_UNANSWERED && h->open.items[i].last < before)
			end_one(h, (uint32_t)i);
}

/* --- out ------------------------------------------------------------------------------------------- */

static void unpack(const struct history *h, const struct kept *k, struct record *r)
{
	const struct end *from = &h->ends.items[k->from], *to = &h->ends.items[k->to],
			 *via = &h->ends.items[k->via];
	const struct text *dns = &h->texts.items[k->dns];

	*r = (struct record){.kind = k->kind,
			     .from = {from->addr, k->from_port, from->who},
			     .to = {to->addr, k->to_port, to->who},
			     .via = via->addr,
			     .via_port = k->via_port,
			     .service = via->who,
			     .node = h->nodes.items[k->node],
			     .proto = k->proto,
			     .verdict = k->verdict,
			     .state = k->state,
			     .ended = k->ended,
			     .again = k->again,
			     .reason = k->reason,
			     .cause = k->cause,
			     .rule_egress = k->rule_egress,
			     .rule_ingress = k->rule_ingress,
			     .bytes = {k->bytes[0], k->bytes[1]},
			     .packets = {k->packets[0], k->packets[1]},
			     .first = k->first,
			     .last = k->last,
			     .id = k->id,
			     .number = k->number,
			     .epoch = k->epoch,
			     .handshake_us = k->handshake_us,
			     .rtt_us = {k->rtt_us[0], k->rtt_us[1]},
			     .retransmits = {k->retransmits[0], k->retransmits[1]},
			     .resets = k->resets,
			     .zero_windows = {k->zero_windows[0], k->zero_windows[1]},
			     .reset_by = k->reset_by,
			     .tcp_seen = k->tcp_seen,
			     .dns = {dns->p, dns->n},
			     .dns_type = k->dns_type,
			     .dns_code = k->dns_code};
}

int history_before(const struct history *h, const struct record *r, struct record *out)
{
	struct kept k = {.kind = (uint8_t)r->kind, .state = r->state};
	struct id_key key = {.id = r->id};
	void *found = NULL;

	for (size_t i = 0; r->id && i < h->nodes.len && !found; i++) {
		key.node = i;
		if (!strcmp(h->nodes.items[i], r->node))
			found = hash_get(&h->by_id, id_str(&key));
	}
	if (found)
		unpack(h, &h->open.items[(uint32_t)(uintptr_t)found - 1], out);
	else if (!r->ended && r->id && !has_room(h, ring_of(&k)))
		return -ENOSPC;
	return found != NULL;
}

struct found {
	int64_t last;
	uint64_t news;
	const struct kept *k;
};

struct asking {
	const struct history *h;
	const struct history_query *q;
	struct filter_run *run; /* NULL: no filter */
	bool questions;
	VEC(struct found) heap; /* with a limit: the oldest of the newest so many on top */
	uint64_t judged;
};

static bool is_older(const struct found *a, const struct found *b)
{
	return a->last != b->last ? a->last < b->last : a->news < b->news;
}

static void sink(struct asking *a, size_t i)
{
	struct found *f = a->heap.items;

	for (size_t least = i;; i = least) {
		for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < a->heap.len; child++)
			if (is_older(&f[child], &f[least]))
				least = child;
		if (least == i)
			return;
		struct found x = f[i];

		f[i] = f[least];
		f[least] = x;
	}
}

static int keep(struct asking *a, const struct kept *k)
{
	struct found one = {k->last, k->news, k};

	if (!a->q->limit || a->heap.len < a->q->limit) {
		if (vec_push(&a->heap, one))
			return -ENOMEM;
		if (a->heap.len == a->q->limit)
			for (size_t i = a->heap.len / 2 + 1; i--;)
				sink(a, i);
	} else if (is_older(&a->heap.items[0], &one)) {
		a->heap.items[0] = one;
		sink(a, 0);
	}
	return 0;
}

static int consider(struct asking *a, const struct kept *k)
{
	struct found one = {k->last, k->news, k};
	struct record r;

	if ((k->again && !a->q->again) || (a->q->drops_only && k->kind != RECORD_DROP) ||
	    (k->kind == RECORD_DNS && !a->questions) || k->news <= a->q->news || k->last < a->q->since ||
	    (a->q->until && k->first >= a->q->until))
		return 0;
	if (a->q->limit && a->heap.len == a->q->limit && !is_older(&a->heap.items[0], &one))
		return 0;
	a->judged++;
	if (a->run) {
		unpack(a->h, k, &r);
		if (!filter_run_record(a->run, &r, k->from, k->to, k->via))
			return 0;
	}
	return keep(a, k);
}

static int newest_first(const void *x, const void *y)
{
	return is_older(x, y) ? 1 : is_older(y, x) ? -1 : 0;
}

int history_query(const struct history *h, const struct history_query *q,
		  int (*fn)(void *ctx, const struct record *r), void *ctx)
{
	struct asking a = {.h = h, .q = q};
	int r = 0;

	if (q->filter && !(a.run = filter_run_new(q->filter, (uint32_t)h->ends.len)))
		return -ENOMEM;
	a.questions = q->filter && filter_asks_dns(q->filter);
	VEC_EACH (&h->open, k)
		if (!r)
			r = consider(&a, k);
	for (unsigned i = 0; !q->open_only && i < RINGS; i++) {
		const struct circle *c = &h->rings[i];

		if (i == QUESTIONS && !a.questions)
			continue;
		/* newest first: what cannot be among the newest is passed over without a look */
		for (uint32_t left = c->len, at = c->next; left-- && !r;) {
			at = (at ? at : c->max) - 1;
			r = consider(&a, &c->items[at]);
		}
	}
	filter_run_free(&a.run);
	if (q->judged)
		*q->judged = a.judged;
	if (!r && a.heap.len)
		qsort(a.heap.items, a.heap.len, sizeof(*a.heap.items), newest_first);
	for (size_t i = 0; !r && i < a.heap.len; i++) {
		struct record record;

		unpack(h, a.heap.items[i].k, &record);
		r = fn(ctx, &record);
	}
	vec_free(&a.heap);
	return r;
}

/* --- followed -------------------------------------------------------------------------------------- */

_Static_assert((int)HISTORY_RINGS == (int)RINGS, "a place has a number for each ring");

static unsigned rings_for(const struct filter *filter)
{
	return filter && filter_asks_dns(filter) ? RINGS : QUESTIONS;
}

struct history_place history_oldest(const struct history *h, const struct filter *filter)
{
	struct history_place p = {};

	for (unsigned i = 0; i < rings_for(filter); i++)
		p.at[i] = h->rings[i].entered - h->rings[i].len;
	return p;
}

struct history_place history_newest(const struct history *h, const struct filter *filter)
{
	struct history_place p = {};

	for (unsigned i = 0; i < rings_for(filter); i++)
		p.at[i] = h->rings[i].entered;
	return p;
}

static const struct kept *entry(const struct history *h, unsigned ring, uint64_t number)
{
	const struct circle *c = &h->rings[ring];

	return &c->items[(c->next + c->max - (uint32_t)(c->entered - number)) % c->max];
}

/* Of both rings that which comes next; NULL: none. */
static const struct kept *next_ended(const struct history *h, struct history_follow *f)
{
	const struct kept *best = NULL;
	unsigned ring = 0;

	for (unsigned i = 0; i < RINGS; i++) {
		const struct kept *k = f->at.at[i] < f->to.at[i] ? entry(h, i, f->at.at[i]) : NULL;

		if (k && (!best || k->last < best->last)) {
			best = k;
			ring = i;
		}
	}
	f->at.at[ring] += best != NULL;
	return best;
}

int history_follow(const struct history *h, struct history_follow *f,
		   int (*fn)(void *ctx, const struct record *r), void *ctx)
{
	struct history_place oldest = history_oldest(h, f->filter), newest = history_newest(h, f->filter);
	struct filter_run *run = f->filter ? filter_run_new(f->filter, (uint32_t)h->ends.len) : NULL;
	const struct kept *k;
	uint32_t n = 0;
	int r = 0;

	if (f->filter && !run)
		return -ENOMEM;
	f->lost = 0;
	for (unsigned i = 0; i < RINGS; i++) {
		if (f->to.at[i] > newest.at[i])
			f->to.at[i] = newest.at[i];
		if (f->at.at[i] < oldest.at[i]) {
			f->lost += oldest.at[i] - f->at.at[i];
			f->at.at[i] = oldest.at[i];
		}
	}
	for (unsigned looked = 0; !r && n < f->limit && looked < FOLLOW_SCAN_MAX; looked++) {
		struct record record;

		k = next_ended(h, f);
		if (!k)
			break;
		unpack(h, k, &record);
		if ((k->again && !f->again) ||
		    (run && !filter_run_record(run, &record, k->from, k->to, k->via)))
			continue;
		n++;
		r = fn(ctx, &record);
	}
	filter_run_free(&run);
	return r;
}

void history_each_sum(const struct history *h, void (*fn)(void *ctx, const struct history_sum *s), void *ctx)
{
	for (size_t n = 0; n < h->sums.len; n++)
		for (unsigned i = 0; i < SUMS; i++) {
			struct history_sum s = h->sums.items[n].of[i];

			s.node = h->nodes.items[n];
			s.kind = i / 2;
			s.again = i % 2;
			fn(ctx, &s);
		}
}

struct history_size history_size(const struct history *h)
{
	uint32_t ended = h->rings[ANSWERED].len + h->rings[LESSER].len + h->rings[QUESTIONS].len;

	return (struct history_size){.ended = ended,
				     .open = h->open.len,
				     .put = h->put,
				     .pushed_out = h->pushed_out,
				     .no_room = h->no_room,
				     .since = h->rings[ANSWERED].since,
				     .since_lesser = h->rings[LESSER].since,
				     .since_dns = h->rings[QUESTIONS].since,
				     .news = h->news,
				     .bytes = ended * sizeof(struct kept) +
					      h->open.cap * sizeof(struct kept) +
					      h->ends.cap * sizeof(struct end) + h->text_bytes +
					      (h->by_end.cap + h->by_id.cap) * sizeof(struct hash_slot)};
}
