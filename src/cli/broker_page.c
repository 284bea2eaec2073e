/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page of a broker host: weft-hub as a child that has given up its privileges, told each second by lines
 * of JSON what `-o json` prints. Nothing is read from it here: a link to the page is printed by a child of
 * its own. It is started as often as it ends, and ends with this process, also when that is killed. Copies
 * never wait for it: a line for which it has no room is left out.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "agent/fdpass.h"
#include "base/clock.h"
#include "base/own.h"
#include "cli/broker_live.h"
#include "cli/cluster.h"
#include "cli/libexec.h"
#include "cli/output.h"
#include "cli/ui.h"
#include "sandbox/files.h"

enum { LINK_MS = 15000, END_MS = 5000, ARGS_MAX = 32 };

/* --- its folder ------------------------------------------------------------------------------------- */

/* A cluster's remains hold another truth than this host's files. */
static bool is_of_cluster(const char *name)
{
	char path[CLUSTER_PATH];

	cluster_path(path, name, "state.json");
	return !access(path, F_OK);
}

static int take_folder(struct live *l, const char *name)
{
	char folder[CLUSTER_PATH], path[CLUSTER_PATH];
	int r;

	cluster_path(folder, name, "log");
	cluster_path(path, name, "lock");
	r = file_make_dir(folder, 0755);
	l->page.lock = r ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (l->page.lock < 0) {
		cli_error(NULL, "%s: %s", path, strerror(r ? -r : errno));
		return -1;
	}
	if (flock(l->page.lock, LOCK_EX | LOCK_NB)) {
		own_fd(&l->page.lock);
		cli_error("end it, or give this page another name: --name NAME",
			  "a cluster or a page \"%s\" is there already", name);
		return -1;
	}
	if (!is_of_cluster(name))
		return 0;
	own_fd(&l->page.lock);
	cli_error("remove it: weft down, or give this page another name: --name NAME",
		  "a cluster \"%s\" was left in %s", name, folder);
	return -1;
}

static int take_paths(struct live *l)
{
	const struct options_broker *o = l->o;

	l->page.paths = calloc((size_t)o->n_args + 1, sizeof(char *));
	for (int i = 0; l->page.paths && i < o->n_args; i++)
		if (!(l->page.paths[i] = realpath(o->args[i], NULL))) {
			cli_error(NULL, "%s: %s", o->args[i], strerror(errno));
			return -1;
		}
	return l->page.paths ? 0 : -1;
}

/* --- the hub ---------------------------------------------------------------------------------------- */

static void become_hub(const struct live *l, const char *program, int channel)
{
	char dir[CLUSTER_PATH], log[CLUSTER_PATH], size[24];
	const struct options_broker *o = l->o;
	const char *argv[ARGS_MAX], *name = cluster_name(o->name);
	size_t n = 0;
	sigset_t none;

	cluster_path(dir, name, "");
	dir[strlen(dir) - 1] = '\0';
	cluster_path(log, name, "log/hub.log");
	int fd = file_append(log), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || null < 0 || dup2(null, 0) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
		_exit(126);
	if (channel == CONTROL_FD)
		fcntl(channel, F_SETFD, 0);
	else if (dup2(channel, CONTROL_FD) < 0)
		_exit(126);
	const char *const fixed[] = {"weft-hub",
				     "--name",
				     name,
				     "--dir",
				     dir,
				     "--host",
				     l->node,
				     "--history",
				     "0",
				     "--page",
				     *o->page ? o->page : "127.0.0.1"};
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		argv[n++] = fixed[i];
	if (o->writable)
		argv[n++] = "--writable";
	snprintf(size, sizeof(size), "%lld", (long long)o->max_file);
	argv[n++] = "--max-file";
	argv[n++] = size;
	argv[n] = NULL;
	const char **all = calloc(n + (size_t)o->n_args + 2, sizeof(*all));
	if (!all)
		_exit(126);
	memcpy(all, argv, n * sizeof(*all));
	all[n++] = "--";
	for (int i = 0; i < o->n_args; i++)
		all[n++] = l->page.paths[i];
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execv(program, (char **)(uintptr_t)all);
	_exit(127);
}

static int start_hub(struct live *l)
{
	struct live_page *p = &l->page;
	AUTO_BUF program = {0};
	int pair[2];

	p->hub.started = clock_ms();
	p->hub.next = UINT64_MAX;
	if (!libexec_program(&program, "weft-hub")) {
		cli_error("make install puts it beside weft; WEFT_LIBEXEC names another folder",
			  "there is no %s", program.p);
		return -1;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
		cli_error(NULL, "a socket to weft-hub: %s", strerror(errno));
		return -1;
	}
	p->hub.pid = fork();
	if (!p->hub.pid)
		become_hub(l, program.p, pair[1]);
	close(pair[1]);
	p->hub.control = pair[0];
	buf_clear(&p->out);
	p->at = 0;
	if (p->hub.pid > 0)
		return 0;
	p->hub.pid = 0;
	own_fd(&p->hub.control);
	p->hub.next = clock_ms() + 1000;
	return -1;
}

