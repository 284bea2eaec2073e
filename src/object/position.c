/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Positions of values by address, and the way from an object to a member: for remarks, and for the plan's
 * origins. Never holds the text of a file. Called by decoders, validation, printing and by whoever asks
 * object_pos().
 */
#include "object/position.h"

#include <errno.h>
#include <stdlib.h>

#include "base/own.h"
#include "object/layout.h"

size_t shape_size(enum shape shape)
{
	static const size_t sizes[] = {
	    [SHAPE_STR] = sizeof(struct str),	    [SHAPE_TIME] = sizeof(struct str),
	    [SHAPE_OPAQUE] = sizeof(struct str),    [SHAPE_INT] = sizeof(struct opt_int),
	    [SHAPE_BOOL] = sizeof(struct opt_bool), [SHAPE_INTSTR] = sizeof(struct intstr),
	    [SHAPE_MAP] = sizeof(struct strmap),    [SHAPE_STRS] = sizeof(struct strlist),
	    [SHAPE_ONE] = sizeof(void *),	    [SHAPE_MANY] = sizeof(struct any_list),
	};
	return sizes[shape];
}

bool member_is_set(const void *base, const struct field_desc *f)
{
	const void *m = member_at(base, f);
	switch (f->shape) {
	case SHAPE_STR:
	case SHAPE_TIME:
	case SHAPE_OPAQUE:
		return ((const struct str *)m)->p != NULL;
	case SHAPE_INT:
		return ((const struct opt_int *)m)->set;
	case SHAPE_BOOL:
		return ((const struct opt_bool *)m)->set;
	case SHAPE_INTSTR:
		return ((const struct intstr *)m)->type != INTSTR_UNSET;
	case SHAPE_MAP:
		return ((const struct strmap *)m)->set || ((const struct strmap *)m)->len;
	case SHAPE_STRS:
		return ((const struct strlist *)m)->set || ((const struct strlist *)m)->len;
	case SHAPE_ONE:
		return *(const void *const *)m != NULL;
	case SHAPE_MANY:
		return ((const struct any_list *)m)->set || ((const struct any_list *)m)->len;
	}
	return false;
}

static bool inside(const void *at, const void *from, size_t size)
{
	return (uintptr_t)at - (uintptr_t)from < size;
}

struct search {
	const void *at;
	struct step *steps;
	size_t n;
};

static bool locate(struct search *s, const struct struct_desc *d, const void *base);

static bool locate_items(struct search *s, const struct field_desc *f, const void *member)
{
	struct step *step = &s->steps[s->n - 1];
	if (f->shape == SHAPE_STRS || f->shape == SHAPE_MAP) {
		size_t size = f->shape == SHAPE_STRS ? sizeof(struct str) : sizeof(struct strpair);
		const struct strlist *l = member; /* a strmap has the same layout: items, len, set */
		if (!l->len || !inside(s->at, l->items, l->len * size))
			return false;
		step->index = ((uintptr_t)s->at - (uintptr_t)l->items) / size;
		step->item = (const char *)l->items + step->index * size;
		return true;
	}
	if (f->shape == SHAPE_ONE)
		return *(void *const *)member && locate(s, f->type, *(void *const *)member);
	if (f->shape != SHAPE_MANY)
		return false;
	const struct any_list *l = member;
	for (size_t i = 0; i < l->len; i++) {
		step->index = i;
		step->item = item_at(l, f, i);
		if (locate(s, f->type, step->item))
			return true;
	}
	return false;
}

/* Recursion ends with the nesting of the types, which contain each other without cycles. */
static bool locate(struct search *s, const struct struct_desc *d, const void *base)
{
	if (s->n == STEPS_MAX)
		return false;
	for (uint32_t i = 0; i < d->n; i++) {
		const struct field_desc *f = &d->fields[i];
		const void *m = member_at(base, f);
		s->steps[s->n++] = (struct step){.field = f, .member = m};
		if (inside(s->at, m, shape_size(f->shape)) || locate_items(s, f, m))
			return true;
		s->n--;
	}
	return false;
}

size_t position_steps(const struct object *o, const void *at, struct step steps[STEPS_MAX])
{
	struct search s = {.at = at, .steps = steps, .n = 1};
	steps[0] = (struct step){.member = &o->meta};
	if (locate(&s, &metadata_desc, &o->meta))
		return s.n;
	s.n = 1;
	steps[0] = (struct step){.member = o->body};
	return o->desc->body && o->body && locate(&s, o->desc->body, o->body) ? s.n : 0;
}

