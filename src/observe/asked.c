/* SPDX-License-Identifier: Apache-2.0 */
/* Questions that wait for their answer: see asked.h. */
#include "observe/asked.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/own.h"

struct key { /* and the name behind it */
	struct asked_ends ends;
	uint16_t id, type;
	char name[DNS_TEXT];
};

struct question {
	struct question *older, *newer;
	uint64_t at, again_at;
	uint32_t packets, bytes;
	size_t key_len;
	struct key key; /* last: cut behind the name */
};

struct asked_list {
	void (*fn)(void *ctx, const struct asked_told *t);
	void *ctx;
	struct hash by_key;
	struct question *oldest, *newest;
	struct asked_counts n;
};

int asked_new(struct asked_list **out, void (*fn)(void *ctx, const struct asked_told *t), void *ctx)
{
	struct asked_list *list = calloc(1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	list->fn = fn;
	list->ctx = ctx;
	*out = list;
	return 0;
}

void asked_free(struct asked_list **pl)
{
	struct asked_list *list = TAKE(*pl);

	if (!list)
		return;
	for (struct question *q = list->oldest, *next; q; q = next) {
		next = q->newer;
		free(q);
	}
	hash_fini(&list->by_key);
	free(list);
}

static struct str key_str(const struct key *k, size_t n)
{
	return (struct str){(const char *)k, n};
}

static size_t make_key(struct key *k, const struct asked_ends *e, const struct dns_message *m)
{
	size_t n = strlen(m->name);

	k->ends = *e;
	k->ends.pad = 0;
	k->id = m->id;
	k->type = m->type;
	memcpy(k->name, m->name, n + 1);
	return offsetof(struct key, name) + n + 1;
}

static void remove_question(struct asked_list *list, struct question *q)
{
	hash_del(&list->by_key, key_str(&q->key, q->key_len));
	*(q->older ? &q->older->newer : &list->oldest) = q->newer;
	*(q->newer ? &q->newer->older : &list->newest) = q->older;
	list->n.waiting--;
	free(q);
}

static void tell(struct asked_list *list, struct question *q, struct asked_told *t)
{
	t->ends = q->key.ends;
	t->name = q->key.name;
	t->type = q->key.type;
	t->at = q->at;
	t->packets = q->packets;
	t->bytes[0] = q->bytes;
	list->fn(list->ctx, t);
	remove_question(list, q);
}

static void take_question(struct asked_list *list, const struct key *k, size_t key_len, uint64_t at,
			  uint32_t len)
{
	struct question *q = hash_get(&list->by_key, key_str(k, key_len));

	if (q) {
		list->n.again++;
		q->packets++;
		q->bytes += len;
		q->again_at = at;
		return;
	}
	list->n.questions++;
	q = list->n.waiting < ASKED_WAITING_MAX ? malloc(offsetof(struct question, key) + key_len) : NULL;
	if (!q || hash_set(&list->by_key, key_str(k, key_len), q, NULL)) {
		free(q);
		list->n.no_room++;
		return;
	}
	q->older = list->newest;
	q->newer = NULL;
	q->at = q->again_at = at;
	q->packets = 1;
	q->bytes = len;
	q->key_len = key_len;
	memcpy(&q->key, k, key_len);
	*(list->newest ? &list->newest->newer : &list->oldest) = q;
	list->newest = q;
	list->n.waiting++;
}

static void take_answer(struct asked_list *list, const struct key *k, size_t key_len,
			const struct dns_message *m, uint64_t at, uint32_t len)
{
	struct question *q = hash_get(&list->by_key, key_str(k, key_len));
	struct asked_told t = {.code = m->code,
			       .again_at = at,
			       .bytes = {0, len},
			       .addresses = m->addresses,
			       .addresses_len = m->addresses_len};

	if (!q) {
		list->n.unasked++;
		return;
	}
	t.answer_ns = at > q->at ? at - q->at : 0;
	list->n.answered++;
	tell(list, q, &t);
}

void asked_take(struct asked_list *list, const struct asked_ends *e, bool answer, uint64_t at,
		const uint8_t *p, size_t n, uint32_t len)
{
	struct dns_message m;
	struct key k;
	size_t key_len;

	asked_tick(list, at);
	if (dns_message_read(p, n, &m) || m.answer != answer) {
		list->n.odd++;
		return;
	}
	key_len = make_key(&k, e, &m);
	if (answer)
		take_answer(list, &k, key_len, &m, at, len);
	else
		take_question(list, &k, key_len, at, len);
}

void asked_tick(struct asked_list *list, uint64_t now)
{
	while (list->oldest && list->oldest->at + ASKED_WAIT_NS <= now) {
		struct asked_told t = {.code = DNS_NO_ANSWER, .again_at = list->oldest->again_at};

		list->n.unanswered++;
		tell(list, list->oldest, &t);
	}
}

struct asked_counts asked_counts(const struct asked_list *list)
{
	return list->n;
}
