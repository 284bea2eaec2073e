/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * weft_gc: run by the applier each second through BPF_PROG_TEST_RUN, with struct gc_order as its context.
 * Lets connections age out, by state, removes those of pods that are gone, and frees translations whose
 * connection is gone. On order also: removes what has an end whose owner changed, marks connections to be
 * judged again. Process context: it does not touch the packet programs' scratch element.
 */
#include "bpf/lib/affinity.h"
#include "bpf/lib/ended.h"
#include "bpf/lib/learned_gc.h"

/* Idle times. A half-closed connection may still deliver long after (SV56). */
#define AGE_TCP		(6 * 3600 * SECOND)
#define AGE_TCP_HALF	(3600 * SECOND)
#define AGE_TCP_CLOSED	(10 * SECOND)
#define AGE_UDP		(120 * SECOND)
#define AGE_OTHER	(30 * SECOND)
#define AGE_UNANSWERED	(60 * SECOND)
#define AGE_CUT		(1200 * SECOND) /* longer than TCP sends again what nobody answers */
#define AGE_TRANSLATION (10 * SECOND)

struct gc {
	__u64 now;
	__u32 removed;
	__u32 order; /* GC_… */
};

ALWAYS_INLINE int gc_is_gone(const struct addr16 *a)
{
	return bpf_map_lookup_elem(&gone, a) != 0;
}

ALWAYS_INLINE int gc_is_gone4(__u32 v4)
{
	struct addr16 a = {.w = {0, 0, bpf_htonl(0xffff), v4}};

	return gc_is_gone(&a);
}

/* Of a connection whose answers pass elsewhere one way is seen: its client's second packet, other than the
 * SYN again, answers something. */
ALWAYS_INLINE int gc_is_answered(const struct conn_value *v)
{
	if (v->flags & CONN_DIRECT)
		return v->flags & CONN_GOES_ON;
	return v->flags & CONN_ANSWERED;
}

ALWAYS_INLINE __u64 gc_age(__u8 proto, const struct conn_value *v)
{
	__u32 flags = v->flags;

	if (flags & CONN_CUT && (proto == IPPROTO_TCP || proto == IPPROTO_SCTP))
		return AGE_CUT;
	if (!gc_is_answered(v))
		return flags & CONN_RST ? AGE_TCP_CLOSED : AGE_UNANSWERED;
	if (proto == IPPROTO_UDP)
		return AGE_UDP;
	if (proto != IPPROTO_TCP && proto != IPPROTO_SCTP)
		return AGE_OTHER;
	if ((flags & CONN_RST) || ((flags & CONN_FIN_A) && (flags & CONN_FIN_B)))
		return AGE_TCP_CLOSED;
	return flags & (CONN_FIN_A | CONN_FIN_B) ? AGE_TCP_HALF : AGE_TCP;
}

/* 0, or ENDED_…. */
ALWAYS_INLINE int gc_is_over(const struct gc *g, __u8 proto, const struct conn_value *v)
{
	__u32 pod = v->ifindex;

	/* signed: an entry may be younger than the clock that was read before it */
	if ((__s64)(g->now - v->seen) > (__s64)gc_age(proto, v))
		return ENDED_AGED;
	return pod && !bpf_map_lookup_elem(&iface, &pod) ? ENDED_GONE : 0;
}

/* What an entry that stays gets. */
ALWAYS_INLINE void gc_mark(const struct gc *g, struct conn_value *v)
{
	if (g->order & GC_RECHECK)
		__sync_fetch_and_or(&v->flags, CONN_RECHECK);
}

ALWAYS_INLINE void gc_count(__u32 which, __u64 more)
{
	__u64 *n = bpf_map_lookup_elem(&counter, &which);

	if (n)
		__sync_fetch_and_add(n, more);
}

/* Counted before it is removed: who reads meanwhile must not take it for one that made room. */
ALWAYS_INLINE void gc_remove(struct bpf_map *map, const void *key, struct ended *e, struct gc *g, __u32 which)
{
	gc_count(which, 1);
	if (bpf_map_delete_elem(map, key)) {
		gc_count(which, (__u64)-1);
		return;
	}
	ended_tell(e);
	g->removed++;
}

ALWAYS_INLINE void gc_4(struct bpf_map *map, struct conn4_key *key, struct conn_value *v, struct gc *g,
			__u32 which)
{
	int over = gc_is_over(g, key->proto, v);
	struct ended e;

	if (!over && g->order & GC_GONE && (gc_is_gone4(key->a) || gc_is_gone4(key->b)))
		over = ENDED_GONE;
	if (!over) {
		gc_mark(g, v);
		return;
	}
	ended_4(&e, key, v, (__u32)over);
	gc_remove(map, key, &e, g, which);
}

ALWAYS_INLINE void gc_6(struct bpf_map *map, struct conn6_key *key, struct conn_value *v, struct gc *g,
			__u32 which)
{
	int over = gc_is_over(g, key->proto, v);
	struct ended e;

	if (!over && g->order & GC_GONE && (gc_is_gone(&key->a) || gc_is_gone(&key->b)))
		over = ENDED_GONE;
	if (!over) {
		gc_mark(g, v);
		return;
	}
	ended_6(&e, key, v, (__u32)over);
	gc_remove(map, key, &e, g, which);
}

