/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcapng: the blocks of capture files as Wireshark reads them (draft-ietf-opsawg-pcapng), made in a buffer:
 * pure; pcapng/file.h writes them. Little-endian, times in nanoseconds. Knows no chain and no map.
 */
#ifndef WEFT_PCAPNG_PCAPNG_H
#define WEFT_PCAPNG_PCAPNG_H

#include "base/addr.h"

/* The opening block. Empty strings are left out. */
struct pcapng_section {
	struct str hardware, os, application;
	struct str clock;   /* what times come from: written as a comment, "clock: …" */
	struct str comment; /* a further one */
};

struct pcapng_interface {
	uint32_t link;	  /* LINKTYPE_…; at most 65,535 */
	uint32_t snaplen; /* 0: no limit */
	struct str name, description, filter;
	struct str comment;
};

enum pcapng_direction { PCAPNG_UNKNOWN, PCAPNG_IN, PCAPNG_OUT };

struct pcapng_packet {
	uint32_t interface; /* its number in the section, from 0 */
	uint64_t time;	    /* ns since 1970 */
	const uint8_t *p;
	uint32_t caplen, len; /* bytes at p; original length */
	enum pcapng_direction direction;
	bool has_dropped, has_id;
	uint64_t dropped; /* packets lost between this one and the one before it */
	uint64_t id;	  /* equal: the same packet seen elsewhere */
	const struct str *comments;
	unsigned comments_n;
};

struct pcapng_name {
	struct addr addr;
	struct str name; /* "shop/cart-7f9c" */
};

/* Counts since the start of the capture; those not known are left out. */
struct pcapng_statistics {
	uint32_t interface;
	uint64_t time, first, last; /* of the block; of the capture's start and end; 0: not known */
	bool has_received, has_dropped, has_accepted, has_os_dropped, has_delivered;
	uint64_t received;   /* from the source */
	uint64_t dropped;    /* by the source, for lack of room */
	uint64_t accepted;   /* by the filter */
	uint64_t os_dropped; /* behind the source, before the file */
	uint64_t delivered;  /* to the file */
	struct str comment;
};

/* Each appends one whole block. 0; -ENOMEM (b->failed); -EMSGSIZE: an option over 65,535 bytes, a link type
 * over 65,535, or a block over 2 GiB. After an error b is as it was. */
int pcapng_put_section(struct buf *b, const struct pcapng_section *s);
int pcapng_put_interface(struct buf *b, const struct pcapng_interface *i);
int pcapng_put_packet(struct buf *b, const struct pcapng_packet *p);
int pcapng_put_names(struct buf *b, const struct pcapng_name *names, size_t n);
int pcapng_put_statistics(struct buf *b, const struct pcapng_statistics *s);

#endif
