/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker between interfaces of this host: taps in the kernel (apply/tap.h), weft-copier as a child, and
 * the objects of files that may change meanwhile. One thread.
 */
#ifndef WEFT_CLI_BROKER_LIVE_H
#define WEFT_CLI_BROKER_LIVE_H

#include <jansson.h>

#include "agent/child.h"
#include "apply/tap.h"
#include "base/vec.h"
#include "broker/broker.h"
#include "cli/command.h"

struct live_key { /* what got a number, and keeps it: copies may be under way by it */
	char *key;
	uint32_t number;
};
struct live_keys {
	VEC(struct live_key) list;
	uint32_t next, end;
};

struct live_place { /* of all epochs */
	char name[TAP_NAME];
	uint32_t point;
	VEC(uint32_t) indexes;	/* that the name had */
	enum tap_feed_way feed; /* as it was told, */
	const char *why;	/* and why not by XDP */
	uint64_t copied_before; /* the weft-copier of now was started */
};

struct live_outlet {	   /* of all epochs */
	char *tool, *port; /* of a tunnel port is NULL: all the tool's */
	uint32_t number;
	char link[TAP_NAME];	    /* that it leads out of */
	uint64_t dropped;	    /* there before this run */
	struct outlet_count before; /* the weft-copier of now was started */
};

/* weft-hub, which serves the page of this host: nothing of the copies depends on it. */
struct live_page {
	struct child hub;
	pid_t linker;	/* prints the link */
	int lock;	/* of /run/weft/NAME; -1: there is no page */
	bool linked;	/* it was printed once */
	bool stale;	/* the files say what is not in force */
	char **paths;	/* of the files, absolute */
	struct buf out; /* a line that the hub did not take whole yet, */
	size_t at;	/* from here */
};

struct live {
	const struct options_broker *o;
	const char *node;
	struct tap_plain plain;
	struct tapper *tapper;
	struct store *store; /* what the files said last without an error, and the Captures that run */
	struct broker *b;    /* of it, in force */
	struct door *door;   /* NULL: there is none */
	bool quiet;	     /* warnings were told before */
	uint32_t epoch;
	struct live_keys points, outlets;
	VEC(struct live_place) places;
	VEC(struct live_outlet) ways;
	struct buf objects; /* CONFIG in force but for its epoch: the same again changes nothing */
	struct buf config;  /* and as it was sent */
	struct child copier;
	unsigned restarts; /* of weft-copier */
	int peer, listen, files, promisc;
	int dial;	 /* O_PATH of the socket that weft-copier listens on, which has no name any more */
	char socket[32]; /* the way to it */
	struct live_page page;
};

/* broker_epoch.c: from the objects to what the kernel and weft-copier are told. 0, or -errno after telling.
 */
struct live_epoch {
	struct arena arena;
	struct taps taps;
	struct buf config;
};
int live_epoch_make(struct live *l, const struct broker *b, uint32_t epoch, struct live_epoch *out);
void live_epoch_fini(struct live_epoch *e);
/* CONFIG of an epoch in which nothing is wanted. */
void live_epoch_nothing(struct live *l, uint32_t epoch, struct buf *config);
/* What the kernel dropped behind that interface, by its own count. */
uint64_t live_link_dropped(const char *name);
/* Notes which interfaces the places' names stand for now. */
void live_note_indexes(struct live *l);

/* broker_copier.c: 0, or -1 after telling. */
int live_copier_prepare(struct live *l); /* folder, sockets */
int live_copier_start(struct live *l);	 /* with the CONFIG in force, where there is one */
int live_copier_config(struct live *l, uint32_t epoch, struct str config);
void live_copier_end(struct live *l);
json_t *live_copier_account(struct live *l); /* NULL: it does not answer */

/* broker_account.c */
struct live_sums {
	uint64_t copied, arrived; /* to weft-copier; of them judged or lost by name */
	uint64_t in_flight;
	bool match;
};
/* The account of now, complete, as a new reference; NULL where weft-copier does not answer. */
json_t *live_account(struct live *l, struct live_sums *sums);
/* weft-copier ended, and its numbers with it: those of the next one are held against what the kernel counts
 * from here on. */
void live_account_anew(struct live *l);
void live_account_print(const json_t *account);
/* One line of what happened since `before` (may be NULL), `ms` ago. */
void live_rates(struct buf *out, const json_t *before, const json_t *now, uint64_t ms);

/* broker_ports.c: every interface of the host, as the kernel counts it and the maps use it. */
json_t *live_ports(const struct live *l);

/* broker_page.c: the page, where --page asks for it. */
int live_page_begin(struct live *l);	    /* 0, or -1 after telling */
void live_page_look(struct live *l);	    /* starts the hub as often as it ends; its next line goes on */
bool live_page_waits(const struct live *l); /* a line is not told whole */
void live_page_tell(struct live *l, const json_t *account);
void live_page_end(struct live *l);

/* broker.c: 0, or the exit status after telling. */
int broker_load(struct store **out, const struct options_broker *o);
int broker_make(struct broker **out, const struct store *s);

/* broker_live.c: Captures began or ended. 0, or -1; `why` (may be NULL) gets what is wrong with one. */
int live_again(struct live *l, struct buf *why);
bool live_has_capture(const struct live *l, const char *name);
/* `weft broker FILE` until it is interrupted: exit status. *s is taken over where it succeeds. */
int live_run(const struct options_broker *o, struct store **s);

#endif
