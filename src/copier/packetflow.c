/* SPDX-License-Identifier: Apache-2.0 */
/* Packets → flows: see packetflow.h. */
#include "copier/packetflow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "seam/event.h"

enum { NONE = UINT32_MAX };
_Static_assert(sizeof(struct packetflow_key) == 48, "a key has no gaps");

struct entry {
	struct packetflow flow;
	uint32_t older, newer; /* in the order of their last packets; of free ones: the next free one */
	uint32_t next;	       /* of its bucket */
	uint32_t bucket;
	uint64_t seen; /* by the caller's clock */
};

struct packetflows {
	struct entry *entries;
	uint32_t *buckets;
	uint32_t most, mask, free, oldest, newest;
	uint64_t idle, active, seed, numbers, packets, now;
	packetflow_told *told;
	void *ctx;
};

int packetflows_new(struct packetflows **out, uint32_t most, uint64_t idle, uint64_t active,
		    packetflow_told *told, void *ctx)
{
	struct packetflows *t = calloc(1, sizeof(*t));
	uint32_t n = 1;

	if (!t)
		return -ENOMEM;
	while (n < most)
		n *= 2;
	*t = (struct packetflows){.most = most,
				  .mask = n - 1,
				  .oldest = NONE,
				  .newest = NONE,
				  .idle = idle,
				  .active = active,
				  .told = told,
				  .ctx = ctx};
	t->entries = calloc(most, sizeof(*t->entries));
	t->buckets = malloc(n * sizeof(*t->buckets));
	if (!t->entries || !t->buckets) {
		packetflows_free(&t);
		return -ENOMEM;
	}
	memset(t->buckets, 0xff, n * sizeof(*t->buckets));
	for (uint32_t i = 0; i < most; i++)
		t->entries[i].older = i + 1 < most ? i + 1 : NONE;
	t->seed = (uint64_t)(uintptr_t)t->entries; /* not to be guessed by who sends */
	*out = t;
	return 0;
}

void packetflows_free(struct packetflows **t)
{
	if (!*t)
		return;
	free((*t)->entries);
	free((*t)->buckets);
	free(*t);
	*t = NULL;
}

static void unlink_age(struct packetflows *t, struct entry *e)
{
	*(e->older == NONE ? &t->oldest : &t->entries[e->older].newer) = e->newer;
	*(e->newer == NONE ? &t->newest : &t->entries[e->newer].older) = e->older;
}

static void link_newest(struct packetflows *t, uint32_t i)
{
	struct entry *e = &t->entries[i];

	e->older = t->newest;
	e->newer = NONE;
	*(t->newest == NONE ? &t->oldest : &t->entries[t->newest].newer) = i;
	t->newest = i;
}

static void tell(struct packetflows *t, struct entry *e, enum packetflow_end why)
{
	struct packetflow *f = &e->flow;

	t->packets -= f->packets;
	t->told(t->ctx, f, why == PACKETFLOW_IDLE && f->ended ? PACKETFLOW_ENDED : why);
	f->packets = f->bytes = 0;
}

static void end(struct packetflows *t, uint32_t i, enum packetflow_end why)
{
	struct entry *e = &t->entries[i];
	uint32_t *at = &t->buckets[e->bucket];

	if (e->flow.packets)
		tell(t, e, why);
	while (*at != i)
		at = &t->entries[*at].next;
	*at = e->next;
	unlink_age(t, e);
	e->older = t->free;
	t->free = i;
}

static uint32_t find(const struct packetflows *t, uint32_t bucket, const struct packetflow_key *k)
{
	uint32_t i = t->buckets[bucket];

	while (i != NONE && memcmp(&t->entries[i].flow.key, k, sizeof(*k)) != 0)
		i = t->entries[i].next;
	return i;
}

static uint32_t begin(struct packetflows *t, uint32_t bucket, const struct packetflow_key *k)
{
	uint32_t i;
	struct entry *e;

	if (t->free == NONE)
		end(t, t->oldest, PACKETFLOW_ROOM);
	i = t->free;
	e = &t->entries[i];
	t->free = e->older;
	*e = (struct entry){
	    .flow = {.key = *k, .number = ++t->numbers}, .next = t->buckets[bucket], .bucket = bucket};
	t->buckets[bucket] = i;
	link_newest(t, i);
	return i;
}

void packetflows_add(struct packetflows *t, const struct packetflow_key *k, uint64_t time, uint32_t bytes,
		     bool ends)
{
	uint32_t bucket = (uint32_t)hash_bytes(k, sizeof(*k), t->seed) & t->mask, i = find(t, bucket, k);
	struct packetflow *f;

	if (i == NONE)
		i = begin(t, bucket, k);
	f = &t->entries[i].flow;
	if (f->packets && time > f->first && time - f->first >= t->active)
		tell(t, &t->entries[i], PACKETFLOW_ACTIVE);
	if (!f->packets)
		f->first = f->last = time;
	f->first = time < f->first ? time : f->first;
	f->last = time > f->last ? time : f->last;
	f->packets++;
	f->bytes += bytes;
	f->ended |= ends;
	t->packets++;
	t->entries[i].seen = t->now;
	unlink_age(t, &t->entries[i]);
	link_newest(t, i);
}

void packetflows_tick(struct packetflows *t, uint64_t now)
{
	t->now = now;
	while (t->oldest != NONE && now - t->entries[t->oldest].seen >= t->idle)
		end(t, t->oldest, PACKETFLOW_IDLE);
}

void packetflows_flush(struct packetflows *t)
{
	while (t->oldest != NONE)
		end(t, t->oldest, PACKETFLOW_FORCED);
}

uint64_t packetflows_packets(const struct packetflows *t)
{
	return t->packets;
}

uint8_t packetflow_status(const struct packetflow_key *k)
{
	enum {
		FORWARDED = 64,
		UNKNOWN = 128,
		ACL_DENY = 129,
		UNROUTABLE = 131,
		MTU = 133,
		HEADER = 136,
		RPF = 140
	};

	if (!k->dropped)
		return FORWARDED;
	switch (k->reason) {
	case DROP_POLICY_EGRESS:
	case DROP_POLICY_INGRESS:
	case DROP_DENY_EGRESS:
	case DROP_DENY_INGRESS:
	case DROP_SOURCE_RANGE:
		return ACL_DENY;
	case DROP_NO_ENDPOINT:
	case DROP_NO_NODE:
	case DROP_NO_SERVICE:
	case DROP_NO_BACKEND:
		return UNROUTABLE;
	case DROP_SPOOFED:
		return RPF;
	case DROP_TOO_BIG:
		return MTU;
	case DROP_MALFORMED:
		return HEADER;
	default:
		return UNKNOWN;
	}
}
