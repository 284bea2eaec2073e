/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft-box, see box.h: `weft-box run` starts a container's program and plays its keeper: hands signals on,
 * kills all of it at SIGUSR2, ends with its exit status. `weft-box exec` runs a command in one that runs. No
 * process of a box outlives its keeper.
 */
#include "box/box.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SPEC = 3 };

void box_fail(const char *fmt, ...)
{
	va_list ap;

	char text[2 * PATH_MAX];

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	dprintf(STDERR_FILENO, "weft-box: %s\n", text);
	_exit(BOX_FAILED);
}

const char *box_text(const struct box *b, const char *key)
{
	const char *text = json_string_value(json_object_get(b->spec, key));

	return text ? text : "";
}

static void read_spec(struct box *b)
{
	json_error_t err;

	b->spec = json_loadfd(SPEC, 0, &err);
	close(SPEC);
	if (!json_is_object(b->spec) || !json_array_size(json_object_get(b->spec, "argv")))
		box_fail("descriptor 3 has no spec: %s", err.text);
	b->base = (unsigned)json_integer_value(json_object_get(b->spec, "base"));
	if (b->base < BOX_UIDS)
		box_fail("the uids of programs begin at %u: too low", b->base);
	snprintf(b->place, sizeof(b->place), "%s", box_text(b, "place"));
}

/* So that /dev/stdout and its like can be opened by name. */
static void give_ends(const struct box *b)
{
	unsigned uid = b->base + (unsigned)json_integer_value(json_object_get(b->spec, "uid"));
	unsigned gid = b->base + (unsigned)json_integer_value(json_object_get(b->spec, "gid"));
	struct stat st;

	for (int fd = 0; fd < SPEC; fd++)
		if (!fstat(fd, &st) && (S_ISFIFO(st.st_mode) || isatty(fd)) && fchown(fd, uid, gid))
			box_fail("descriptor %d: %s", fd, strerror(errno));
}

/* The keeper's own end where signals are waited for. */
static void block_signals(sigset_t *set)
{
	static const int all[] = {SIGCHLD, SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2};

	sigemptyset(set);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		sigaddset(set, all[i]);
	sigprocmask(SIG_BLOCK, set, NULL);
}

/* Reading ends of our own output: while they are held, the program never meets a broken pipe. */
static int output[2] = {-1, -1};

static void hold_output(void)
{
	for (int i = 0; i < 2; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/proc/self/fd/%d", i + 1);
		output[i] = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	}
}

/* The sandbox that reads it is gone: read it in its place, so that the program goes on. */
static void drain_output(void)
{
	static bool begun;

	if (begun || (begun = true, fork()))
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		struct pollfd p[2] = {{.fd = output[0], .events = POLLIN},
				      {.fd = output[1], .events = POLLIN}};
		char chunk[65536];

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			_exit(0);
		for (int i = 0; i < 2; i++)
			while (p[i].revents && read(p[i].fd, chunk, sizeof(chunk)) > 0)
				;
	}
}

static _Noreturn void keep(pid_t first, const sigset_t *set)
{
	for (;;) {
		int sig = sigwaitinfo(set, NULL), status;

		if (sig == SIGCHLD) {
			pid_t p;

			while ((p = waitpid(-1, &status, WNOHANG)) > 0)
				if (p == first)
					_exit(WIFEXITED(status) ? WEXITSTATUS(status)
								: 128 + WTERMSIG(status));
		} else if (sig == SIGUSR2) {
			kill(first, SIGKILL);
		} else if (sig == SIGUSR1) {
			drain_output(); /* the kernel's word that the parent died */
		} else if (sig > 0) {
			kill(first, sig);
		}
	}
}

static void write_pid(const struct box *b, pid_t pid)
{
	const char *path = box_text(b, "pidFile");
	char text[16];
	int n = snprintf(text, sizeof(text), "%d\n", pid);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || write(fd, text, (size_t)n) != n)
		box_fail("%s: %s", path, strerror(errno));
	close(fd);
}

/* Written outside: inside, the place is not to be seen. */
static _Noreturn void run(struct box *b)
{
	sigset_t set;
	int go[2];
	pid_t first;
	char byte;

	block_signals(&set);
	hold_output();
	prctl(PR_SET_PDEATHSIG, SIGUSR1);
	b->users = user_namespace(b->base); /* by a process that must not be the first of the new view */
	if (unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID))
		box_fail("namespaces: %s", strerror(errno));
	if (sethostname(box_text(b, "hostname"), strlen(box_text(b, "hostname"))))
		box_fail("host name: %s", strerror(errno));
	if (pipe2(go, O_CLOEXEC))
		box_fail("pipe: %s", strerror(errno));
	first = fork();
	if (first < 0)
		box_fail("fork: %s", strerror(errno));
	if (!first) {
		close(go[1]);
		close(output[0]);
		close(output[1]);
		if (read(go[0], &byte, 1) != 1)
			_exit(BOX_FAILED);
		root_make(b);
		user_enter(b);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		inside_run(b);
	}
	write_pid(b, first);
	if (write(go[1], "+", 1) != 1)
		box_fail("pipe: %s", strerror(errno));
	close(go[0]);
	close(go[1]);
	close(b->users);
	json_decref(b->spec);
	keep(first, &set);
}

/* That process is still the one that was meant: the keeper is, and it is its child. */
static bool is_child_of(pid_t pid, pid_t parent)
{
	char path[64], line[256];
	int found = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "PPid: %d", &found) == 1)
			break;
	if (f)
		fclose(f);
	return found == parent;
}

static _Noreturn void exec_in(struct box *b)
{
	pid_t pid = (pid_t)json_integer_value(json_object_get(b->spec, "pid")), child;
	pid_t parent = (pid_t)json_integer_value(json_object_get(b->spec, "parent"));
	int target = (int)syscall(SYS_pidfd_open, pid, 0), status = 0;
	char path[64];

	if (target < 0 || !is_child_of(pid, parent))
		box_fail("the container has ended");
	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	b->users = open(path, O_RDONLY | O_CLOEXEC);
	if (b->users < 0 || setns(target, CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID))
		box_fail("the container's namespaces: %s", strerror(errno));
	user_enter(b);
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	signal(SIGTSTP, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		inside_exec(b);
	}
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	_exit(child < 0 ? BOX_FAILED : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int main(int argc, char **argv)
{
	struct box b = {.users = -1};

	if (argc != 2 || (strcmp(argv[1], "run") && strcmp(argv[1], "exec"))) {
		fputs("usage: weft-box run|exec 3<SPEC\n", stderr);
		return 2;
	}
	read_spec(&b);
	give_ends(&b);
	if (!strcmp(argv[1], "run"))
		run(&b);
	exec_in(&b);
}
