/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sweeper: a thread that runs weft_gc, so that no change waits while it goes through the connections.
 * What must be forgotten before a row comes into force is swept by the caller itself; BPF map gone belongs to
 * whoever sweeps. Called by gone.c and applier.c.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <pthread.h>

#include "apply/state.h"
#include "base/own.h"
#include "seam/conn.h"

enum { CHUNK = 4096 };

struct sweeper {
	const struct kernel *kernel;
	pthread_t thread;
	pthread_mutex_t gone; /* held while BPF map gone is in use */
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t wake;
	bool running, end, wanted;
	uint32_t flags;
	struct addresses list;
	int err; /* of the last sweep */
};

static int sweep_chunk(const struct kernel *k, const struct addr16 *list, uint32_t n, uint32_t flags)
{
	static const uint32_t ones[CHUNK];
	int map = k->map[PLAN_MAP_gone], err;
	uint32_t count = n;

	err = bpf_map_update_batch(map, list, ones, &count, NULL) ? -errno : 0;
	if (!err)
		err = kernel_gc(k, flags | GC_GONE, NULL);
	for (uint32_t i = 0; i < n; i++)
		bpf_map_delete_elem(map, &list[i]);
	return err;
}

/* As many addresses at a time as BPF map gone has room for: it cannot overflow. */
static int sweep(struct sweeper *s, const struct addresses *list, uint32_t flags)
{
	uint32_t room = s->kernel->entries[PLAN_MAP_gone];
	int err = 0;

	room = room < CHUNK ? room : CHUNK;
	if (!list->list.len)
		return kernel_gc(s->kernel, flags, NULL);
	pthread_mutex_lock(&s->gone);
	for (size_t i = 0; i < list->list.len && !err; i += room) {
		size_t left = list->list.len - i;

		err = sweep_chunk(s->kernel, list->list.items + i, (uint32_t)(left < room ? left : room),
				  flags);
		flags = 0;
	}
	pthread_mutex_unlock(&s->gone);
	return err;
}

static void *run(void *ctx)
{
	struct sweeper *s = ctx;

	pthread_mutex_lock(&s->lock);
	while (!s->end) {
		struct addresses list = s->list;
		uint32_t flags = s->flags;
		int err;

		if (!s->wanted) {
			pthread_cond_wait(&s->wake, &s->lock);
			continue;
		}
		s->wanted = false;
		s->flags = 0;
		s->list = (struct addresses){0};
		pthread_mutex_unlock(&s->lock);
		err = sweep(s, &list, flags);
		vec_free(&list.list);
		pthread_mutex_lock(&s->lock);
		s->err = err;
		/* What failed is tried again with the next sweep. */
		s->flags |= err ? flags : 0;
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

int sweeper_new(struct sweeper **out, const struct kernel *k)
{
	struct sweeper *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->kernel = k;
	pthread_mutex_init(&s->gone, NULL);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, NULL);
	*out = s;
	return 0;
}

void sweeper_free(struct sweeper **ps)
{
	struct sweeper *s = *ps;

	*ps = NULL;
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->end = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	if (s->running)
		pthread_join(s->thread, NULL);
	vec_free(&s->list.list);
	free(s);
}

int sweep_now(struct sweeper *s, const struct addresses *list)
{
	return list->list.len ? sweep(s, list, 0) : 0;
}

int sweep_later(struct sweeper *s, struct addresses *list, uint32_t flags)
{
	int err = 0;

	pthread_mutex_lock(&s->lock);
	VEC_EACH (&list->list, addr)
		if (!err)
			err = vec_push(&s->list.list, *addr);
	s->flags |= flags;
	s->wanted = true;
	if (!s->running)
		s->running = !pthread_create(&s->thread, NULL, run, s);
	pthread_cond_signal(&s->wake);
	if (!s->running)
		err = -EAGAIN;
	else if (!err)
		err = s->err;
	pthread_mutex_unlock(&s->lock);
	vec_free(&list->list);
	return err;
}
