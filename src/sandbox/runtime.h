/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runtime: what the node's observer may ask of its containers over NODE/runtime.sock: to run a program in
 * one, and to end one so that its restart policy decides; and the running of programs itself. It can do
 * nothing else, and only to pods of its node.
 */
#ifndef WEFT_SANDBOX_RUNTIME_H
#define WEFT_SANDBOX_RUNTIME_H

#include "sandbox/pod.h"

/* Exit status 0 to 255, -ETIMEDOUT (killed), -ENOENT (the program is not on this machine, also as a shell
 * says it: 126 or 127), another -errno: nothing was run. From the loop, once. */
typedef void runtime_done(void *ctx, int result);
/* Runs argv in the container, as its workload, for at most that long. 0, or -errno (then done is not called).
 * A program that is not there is told by done. */
int runtime_exec(struct container *c, char *const *argv, uint64_t timeout_ms, runtime_done *done, void *ctx);
/* Kills what runs for ctx, or in a pod's containers; done is not called. */
void runtime_forget(const void *ctx);
void runtime_forget_pod(const struct pod *p);

/* The path of a program of this machine, looked for as a shell would; false when there is none. */
bool runtime_find_program(const char *name, char path[PATH_LEN]);

/* The socket. 0 or -errno (told). */
int runtime_start(struct node *n);
void runtime_stop(struct node *n);

#endif
