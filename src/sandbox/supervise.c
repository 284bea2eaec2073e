/* SPDX-License-Identifier: Apache-2.0 */
/* Supervise: see supervise.h. Must never give up: the last state holds meanwhile. Called by run.c and node.c.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "sandbox/cluster.h"
#include "sandbox/files.h"

enum { TOLD_BYTES = 4000, TRIES_AT_START = 3 };
enum { CALM_MS = 5000, SHORT_MS = 2000, WAIT_MIN_MS = 50, WAIT_MAX_MS = 5000 };

int daemon_open(struct daemon *d, struct sandbox *s, const char *what, const char *program, const char *log)
{
	char path[PATH_LEN];

	*d = (struct daemon){.sandbox = s, .netns = -1};
	if (!sandbox_program(s, program, path))
		return -ENOENT;
	d->what = strdup(what);
	d->program = strdup(path);
	snprintf(path, sizeof(path), "%s/log/%s", s->dir, log);
	d->log = strdup(path);
	if (!d->what || !d->program || !d->log)
		return -ENOMEM;
	daemon_arg(d, "%s", program);
	uv_timer_init(&s->loop, &d->timer);
	d->timer.data = d;
	d->open = true;
	return 0;
}

void daemon_arg(struct daemon *d, const char *fmt, ...)
{
	va_list ap;

	char **argv = reallocarray(d->argv, d->argc + 2, sizeof(*argv));
	if (!argv) {
		d->short_of_memory = true;
		return;
	}
	d->argv = argv;
	va_start(ap, fmt);
	if (vasprintf(&argv[d->argc], fmt, ap) < 0)
		d->short_of_memory = true;
	else
		d->argc++;
	va_end(ap);
	argv[d->argc] = NULL;
}

static void daemon_again(uv_timer_t *t)
{
	/* No process, descriptor or memory just now: the next try may find them. */
	if (daemon_start(t->data))
		uv_timer_start(t, daemon_again, WAIT_MAX_MS, 0);
}

static void note_gone(struct daemon *d)
{
	uint64_t now = clock_ms();

	if (!d->gone_ms || now - d->started_ms > SHORT_MS)
		d->gone_ms = now;
}

int64_t daemon_away_ms(const struct daemon *d)
{
	uint64_t now = clock_ms();
	bool runs = d->child.pid && (!d->gone_ms || now - d->started_ms > SHORT_MS);

	return runs ? -1 : (int64_t)(now - (d->gone_ms ? d->gone_ms : d->started_ms));
}

/* What the last run said, for a program that never came up. */
static void tell_log(const struct daemon *d)
{
	AUTO_BUF text = {0};
	size_t from = d->log_from;

	if (file_read(d->log, &text) || text.n <= from)
		return;
	if (text.n - from > TOLD_BYTES)
		from = text.n - TOLD_BYTES;
	fwrite(text.p + from, 1, text.n - from, stderr);
}

static void daemon_ended(struct child *c, int status)
{
	struct daemon *d = c->owner;
	uint64_t wait = 0;

	note_gone(d);
	if (d->stopping || d->held || d->sandbox->stopping)
		return;
	d->fast_ends = clock_ms() - d->started_ms > CALM_MS ? 0 : d->fast_ends + 1;
	if (d->fast_ends > 1)
		wait = (uint64_t)WAIT_MIN_MS << (d->fast_ends < 9 ? d->fast_ends - 2 : 7);
	wait = wait > WAIT_MAX_MS ? WAIT_MAX_MS : wait;
	if (d->needed && !d->sandbox->ready_told && d->fast_ends >= TRIES_AT_START) {
		log_error("%s does not start:", d->what);
		tell_log(d);
		sandbox_stop(d->sandbox, -ECHILD);
		return;
	}
	if (WIFSIGNALED(status))
		log_warn("%s ended by signal %d; starting it again in %llu ms (%s)", d->what,
			 WTERMSIG(status), (unsigned long long)wait, d->log);
	else
		log_warn("%s ended with status %d; starting it again in %llu ms (%s)", d->what,
			 WEXITSTATUS(status), (unsigned long long)wait, d->log);
	uv_timer_start(&d->timer, daemon_again, wait, 0);
}

int daemon_start(struct daemon *d)
{
	char cgroup[PATH_LEN + 16];
	off_t end;
	AUTO_FD int log = file_append(d->log);
	struct spawn s = {.program = d->program,
			  .argv = d->argv,
			  .cgroup = cgroup,
			  .netns = d->netns,
			  .mntns = -1,
			  .in = -1,
			  .out = log,
			  .err = -1,
			  .daemon = true};
	int r;

	snprintf(cgroup, sizeof(cgroup), "%s/control", d->sandbox->cgroup);
	end = log < 0 ? 0 : lseek(log, 0, SEEK_END);
	d->log_from = end < 0 ? 0 : (size_t)end;
	d->started_ms = clock_ms();
	d->child.owner = d;
	d->child.ended = daemon_ended;
	r = log < 0 ? log : d->short_of_memory ? -ENOMEM : child_start(&d->child, &d->sandbox->loop, &s);
	if (r)
		log_error("cannot start %s: %s", d->what, strerror(-r));
	return r;
}

void daemon_hold(struct daemon *d)
{
	d->held = true;
	note_gone(d);
	uv_timer_stop(&d->timer);
	child_signal(&d->child, SIGKILL);
	child_forget(&d->child);
}

int daemon_resume(struct daemon *d)
{
	d->held = false;
	d->fast_ends = 0;
	return d->child.pid ? 0 : daemon_start(d);
}

void daemon_close(struct daemon *d)
{
	if (!d->open)
		return;
	d->stopping = true;
	d->open = false;
	child_forget(&d->child);
	uv_close((uv_handle_t *)&d->timer, NULL);
	for (size_t i = 0; i < d->argc; i++)
		free(d->argv[i]);
	free(d->argv);
	free((char *)d->what);
	free(d->program);
	free(d->log);
}
