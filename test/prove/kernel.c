/* SPDX-License-Identifier: Apache-2.0 */
/* Loads the programs and runs frames through them. Knows no objects. */
#include "kernel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "seam/asked.h"
#include "seam/class.h"
#include "seam/config.h"
#include "seam/conn.h"
#include "seam/endpoint.h"
#include "seam/event.h"
#include "seam/name.h"
#include "seam/policy.h"
#include "seam/service.h"
#include "seam/tap.h"
#include "weft.skel.h"
#include <unistd.h>
#include <bpf/bpf.h>

enum { KEY_MAX = 264, VALUE_MAX = 512, PLANNED_MAX = 4096, KERNEL_MAX = 2048, RING_BYTES = 65536 };

struct kernel_node {
	struct weft *skeleton;
	int map[PLAN_MAP_COUNT];
	struct ring_buffer *rings;
	struct ran *into; /* events of the present run */
};

static const struct {
	bool planned, array;
	uint32_t key, value;
} shapes[PLAN_MAP_COUNT] = {
#define WRITER_PLAN   true
#define WRITER_BOTH   true
#define WRITER_KERNEL false
#define BPF_MAP(id, type, key_type, value_type, entries, flags, writer, sentence)                            \
	[PLAN_MAP_##id] = {WRITER_##writer,                                                                  \
			   sizeof(#type) == sizeof("ARRAY") || sizeof(#type) == sizeof("PERCPU_ARRAY"),      \
			   sizeof(key_type), sizeof(value_type)},
#include "tables/maps.def"
#undef BPF_MAP
};

int kernel_interfaces(uint32_t first, uint32_t n)
{
	FILE *ip = popen("ip -batch -", "w");
	if (!ip)
		return -errno;
	for (uint32_t i = 0; i <= n; i++) {
		uint32_t index = i ? first + i - 1 : KERNEL_UPLINK;
		fprintf(ip, "link add index %u name wp%u type veth peer name end%u index %u\n", index, index,
			i, 20000 + i);
	}
	return pclose(ip) ? -EPERM : 0;
}

static int heard(void *ctx, void *data, size_t len)
{
	const struct kernel_node *k = ctx;
	const struct event *e = data;
	if (len != sizeof(*e) || !k->into || k->into->n == TOLD_MAX)
		return 0;
	k->into->told[k->into->n++] = (struct told){e->type, e->ifindex, e->reason, e->direction, e->cause};
	return 0;
}

static int make_rings(struct kernel_node *k)
{
	int outer = bpf_map__fd(k->skeleton->maps.events), cpus = libbpf_num_possible_cpus();
	for (uint32_t cpu = 0; cpu < (uint32_t)cpus; cpu++) {
		int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ring", 0, 0, RING_BYTES, NULL), e = 0;
		if (fd < 0 || bpf_map_update_elem(outer, &cpu, &fd, BPF_ANY))
			return -errno;
		if (k->rings)
			e = ring_buffer__add(k->rings, fd, heard, k);
		else
			k->rings = ring_buffer__new(fd, heard, k, NULL);
		close(fd); /* the BPF map holds it */
		if (e || !k->rings)
			return -ENOMEM;
	}
	return 0;
}

static int says(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, format, args) : 0;
}

/* Small tables are emptied fast. */
static void make_small(struct bpf_map *map)
{
	uint32_t most = PLANNED_MAX;
	if (bpf_map__type(map) == BPF_MAP_TYPE_RINGBUF)
		return; /* bytes, not elements */
	for (int m = 0; m < PLAN_MAP_COUNT; m++)
		if (!shapes[m].planned && !strcmp(plan_map_name((enum plan_map)m), bpf_map__name(map)))
			most = KERNEL_MAX;
	if (bpf_map__max_entries(map) > most)
		bpf_map__set_max_entries(map, most);
}

int kernel_open(struct kernel_node **out)
{
	struct kernel_node *k = calloc(1, sizeof(*k));
	struct bpf_map *map;
	if (!k)
		return -ENOMEM;
	libbpf_set_print(says);
	k->skeleton = weft__open();
	int e = k->skeleton ? 0 : -errno;
	if (!e) {
		bpf_object__for_each_map(map, k->skeleton->obj) make_small(map);
		bpf_map__set_max_entries(k->skeleton->maps.events, (uint32_t)libbpf_num_possible_cpus());
		e = weft__load(k->skeleton);
	}
	for (int m = 0; !e && m < PLAN_MAP_COUNT; m++)
		k->map[m] =
		    bpf_object__find_map_fd_by_name(k->skeleton->obj, plan_map_name((enum plan_map)m));
	if (!e)
		e = make_rings(k);
	if (e) {
		kernel_close(&k);
		return e;
	}
	*out = k;
	return 0;
}

void kernel_close(struct kernel_node **kp)
{
	struct kernel_node *k = *kp;
	if (!k)
		return;
	*kp = NULL;
	ring_buffer__free(k->rings);
	weft__destroy(k->skeleton);
	free(k);
}

static void empty(int fd)
{
	uint8_t key[KEY_MAX], next[KEY_MAX];
	int more = !bpf_map_get_next_key(fd, NULL, next);
	while (more) {
		memcpy(key, next, sizeof(key));
		more = !bpf_map_get_next_key(fd, key, next);
		bpf_map_delete_elem(fd, key);
	}
}

void kernel_reset(struct kernel_node *k)
{
	for (int m = 0; m < PLAN_MAP_COUNT; m++)
		if (!shapes[m].array)
			empty(k->map[m]);
}

