/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside: the first process of a box, which has the program as its child, buries what is orphaned, and ends
 * with it; all that is left of the box ends then too. See box.h. Called by main.c.
 */
#include "box/box.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOT_FOUND = 127, NOT_RUNNABLE = 126 };

static char **words(const json_t *list)
{
	size_t n = json_array_size(list), i;
	char **out = calloc(n + 1, sizeof(*out));
	const json_t *o;

	if (!out)
		_exit(BOX_FAILED);
	json_array_foreach ((json_t *)(uintptr_t)list, i, o)
		out[i] = (char *)(uintptr_t)json_string_value(o);
	return out;
}

/* The last of a name counts. */
static char **environment(const json_t *list)
{
	char **all = words(list);
	size_t n = 0;

	for (size_t i = 0; all[i]; i++) {
		size_t len = strcspn(all[i], "="), k = 0;

		while (k < n && (strncmp(all[k], all[i], len) != 0 || all[k][len] != '='))
			k++;
		all[k] = all[i];
		n += k == n;
	}
	all[n] = NULL;
	return all;
}

void inside_exec(const struct box *b)
{
	char **argv = words(json_object_get(b->spec, "argv"));
	char **env = environment(json_object_get(b->spec, "env"));
	const char *dir = box_text(b, "dir");
	sigset_t none;

	user_become(b);
	if (chdir(*dir ? dir : "/"))
		box_fail("workingDir %s: %s", dir, strerror(errno));
	for (int sig = 1; sig < 32; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_DUMPABLE, 1);
	environ = env;
	execvp(argv[0], argv);
	int err = errno;
	dprintf(STDERR_FILENO, "weft-box: exec: \"%s\": %s\n", argv[0],
		err == ENOENT && !strchr(argv[0], '/') ? "executable file not found in $PATH"
						       : strerror(err));
	_exit(json_object_get(b->spec, "pid") ? (err == ENOENT ? NOT_FOUND : NOT_RUNNABLE) : BOX_FAILED);
}

static pid_t program;

static void hand_on(int sig)
{
	if (program > 0)
		kill(program, sig);
}

void inside_run(const struct box *b)
{
	static const int handed[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT};
	sigset_t none;
	int status;
	pid_t p;

	program = fork();
	if (program < 0)
		box_fail("fork: %s", strerror(errno));
	if (!program) {
		setsid();
		inside_exec(b);
	}
	for (size_t i = 0; i < sizeof(handed) / sizeof(handed[0]); i++)
		signal(handed[i], hand_on);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (;;) {
		p = waitpid(-1, &status, 0);
		if (p == program)
			_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
		if (p < 0 && errno != EINTR)
			_exit(BOX_FAILED);
	}
}
