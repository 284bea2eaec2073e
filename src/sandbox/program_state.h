/* SPDX-License-Identifier: Apache-2.0 */
/* Programs: what program.c shares with program_ask.c (who is one, and what it shall run) and
 * program_stdin.c. */
#ifndef WEFT_SANDBOX_PROGRAM_STATE_H
#define WEFT_SANDBOX_PROGRAM_STATE_H

#include "sandbox/program.h"

/* Always false; c->lacks says what is not there. */
bool program_lack(struct container *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* program_ask.c */
/* "weft.network/WHICH.CONTAINER", or "weft.network/WHICH" of the pod's first container; NULL: none. */
const char *program_annotation(const struct container *c, const char *which);
/* The command that was asked for by `weft run`, `weft up --run` or annotation, owned by the caller; NULL:
 * none. */
json_t *program_command(const struct container *c);
/* Follows ConfigMaps and Secrets from here on. */
void program_needs_objects(struct sandbox *s);

/* program_stdin.c */
/* What the program reads; owned by the caller; -1: nothing. */
int program_stdin_open(struct container *c);
void program_stdin_close(struct container *c);

#endif
