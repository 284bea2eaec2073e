/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading per-CPU tables, connections and rings. Sums CPUs; turns sorted connection keys back into who began.
 * Holds the last events in a circle. Called by the observer only.
 */
#include "observe/kernel.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>

#include "base/own.h"
#include "seam/event.h"

_Static_assert((int)COUNTER_MAX <= (int)OBSERVE_COUNTERS_MAX, "room for all counters");

enum table {
	DROP_TABLE,
	COUNTER_TABLE,
	CONN4,
	CONN6,
	HALF4,
	HALF6,
	STAGED_TABLE,
	LEARNED_TABLE,
	NAT_TABLE,
	KERNEL_TABLE,
	WATCHING_TABLE,
	TAPPED_TABLE,
	OUTLET_TABLE,
	SLOT_TABLE,
	TABLES
};
enum { BATCH = 256, CPUS_MAX = 64 };

struct observed {
	int fd[TABLES];
	int cpus;
	struct ring_buffer *rings;
	VEC(int) ring_fds;
	struct event events[OBSERVE_EVENTS];
	uint64_t taken;
	observed_end *on_end; /* may be NULL */
	void *on_end_ctx;
	observed_told *on_drop; /* may be NULL */
	void *on_drop_ctx;
	observed_message *on_asked; /* may be NULL */
	void *on_asked_ctx;
};

static void make_seen(struct seen *out, const struct event *e);

static int on_event(void *ctx, void *data, size_t n)
{
	struct observed *o = ctx;

	const struct event *e = data;
	struct seen s;

	if (n < sizeof(*e))
		return 0;
	memcpy(&o->events[o->taken++ % OBSERVE_EVENTS], e, sizeof(*e));
	if (o->on_drop) {
		make_seen(&s, e);
		o->on_drop(o->on_drop_ctx, &s);
	}
	return 0;
}

static int on_ended(void *ctx, void *data, size_t n);

static int on_asked(void *ctx, void *data, size_t n)
{
	const size_t head = offsetof(struct asked, message);
	struct observed *o = ctx;

	if (n > head && n <= sizeof(struct asked) && o->on_asked)
		o->on_asked(o->on_asked_ctx, data, n - head);
	return 0;
}

/* What was asked is taken before what ended: a connection by a name comes after it. */
static ring_buffer_sample_fn reader_of(unsigned ring)
{
	return ring == 0 ? on_asked : ring == 1 ? on_ended : on_event;
}

int observed_new(struct observed **out, const int *fds, unsigned n)
{
	struct observed *o;
	int err = 0;

	if (n < TABLES || n > TABLES + OBSERVE_RINGS_MAX)
		return -EINVAL;
	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	o->cpus = libbpf_num_possible_cpus();
	if (o->cpus < 1 || o->cpus > CPUS_MAX)
		err = -ERANGE;
	for (unsigned i = TABLES; i < n && !err; i++) {
		if (!o->rings) {
			o->rings = ring_buffer__new(fds[i], reader_of(0), o, NULL);
			err = o->rings ? 0 : -errno;
		} else {
			err = ring_buffer__add(o->rings, fds[i], reader_of(i - TABLES), o);
		}
		if (!err)
			err = vec_push(&o->ring_fds, fds[i]);
	}
	if (err) {
		ring_buffer__free(o->rings);
		vec_free(&o->ring_fds);
		free(o);
		return err;
	}
	memcpy(o->fd, fds, sizeof(o->fd));
	*out = o;
	return 0;
}

void observed_free(struct observed **po)
{
	struct observed *o = *po;

	*po = NULL;
	if (!o)
		return;
	ring_buffer__free(o->rings);
	VEC_EACH (&o->ring_fds, fd)
		close(*fd);
	vec_free(&o->ring_fds);
	for (unsigned i = 0; i < TABLES; i++)
		close(o->fd[i]);
	free(o);
}

static int drop_order(const void *x, const void *y)
{
	const struct drop_count *a = x, *b = y;

	if (a->ifindex != b->ifindex)
		return a->ifindex < b->ifindex ? -1 : 1;
	if (a->reason != b->reason)
		return a->reason < b->reason ? -1 : 1;
	if (a->to_pod != b->to_pod)
		return a->to_pod - b->to_pod;
	return (a->cause > b->cause) - (a->cause < b->cause);
}

