/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs: one's own commands in place of stand-ins, and commands run in containers. A container is a
 * program where an annotation, `weft run` or `weft up --run` says so; then weft-box gives it a root, an
 * environment and a uid range as the manifest says. program.c decides and starts, environ.c makes the
 * environment, volume.c what is mounted.
 */
#ifndef WEFT_SANDBOX_PROGRAM_H
#define WEFT_SANDBOX_PROGRAM_H

#include "sandbox/pod.h"

struct session;

/* Uids of programs: 65536 from here on; none of them is anybody on the machine. */
enum { PROGRAM_UID_BASE = 0x71000000 };

/* Whether it is to be played by a program, as of now. */
bool program_wanted(const struct container *c);
/* Starts it: 0; -EAGAIN: something that it needs is not there (c->lacks says what); another -errno. */
int program_start(struct container *c);
/* Its instance has ended: takes its last message. */
void program_ended(struct container *c);
void program_free(struct container *c);
/* A signal for a container's process; SIGKILL ends all of a program. */
void container_signal(struct container *c, int sig);

struct program_words {
	char *const *argv;
	int in, out, err; /* -1: none; borrowed */
	bool terminal;	  /* in is one */
};
/* Runs a command in the container. 0, -ENOENT (a stand-in's: not on this machine), -errno. */
int program_exec(struct container *c, struct child *child, const struct program_words *w);

/* stdin of an own program that asked for it */
bool program_has_stdin(const struct container *c);
/* For a session: len 0 closes it where stdinOnce says so. Holds the session while it is full. */
void program_stdin(struct container *c, struct session *s, const char *p, size_t len);
void program_stdin_left(struct container *c, const struct session *s);

/* environ.c */
/* A list of {"name", "value"} in order, those of Services first; NULL: *lacks says what is not there. */
json_t *environ_of(const struct container *c, char **lacks);
/* "$(NAME)" of these variables, "$$" a "$". */
void environ_expand(const json_t *env, const char *text, struct buf *out);

/* volume.c */
/* What is mounted, as weft-box reads it; NULL: *lacks says why not. */
json_t *volumes_of(const struct container *c, char **lacks);
/* The bytes of a key of a ConfigMap or Secret into out; -ENOENT: no such object or key. */
int volume_key(const struct pod *p, bool secret, const char *name, const char *key, struct buf *out);
const json_t *volume_object(const struct pod *p, bool secret, const char *name);
int base64_decode(const char *text, struct buf *out);
/* A pod's field as downwardAPI and fieldRef name it; false: no such field. */
bool environ_field(const struct pod *p, const char *path, struct buf *out);
bool environ_resource(const struct container *c, const json_t *ref, struct buf *out);

#endif
