/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program for one place alone, made of the pattern in bpf/place.bpf.c: what the place wants as constants,
 * its judge as a function. What it does to packets is what the common programs do, which stay where
 * weft-copier gets copies (the epoch would be a constant, too) and wherever such a program cannot be made; it
 * costs less.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apply/filter.h"
#include "apply/tap_state.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/own.h"
/* Generated text that mixes int and size_t. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "place.skel.h"
#pragma GCC diagnostic pop

struct pattern { /* of one hook */
	const struct bpf_insn *insns;
	uint32_t n;    /* up to its stand-in for a judge */
	uint32_t call; /* of that */
};

struct tap_places {
	struct weft_place *object;
	struct pattern in, out;
};

/* --- the pattern ------------------------------------------------------------------------------------ */

static bool is_call(const struct bpf_insn *i)
{
	return i->code == (BPF_JMP | BPF_CALL) && i->src_reg == BPF_PSEUDO_CALL;
}

/* As the kernel got it: BPF maps by descriptor, behind it its only function. */
static int read_pattern(struct pattern *out, const struct bpf_program *p)
{
	size_t n = bpf_program__insn_cnt(p);

	*out = (struct pattern){.insns = bpf_program__insns(p)};
	for (size_t i = 0; out->insns && i < n; i++) {
		if (!is_call(&out->insns[i]))
			continue;
		if (out->n)
			return -ENOEXEC;
		out->call = (uint32_t)i;
		out->n = (uint32_t)((int64_t)i + 1 + out->insns[i].imm);
	}
	return out->n > out->call && out->n < n ? 0 : -ENOEXEC;
}

static int share(struct bpf_map *m, const struct tap_kernel *k)
{
	const struct {
		const char *name;
		int fd;
	} shared[] = {{"outlet", k->outlet},	       {"tapped", k->tapped},
		      {"tapped_slot", k->tapped_slot}, {"outlet_count", k->outlet_count},
		      {"outlet_rest", k->outlet_rest}, {"counter", k->counter}};

	if (bpf_map__is_internal(m))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(shared); i++)
		if (!strcmp(bpf_map__name(m), shared[i].name))
			return bpf_map__reuse_fd(m, shared[i].fd);
	return bpf_map__set_autocreate(m, false);
}

static int read_patterns(struct tap_places *p, const struct tap_kernel *k)
{
	struct bpf_map *m;
	int err = 0;

	p->object = weft_place__open();
	if (!p->object)
		return -errno;
	bpf_object__for_each_map(m, p->object->obj) err = err ? err : share(m, k);
	if (!err && bpf_map__value_size(p->object->maps.rodata) != sizeof(struct place_value))
		err = -ENOEXEC;
	if (!err)
		err = weft_place__load(p->object);
	if (!err)
		err = read_pattern(&p->in, p->object->progs.weft_place_in);
	return err ? err : read_pattern(&p->out, p->object->progs.weft_place_out);
}

void tap_places_close(struct tapper *t)
{
	if (t->places)
		weft_place__destroy(t->places->object);
	free(t->places);
	t->places = NULL;
}

/* Once a process; without it the common programs do. */
static const struct tap_places *patterns(struct tapper *t)
{
	int err;

	if (t->places || t->no_places)
		return t->places;
	t->places = calloc(1, sizeof(*t->places));
	err = t->places ? read_patterns(t->places, &t->kernel) : -ENOMEM;
	if (err) {
		log_warn("places have no programs of their own, copies cost more: %s", strerror(-err));
		tap_places_close(t);
		t->no_places = true;
	}
	return t->places;
}

/* --- a program -------------------------------------------------------------------------------------- */

/* A BPF map of constants, sealed; or -errno. */
static int constants(const struct place_value *v)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_RDONLY_PROG);
	uint32_t zero = 0;
	AUTO_FD int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "weft_place", sizeof(zero), sizeof(*v), 1, &opts);

	if (fd < 0 || bpf_map_update_elem(fd, &zero, v, BPF_ANY) || bpf_map_freeze(fd))
		return -errno;
	return TAKE_FD(fd);
}