static int count_drops(const struct observed *o, enum table t, struct drop_counts *out)
{
	struct drop_value each[CPUS_MAX];
	struct drop_key key, before;
	const void *at = NULL;

	while (!bpf_map_get_next_key(o->fd[t], at, &key)) {
		struct drop_count one = {.ifindex = key.ifindex,
					 .cause = key.cause,
					 .reason = key.reason,
					 .to_pod = key.direction == DIR_TO_POD};

		before = key;
		at = &before;
		if (bpf_map_lookup_elem(o->fd[t], &key, each))
			continue; /* gone meanwhile */
		for (int c = 0; c < o->cpus; c++) {
			one.packets += each[c].packets;
			one.bytes += each[c].bytes;
		}
		if (vec_push(&out->list, one))
			return -ENOMEM;
	}
	if (errno != ENOENT)
		return -errno;
	if (out->list.len)
		qsort(out->list.items, out->list.len, sizeof(*out->list.items), drop_order);
	return 0;
}

int observed_drops(const struct observed *o, struct drop_counts *out)
{
	return count_drops(o, DROP_TABLE, out);
}

int observed_staged(const struct observed *o, struct drop_counts *out)
{
	return count_drops(o, STAGED_TABLE, out);
}

int observed_kernel_drops(const struct observed *o, struct drop_counts *out)
{
	uint32_t zero = 0, watching = 0;

	if (bpf_map_lookup_elem(o->fd[WATCHING_TABLE], &zero, &watching))
		return -errno;
	return watching ? count_drops(o, KERNEL_TABLE, out) : -ENODATA;
}

int observed_learned(const struct observed *o,
		     int (*fn)(void *ctx, const struct addr *a, const struct learned_value *v), void *ctx)
{
	struct learned_value v;
	struct addr16 key, before;
	const void *at = NULL;
	struct addr a;

	while (!bpf_map_get_next_key(o->fd[LEARNED_TABLE], at, &key)) {
		int ret;

		before = key;
		at = &before;
		if (bpf_map_lookup_elem(o->fd[LEARNED_TABLE], &key, &v))
			continue; /* gone meanwhile */
		memcpy(&a, &key, sizeof(a));
		ret = fn(ctx, &a, &v);
		if (ret)
			return ret;
	}
	return errno == ENOENT ? 0 : -errno;
}

/* Sums the CPUs' copies of a record of 64-bit counters. */
enum { SUMS_MAX = sizeof(struct tapped_slot) / sizeof(uint64_t) }; /* of an element of a per-CPU map */
_Static_assert(sizeof(struct tapped_value) / sizeof(uint64_t) <= SUMS_MAX, "room");
_Static_assert(sizeof(struct outlet_count) / sizeof(uint64_t) <= SUMS_MAX, "room");

/* An element of a per-CPU map, all CPUs' added up. 0 or -errno. */
static int sum_of(const struct observed *o, enum table table, const void *key, uint64_t *out, size_t words)
{
	uint64_t each[CPUS_MAX * SUMS_MAX];

	if (bpf_map_lookup_elem(o->fd[table], key, each))
		return -errno;
	memset(out, 0, words * sizeof(*out));
	for (int c = 0; c < o->cpus; c++)
		for (size_t i = 0; i < words; i++)
			out[i] += each[(size_t)c * words + i];
	return 0;
}

static void in_slot(const struct tapped_slot *s,
		    void (*fn)(void *ctx, const struct tapped_key *k, const struct tapped_value *v),
		    void *ctx)
{
	for (uint32_t take = TAP_IN; take <= TAP_OUT; take++) {
		const struct tapped_key key = {.ifindex = (uint32_t)s->ifindex, .take = take};

		if (s->take[take].seen || s->take[take].own)
			fn(ctx, &key, &s->take[take]);
	}
}

/* Of interfaces. They are given in order. */
static int in_slots(const struct observed *o,
		    void (*fn)(void *ctx, const struct tapped_key *k, const struct tapped_value *v),
		    void *ctx)
{
	enum { WORDS = sizeof(struct tapped_slot) / sizeof(uint64_t) };
	union {
		struct tapped_slot slot;
		uint64_t words[WORDS];
	} sum;

	for (uint32_t i = 1; i < TAPPED_SLOTS; i++) {
		int err = sum_of(o, SLOT_TABLE, &i, sum.words, WORDS);

		if (err || !sum.slot.ifindex)
			return err;
		sum.slot.ifindex /= (unsigned)o->cpus; /* the same on all */
		in_slot(&sum.slot, fn, ctx);
	}
	return 0;
}