/* --- a link ----------------------------------------------------------------------------------------- */

/* What the hub answers is read in a process that is for nothing else. */
static void print_link(const char *name)
{
	uint64_t limit = clock_ms() + LINK_MS;
	char socket[CLUSTER_PATH];
	AUTO_BUF url = {0};
	AUTO_BUF said = {0};

	cluster_path(socket, name, "hub.sock");
	while (http_ask(socket, "/version", NULL, &said) != 200 && clock_ms() < limit)
		poll(NULL, 0, 30);
	if (ui_link(name, NULL, &url))
		_exit(1);
	for (size_t i = 0; i < url.n; i++)
		if (url.p[i] <= ' ' || url.p[i] > '~')
			_exit(1);
	fprintf(stderr, "%spage: %s\n", isatty(STDERR_FILENO) ? "\r\033[K" : "", url.p);
	_exit(0);
}

static void start_linker(struct live *l)
{
	l->page.linked = true;
	l->page.linker = fork();
	if (l->page.linker)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	print_link(cluster_name(l->o->name));
}

/* --- for broker_live.c ------------------------------------------------------------------------------ */

int live_page_begin(struct live *l)
{
	const char *name = cluster_name(l->o->name);

	if (!l->o->page)
		return 0;
	signal(SIGPIPE, SIG_IGN);
	l->page.hub.program = "weft-hub";
	if (!name || take_folder(l, name) || take_paths(l) || start_hub(l))
		return -1;
	start_linker(l);
	return 0;
}

static void send_rest(struct live_page *p)
{
	while (p->at < p->out.n) {
		ssize_t n =
		    send(p->hub.control, p->out.p + p->at, p->out.n - p->at, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n <= 0)
			return;
		p->at += (size_t)n;
	}
	buf_clear(&p->out);
	p->at = 0;
}

void live_page_look(struct live *l)
{
	struct live_page *p = &l->page;
	int status;

	if (p->lock < 0)
		return;
	if (p->linker > 0 && waitpid(p->linker, &status, WNOHANG) == p->linker)
		p->linker = 0;
	if (p->hub.pid && waitpid(p->hub.pid, &status, WNOHANG) == p->hub.pid) {
		child_ended(&p->hub, status);
		buf_clear(&p->out);
		p->at = 0;
	}
	if (!p->hub.pid && clock_ms() >= p->hub.next)
		start_hub(l);
	if (p->hub.pid)
		send_rest(p);
}

bool live_page_waits(const struct live *l)
{
	return l->page.hub.pid && l->page.out.n;
}

void live_page_tell(struct live *l, const json_t *account)
{
	struct live_page *p = &l->page;
	AUTO_MEM char *text = NULL;

	if (p->lock < 0 || !p->hub.pid || p->out.n)
		return;
	AUTO_JSON line = json_pack("{s:O,s:b}", "account", account, "stale", p->stale);
	text = line ? json_dumps(line, JSON_COMPACT) : NULL;
	if (!text)
		return;
	buf_addz(&p->out, text);
	buf_addc(&p->out, '\n');
	if (p->out.failed)
		buf_clear(&p->out);
	send_rest(p);
}

void live_page_end(struct live *l)
{
	struct live_page *p = &l->page;
	uint64_t limit = clock_ms() + END_MS;
	char folder[CLUSTER_PATH];
	int status;

	own_fd(&p->hub.control); /* it ends with it */
	while (p->hub.pid) {
		pid_t got = waitpid(p->hub.pid, &status, WNOHANG);

		if (got == p->hub.pid || (got < 0 && errno == ECHILD))
			p->hub.pid = 0;
		else if (clock_ms() > limit)
			kill(p->hub.pid, SIGKILL);
		if (p->hub.pid)
			poll(NULL, 0, 5);
	}
	if (p->linker > 0) {
		kill(p->linker, SIGKILL);
		waitpid(p->linker, &status, 0);
	}
	if (p->lock >= 0) {
		cluster_path(folder, cluster_name(l->o->name), "");
		file_remove_tree(folder);
	}
	own_fd(&p->lock);
	for (int i = 0; p->paths && i < l->o->n_args; i++)
		free(p->paths[i]);
	free(p->paths);
	buf_fini(&p->out);
}
