/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door of a running `weft broker`: a socket that is root's alone, by which `weft capture --broker` reads
 * rings and live packets. It speaks the few questions of the hub's API that captures need. What is handed out
 * is relayed by a process of its own for each reader, without privileges; each start, end and download is in
 * an audit log. One thread: the loop of broker_live.c asks it to look.
 */
#ifndef WEFT_CLI_BROKER_DOOR_H
#define WEFT_CLI_BROKER_DOOR_H

#include <stdint.h>

struct live;
struct store;
struct door;

enum { DOOR_PATH = 108 };
/* The socket of the broker of this process's network namespace; empty: unknown. */
void door_path(char out[DOOR_PATH]);

/* 0, or -1 after telling: then the broker runs, and nobody can look at its packets. */
int door_open(struct door **out, struct live *l);
/* One descriptor that is readable when there is something to do; -1: NULL was given. */
int door_fd(const struct door *d);
/* Does what is to be done, without waiting; NULL is allowed. */
void door_turn(struct door *d);
/* Adds the Captures that run to the objects of the files, and takes away those that do not. 0 or -ENOMEM. */
int door_captures(const struct door *d, struct store *s);
/* Nothing is captured any more; waits a moment for readers to get what is theirs. Nulls. */
void door_close(struct door **d);

struct relay_sums {
	uint64_t packets, bytes; /* handed to the reader; bytes as captured */
	uint64_t dropped;	 /* lost since the reader was slow */
};
/* Starts the process that asks `copier` (a connection to weft-copier) for `path` and hands what comes to
 * `client`; neither is closed here. Then sums come from *sums_fd, the newest last, the first when the stream
 * began; its end is the end of the process *pid. 0 or -errno. */
int relay_start(const char *path, int client, int copier, int *sums_fd, int *pid);

#endif