int observed_tapped(const struct observed *o,
		    void (*fn)(void *ctx, const struct tapped_key *k, const struct tapped_value *v),
		    void *ctx)
{
	enum { WORDS = sizeof(struct tapped_value) / sizeof(uint64_t) };
	union {
		struct tapped_value value;
		uint64_t words[WORDS];
	} sum;
	struct tapped_key at, next;
	bool first = true;

	while (!bpf_map_get_next_key(o->fd[TAPPED_TABLE], first ? NULL : &at, &next)) {
		at = next;
		first = false;
		if (sum_of(o, TAPPED_TABLE, &at, sum.words, WORDS))
			continue; /* it was removed meanwhile */
		fn(ctx, &at, &sum.value);
	}
	return errno == ENOENT ? in_slots(o, fn, ctx) : -errno;
}

int observed_outlets(const struct observed *o,
		     void (*fn)(void *ctx, uint32_t number, const struct outlet_count *n), void *ctx)
{
	enum { WORDS = sizeof(struct outlet_count) / sizeof(uint64_t) };
	union {
		struct outlet_count value;
		uint64_t words[WORDS];
	} sum;

	for (uint32_t number = 0; number <= OUTLETS_MAX; number++) {
		int err = sum_of(o, OUTLET_TABLE, &number, sum.words, WORDS);
		uint64_t any = 0;

		if (err)
			return err;
		for (size_t i = 0; i < WORDS; i++)
			any |= sum.words[i];
		if (any || !number)
			fn(ctx, number, &sum.value);
	}
	return 0;
}

int observed_counters(const struct observed *o, uint64_t out[OBSERVE_COUNTERS_MAX])
{
	uint64_t each[CPUS_MAX];

	for (uint32_t i = 0; i < COUNTER_MAX; i++) {
		out[i] = 0;
		if (bpf_map_lookup_elem(o->fd[COUNTER_TABLE], &i, each))
			return -errno;
		for (int c = 0; c < o->cpus; c++)
			out[i] += each[c];
	}
	return COUNTER_MAX;
}

int64_t observed_epoch(const struct observed *o)
{
	struct bpf_map_info info = {0};
	uint32_t n = sizeof(info);

	return bpf_obj_get_info_by_fd(o->fd[COUNTER_TABLE], &info, &n) ? -errno : (int64_t)info.id;
}

static struct addr mapped(uint32_t network_order)
{
	return addr_from4(__builtin_bswap32(network_order));
}

static void orient(struct conn *c, const struct addr *a, uint16_t aport, const struct addr *b, uint16_t bport)
{
	bool by_b = c->value.flags & CONN_STARTED_BY_B;

	c->from = by_b ? *b : *a;
	c->to = by_b ? *a : *b;
	c->from_port = __builtin_bswap16(by_b ? bport : aport);
	c->to_port = __builtin_bswap16(by_b ? aport : bport);
}

static void make_conn(struct conn *c, bool is4, const uint8_t *key, const struct conn_value *value)
{
	struct conn4_key k4;
	struct conn6_key k6;
	struct addr a, b;

	c->value = *value;
	if (is4) {
		memcpy(&k4, key, sizeof(k4));
		a = mapped(k4.a);
		b = mapped(k4.b);
		c->proto = k4.proto;
		orient(c, &a, k4.aport, &b, k4.bport);
	} else {
		memcpy(&k6, key, sizeof(k6));
		memcpy(&a, &k6.a, sizeof(a));
		memcpy(&b, &k6.b, sizeof(b));
		c->proto = k6.proto;
		orient(c, &a, k6.aport, &b, k6.bport);
	}
}

static int on_ended(void *ctx, void *data, size_t n)
{
	struct observed *o = ctx;
	const struct ended *e = data;
	struct conn c;

	if (n < sizeof(*e) || !o->on_end)
		return 0;
	make_conn(&c, false, (const uint8_t *)&e->key, &e->value);
	o->on_end(o->on_end_ctx, &c, e->at, e->why);
	return 0;
}

void observed_on_end(struct observed *o, observed_end *fn, void *ctx)
{
	o->on_end = fn;
	o->on_end_ctx = ctx;
}

void observed_on_drop(struct observed *o, observed_told *fn, void *ctx)
{
	o->on_drop = fn;
	o->on_drop_ctx = ctx;
}

void observed_on_asked(struct observed *o, observed_message *fn, void *ctx)
{
	o->on_asked = fn;
	o->on_asked_ctx = ctx;
}

