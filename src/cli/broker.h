/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker over capture files: inputs (each a source), tool ports (each a file), and what they count. One
 * thread, one pass, inputs merged by time; memory does not grow with the inputs.
 */
#ifndef WEFT_CLI_BROKER_H
#define WEFT_CLI_BROKER_H

#include <stdio.h>

#include "broker/judge.h"
#include "pcapng/file.h"

struct pcap;
struct broker_input {
	struct str name; /* of the interface that it stands for; "" for all */
	const char *path;
	FILE *file;
	struct pcap *pcap;
	uint32_t link;
	uint64_t size, bytes;
	struct point *point;
	struct chain_packet head; /* the next packet, where `more` */
	bool more, turned;
	int64_t broken_at; /* byte at which it could not be read on; -1: it was read to its end */
	char error[256];
	uint64_t seen, classified, unparsable, taken;
};

struct broker_link { /* an interface block of a file */
	uint32_t input, link, number;
};

/* A ring's newest packets. broker_ring_add(): 0, -ENOMEM, or -EMSGSIZE (larger than the whole ring).
 * broker_ring_write() empties it into the file: 0 or the file's first -errno. */
struct ring_packet;
struct broker_ring {
	uint64_t size; /* bytes of memory; at least 1 MiB are used */
	uint64_t used, overwritten;
	struct ring_packet *first, *last;
};
int broker_ring_add(struct broker_ring *r, const struct pcapng_packet *p);
int broker_ring_write(struct broker_ring *r, struct pcapng_file *f);
void broker_ring_fini(struct broker_ring *r);

struct broker_row { /* where the next file of a tool port's row comes from */
	int opener;
	uint32_t port;
	const char *folder;
};

struct broker_tool { /* a tool port */
	bool used;
	char *path; /* NULL: its tool discards */
	struct broker_row row;
	struct chain *chain;
	struct pcapng_file *file;
	struct broker_ring ring; /* size 0: it is none */
	struct pcapng_totals totals;
	VEC(struct broker_link) links;
	uint64_t due, due_bytes;
	uint64_t handed, handed_bytes; /* to the file, or discarded */
	uint64_t mtu, refused;	       /* dropped: too large; given to the file, which took it no more */
	uint64_t *due_of, *sent_of;    /* by input */
	uint64_t second, bits, peak;   /* of one second of the packets' time */
	int error;		       /* of its file */
};

struct broker_run {
	const struct broker *b;
	struct judge *judge;
	struct broker_input *inputs;
	uint32_t inputs_n;
	struct broker_tool *tools; /* by the broker's tool ports */
	uint64_t *map_packets, *map_bytes;
	uint64_t down; /* due to a group of which nobody is up */
	uint64_t packets;
	struct addr tunnel_source; /* of tunnels of its family; zero: a documentation address */
	int opener;		   /* socket to the process that opens files of rows */
	bool progress, interrupted;
};

/* broker_row.c: whoever reads captures may open nothing, so files of rows are opened by the process that has
 * started it. Answers its questions at that socket until it ends. */
void broker_rows_serve(const struct broker_run *run, const char *folder, int socket);
bool broker_is_row(const struct broker_port *p);
/* "FOLDER/TOOL.PORT.pcapng", or of a row the name with that number; owned. NULL: out of memory. */
char *broker_file_name(const struct broker_port *p, const char *folder, uint32_t number);
/* Whether an input stands there. */
bool broker_is_input(const struct broker_run *run, const char *path);
/* As `open` of struct pcapng_file_options; ctx: struct broker_row. */
int broker_row_next(void *row, uint32_t number);

/* Opens inputs and files, reads, judges, writes and closes. 0, or -1 after telling what could not be done;
 * what went wrong with one input or one tool is told by broker_report(). */
int broker_run(struct broker_run *run, const char *folder);
void broker_run_fini(struct broker_run *run);

/* What came in, went out and was lost, as tables, or JSON where `format` is not NULL; errors on stderr. True:
 * all sums match, every input was read whole and every file is written whole. */
bool broker_report(const struct broker_run *run, const char *format);

/* Sum of a chain's counters of a kind. */
uint64_t broker_chain_sum(const struct chain *c, enum chain_counter_kind kind);

/* From here on this process can read and write what is open, and nothing else. 0 or -errno. */
int broker_seal(void);

#endif
