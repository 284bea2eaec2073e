/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of pcapng blocks: written whole blocks at a time, so that whoever is killed leaves a file that reads
 * up to its last whole block; cut back to it when the disk is full; one after the other by size or time. The
 * only part of the room that touches a descriptor; it knows no chain and no map.
 */
#ifndef WEFT_PCAPNG_FILE_H
#define WEFT_PCAPNG_FILE_H

#include "pcapng/pcapng.h"

/* A file, or a row of files. All strings are copied. */
struct pcapng_file;
struct pcapng_file_options {
	size_t buffer;	    /* bytes gathered before they are written; 0: 64 KiB */
	uint64_t max_bytes; /* of a file, then the next; 0: no limit */
	uint64_t max_time;  /* ns that a file spans by its packets' times; 0: no limit */
	uint32_t keep;	    /* files: older ones are removed; 0: all */
	uint32_t first;	    /* number of the first file of a row; 0: 1 */
	bool beneath;	    /* the path lies below the working folder, and no part of it is a symbolic link */
	/* Opens the file of that number of a row for a process that may not, and removes the one that is too
	 * old: a descriptor, which is taken over, or -errno. NULL: the process does it itself. */
	int (*open)(void *ctx, uint32_t number);
	/* Told of each file once it is whole and closed (may be NULL). */
	void (*done)(void *ctx, const char *path, uint64_t packets, uint64_t bytes);
	void *ctx;
};
/* Makes the file (an existing one is emptied); with a limit, NAME-00001.pcapng and so on for NAME.pcapng. 0
 * or -errno; -ELOOP: a symbolic link stands there, and nothing is written through one. `options` may be NULL.
 */
int pcapng_file_open(struct pcapng_file **out, const char *path, const struct pcapng_section *section,
		     const struct pcapng_file_options *options);
/* To a pipe, socket or file that is open (for example standard output), one that
 * blocks, with SIGPIPE ignored; not closed at the end, and no row of files. */
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
/* Whether nobody reads the pipe or socket any more, which is so before anything is written; false of a file.
 */
bool pcapng_file_left(const struct pcapng_file *f);

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
