/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Report: records on their way from a node to the hub, as bytes: numbers and addresses, no names (the hub
 * knows who had which address when). Little endian; fields are only ever added at the end of a record, whose
 * length is told. A report says how many records came before it, so that a lost one shows as a gap.
 */
#ifndef WEFT_OBSERVE_REPORT_H
#define WEFT_OBSERVE_REPORT_H

#include "filter/record.h"

struct report {
	uint32_t epoch; /* of the node's observer: another one after each start of its counting */
	uint64_t first; /* number of the first record in it: records sent before it in this epoch */
	uint64_t ends;	/* of them: ends and drops */
	uint64_t lost;	/* ends and drops of this epoch that the node could not keep until they were sent */
	/* Over all epochs, as the kernel counts; smaller than before: it counts anew. */
	uint64_t taken_before;	 /* ends and drops that the kernel told to earlier observers */
	uint64_t untold;	 /* ends and drops that the kernel could not tell */
	uint64_t evicted;	 /* unanswered connections that made room for others, without a word */
	uint32_t questions_lost; /* DNS messages and questions of which no record came; from any start */
	uint32_t count;
	int64_t at;	    /* when it was made, ns since 1970 */
	uint32_t waited_ms; /* that it lay at the node since then, until it was sent */
};

enum { REPORT_RECORDS_MAX = 65536, REPORT_DNS_MAX = 255 };

/* Writes the head; its count is put right by report_end(). */
void report_begin(struct buf *out, const struct report *r);
/* Adds a record; names and node are left out. The dns of one that is not of kind RECORD_DNS is the domain of
 * its end number dns_code (0: from, 1: to), as the other end was told. */
void report_add(struct buf *out, const struct record *r);
/* Sets the number of records that were added. */
void report_end(struct buf *out, uint32_t count);

/* Sets how long it lay, each time that it is sent. */
void report_waited(struct buf *out, uint64_t ms);

/* Takes the head off. 0, -EINVAL (not a report), -EPROTO (a newer form that cannot be read). */
int report_read(struct str *bytes, struct report *out);
/* Takes the next record off; out->dns points into the bytes, names and node are unset. 0 or -EINVAL. */
int report_next(struct str *bytes, struct record *out);

#endif