void object_path(struct buf *b, const struct object *o, const void *member)
{
	struct step steps[STEPS_MAX];
	size_t n = position_steps(o, member, steps);
	if (n && steps[0].member == &o->meta)
		buf_addz(b, "metadata");
	for (size_t i = 1; i < n; i++) {
		const struct step *s = &steps[i];
		if (i > 1 || steps[0].member == &o->meta)
			buf_addc(b, '.');
		buf_addz(b, s->field->json);
		if (s->item && s->field->shape == SHAPE_MAP)
			buf_printf(b, "[\"" STR_FMT "\"]", STR_ARG(((const struct strpair *)s->item)->key));
		else if (s->item)
			buf_printf(b, "[%zu]", s->index);
	}
}

static int by_address(const void *pa, const void *pb)
{
	const struct position *a = pa, *b = pb;
	return ((uintptr_t)a->at > (uintptr_t)b->at) - ((uintptr_t)a->at < (uintptr_t)b->at);
}

static void sort(struct object_positions *ps)
{
	if (ps->sorted)
		return;
	if (ps->list.len > 1)
		qsort(ps->list.items, ps->list.len, sizeof(*ps->list.items), by_address);
	ps->sorted = true;
}

/* Index of the first entry at or after this address. */
static size_t lower(const struct object_positions *ps, const void *at)
{
	size_t lo = 0, hi = ps->list.len;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if ((uintptr_t)ps->list.items[mid].at < (uintptr_t)at)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool position_get(const struct object *o, const void *at, struct pos *out)
{
	if (!o->positions)
		return false;
	sort(o->positions);
	size_t i = lower(o->positions, at);
	if (i == o->positions->list.len || o->positions->list.items[i].at != at)
		return false;
	const struct position *p = &o->positions->list.items[i];
	*out = (struct pos){.file = o->pos.file, .line = p->line, .col = p->col, .len = p->len};
	return true;
}

const struct position *position_range(const struct object *o, const void *from, size_t size, size_t *n)
{
	*n = 0;
	if (!o->positions || !size)
		return NULL;
	sort(o->positions);
	size_t i = lower(o->positions, from), end = i;
	while (end < o->positions->list.len && inside(o->positions->list.items[end].at, from, size))
		end++;
	*n = end - i;
	return &o->positions->list.items[i];
}

static uint64_t capped(uint32_t v, uint32_t max)
{
	return v < max ? v : max;
}

static int append(struct object *o, const struct position *p)
{
	if (!o->positions) {
		o->positions = calloc(1, sizeof(*o->positions));
		if (!o->positions)
			return -ENOMEM;
	}
	o->positions->sorted = false;
	return vec_push(&o->positions->list, *p);
}

static struct position packed(const void *member, struct pos p)
{
	return (struct position){
	    .at = member,
	    .line = capped(p.line, (1u << 24) - 1) & 0xffffff,
	    .col = capped(p.col, (1u << 26) - 1) & 0x3ffffff,
	    .len = capped(p.len, (1u << 14) - 1) & 0x3fff,
	};
}

int position_add(struct object *o, const void *member, struct pos p)
{
	struct position entry = packed(member, p);
	return append(o, &entry);
}

int object_set_pos(struct object *o, const void *member, struct pos p)
{
	struct pos had;
	struct position entry = packed(member, p);
	if (!position_get(o, member, &had))
		return append(o, &entry);
	o->positions->list.items[lower(o->positions, member)] = entry;
	return 0;
}

int position_copy(struct object *dst, const struct object *src, const void *to, const void *from, size_t size)
{
	size_t n;
	const struct position *p = position_range(src, from, size, &n);
	for (size_t i = 0; i < n; i++) {
		struct position moved = p[i];
		moved.at = (const char *)to + ((uintptr_t)p[i].at - (uintptr_t)from);
		int r = append(dst, &moved);
		if (r)
			return r;
	}
	return 0;
}

void position_trim(struct object *o)
{
	if (!o->positions || o->positions->list.len == o->positions->list.cap)
		return;
	size_t n = o->positions->list.len;
	struct position *p = n ? realloc(o->positions->list.items, n * sizeof(*p)) : NULL;
	if (p) {
		o->positions->list.items = p;
		o->positions->list.cap = n;
	}
}

void position_free(struct object_positions **ps)
{
	struct object_positions *p = TAKE(*ps);
	if (!p)
		return;
	vec_free(&p->list);
	free(p);
}

struct pos object_pos(const struct object *o, const void *member)
{
	struct pos p;
	if (position_get(o, member, &p))
		return p;
	struct step steps[STEPS_MAX];
	for (size_t n = position_steps(o, member, steps); n-- > 1;)
		if ((steps[n].item && position_get(o, steps[n].item, &p)) ||
		    position_get(o, steps[n].member, &p))
			return p;
	return o->pos;
}