static int put_together(struct filter_code *out, const struct pattern *p, const struct filter_code *judge,
			int from, int to)
{
	if (vec_reserve(&out->insns, p->n + judge->insns.len))
		return -ENOMEM;
	for (uint32_t i = 0; i < p->n; i++) {
		struct bpf_insn insn = p->insns[i];

		if (insn.code == (BPF_LD | BPF_IMM | BPF_DW) && insn.src_reg == BPF_PSEUDO_MAP_VALUE &&
		    insn.imm == from)
			insn.imm = to;
		out->insns.items[out->insns.len++] = insn;
	}
	out->insns.items[p->call].imm = (int32_t)(p->n - p->call - 1);
	for (size_t i = 0; i < judge->insns.len; i++)
		out->insns.items[out->insns.len++] = judge->insns.items[i];
	return 0;
}

/* Descriptor or -errno. */
static int load(const struct tap_places *p, bool out, const struct filter_code *judge, int values)
{
	struct filter_code code = {0};
	int fd =
	    put_together(&code, out ? &p->out : &p->in, judge, bpf_map__fd(p->object->maps.rodata), values);

	if (!fd) {
		fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, out ? "weft_place_out" : "weft_place_in",
				   "Dual BSD/GPL", code.insns.items, code.insns.len, NULL);
		fd = fd < 0 ? -errno : fd;
	}
	filter_code_fini(&code);
	return fd;
}

static int make(const struct tap_places *p, const struct tap_judge *j, const struct place_value *v, int fd[2])
{
	struct filter_code judge = {0};
	AUTO_BUF why = {0};
	AUTO_FD int values = -1;
	int err = tap_judge_translate(j, &judge, &why);

	if (err)
		return err;
	values = constants(v);
	fd[0] = values < 0 ? values : load(p, false, &judge, values);
	fd[1] = fd[0] < 0 ? fd[0] : load(p, true, &judge, values);
	filter_code_fini(&judge);
	if (fd[1] >= 0)
		return 0;
	err = fd[1];
	own_fd(&fd[0]);
	return err;
}

/* --- places ----------------------------------------------------------------------------------------- */

/* False: weft-copier gets copies, so the common programs serve it. */
static bool is_straight(const struct tap_place *p)
{
	for (uint32_t i = 0; i < TAP_TAKES; i++)
		if (p->take[i])
			return false;
	return p->where == TAP_AT_INTERFACE;
}

static void value_of(const struct tap_value *tap, const struct tap_device *d, struct place_value *out)
{
	*out = (struct place_value){.tap = *tap, .answers = d->outlet};
	out->tap.epoch = out->tap.point = out->tap.judge = 0;
}

static void key_of(const struct tap_judge *j, const struct place_value *v, uint64_t key[2])
{
	tap_judge_key(j, key);
	for (uint64_t i = 0; i < 2; i++)
		key[i] = hash_bytes(v, sizeof(*v), key[i] + i);
}

static bool is_same(const uint64_t a[2], const uint64_t b[2])
{
	return a[0] == b[0] && a[1] == b[1];
}

/* False: it has none. One that the kernel refused is not tried again. */
static bool put(struct tapper *t, struct tap_device *d, const struct tap_judge *j,
		const struct tap_value *tap)
{
	const struct tap_places *p = patterns(t);
	struct place_value v;
	uint64_t key[2];
	int fd[2] = {-1, -1}, err;

	value_of(tap, d, &v);
	key_of(j, &v, key);
	if (!p || is_same(key, d->refused))
		return false;
	if (is_same(key, d->own))
		return true;
	err = make(p, j, &v, fd);
	if (err) {
		memcpy(d->refused, key, sizeof(key));
	} else {
		memcpy(d->own, key, sizeof(key)); /* also if it comes to one hook only */
		err = tap_link_put(t, d, fd[0], fd[1]);
	}
	if (err)
		log_warn("%s has no program of its own, copies cost more: %s", d->name, strerror(-err));
	own_fd(&fd[0]);
	own_fd(&fd[1]);
	return !err;
}

static void put_common(struct tapper *t, struct tap_device *d)
{
	if (d->own[0] || d->own[1])
		tap_link_common(t, d);
}

void tap_places_settle(struct tapper *t, const struct taps *taps, const struct tap_image *image)
{
	for (uint32_t i = 0; taps && i < taps->places_n; i++) {
		const struct tap_place *p = &taps->places[i];
		struct tap_device *d = p->where == TAP_AT_INTERFACE ? tap_link_device(t, p->name) : NULL;
		const struct tap_element *e = d && d->at && !d->error ? tap_element(image, d->at) : NULL;

		if (!e)
			continue;
		if (!is_straight(p) || !put(t, d, &taps->judges[p->judge], &e->value))
			put_common(t, d);
	}
	VEC_EACH (&t->devices, d)
		if (d->at && !tap_element(image, d->at))
			put_common(t, d);
}