void kernel_forget(struct kernel_node *k, bool all)
{
	static const enum plan_map maps[] = {PLAN_MAP_half4,	       PLAN_MAP_half6,	 PLAN_MAP_nat,
					     /* all */ PLAN_MAP_conn4, PLAN_MAP_conn6,	 PLAN_MAP_drop,
					     PLAN_MAP_staged,	       PLAN_MAP_fragment};
	for (size_t i = 0; i < (all ? sizeof(maps) / sizeof(maps[0]) : 3); i++)
		empty(k->map[maps[i]]);
}

int kernel_change(struct kernel_node *k, const struct change *c)
{
	static const uint8_t zero[VALUE_MAX];
	if (c->row.type != ROW_MAP)
		return 0;
	int fd = k->map[c->row.table], e;
	if (c->op != CHANGE_DEL)
		e = bpf_map_update_elem(fd, c->row.key, c->row.value,
					c->op == CHANGE_ADD && !shapes[c->row.table].array ? BPF_NOEXIST
											   : BPF_ANY);
	else if (shapes[c->row.table].array)
		e = bpf_map_update_elem(fd, c->row.key, zero, BPF_ANY);
	else
		e = bpf_map_delete_elem(fd, c->row.key);
	return e ? -errno : 0;
}

static size_t count(int fd)
{
	uint8_t key[KEY_MAX];
	size_t n = 0;
	for (int more = !bpf_map_get_next_key(fd, NULL, key); more;
	     more = !bpf_map_get_next_key(fd, key, key))
		n++;
	return n;
}

int kernel_holds(struct kernel_node *k, const struct plan *p, struct buf *why)
{
	size_t rows[PLAN_MAP_COUNT] = {0};
	uint8_t value[VALUE_MAX];
	VEC_EACH (&p->rows, r) {
		if (r->type != ROW_MAP)
			continue;
		rows[r->table]++;
		if (bpf_map_lookup_elem(k->map[r->table], r->key, value) ||
		    memcmp(value, r->value, r->value_len)) {
			buf_printf(why, "an element of BPF map %s is not what the plan says",
				   plan_map_name(r->table));
			return -EUCLEAN;
		}
	}
	for (int m = 0; m < PLAN_MAP_COUNT; m++) {
		size_t n = shapes[m].planned && !shapes[m].array ? count(k->map[m]) : rows[m];
		if (n == rows[m])
			continue;
		buf_printf(why, "BPF map %s has %zu elements, the plan %zu", plan_map_name((enum plan_map)m),
			   n, rows[m]);
		return -EUCLEAN;
	}
	return 0;
}

int kernel_run(struct kernel_node *k, enum kernel_hook hook, uint32_t ifindex, const uint8_t *frame,
	       size_t len, struct ran *r)
{
	const struct bpf_program *programs[] = {[HOOK_FROM_POD] = k->skeleton->progs.weft_from_pod,
						[HOOK_TO_POD] = k->skeleton->progs.weft_to_pod,
						[HOOK_UPLINK] = k->skeleton->progs.weft_uplink};
	struct __sk_buff ctx = {.ifindex = ifindex};
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = frame, .data_size_in = (uint32_t)len,
		    .data_out = r->frame, .data_size_out = sizeof(r->frame), .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = 1);
	r->n = 0;
	if (bpf_prog_test_run_opts(bpf_program__fd(programs[hook]), &o))
		return -errno;
	r->action = (int)o.retval;
	r->len = o.data_size_out;
	k->into = r;
	ring_buffer__consume(k->rings);
	k->into = NULL;
	return 0;
}

int kernel_ask(struct kernel_node *k, struct ask *a)
{
	uint8_t frame[14 + sizeof(*a)] = {0};
	memcpy(frame + 14, a, sizeof(*a));
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = frame, .data_size_in = sizeof(frame), .data_out = frame,
		    .data_size_out = sizeof(frame), .repeat = 1);
	if (bpf_prog_test_run_opts(bpf_program__fd(k->skeleton->progs.weft_ask), &o))
		return -errno;
	memcpy(a, frame + 14, sizeof(*a));
	return 0;
}

void kernel_unlearn(struct kernel_node *k)
{
	empty(k->map[PLAN_MAP_learned]);
}

int kernel_gone(struct kernel_node *k, const void *addr)
{
	uint32_t one = 1;
	return bpf_map_update_elem(k->map[PLAN_MAP_gone], addr, &one, BPF_ANY) ? -errno : 0;
}

int kernel_gc(struct kernel_node *k, uint32_t order)
{
	struct gc_order ctx = {.flags = order};
	LIBBPF_OPTS(bpf_test_run_opts, o, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx));
	int e = bpf_prog_test_run_opts(bpf_program__fd(k->skeleton->progs.weft_gc), &o) ? -errno : 0;
	empty(k->map[PLAN_MAP_gone]);
	return e;
}

bool kernel_get(struct kernel_node *k, enum plan_map m, const void *key, void *value)
{
	return !bpf_map_lookup_elem(k->map[m], key, value);
}

bool kernel_spoil(struct kernel_node *k, enum plan_map m)
{
	uint8_t key[KEY_MAX];
	return !bpf_map_get_next_key(k->map[m], NULL, key) && !bpf_map_delete_elem(k->map[m], key);
}

uint64_t kernel_lost(struct kernel_node *k)
{
	uint64_t values[512] = {0}, sum = 0;
	uint32_t which = COUNTER_EVENTS_LOST;
	bpf_map_lookup_elem(k->map[PLAN_MAP_counter], &which, values);
	for (int i = 0; i < libbpf_num_possible_cpus() && i < 512; i++)
		sum += values[i];
	return sum;
}