static long gc_conn4(struct bpf_map *map, struct conn4_key *key, struct conn_value *v, struct gc *g)
{
	gc_4(map, key, v, g, COUNTER_CONN_REMOVED);
	return 0;
}

static long gc_conn6(struct bpf_map *map, struct conn6_key *key, struct conn_value *v, struct gc *g)
{
	gc_6(map, key, v, g, COUNTER_CONN_REMOVED);
	return 0;
}

static long gc_half4(struct bpf_map *map, struct conn4_key *key, struct conn_value *v, struct gc *g)
{
	gc_4(map, key, v, g, COUNTER_HALF_REMOVED);
	return 0;
}

static long gc_half6(struct bpf_map *map, struct conn6_key *key, struct conn_value *v, struct gc *g)
{
	gc_6(map, key, v, g, COUNTER_HALF_REMOVED);
	return 0;
}

ALWAYS_INLINE int gc_has_conn4(const struct nat_key *t)
{
	struct conn4_key k = {.proto = t->proto};
	__u64 s = (__u64)bpf_ntohl(t->src.w[3]) << 16 | bpf_ntohs(t->sport);
	__u64 d = (__u64)bpf_ntohl(t->dst.w[3]) << 16 | bpf_ntohs(t->dport);

	k.a = s <= d ? t->src.w[3] : t->dst.w[3];
	k.b = s <= d ? t->dst.w[3] : t->src.w[3];
	k.aport = s <= d ? t->sport : t->dport;
	k.bport = s <= d ? t->dport : t->sport;
	return bpf_map_lookup_elem(&conn4, &k) || bpf_map_lookup_elem(&half4, &k);
}

/* Either order of the ends: simpler here than comparing them, and right, since only one order can be there.
 */
ALWAYS_INLINE int gc_has_conn6(const struct nat_key *t)
{
	struct conn6_key k = {
	    .a = t->src, .b = t->dst, .aport = t->sport, .bport = t->dport, .proto = t->proto};

	if (bpf_map_lookup_elem(&conn6, &k) || bpf_map_lookup_elem(&half6, &k))
		return 1;
	k.a = t->dst;
	k.b = t->src;
	k.aport = t->dport;
	k.bport = t->sport;
	return bpf_map_lookup_elem(&conn6, &k) || bpf_map_lookup_elem(&half6, &k);
}

static long gc_nat(struct bpf_map *map, struct nat_key *key, struct nat_value *v, struct gc *g)
{
	__u32 role = v->flags & NAT_ROLE;
	struct nat_key ends = *key;

	if (g->order & GC_GONE &&
	    (gc_is_gone(&key->src) || gc_is_gone(&key->dst) || gc_is_gone(&v->src) || gc_is_gone(&v->dst)))
		goto remove;
	if ((__s64)(g->now - v->seen) <= (__s64)AGE_TRANSLATION)
		return 0;
	/* the stage before judging holds the connection's ends in its value, the one after in its key */
	if (role == NAT_DNAT || role == (NAT_SNAT | NAT_REPLY)) {
		ends.src = v->src;
		ends.dst = v->dst;
		ends.sport = v->sport;
		ends.dport = v->dport;
	}
	if (!ends.src.w[0] && !ends.src.w[1] && ends.src.w[2] == bpf_htonl(0xffff)) {
		if (gc_has_conn4(&ends))
			return 0;
	} else if (gc_has_conn6(&ends)) {
		return 0;
	}
remove:
	if (!bpf_map_delete_elem(map, key))
		g->removed++;
	return 0;
}

static long gc_fragment(struct bpf_map *map, struct fragment_key *key, struct fragment_value *v, struct gc *g)
{
	(void)v;
	if ((gc_is_gone(&key->src) || gc_is_gone(&key->dst)) && !bpf_map_delete_elem(map, key))
		g->removed++;
	return 0;
}

/* The unanswered first: an entry that is answered meanwhile takes its mark along, or is met in its new place.
 */
SEC("syscall") int weft_gc(struct gc_order *order)
{
	struct gc g = {.now = bpf_ktime_get_ns(), .order = order->flags};
	struct gc_names names = gc_names_begin(g.now);

	bpf_for_each_map_elem(&half4, gc_half4, &g, 0);
	bpf_for_each_map_elem(&half6, gc_half6, &g, 0);
	bpf_for_each_map_elem(&conn4, gc_conn4, &g, 0);
	bpf_for_each_map_elem(&conn6, gc_conn6, &g, 0);
	bpf_for_each_map_elem(&nat, gc_nat, &g, 0);
	if (g.order & GC_GONE)
		bpf_for_each_map_elem(&fragment, gc_fragment, &g, 0);
	bpf_for_each_map_elem(&learned, gc_learned, &names, 0);
	g.removed += names.removed;
	order->removed = g.removed;
	return 0;
}
