/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records: copies as they wait in memory for a file or a reader, and as pcapng blocks. A record is plain
 * bytes; a sheet is one pcapng text (a file or a stream) with its interfaces. Used by the outputs that end as
 * pcapng.
 */
#ifndef WEFT_COPIER_KEPT_H
#define WEFT_COPIER_KEPT_H

#include "base/vec.h"
#include "copier/output.h"
#include "pcapng/file.h"

struct kept {		/* followed by the comment, the bytes, and padding to 8 */
	uint32_t size;	/* of all of it */
	uint32_t place; /* id */
	uint64_t time;
	uint32_t caplen, len;
	uint16_t link, comment;
	uint32_t out; /* 1: the place sent it */
};
enum { KEPT_OVERHEAD = 512 }; /* a record is at most caplen and this */

/* Appends one. b->failed when out of memory. */
void kept_add(struct buf *b, const struct chain_packet *p, const struct seen *s);

/* Places that a text may name; copied, so that it needs no struct place. */
struct roster_place {
	uint32_t id;
	char *name; /* "NODE/shop/frontend-x" */
	const char *kind;
};
struct roster {
	VEC(struct roster_place) list;
};
/* 0, 1 when it is new, or -ENOMEM. */
int roster_add(struct roster *r, const struct output_host *h, const struct place *p);
void roster_fini(struct roster *r);

/* Where blocks go: `file`, or the end of `out`. */
struct sheet_interface {
	uint32_t place, link, number;
	uint64_t delivered, dropped;
	uint64_t told; /* of dropped, in the packets' own options */
};
struct sheet {
	struct pcapng_file *file;
	struct buf *out;
	VEC(struct sheet_interface) list;
};
/* The opening block's text for a node's tool port; strings hold while `about` does. */
struct pcapng_section kept_section(const struct output_host *h, struct buf *about, struct str tool,
				   struct str port);
/* The interface of a place and link type: made where there is none. NULL: out of memory, or the file failed.
 */
struct sheet_interface *sheet_interface(struct sheet *s, const struct roster *r, uint32_t place,
					uint32_t link);
/* 0 or -errno, as pcapng_file_packet(). */
int sheet_record(struct sheet *s, const struct roster *r, const struct kept *rec);
/* Counts of each interface. */
void sheet_statistics(struct sheet *s, uint64_t now, uint64_t ring_lost);
void sheet_fini(struct sheet *s);

#endif
