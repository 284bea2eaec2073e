/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that go on, told while they do: what of each was handed on already, so that each record has
 * what came since the last one, and all of a connection's records add up to it. In memory: it goes with the
 * exporter.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/own.h"
#include "cli/export.h"

enum { TOLD_MAX = 1 << 18, OPEN_LIMIT = 100000, UNSEEN_MS = 600000 };

struct told { /* of a connection */
	struct told_key {
		uint64_t id, domain;
	} key;
	uint64_t bytes[2], packets[2];
	uint64_t at, seen; /* monotonic ms: told, and open, last */
	uint64_t last;	   /* ms since 1970 */
};

struct export_active {
	uint64_t after_ms, next_ms;
	struct hash told; /* told_key → struct told, owned */
};

int export_active_new(struct export_active **out, unsigned seconds)
{
	struct export_active *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->after_ms = seconds * UINT64_C(1000);
	*out = a;
	return 0;
}

void export_active_free(struct export_active **pa)
{
	struct export_active *a = *pa;

	if (!a)
		return;
	HASH_EACH (&a->told, s)
		free(s->value);
	hash_fini(&a->told);
	free(TAKE(*pa));
}

bool export_active_due(const struct export_active *a)
{
	return a && clock_ms() >= a->next_ms;
}

json_t *export_active_question(struct export_active *a)
{
	/* four looks in each interval: a record comes at most a quarter late */
	a->next_ms = clock_ms() + a->after_ms / 4;
	return json_pack("{s:b,s:i}", "open", true, "limit", OPEN_LIMIT);
}

static struct str key_str(const struct told_key *k)
{
	return (struct str){(const char *)k, sizeof(*k)};
}

static struct told *told_new(struct export_active *a, const struct told_key *k)
{
	struct told *t = a->told.len < TOLD_MAX ? calloc(1, sizeof(*t)) : NULL;

	if (!t)
		return NULL;
	t->key = *k;
	if (!hash_set(&a->told, key_str(k), t, NULL))
		return t;
	free(t);
	return NULL;
}

/* What came since; a number that shrank is another connection's. */
static uint64_t since(uint64_t now, uint64_t before)
{
	return now >= before ? now - before : now;
}

static void take_off(struct ipfix_record *r, const struct told *t)
{
	for (unsigned i = 0; i < 2; i++) {
		r->bytes[i] = since(r->bytes[i], t->bytes[i]);
		r->packets[i] = since(r->packets[i], t->packets[i]);
	}
	r->first = t->last < r->last ? t->last : r->last;
}

bool export_active_take(struct export_active *a, uint32_t domain, bool ended, struct ipfix_record *r)
{
	struct told_key key = {.id = r->id, .domain = domain};
	struct told *t = hash_get(&a->told, key_str(&key));
	const struct ipfix_record whole = *r;

	if (ended) {
		if (t) {
			take_off(r, t);
			hash_del(&a->told, key_str(&key));
			free(t);
		}
		return true;
	}
	if (t)
		t->seen = clock_ms();
	/* a connection is due when it is that old, or its last record is */
	uint64_t wall = (uint64_t)clock_wall() * 1000;

	if (t ? clock_ms() - t->at < a->after_ms : wall < r->first + a->after_ms)
		return false;
	if (t)
		take_off(r, t);
	if (!r->packets[0] && !r->packets[1])
		return false;
	t = t ? t : told_new(a, &key);
	if (!t)
		return false; /* told at its end */
	memcpy(t->bytes, whole.bytes, sizeof(t->bytes));
	memcpy(t->packets, whole.packets, sizeof(t->packets));
	t->last = whole.last;
	t->at = clock_ms();
	t->seen = t->at;
	r->end_reason = EXPORT_ACTIVE_TIMEOUT;
	return true;
}

void export_active_keep(struct export_active *a, uint32_t domain, uint64_t id)
{
	struct told_key key = {.id = id, .domain = domain};
	struct told *t = hash_get(&a->told, key_str(&key));

	if (t)
		t->seen = clock_ms();
}

void export_active_forget(struct export_active *a)
{
	VEC(struct told *) gone = {};
	uint64_t now = clock_ms();

	HASH_EACH (&a->told, s) {
		struct told *t = s->value;

		if (now - t->seen > UNSEEN_MS && vec_push(&gone, t))
			break;
	}
	VEC_EACH (&gone, t) {
		hash_del(&a->told, key_str(&(*t)->key));
		free(*t);
	}
	vec_free(&gone);
}
