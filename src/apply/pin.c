/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BPF maps by their pins: taken over, or made and pinned. The sizes of planned ones follow the options also
 * where they are pinned: a new one with the old elements takes the pin's place. Called by load.c.
 */
#include "apply/pin.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "apply/map.h"
#include "base/log.h"
#include "base/own.h"

void pin_path(const struct kernel *k, const char *what, const char *name, char out[320])
{
	snprintf(out, 320, "%s/%s%s", k->dir, what, name);
}

int pin_say(struct buf *why, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(why, fmt, ap);
	va_end(ap);
	buf_printf(why, ": %s", strerror(-err));
	return err;
}

static bool same_shape(const struct bpf_map_info *i, const struct map_desc *d)
{
	return i->type == d->type && i->key_size == d->key_size && i->value_size == d->value_size;
}

static bool is_sized(enum plan_map m)
{
	return map_table[m].type != BPF_MAP_TYPE_ARRAY && map_table[m].type != BPF_MAP_TYPE_PERCPU_ARRAY &&
	       map_table[m].type != BPF_MAP_TYPE_PROG_ARRAY && map_table[m].type != BPF_MAP_TYPE_RINGBUF &&
	       !map_table[m].rings;
}

static int make(const struct kernel *k, enum plan_map m, uint32_t entries)
{
	const struct map_desc *d = &map_table[m];
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = d->flags);
	int fd;

	if (d->rings)
		opts.inner_map_fd = (uint32_t)k->ring[0];
	fd = bpf_map_create((enum bpf_map_type)d->type, d->name, d->key_size, d->value_size, entries, &opts);
	return fd < 0 ? -errno : fd;
}

struct copy {
	int to;
};

static int copy_one(void *ctx, const void *key, const void *value)
{
	return bpf_map_update_elem(((const struct copy *)ctx)->to, key, value, BPF_ANY) ? -errno : 0;
}

/* Another size for what the plan writes: the applier is the only writer, and the programs that read the old
 * one are replaced. */
static int remake(struct kernel *k, enum plan_map m, uint32_t entries, struct buf *why)
{
	AUTO_FD int fresh = make(k, m, entries);
	struct copy c = {fresh};
	int err = fresh < 0 ? fresh : map_each(k, m, copy_one, &c);

	if (err)
		return pin_say(why, err, "BPF map %s cannot get room for %u elements in place of %u",
			       map_table[m].name, entries, k->entries[m]);
	log_info("BPF map %s has room for %u elements now, before %u", map_table[m].name, entries,
		 k->entries[m]);
	own_fd(&k->map[m]);
	k->map[m] = TAKE_FD(fresh);
	k->made[m] = k->remade = true;
	k->entries[m] = entries;
	return 0;
}

static int take_over(struct kernel *k, enum plan_map m, uint32_t entries, struct buf *why)
{
	const struct map_desc *d = &map_table[m];
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);
	int err = bpf_obj_get_info_by_fd(k->map[m], &info, &len) ? -errno : 0;

	if (!err && !same_shape(&info, d))
		err = -EINVAL;
	if (err)
		return pin_say(why, err, "BPF map %s cannot be taken over; remove the pins below %s", d->name,
			       k->dir);
	k->entries[m] = info.max_entries;
	if (!entries || entries == info.max_entries || !is_sized(m))
		return 0;
	if (d->writer == WRITER_PLAN)
		return remake(k, m, entries, why);
	log_warn("BPF map %s keeps its room for %u elements until its pin is removed", d->name,
		 info.max_entries);
	return 0;
}

/* Each CPU has a ring. */
static int open_rings(struct kernel *k, struct buf *why)
{
	const struct map_desc *d = &map_table[PLAN_MAP_events];

	for (unsigned cpu = 0; cpu < k->rings; cpu++) {
		char name[32], path[320];

		snprintf(name, sizeof(name), "%s_%u", d->name, cpu);
		pin_path(k, "", name, path);
		k->ring[cpu] = bpf_obj_get(path);
		if (k->ring[cpu] >= 0)
			continue;
		k->ring[cpu] = bpf_map_create(BPF_MAP_TYPE_RINGBUF, name, 0, 0, d->entries, NULL);
		if (k->ring[cpu] < 0)
			return pin_say(why, -errno, "event ring of CPU %u cannot be made", cpu);
		if (bpf_obj_pin(k->ring[cpu], path))
			return pin_say(why, -errno, "%s cannot be pinned", path);
	}
	return 0;
}

