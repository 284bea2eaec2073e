/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Losses on command: BPF map fault, and the bit of BPF map config that makes the programs look there. Both
 * are the applier's own, so they outlive it and the planner; the plan never has that bit. A pod's loss goes
 * with its link. Called by applier.c, pod.c, rows.c and readback.c.
 */
#include <bpf/bpf.h>
#include <errno.h>

#include "apply/state.h"
#include "seam/config.h"

enum { MILLION = 1000000, UPLINK = 0 };

/* Sets the bit of the element in force, where there is one. */
static int fault_flag(struct applier *a)
{
	static const struct config_value none;
	int map = a->kernel.map[PLAN_MAP_config];
	uint32_t zero = 0;
	struct config_value v;

	if (bpf_map_lookup_elem(map, &zero, &v))
		return -errno;
	if (!memcmp(&v, &none, sizeof(v)))
		return 0;
	v.flags = (v.flags & ~CONFIG_FAULTS) | (a->counts[PLAN_MAP_fault] ? CONFIG_FAULTS : 0);
	return bpf_map_update_elem(map, &zero, &v, BPF_ANY) ? -errno : 0;
}

int fault_set(struct applier *a, uint32_t index, uint32_t millionths)
{
	int map = a->kernel.map[PLAN_MAP_fault], err;
	uint32_t old;
	bool had;

	if (millionths > MILLION)
		return -ERANGE;
	if (index == UPLINK ? !a->uplink : !pod_link_get(a, index))
		return -ENODEV;
	had = !bpf_map_lookup_elem(map, &index, &old);
	if (millionths && !had && a->counts[PLAN_MAP_fault] >= a->kernel.entries[PLAN_MAP_fault])
		return -E2BIG;
	if (millionths)
		err = bpf_map_update_elem(map, &index, &millionths, BPF_ANY) ? -errno : 0;
	else
		err = had && bpf_map_delete_elem(map, &index) ? -errno : 0;
	if (err)
		return err;
	a->counts[PLAN_MAP_fault] += millionths && !had ? 1 : 0;
	a->counts[PLAN_MAP_fault] -= !millionths && had ? 1 : 0;
	return fault_flag(a);
}

void fault_forget(struct applier *a, uint32_t index)
{
	if (!a->counts[PLAN_MAP_fault] || bpf_map_delete_elem(a->kernel.map[PLAN_MAP_fault], &index))
		return;
	a->counts[PLAN_MAP_fault]--;
	fault_flag(a);
}

void fault_mark(const struct applier *a, void *config)
{
	struct config_value v;

	memcpy(&v, config, sizeof(v));
	if (a->counts[PLAN_MAP_fault])
		v.flags |= CONFIG_FAULTS;
	memcpy(config, &v, sizeof(v));
}

void fault_unmark(void *config)
{
	struct config_value v;

	memcpy(&v, config, sizeof(v));
	v.flags &= ~CONFIG_FAULTS;
	memcpy(config, &v, sizeof(v));
}

struct strangers {
	const struct applier *a;
	VEC(uint32_t) list;
	uint32_t own;
};

static int note_one(void *ctx, const void *key, const void *value)
{
	struct strangers *s = ctx;
	uint32_t index;

	(void)value;
	memcpy(&index, key, sizeof(index));
	if (index == UPLINK ? !s->a->uplink : !pod_link_get(s->a, index))
		return vec_push(&s->list, index);
	s->own++;
	return 0;
}

int fault_learn(struct applier *a)
{
	struct strangers s = {.a = a};
	int err = map_each(&a->kernel, PLAN_MAP_fault, note_one, &s);

	VEC_EACH (&s.list, index)
		bpf_map_delete_elem(a->kernel.map[PLAN_MAP_fault], index);
	vec_free(&s.list);
	a->counts[PLAN_MAP_fault] = s.own;
	return err ? err : fault_flag(a);
}
