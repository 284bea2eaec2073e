/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exec: programs that probes and hooks run in a container: in its pod's namespaces and cgroup, unprivileged,
 * with a time limit; what a program is and where it is found: program.c. Called by runtime.c and hook.c.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "sandbox/program.h"
#include "sandbox/runtime.h"

enum { RUNS_MAX = 256, NOT_FOUND = 127, NOT_RUNNABLE = 126 };

struct run {
	uv_timer_t limit; /* first: freed with it */
	struct child child;
	const struct pod *pod;
	runtime_done *done;
	void *ctx;
	int result; /* -ETIMEDOUT once it was killed for it; -ENOENT before it began */
	struct run *next;
};
static struct run *runs;
static unsigned runs_len;

static void free_run(uv_handle_t *h)
{
	free(h);
}

static void kill_all(struct run *r)
{
	/* It leads a session of its own, and is not reaped yet. */
	if (r->child.pid)
		kill(-r->child.pid, SIGKILL);
	child_signal(&r->child, SIGKILL);
}

static void drop(struct run *r)
{
	struct run **at = &runs;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	runs_len--;
	child_forget(&r->child);
	uv_close((uv_handle_t *)&r->limit, free_run);
}

static void finish(struct run *r, int result)
{
	runtime_done *done = r->done;
	void *ctx = r->ctx;

	drop(r);
	done(ctx, result);
}

static void ended(struct child *c, int status)
{
	struct run *r = c->owner;
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);

	if (!r->result && (code == NOT_FOUND || code == NOT_RUNNABLE))
		r->result = -ENOENT;
	finish(r, r->result ? r->result : code);
}

static void on_limit(uv_timer_t *t)
{
	struct run *r = (struct run *)t;

	if (r->result == -ENOENT) {
		finish(r, r->result);
		return;
	}
	r->result = -ETIMEDOUT;
	kill_all(r);
}

bool runtime_find_program(const char *name, char path[PATH_LEN])
{
	static const char *const folders[] = {"/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"};

	if (strchr(name, '/'))
		return snprintf(path, PATH_LEN, "%s", name) < PATH_LEN && !access(path, X_OK);
	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		if (snprintf(path, PATH_LEN, "%s/%s", folders[i], name) < PATH_LEN && !access(path, X_OK))
			return true;
	return false;
}

int runtime_exec(struct container *c, char *const *argv, uint64_t timeout_ms, runtime_done *done, void *ctx)
{
	struct pod *p = c->pod;
	const struct program_words w = {.argv = argv, .in = -1, .out = -1, .err = -1};
	struct run *r;
	int err = 0;

	if (!argv[0] || c->state != RUN_ALIVE || runs_len >= RUNS_MAX)
		return !argv[0] ? -EINVAL : c->state != RUN_ALIVE ? -ESRCH : -EAGAIN;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	*r = (struct run){.pod = p, .done = done, .ctx = ctx, .child = {.pidfd = -1}, .next = runs};
	uv_timer_init(&p->sandbox->loop, &r->limit);
	runs = r;
	runs_len++;
	r->child.owner = r;
	r->child.ended = ended;
	err = program_exec(c, &r->child, &w);
	if (err == -ENOENT) {
		r->result = err;
		timeout_ms = 0;
		err = 0;
	}
	if (err)
		drop(r);
	else
		uv_timer_start(&r->limit, on_limit, timeout_ms, 0);
	return err;
}

void runtime_forget(const void *ctx)
{
	for (struct run *r = runs, *next; r; r = next) {
		next = r->next;
		if (r->ctx != ctx)
			continue;
		kill_all(r);
		drop(r);
	}
}

void runtime_forget_pod(const struct pod *p)
{
	for (struct run *r = runs, *next; r; r = next) {
		next = r->next;
		if (r->pod != p)
			continue;
		kill_all(r);
		drop(r);
	}
}
