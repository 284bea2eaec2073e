/* SPDX-License-Identifier: Apache-2.0 */
/* Copies as bytes in memory and as pcapng: see kept.h. */
#include "copier/kept.h"

#include <errno.h>
#include <stdio.h>

#include "base/own.h"
#include "broker/comment.h"
#include "filter/reason.h"

enum { COMMENT_MAX = 400, ALIGN = 8 };

void kept_add(struct buf *b, const struct chain_packet *p, const struct seen *s)
{
	static const char zero[ALIGN];
	struct kept r = {.place = s->at->id,
			 .time = p->time,
			 .caplen = p->caplen,
			 .len = p->len,
			 .link = (uint16_t)p->link,
			 .out = s->out};
	AUTO_BUF text = {0};
	size_t pad;

	if (s->dropped)
		buf_printf(&text, "dropped: %s", reason_name(s->reason) ?: "unknown");
	if (p->flags & ~(uint32_t)(PACKET_VLAN_BESIDE | PACKET_SLICED | PACKET_UNFINISHED) || p->outers)
		broker_comment(&text, p);
	r.comment = (uint16_t)(text.n > COMMENT_MAX ? COMMENT_MAX : text.n);
	pad = -(sizeof(r) + r.comment + r.caplen) % ALIGN;
	r.size = (uint32_t)(sizeof(r) + r.comment + r.caplen + pad);
	buf_add(b, &r, sizeof(r));
	buf_add(b, text.p, r.comment);
	buf_add(b, p->p, p->caplen);
	buf_add(b, zero, pad);
}

int roster_add(struct roster *r, const struct output_host *h, const struct place *p)
{
	struct roster_place fresh = {.id = p->id, .kind = p->kind};

	/* The newest are asked for most. */
	for (size_t i = r->list.len; i-- > 0;)
		if (r->list.items[i].id == p->id)
			return 0;
	if (asprintf(&fresh.name, "%s/%s", h->node, p->name) < 0)
		return -ENOMEM;
	if (vec_push(&r->list, fresh)) {
		free(fresh.name);
		return -ENOMEM;
	}
	return 1;
}

void roster_fini(struct roster *r)
{
	VEC_EACH (&r->list, p)
		free(p->name);
	vec_free(&r->list);
}

struct pcapng_section kept_section(const struct output_host *h, struct buf *about, struct str tool,
				   struct str port)
{
	size_t at;

	buf_clear(about);
	buf_printf(about, "system clock (CLOCK_REALTIME) of node %s, as copies reach weft-copier", h->node);
	at = about->n;
	if (str_eqz(tool, "capture"))
		buf_printf(about, "capture " STR_FMT ", node %s", STR_ARG(port), h->node);
	else
		buf_printf(about, "tool " STR_FMT ", port " STR_FMT ", node %s", STR_ARG(tool), STR_ARG(port),
			   h->node);
	return (struct pcapng_section){.application = STR("weft " WEFT_VERSION),
				       .clock = {about->p, at},
				       .comment = {about->p + at, about->n - at}};
}

static int put_interface(struct sheet *s, const struct roster_place *p, uint32_t link, uint32_t *number)
{
	const struct pcapng_interface i = {
	    .link = link, .name = str_of(p->name), .description = str_of(p->kind)};

	if (s->file)
		return pcapng_file_interface(s->file, &i, number);
	*number = (uint32_t)s->list.len;
	return pcapng_put_interface(s->out, &i);
}

struct sheet_interface *sheet_interface(struct sheet *s, const struct roster *r, uint32_t place,
					uint32_t link)
{
	struct sheet_interface fresh = {.place = place, .link = link};

	for (size_t i = s->list.len; i-- > 0;)
		if (s->list.items[i].place == place && s->list.items[i].link == link)
			return &s->list.items[i];
	for (size_t i = r->list.len; i-- > 0;)
		if (r->list.items[i].id == place) {
			if (put_interface(s, &r->list.items[i], link, &fresh.number) ||
			    vec_push(&s->list, fresh))
				return NULL;
			return &s->list.items[s->list.len - 1];
		}
	return NULL;
}

int sheet_record(struct sheet *s, const struct roster *r, const struct kept *rec)
{
	struct sheet_interface *i = sheet_interface(s, r, rec->place, rec->link);
	const char *bytes = (const char *)(rec + 1);
	struct str comment = {bytes, rec->comment};
	struct pcapng_packet p = {.time = rec->time,
				  .p = (const uint8_t *)bytes + rec->comment,
				  .caplen = rec->caplen,
				  .len = rec->len,
				  .direction = rec->out ? PCAPNG_OUT : PCAPNG_IN,
				  .comments = &comment,
				  .comments_n = rec->comment > 0};
	struct pcapng_totals t;
	int e;

	if (!i) {
		if (!s->file)
			return -ENOMEM;
		pcapng_file_totals(s->file, &t);
		return t.error ? t.error : -ENOMEM;
	}
	p.interface = i->number;
	p.has_dropped = i->dropped > i->told;
	p.dropped = i->dropped - i->told;
	e = s->file ? pcapng_file_packet(s->file, &p) : pcapng_put_packet(s->out, &p);
	if (e)
		return e;
	i->told = i->dropped;
	i->delivered++;
	return 0;
}

void sheet_statistics(struct sheet *s, uint64_t now, uint64_t ring_lost)
{
	VEC_EACH (&s->list, i) {
		const struct pcapng_statistics st = {.interface = i->number,
						     .time = now,
						     .has_dropped = true,
						     .dropped = ring_lost,
						     .has_accepted = true,
						     .accepted = i->delivered + i->dropped,
						     .has_os_dropped = true,
						     .os_dropped = i->dropped,
						     .has_delivered = true,
						     .delivered = i->delivered};
		if (s->file)
			pcapng_file_statistics(s->file, &st);
		else
			pcapng_put_statistics(s->out, &st);
	}
}

void sheet_fini(struct sheet *s)
{
	vec_free(&s->list);
}
