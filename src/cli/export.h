/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An exporter: takes ended records from the hub in order, a batch at a time, makes chunks of them (IPFIX
 * messages, or JSON lines) and hands these on, each once. The hub's memory is its queue: it takes the next
 * batch when the last one is gone. Its place, numbers and losses stand in a state that may be a file, written
 * as a mapping: it is whole whenever the process is killed.
 */
#ifndef WEFT_CLI_EXPORT_H
#define WEFT_CLI_EXPORT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/vec.h"
#include "cli/command.h"
#include "observe/history.h"
#include "observe/ipfix.h"

/* --- where to --- */

enum export_kind { EXPORT_UDP, EXPORT_TCP, EXPORT_UNIX, EXPORT_FILE, EXPORT_STDOUT };
struct export_target {
	enum export_kind kind;
	char host[256], port[32];
	const char *path; /* of a file or Unix socket; lies in the text */
};
/* "udp://HOST:PORT", "HOST:PORT", "tcp://…", "unix:PATH", "file:PATH", "-". false: told. */
bool export_target_parse(struct export_target *t, const char *text);
/* Whether records can be asked with it; else told, with the column. */
bool export_filter_check(const char *text);

/* --- what is known --- */

enum export_loss {
	LOSS_BEHIND,  /* made room in the hub before they were taken */
	LOSS_DISK,    /* the same, while the file could not be written */
	LOSS_RESTART, /* went with a hub that was started again */
	LOSS_REFUSED, /* datagrams that the collector's machine sent back */
	LOSS_UNSURE,  /* were on their way when the exporter, or its reader, was killed */
	LOSSES
};
const char *export_loss_name(enum export_loss l);

enum export_phase { PHASE_IDLE, PHASE_SENDING, PHASE_SENT };

enum { EXPORT_NODES_MAX = 1024 };
struct export_node {
	char name[256];
	uint32_t epoch, next, told;	/* as the hub said last; low halves */
	uint32_t old_epoch, old_next;	/* of the hub before: what it had taken is not taken again */
	uint32_t sequence, sequence_to; /* IPFIX: before and after the batch under way */
	uint32_t pending;		/* a new hub has not heard of it yet */
	uint32_t present;
};
struct export_state {
	char magic[8];
	uint64_t what; /* hash of target, filter and form */
	int64_t began; /* of the hub; 0: none was asked yet */
	struct history_place at, to, newest;
	enum export_phase phase;
	uint32_t room;				  /* IPFIX: bytes of a message of this batch */
	uint32_t written;			  /* chunks of this batch that are handed on */
	uint32_t in_write;			  /* written + 1: the next one is on its way just now */
	uint64_t done;				  /* records of the hub in written chunks of this batch */
	uint64_t file_bytes, file_to, file_inode; /* of whole chunks; after the one in_write */
	uint64_t records, messages, bytes, lost[LOSSES];
	uint32_t sequence0; /* of IPFIX domain 0 */
	uint32_t nodes_len;
	struct export_node nodes[EXPORT_NODES_MAX];
};
/* path NULL: in memory only. what: of which exporter it must be. NULL: told. */
struct export_state *export_state_open(const char *path, uint64_t what);
void export_state_close(struct export_state **s);
/* NULL: none, and (make) no room. */
struct export_node *export_state_node(struct export_state *s, const char *name, bool make);
uint64_t export_lost(const struct export_state *s);

/* --- chunks --- */

struct export_chunk {
	size_t at, n;	  /* in bytes of the batch */
	uint32_t records; /* as the collector counts */
	uint32_t done;	  /* records of the hub that end in it */
	uint32_t domain, sequence;
	uint64_t end; /* in the connection, once written */
};
struct export_active;
struct export_filling;
struct export_batch {
	struct export_active *active;	 /* or NULL: connections are told at their end only */
	struct export_filling *fillings; /* IPFIX: of each node */
	struct buf bytes;
	VEC(struct export_chunk) chunks;
};
struct export_form {
	bool json, both_ways;
	uint32_t pen;
	uint32_t room;
};
void export_batch_clear(struct export_batch *b);
/* Adds one record. 0, -EINVAL (an address is none) or -ENOMEM. */
int export_batch_add(struct export_batch *b, struct export_state *s, const struct export_form *f,
		     const json_t *flow);
