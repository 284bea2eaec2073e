/* SPDX-License-Identifier: Apache-2.0 */
/* The newest packets of a ring over capture files, in memory until the run's end: see broker.h. */
#include <errno.h>
#include <stdlib.h>

#include "cli/broker.h"

enum { SIZE_MIN = 1 << 20 }; /* as weft-copier's rings have */

struct ring_packet {
	struct ring_packet *next;
	uint64_t time;
	uint32_t interface, caplen, len;
	size_t comment_n, size; /* size: of all this */
	uint8_t bytes[];	/* the packet's, then the comment's */
};

static void drop_first(struct broker_ring *r)
{
	struct ring_packet *p = r->first;

	r->first = p->next;
	r->used -= p->size;
	r->overwritten++;
	free(p);
}

int broker_ring_add(struct broker_ring *r, const struct pcapng_packet *p)
{
	uint64_t most = r->size < SIZE_MIN ? SIZE_MIN : r->size;
	size_t comment_n = p->comments_n ? p->comments[0].n : 0;
	size_t size = sizeof(struct ring_packet) + p->caplen + comment_n;
	struct ring_packet *new;

	if (size > most)
		return -EMSGSIZE;
	while (r->first && r->used + size > most)
		drop_first(r);
	new = malloc(size);
	if (!new)
		return -ENOMEM;
	*new = (struct ring_packet){.time = p->time,
				    .interface = p->interface,
				    .caplen = p->caplen,
				    .len = p->len,
				    .comment_n = comment_n,
				    .size = size};
	if (p->caplen)
		memcpy(new->bytes, p->p, p->caplen);
	if (comment_n)
		memcpy(new->bytes + p->caplen, p->comments[0].p, comment_n);
	*(r->first ? &r->last->next : &r->first) = new;
	r->last = new;
	r->used += size;
	return 0;
}

int broker_ring_write(struct broker_ring *r, struct pcapng_file *f)
{
	int first = 0;

	for (struct ring_packet *p; (p = r->first);) {
		struct str comment = {(const char *)p->bytes + p->caplen, p->comment_n};
		int e = pcapng_file_packet(f, &(struct pcapng_packet){.interface = p->interface,
								      .time = p->time,
								      .p = p->bytes,
								      .caplen = p->caplen,
								      .len = p->len,
								      .comments = &comment,
								      .comments_n = comment.n > 0});

		first = first ? first : e;
		r->first = p->next;
		free(p);
	}
	r->used = 0;
	return first;
}

void broker_ring_fini(struct broker_ring *r)
{
	while (r->first)
		drop_first(r);
}
