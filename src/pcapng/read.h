/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading pcapng: one block after the other out of bytes that come in pieces, of whoever wrote them, in
 * either byte order. Pure; trusts nothing. Knows sections, interfaces, packets (enhanced and simple), name
 * resolution and statistics; blocks of other types, and options that are not kept below, are passed over.
 */
#ifndef WEFT_PCAPNG_READ_H
#define WEFT_PCAPNG_READ_H

#include "base/vec.h"
#include "pcapng/pcapng.h"

enum {
	PCAPNG_BLOCK_MAX = 16 << 20, /* bytes of one block; a larger one ends the reading */
	PCAPNG_INTERFACES_MAX = 65536,
	PCAPNG_COMMENTS_MAX = 16, /* of one packet; further ones are passed over */
};

enum pcapng_kind { PCAPNG_SECTION, PCAPNG_INTERFACE, PCAPNG_PACKET, PCAPNG_NAMES, PCAPNG_STATISTICS };

/* What a block says. Texts, names and bytes are borrowed from the input and the reader until the next read.
 * Times are ns since 1970. A section's comments stand in `comment`, the first of them; its clock is "" . */
struct pcapng_block {
	enum pcapng_kind kind;
	union {
		struct pcapng_section section;
		struct pcapng_interface interface;
		struct pcapng_packet packet;
		struct pcapng_statistics statistics;
		struct {
			const struct pcapng_name *names;
			size_t names_n;
		};
	};
};

struct pcapng_reader_interface {
	uint32_t snaplen;
	uint8_t resolution; /* as the option writes it */
	int64_t offset;	    /* s */
};

/* Zeroed: before the first block. */
struct pcapng_reader {
	bool begun, big; /* in a section; its byte order */
	VEC(struct pcapng_reader_interface) interfaces;
	VEC(struct pcapng_name) names;
	struct str comments[PCAPNG_COMMENTS_MAX];
	const char *why; /* after -EPROTO: what is wrong, static */
};
void pcapng_reader_fini(struct pcapng_reader *r);

/* Takes the next block that it knows off the front of *in. 1: there is one in out; 0: what is left needs more
 * bytes; -EPROTO: this is no pcapng, or it contradicts itself (r->why), and nothing can be read any more;
 * -ENOMEM. */
int pcapng_read(struct pcapng_reader *r, struct str *in, struct pcapng_block *out);

#endif
