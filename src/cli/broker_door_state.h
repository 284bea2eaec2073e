/* SPDX-License-Identifier: Apache-2.0 */
/* What broker_door.c and broker_taken.c share. Nobody else includes it. */
#ifndef WEFT_CLI_BROKER_DOOR_STATE_H
#define WEFT_CLI_BROKER_DOOR_STATE_H

#include <jansson.h>

#include "base/vec.h"
#include "cli/broker_door.h"
#include "object/object.h"

struct client { /* who asks */
	int fd;
	struct buf in;
	uint64_t until;
};

struct taken { /* a Capture */
	struct object *object;
	char *name, *user, *filter;
	uint64_t read_ms, ends_ms;
	unsigned readers;
	bool over; /* it is gone; its line is written when the last reader has ended */
	struct relay_sums sums;
};

struct reader {
	int sums_fd, pid;
	bool began;
	char *capture, *tool, *user; /* of capture and tool one is NULL */
	struct relay_sums sums;
};

struct door {
	struct live *l;
	char dir[64], path[DOOR_PATH];
	int listen, epoll;
	struct audit *audit; /* NULL: nobody asked yet */
	VEC(struct client) clients;
	VEC(struct taken) captures;
	VEC(struct reader) readers;
};

/* broker_door.c: an answer; a refusal in words. */
void door_answer(int fd, int status, json_t *v);
void door_refuse(int fd, int status, const char *message);
json_t *door_item(struct str name);
int door_watch(struct door *d, int fd);

/* broker_taken.c */
struct taken *taken_find(struct door *d, struct str name);
void taken_create(struct door *d, int fd, struct str body);
void taken_end(struct door *d, struct taken *c);
/* A stream of weft-copier for who asks; of `c`, or (NULL) of a tool's ring. */
void taken_stream(struct door *d, int fd, const char *path, struct taken *c, struct str tool);
/* Hears the readers' processes, ends Captures that nobody reads or whose time is over. */
void taken_look(struct door *d);
/* Waits a moment for readers, then ends them and writes what is left to write. */
void taken_close(struct door *d);

#endif
