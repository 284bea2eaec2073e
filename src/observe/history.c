/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records in memory: see history.h. Here is which of them are kept: open ones until they end, ended ones in
 * rings. How one is kept (152 bytes; addresses with their identities, nodes and DNS names by number) is in
 * history_record.c, how they are asked in history_ask.c.
 */
#include "observe/history_state.h"

#include <errno.h>
#include <stdlib.h>

#include "base/own.h"

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

/* --- in -------------------------------------------------------------------------------------------- */

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
	struct circle *c = &h->rings[kept_ring(k)];
	struct kept *at = &c->items[c->next];

	add_up(h, k);
	c->entered++;
	if (c->len == c->max) {
		if (at->last > c->since)
			c->since = at->last;
		h->pushed_out++;
		kept_let_go(h, at);
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
	h->open_lesser -= kept_ring(k) == LESSER;
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

	if (!has_room(h, kept_ring(k)))
		return -ENOSPC;
	if (vec_reserve(&h->open, h->open.len + 1) ||
	    hash_set(&h->by_id, id_str(&key), as_value((uint32_t)h->open.len), NULL))
		return -ENOMEM;
	h->open.items[h->open.len++] = *k;
	h->open_lesser += kept_ring(k) == LESSER;
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
		kept_let_go(h, before);
		if (!k->ended) {
			h->open_lesser -= kept_ring(before) == LESSER;
			h->open_lesser += kept_ring(k) == LESSER;
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
	int res = kept_pack(h, r, &k);

	if (!res) {
		res = place(h, &k);
		if (res)
			kept_let_go(h, &k);
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
	struct record r;

	if (h->on_silent_end) {
		kept_unpack(h, &k, &r);
		h->on_silent_end(h->silent_ctx, &r);
	}
	k.ended = true;
	k.news = ++h->news;
	close_open(h, i);
	into_ring(h, &k);
}

void history_on_silent_end(struct history *h, void (*fn)(void *ctx, const struct record *r), void *ctx)
{
	h->on_silent_end = fn;
	h->silent_ctx = ctx;
}

void history_doubt(struct history *h, const char *node)
{
	uint16_t n;

	if (history_node(h, node, &n))
		return;
	VEC_EACH (&h->open, k)
		k->doubted |= k->node == n;
}

void history_end_doubted(struct history *h, const char *node)
{
	uint16_t n;

	if (history_node(h, node, &n))
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

/* --- what is kept ---------------------------------------------------------------------------------- */

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
		kept_unpack(h, &h->open.items[(uint32_t)(uintptr_t)found - 1], out);
	else if (!r->ended && r->id && !has_room(h, kept_ring(&k)))
		return -ENOSPC;
	return found != NULL;
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