/* Making a BPF map of many buckets takes the kernel milliseconds: each thread makes every second one. */
struct maker {
	struct kernel *k;
	unsigned first;
	int err;
};
enum { MAKERS = 2 };

static void *make_missing(void *ctx)
{
	struct maker *j = ctx;

	for (unsigned m = j->first; m < PLAN_MAP_COUNT; m += MAKERS) {
		if (j->k->map[m] >= 0)
			continue;
		j->k->map[m] = make(j->k, m, j->k->entries[m]);
		if (j->k->map[m] < 0) {
			j->err = j->k->map[m];
			break;
		}
		j->k->made[m] = true;
	}
	return NULL;
}

static int make_all_missing(struct kernel *k)
{
	struct maker makers[MAKERS];
	pthread_t thread[MAKERS];
	bool begun[MAKERS] = {0};
	int err = 0;

	for (unsigned i = 0; i < MAKERS; i++) {
		makers[i] = (struct maker){.k = k, .first = i};
		begun[i] = i && !pthread_create(&thread[i], NULL, make_missing, &makers[i]);
	}
	for (unsigned i = 0; i < MAKERS; i++) {
		if (begun[i])
			pthread_join(thread[i], NULL);
		else
			make_missing(&makers[i]);
		err = err ? err : makers[i].err;
	}
	return err;
}

int pin_open(struct kernel *k, const struct kernel_options *o, struct buf *why)
{
	bool missing = false;
	int err = open_rings(k, why);

	for (unsigned m = 0; m < PLAN_MAP_COUNT && !err; m++) {
		const struct map_desc *d = &map_table[m];
		uint32_t entries = o->entries && is_sized(m) ? o->entries[m] : 0;
		char path[320];

		pin_path(k, "", d->name, path);
		k->map[m] = bpf_obj_get(path);
		if (k->map[m] >= 0) {
			err = take_over(k, m, entries, why);
			continue;
		}
		k->fresh = k->fresh || m == 0;
		k->entries[m] = d->rings ? k->rings : entries ? entries : d->entries;
		missing = true;
	}
	if (err || !missing)
		return err;
	k->remade = true;
	err = make_all_missing(k);
	return err ? pin_say(why, err, "a BPF map cannot be made") : 0;
}

int pin_rings(const struct kernel *k, struct buf *why)
{
	for (unsigned cpu = 0; cpu < k->rings; cpu++) {
		struct bpf_map_info info = {0};
		uint32_t len = sizeof(info), id;

		if (!bpf_map_lookup_elem(k->map[PLAN_MAP_events], &cpu, &id) &&
		    !bpf_obj_get_info_by_fd(k->ring[cpu], &info, &len) && info.id == id)
			continue;
		if (bpf_map_update_elem(k->map[PLAN_MAP_events], &cpu, &k->ring[cpu], BPF_ANY))
			return pin_say(why, -errno, "event ring of CPU %u cannot be set", cpu);
	}
	return 0;
}

int pin_keep(struct kernel *k, struct buf *why)
{
	for (unsigned m = 0; m < PLAN_MAP_COUNT; m++) {
		char path[320], fresh[320];

		if (!k->made[m])
			continue;
		pin_path(k, "", map_table[m].name, path);
		pin_path(k, "new_", map_table[m].name, fresh);
		unlink(fresh);
		if (bpf_obj_pin(k->map[m], fresh) || rename(fresh, path))
			return pin_say(why, -errno,
				       "%s cannot be pinned; is it on a bpffs that we may write?", path);
		k->made[m] = false;
	}
	return 0;
}