static int table_conns(const struct observed *o, enum table t, int (*fn)(void *ctx, const struct conn *c),
		       void *ctx)
{
	bool is4 = t == CONN4 || t == HALF4, first = true;
	size_t size = is4 ? sizeof(struct conn4_key) : sizeof(struct conn6_key);
	uint8_t in[64], out[64];
	AUTO_MEM uint8_t *keys = malloc(BATCH * size);
	AUTO_MEM struct conn_value *values = malloc(BATCH * sizeof(*values));

	if (!keys || !values)
		return -ENOMEM;
	for (;;) {
		uint32_t n = BATCH;
		int err = bpf_map_lookup_batch(o->fd[t], first ? NULL : in, out, keys, values, &n, NULL)
			      ? -errno
			      : 0;

		if (err && err != -ENOENT)
			return err;
		for (uint32_t i = 0; i < n; i++) {
			struct conn c;
			int ret;

			make_conn(&c, is4, keys + i * size, &values[i]);
			ret = fn(ctx, &c);
			if (ret)
				return ret;
		}
		if (err)
			return 0;
		memcpy(in, out, sizeof(in));
		first = false;
	}
}

static bool is_source(struct translation *t, const struct nat_key *k, const struct nat_value *v)
{
	if ((v->flags & NAT_ROLE) != NAT_SNAT)
		return false;
	memcpy(&t->from, &k->src, sizeof(t->from));
	memcpy(&t->as, &v->src, sizeof(t->as));
	memcpy(&t->to, &v->dst, sizeof(t->to));
	t->from_port = __builtin_bswap16(k->sport);
	t->as_port = __builtin_bswap16(v->sport);
	t->to_port = __builtin_bswap16(v->dport);
	t->proto = k->proto;
	return true;
}

int observed_translations(const struct observed *o, int (*fn)(void *ctx, const struct translation *t),
			  void *ctx)
{
	AUTO_MEM struct nat_key *keys = malloc(BATCH * sizeof(*keys));
	AUTO_MEM struct nat_value *values = malloc(BATCH * sizeof(*values));
	uint8_t in[64], out[64];
	bool first = true;
	int err = 0;

	if (!keys || !values)
		return -ENOMEM;
	while (!err) {
		uint32_t n = BATCH;

		err = bpf_map_lookup_batch(o->fd[NAT_TABLE], first ? NULL : in, out, keys, values, &n, NULL)
			  ? -errno
			  : 0;
		if (err && err != -ENOENT)
			return err;
		for (uint32_t i = 0; i < n; i++) {
			struct translation t;
			int ret = is_source(&t, &keys[i], &values[i]) ? fn(ctx, &t) : 0;

			if (ret)
				return ret;
		}
		memcpy(in, out, sizeof(in));
		first = false;
	}
	return 0;
}

int observed_conns(const struct observed *o, bool answered, int (*fn)(void *ctx, const struct conn *c),
		   void *ctx)
{
	int err = table_conns(o, answered ? CONN4 : HALF4, fn, ctx);

	return err ? err : table_conns(o, answered ? CONN6 : HALF6, fn, ctx);
}

int observed_poll(struct observed *o)
{
	int n = o->rings ? ring_buffer__consume(o->rings) : 0;

	return n < 0 ? n : 0;
}

static void make_seen(struct seen *out, const struct event *e)
{
	*out = (struct seen){.at = e->at,
			     .ifindex = e->ifindex,
			     .cause = e->cause,
			     .staged = e->type == EVENT_STAGED,
			     .by_kernel = e->type == EVENT_KERNEL,
			     .len = e->len,
			     .sport = __builtin_bswap16(e->sport),
			     .dport = __builtin_bswap16(e->dport),
			     .reason = e->reason,
			     .proto = e->proto,
			     .to_pod = e->direction == DIR_TO_POD};
	memcpy(&out->src, &e->src, sizeof(out->src));
	memcpy(&out->dst, &e->dst, sizeof(out->dst));
}

bool observed_event(const struct observed *o, unsigned i, struct seen *out)
{
	if (i >= OBSERVE_EVENTS || i >= o->taken)
		return false;
	make_seen(out, &o->events[(o->taken - 1 - i) % OBSERVE_EVENTS]);
	return true;
}

uint64_t observed_events(const struct observed *o)
{
	return o->taken;
}

struct drop_words {
	const char *name, *advice;
};
static const struct drop_words drop_table[DROP_MAX] = {
#define DROP(id, number, text, advice) [number] = {text, advice},
#include "tables/drops.def"
#undef DROP
};

const char *drop_name(uint32_t reason)
{
	return reason < DROP_MAX && drop_table[reason].name ? drop_table[reason].name : "unknown";
}

const char *drop_advice(uint32_t reason)
{
	return reason < DROP_MAX && drop_table[reason].advice ? drop_table[reason].advice : "";
}

const char *counter_name(uint32_t c)
{
	static const char *const names[COUNTER_MAX] = {
#define COUNTER(id, sentence) #id,
#include "tables/counters.def"
#undef COUNTER
	};

	return c < COUNTER_MAX ? names[c] : "unknown";
}
