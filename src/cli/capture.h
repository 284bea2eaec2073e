/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft capture`: streams of packets from the nodes, through the hub, merged by time (src/pcapng/merge.h) and
 * shown as lines, as JSON, or written as one pcapng stream. One thread.
 */
#ifndef WEFT_CLI_CAPTURE_H
#define WEFT_CLI_CAPTURE_H

#include <stdio.h>

#include "base/hash.h"
#include "filter/filter.h"
#include "pcapng/file.h"
#include "pcapng/merge.h"

enum capture_form { CAPTURE_LINES, CAPTURE_JSON, CAPTURE_PCAPNG };

struct capture_rules;
struct dissected;
/* `cluster` must outlive it. NULL: out of memory. */
struct capture_rules *capture_rules_new(const char *cluster);
void capture_rules_free(struct capture_rules **r);
/* "allowed by NetworkPolicy shop/web spec.ingress[0] (shop.yaml:3:5)": of a packet seen at "NODE/NS/POD",
 * with the names of its addresses (NULL: none), by what was in force at its time (ns since 1970). NULL:
 * nobody can say. Holds until the next call. */
const char *capture_rules_of(struct capture_rules *r, const char *place, const char *source,
			     const char *destination, const struct dissected *d, bool dropped, uint64_t time);

struct capture_interface { /* of the merged stream, by its number */
	char *name;	   /* "node-1/shop/page-x" */
	uint32_t link;
	uint64_t packets;
	uint64_t missing; /* lost before packets, as they say themselves */
	bool counted;	  /* statistics came */
	struct pcapng_statistics last;
};

/* Where packets go. Zeroed but for form, path, filter, limit, row: before capture_show_open(). */
struct capture_show {
	enum capture_form form;
	const char *path;		/* of CAPTURE_PCAPNG; "-": standard output */
	const struct filter *filter;	/* what packets are shown; NULL: all that come */
	uint64_t limit;			/* packets; 0: none */
	struct pcapng_file_options row; /* of path: a row of files, where it has a limit */

	struct capture_rules *rules; /* NULL: they are not told */
	struct pcapng_file *file;
	struct hash names; /* address → name, owned */
	VEC(struct capture_interface) interfaces;
	uint64_t packets, bytes;
	bool full;   /* the limit is reached */
	bool gone;   /* whoever reads went away */
	bool failed; /* told */
};
/* A row of files: each of "100M", or "60s"; the newest `keep` of them, 0: all. 0 or -1 (told). */
int capture_show_row(struct capture_show *s, const char *each, int64_t keep);
/* section: of a file. 0 or -1 (told). */
int capture_show_open(struct capture_show *s, const struct pcapng_section *section);
/* One block of the merged stream; comment: of a new interface, or empty. 0 or -1: s says why. */
int capture_show_block(struct capture_show *s, const struct pcapng_block *b, struct str comment);
/* What was shown so far is on its way. */
int capture_show_flush(struct capture_show *s);
/* Statistics go behind the packets; closes. 0 or -1 (told). */
int capture_show_close(struct capture_show *s);
/* Packets lost on the way, of interfaces whose name begins with NODE/ (NULL: of all): since this reader was
 * slow; for lack of room at the node. */
void capture_show_lost(const struct capture_show *s, const char *node, uint64_t *slow, uint64_t *room);
void capture_show_fini(struct capture_show *s);

struct capture_stream; /* from one node */
struct capture_streams {
	const char *socket_path;
	const char *path;  /* "/apis/…/captures/NAME", "/apis/…/tools/NAME" */
	const char *query; /* "&last=60", or "" */
	bool again;	   /* one that breaks off is asked again, */
	bool while_there;  /* unless nobody is at the socket any more */

	struct capture_stream *all;
	unsigned n;
	void *multi;
	struct pcapng_merge *merge;
	bool failed;	/* out of memory */
	uint64_t bytes; /* that came */
};
/* One for each of the nodes (copied). 0 or -1 (told). */
int capture_streams_open(struct capture_streams *s, const char *const *nodes, unsigned n, uint64_t delay_ns);
/* Reads what came, waiting at most that long for something. */
void capture_streams_run(struct capture_streams *s, int wait_ms);
/* Nothing is asked again, what runs ends by itself. */
void capture_streams_last(struct capture_streams *s);
/* Whether anything may still come. */
bool capture_streams_live(const struct capture_streams *s);
/* Whether any node streamed. */
bool capture_streams_any(const struct capture_streams *s);
/* Whether every node streams, or has refused for good. */
bool capture_streams_begun(const struct capture_streams *s);
/* Appends what is known of the nodes' clocks, for a file's section: BR82. */
void capture_streams_clocks(const struct capture_streams *s, struct buf *out);
/* Of one: for its interfaces. */
void capture_stream_clock(const struct capture_streams *s, unsigned stream, struct buf *out);
/* Tells on stderr what each node lost, and those from which nothing came. */
void capture_streams_tell(const struct capture_streams *s, const struct capture_show *shown);
void capture_streams_fini(struct capture_streams *s);

#endif