/* Ends what is unfinished; the nodes' sequence_to are set. 0 or -ENOMEM. */
int export_batch_end(struct export_batch *b);
uint32_t export_domain(const char *node);

/* --- connections that go on --- */

enum { EXPORT_ACTIVE_TIMEOUT = 2 }; /* flowEndReason of RFC 5102 */
/* Tells each connection that goes on about every so many seconds. 0 or -ENOMEM. */
int export_active_new(struct export_active **out, unsigned seconds);
void export_active_free(struct export_active **a);
/* Whether it is time to ask the hub for the open ones. a may be NULL: never. */
bool export_active_due(const struct export_active *a);
/* What to ask it (owned; NULL: no memory). */
json_t *export_active_question(struct export_active *a);
/* Of a record, what no earlier record of its connection had, with the end reason of one that goes on. false:
 * there is nothing to tell now. */
bool export_active_take(struct export_active *a, uint32_t domain, bool ended, struct ipfix_record *r);
/* A connection that is closed but not over: it is told at its end. */
void export_active_keep(struct export_active *a, uint32_t domain, uint64_t id);
/* Lets go what was not seen for ten minutes: its end made room in the hub, or went with one. */
void export_active_forget(struct export_active *a);

/* --- sinks --- */

enum sink_result { SINK_TAKEN, SINK_STANDS, SINK_ENDED };
struct sink_recent { /* a datagram sent lately */
	uint32_t domain, sequence, records;
};
enum { SINK_RECENT = 1024 };
struct sink {
	/* set by the caller */
	const struct export_target *to;
	const struct options_export *o;
	const struct export_form *form;
	struct export_state *s;
	/* the sink's own */
	int fd;
	bool absent;	    /* datagrams: nobody knows whether the collector is there */
	bool disk;	    /* the trouble is the file's */
	char trouble[256];  /* why it stands; "": it does not */
	uint64_t retry_at;  /* monotonic ms */
	unsigned wait_ms;   /* back-off */
	uint64_t written;   /* bytes of this connection */
	struct buf front;   /* what goes before the next chunk: templates, the rest of a message */
	size_t part;	    /* of the chunk: written bytes */
	uint64_t fresh_at;  /* monotonic ms: all templates were due */
	uint32_t messages;  /* since then */
	VEC(uint32_t) told; /* domains whose templates were sent since then */
	bool statistics;    /* are due */
	uint64_t moved_at;  /* monotonic ms: something was taken last */
	struct sink_recent recent[SINK_RECENT];
	uint32_t recent_next, in_row;
};
/* Opens it for the first time: a name that nobody has, a folder that is not there are told. 0 or -errno. */
int sink_open(struct sink *k);
void sink_close(struct sink *k);
/* The next chunk of the batch, s->written: hands it on, waiting some 100 ms at most. SINK_STANDS: k->trouble
 * says why; try again. A connection that broke takes s->written back to what was not taken. SINK_ENDED:
 * nobody will ever read more. */
enum sink_result sink_put(struct sink *k, struct export_batch *b);
/* After the last chunk: SINK_TAKEN when all is taken, and not only on its way. Returns as sink_put(). */
enum sink_result sink_settle(struct sink *k, struct export_batch *b);
/* Now and then: what was refused is counted, templates and statistics that are due are sent. */
void sink_tick(struct sink *k);
/* The largest IPFIX message that crosses the way whole. */
uint32_t sink_room(const struct sink *k);
/* What it stands for, and when it tries again; one word of it on stderr. */
enum sink_result sink_stand(struct sink *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The next chunk is handed on (NULL: by a run before). */
void sink_commit(struct sink *k, const struct export_chunk *c);

/* For the files below: templates of the domain and statistics, where they are due, to k->front. */
void sink_add_templates(struct sink *k, uint32_t domain, uint32_t sequence);
void sink_add_statistics(struct sink *k);
/* Datagrams: export_datagram.c; streams: export_stream.c; files: export_file.c. */
int datagram_open(struct sink *k);
enum sink_result datagram_put(struct sink *k, struct export_batch *b);
void datagram_tick(struct sink *k);
uint32_t datagram_room(const struct sink *k);
int stream_open(struct sink *k);
enum sink_result stream_put(struct sink *k, struct export_batch *b);
enum sink_result stream_settle(struct sink *k, struct export_batch *b);
int file_open(struct sink *k);
enum sink_result file_put(struct sink *k, const char *p, const struct export_chunk *c);

#endif
