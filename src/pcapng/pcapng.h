/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcapng: capture files as Wireshark reads them (draft-ietf-opsawg-pcapng). Blocks are made in a buffer,
 * pure; struct pcapng_file writes them to a file or pipe, whole blocks at a time, so that whoever is killed
 * leaves a file that reads up to its last whole block. Little-endian, times in nanoseconds. Knows no chain
 * and no map.
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

/* Each appends one whole block (b->failed: no memory). 0, or -EMSGSIZE: over 64 KiB an option, or a block
 * over 2 GiB; nothing is appended then. */
int pcapng_put_section(struct buf *b, const struct pcapng_section *s);
int pcapng_put_interface(struct buf *b, const struct pcapng_interface *i);
int pcapng_put_packet(struct buf *b, const struct pcapng_packet *p);
int pcapng_put_names(struct buf *b, const struct pcapng_name *names, size_t n);
int pcapng_put_statistics(struct buf *b, const struct pcapng_statistics *s);

/* A file, or a row of files. All strings are copied. */
struct pcapng_file;
struct pcapng_file_options {
	size_t buffer;	    /* bytes gathered before they are written; 0: 64 KiB */
	uint64_t max_bytes; /* of a file, then the next; 0: no limit */
	uint64_t max_time;  /* ns that a file spans by its packets' times; 0: no limit */
	uint32_t keep;	    /* files: older ones are removed; 0: all */
	/* Told of each file once it is whole and closed (may be NULL). */
	void (*done)(void *ctx, const char *path, uint64_t packets, uint64_t bytes);
	void *ctx;
};
/* Makes the file (an existing one is emptied); with a limit, NAME-00001.pcapng and so on for NAME.pcapng. 0
 * or -errno. `options` may be NULL. */
int pcapng_file_open(struct pcapng_file **out, const char *path, const struct pcapng_section *section,
		     const struct pcapng_file_options *options);
/* To a pipe, socket or file that is open (for example standard output); not closed at the end. */
int pcapng_file_attach(struct pcapng_file **out, int fd, const struct pcapng_section *section,
		       const struct pcapng_file_options *options);
/* Interfaces and names may come at any time; each file of a row begins with those there are. */
int pcapng_file_interface(struct pcapng_file *f, const struct pcapng_interface *i, uint32_t *number);
int pcapng_file_names(struct pcapng_file *f, const struct pcapng_name *names, size_t n);
/* A time before the last one of the same interface is written as that one, with the true one as comment, and
 * counted: times of one interface never go back. After an error nothing more is written, and packets count as
 * lost: -ENOSPC (disk full: the file is cut back to its last whole block), -EPIPE, other -errno. */
int pcapng_file_packet(struct pcapng_file *f, const struct pcapng_packet *p);
int pcapng_file_statistics(struct pcapng_file *f, const struct pcapng_statistics *s);
/* Writes what is gathered. */
int pcapng_file_flush(struct pcapng_file *f);

struct pcapng_totals {
	uint64_t packets; /* whole in the files (or handed to the pipe) */
	uint64_t bytes;
	uint64_t lost;	 /* given, and not written: disk full, or the reader went */
	uint64_t turned; /* times that went back */
	uint32_t files;
	int error; /* 0, or the first -errno */
};
/* Packets that are gathered count as neither until they are written. */
void pcapng_file_totals(const struct pcapng_file *f, struct pcapng_totals *out);
/* Flushes and closes. 0 or the first -errno of the file; *f is NULL after it in any case. totals may be NULL.
 */
int pcapng_file_close(struct pcapng_file **f, struct pcapng_totals *totals);

#endif
