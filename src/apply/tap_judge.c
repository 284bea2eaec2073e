/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judges: sets of filters as programs in the slots of BPF map judge. Equal sets share a program, also from
 * one epoch to the next: a change of one pod loads nothing. New programs stand beside the old ones until no
 * element leads to those.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "apply/filter.h"
#include "apply/tap_state.h"
#include "base/hash.h"
#include "base/own.h"

void tap_judge_key(const struct tap_judge *j, uint64_t key[2])
{
	for (uint64_t i = 0; i < 2; i++) {
		uint64_t h = 1 + i;

		for (uint32_t f = 0; f < j->n; f++) {
			const struct tap_form *form = &j->forms[f];
			uint32_t head[2] = {form->steps != NULL, form->n};

			h = hash_bytes(head, sizeof(head), h);
			h = form->steps ? hash_bytes(form->steps, form->n * sizeof(*form->steps), h)
					: hash_bytes(form->classic, form->n * sizeof(*form->classic), h);
		}
		key[i] = h;
	}
}

int tap_judge_translate(const struct tap_judge *j, struct filter_code *out, struct buf *why)
{
	struct filter_form forms[TAP_FILTERS_MAX];

	for (uint32_t i = 0; i < j->n; i++)
		forms[i] = (struct filter_form){
		    .steps = j->forms[i].steps, .classic = j->forms[i].classic, .n = j->forms[i].n};
	return filter_translate_judge(out, forms, j->n, why);
}

static int load(const struct tap_judge *j, uint32_t number, struct buf *why)
{
	struct filter_code code = {0};
	AUTO_BUF said = {0};
	int fd = tap_judge_translate(j, &code, &said);

	if (!fd) {
		fd = filter_load(&code, BPF_PROG_TYPE_SCHED_CLS, NULL, &said);
		filter_code_fini(&code);
	}
	if (fd < 0)
		buf_printf(why, "judge %u: " STR_FMT, number, STR_ARG(buf_str(&said)));
	return fd;
}

static uint32_t find(const struct tapper *t, const uint64_t key[2])
{
	uint32_t i = 0;

	while (i < t->kernel.judges && memcmp(t->slots[i].key, key, sizeof(t->slots[i].key)))
		i++;
	return i;
}

static uint32_t find_free(const struct tapper *t)
{
	uint32_t i = 0;

	while (i < t->kernel.judges && (t->slots[i].used || t->slots[i].wanted))
		i++;
	return i;
}

static int put(struct tapper *t, const struct tap_judge *j, uint32_t number, uint32_t *slot, struct buf *why)
{
	uint64_t key[2];
	AUTO_FD int fd = -1;

	tap_judge_key(j, key);
	*slot = find(t, key);
	if (*slot < t->kernel.judges) {
		t->slots[*slot].wanted = true;
		return 0;
	}
	*slot = find_free(t);
	if (*slot == t->kernel.judges) {
		buf_printf(why, "there is room for %u sets of filters, those in force included",
			   t->kernel.judges);
		return -ENOSPC;
	}
	fd = load(j, number, why);
	if (fd < 0)
		return fd;
	if (bpf_map_update_elem(t->kernel.judge, slot, &fd, BPF_ANY)) {
		int err = -errno;

		buf_printf(why, "judge %u: BPF map judge: %s", number, strerror(-err));
		return err;
	}
	t->slots[*slot] = (struct judge_slot){.key = {key[0], key[1]}, .filled = true, .wanted = true};
	return 0;
}

static void empty(struct tapper *t, uint32_t slot)
{
	bpf_map_delete_elem(t->kernel.judge, &slot);
	t->slots[slot] = (struct judge_slot){0};
}

int tap_judges_load(struct tapper *t, const struct taps *taps, uint32_t *slot_of, struct buf *why)
{
	int err = 0;

	for (uint32_t i = 0; i < taps->judges_n && !err; i++)
		err = put(t, &taps->judges[i], i, &slot_of[i], why);
	if (err) {
		tap_judges_settle(t, false);
		return err;
	}
	for (uint32_t i = 0; i < t->kernel.judges; i++)
		if (t->slots[i].filled && !t->slots[i].used && !t->slots[i].wanted)
			empty(t, i);
	return 0;
}

void tap_judges_settle(struct tapper *t, bool keep)
{
	for (uint32_t i = 0; i < t->kernel.judges; i++) {
		struct judge_slot *s = &t->slots[i];

		if (keep)
			s->used = s->wanted;
		else if (s->wanted && !s->used)
			empty(t, i);
		s->wanted = false;
	}
}

void tap_judges_clean(struct tapper *t)
{
	for (uint32_t i = 0; i < t->kernel.judges; i++)
		if (t->slots[i].filled)
			empty(t, i);
}
