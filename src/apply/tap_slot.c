/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which interface has which element of BPF map tapped_slot. The elements say it themselves, so that the next
 * process and those who read accounts know it; what was given is never taken back, since what an interface
 * saw is asked for when it is gone, too.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>

#include "apply/tap_state.h"
#include "base/own.h"

int tap_slots_learn(struct tapper *t)
{
	int cpus = libbpf_num_possible_cpus();
	AUTO_MEM struct tapped_slot *each = cpus > 0 ? calloc((size_t)cpus, sizeof(*each)) : NULL;

	if (!each)
		return -ENOMEM;
	for (uint32_t i = 1; i < TAPPED_SLOTS; i++) {
		if (bpf_map_lookup_elem(t->kernel.tapped_slot, &i, each))
			return -errno;
		t->tapped[i] = (uint32_t)each[0].ifindex;
	}
	return 0;
}

uint32_t tapper_slot(const struct tapper *t, uint32_t ifindex)
{
	for (uint32_t i = 1; i < TAPPED_SLOTS && t->tapped[i]; i++)
		if (t->tapped[i] == ifindex)
			return i;
	return 0;
}

static bool give(struct tapper *t, uint32_t slot, uint32_t ifindex)
{
	int cpus = libbpf_num_possible_cpus();
	AUTO_MEM struct tapped_slot *each = cpus > 0 ? calloc((size_t)cpus, sizeof(*each)) : NULL;

	for (int i = 0; each && i < cpus; i++)
		each[i].ifindex = ifindex;
	if (!each || bpf_map_update_elem(t->kernel.tapped_slot, &slot, each, BPF_ANY))
		return false;
	t->tapped[slot] = ifindex;
	return true;
}

uint32_t tap_slot(struct tapper *t, uint32_t ifindex)
{
	uint32_t slot = tapper_slot(t, ifindex), i = 1;

	if (slot)
		return slot;
	while (i < TAPPED_SLOTS && t->tapped[i])
		i++;
	return i < TAPPED_SLOTS && give(t, i, ifindex) ? i : 0;
}
