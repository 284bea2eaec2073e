/* SPDX-License-Identifier: Apache-2.0 */
/* Members of a group for sessions: see group.h. */
#include "broker/group.h"

#include <errno.h>

#include "base/hash.h"

enum { WAYS = 4, LOG_BITS = 24 };

struct sticky { /* a session that is not where it would be if all members were up; last 0: free */
	uint64_t hash, last;
	uint32_t member;
};

struct group {
	const struct broker_group *of;
	uint64_t *seeds;       /* of members */
	bool *down;	       /* members_n + 1 */
	uint16_t *home, *now;  /* GROUP_SLOTS: member when all are up, and as it is; members_n: none */
	struct sticky *sticky; /* GROUP_STICKY_MAX in sets of WAYS; NULL: none yet, or not wanted */
	uint64_t sticky_used;  /* entries that were ever taken: 0 spares the look-up */
	uint64_t *packets;
	struct group_counts counts;
};

/* -log2(x / 2^64) with LOG_BITS bits behind the point; x is not 0. */
static uint64_t minus_log2(uint64_t x)
{
	unsigned whole = (unsigned)__builtin_clzll(x);
	uint64_t bits = 0;

	x <<= whole;
	for (int i = 0; i < LOG_BITS; i++) {
		unsigned __int128 square = (unsigned __int128)x * x;

		bits <<= 1;
		if (square >> 127) {
			bits |= 1;
			x = (uint64_t)(square >> 64);
		} else {
			x = (uint64_t)(square >> 63);
		}
	}
	return ((uint64_t)(whole + 1) << LOG_BITS) - bits;
}

/* Weighted rendezvous: the least -log(u) / weight wins, u drawn from member and slot. */
static uint16_t winner(const struct group *g, uint32_t slot, bool all)
{
	uint32_t best = g->of->members_n;
	uint64_t best_log = 0;

	for (uint32_t i = 0; i < g->of->members_n; i++) {
		uint64_t u, log;

		if (!all && g->down[i])
			continue;
		u = hash_bytes(&slot, sizeof(slot), g->seeds[i]);
		log = minus_log2(u ? u : 1);
		if (best == g->of->members_n || (unsigned __int128)log * g->of->members[best].weight <
						    (unsigned __int128)best_log * g->of->members[i].weight) {
			best = i;
			best_log = log;
		}
	}
	return (uint16_t)best;
}

static void seed_members(struct group *g, const struct broker *b)
{
	for (uint32_t i = 0; i < g->of->members_n; i++) {
		const struct broker_port *p = &b->ports[g->of->members[i].port];

		g->seeds[i] = hash_bytes(p->port.p, p->port.n, hash_bytes(p->tool.p, p->tool.n, 1));
	}
}

int group_new(struct group **out, const struct broker *b, const struct broker_group *of)
{
	struct group *g = calloc(1, sizeof(*g));
	size_t n = (size_t)of->members_n + 1;

	if (!g)
		return -ENOMEM;
	g->of = of;
	g->seeds = calloc(n, sizeof(*g->seeds));
	g->down = calloc(n, sizeof(*g->down));
	g->packets = calloc(n, sizeof(*g->packets));
	g->home = calloc(GROUP_SLOTS, sizeof(*g->home));
	g->now = calloc(GROUP_SLOTS, sizeof(*g->now));
	if (of->sticky)
		g->sticky = calloc(GROUP_STICKY_MAX, sizeof(*g->sticky));
	if (!g->seeds || !g->down || !g->packets || !g->home || !g->now || (of->sticky && !g->sticky)) {
		group_free(&g);
		return -ENOMEM;
	}
	seed_members(g, b);
	for (uint32_t i = 0; i < GROUP_SLOTS; i++)
		g->home[i] = g->now[i] = winner(g, i, true);
	*out = g;
	return 0;
}

void group_free(struct group **g)
{
	if (!*g)
		return;
	free((*g)->seeds);
	free((*g)->down);
	free((*g)->packets);
	free((*g)->home);
	free((*g)->now);
	free((*g)->sticky);
	free(*g);
	*g = NULL;
}

void group_set_down(struct group *g, uint32_t member, bool down)
{
	if (member > g->of->members_n || g->down[member] == down)
		return;
	g->down[member] = down;
	for (uint32_t i = 0; i < GROUP_SLOTS; i++)
		g->now[i] = g->down[g->home[i]] ? winner(g, i, false) : g->home[i];
}

static struct sticky *sticky_set(const struct group *g, uint64_t hash)
{
	return &g->sticky[hash / GROUP_SLOTS % (GROUP_STICKY_MAX / WAYS) * WAYS];
}

static bool fresh(const struct sticky *s, uint64_t now)
{
	return s->last && (now < s->last || now - s->last < GROUP_STICKY_SECONDS * 1000000000ull);
}

static struct sticky *sticky_find(const struct group *g, uint64_t hash, uint64_t now)
{
	struct sticky *set = sticky_set(g, hash);

	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].hash == hash && fresh(&set[i], now) && !g->down[set[i].member])
			return &set[i];
	return NULL;
}

static void sticky_put(struct group *g, uint64_t hash, uint64_t now, uint32_t member)
{
	struct sticky *set = sticky_set(g, hash), *to = &set[0];

	for (unsigned i = 0; i < WAYS; i++) {
		if (!fresh(&set[i], now) || set[i].hash == hash) {
			to = &set[i];
			break;
		}
		if (set[i].last < to->last)
			to = &set[i];
	}
	g->counts.forgotten += fresh(to, now) && to->hash != hash;
	*to = (struct sticky){.hash = hash, .last = now ? now : 1, .member = member};
	g->sticky_used++;
}

void group_adopt(struct group *g, const struct group *before)
{
	if (!g->sticky || !before->sticky || !before->sticky_used || g->of->flow != before->of->flow)
		return;
	for (uint32_t i = 0; i < GROUP_STICKY_MAX; i++) {
		const struct sticky *s = &before->sticky[i];

		for (uint32_t m = 0; s->last && m < g->of->members_n; m++)
			if (g->seeds[m] == before->seeds[s->member]) {
				g->sticky[i] = *s;
				g->sticky[i].member = m;
				g->sticky_used++;
			}
	}
}

static uint32_t member_of(struct group *g, uint64_t hash, uint64_t now)
{
	uint32_t slot = (uint32_t)(hash % GROUP_SLOTS);

	if (g->sticky && g->sticky_used) {
		struct sticky *s = sticky_find(g, hash, now);
		if (s) {
			s->last = now ? now : 1;
			g->counts.sticky++;
			return s->member;
		}
	}
	if (g->sticky && g->now[slot] != g->home[slot] && g->now[slot] < g->of->members_n)
		sticky_put(g, hash, now, g->now[slot]);
	return g->now[slot];
}

uint32_t group_choose(struct group *g, const struct chain_packet *p, bool ip, uint64_t now)
{
	/* Behind MPLS labels there may be IP, which the flow's hash sees. */
	uint64_t hash = ip ? chain_flow(p, g->of->flow, 0) : 0;
	uint32_t m = member_of(g, hash, now);

	g->counts.packets++;
	g->counts.not_ip += !ip;
	if (m < g->of->members_n) {
		g->packets[m]++;
		return g->of->members[m].port;
	}
	if (g->of->standby == BROKER_NONE || g->down[m]) {
		g->counts.down++;
		return BROKER_NONE;
	}
	g->counts.standby++;
	g->packets[m]++;
	return g->of->standby;
}

const struct group_counts *group_counts(const struct group *g)
{
	return &g->counts;
}

const uint64_t *group_member_packets(const struct group *g)
{
	return g->packets;
}
