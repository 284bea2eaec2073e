/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of files over capture files: who reads captures is sealed and may open nothing, so the process that
 * started it opens the next file and removes the oldest. Names and numbers are its own: what the reader says
 * is which tool port.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "agent/fdpass.h"
#include "base/own.h"
#include "cli/broker.h"

enum { DIGITS = 5 };

bool broker_is_row(const struct broker_port *p)
{
	return p->to.way == BROKER_TO_FILE && (p->to.rotate_bytes || p->to.rotate_seconds);
}

char *broker_file_name(const struct broker_port *p, const char *folder, uint32_t number)
{
	char *name;
	int n = number ? asprintf(&name, "%s/" STR_FMT "." STR_FMT "-%05u.pcapng", folder, STR_ARG(p->tool),
				  STR_ARG(p->port), number)
		       : asprintf(&name, "%s/" STR_FMT "." STR_FMT ".pcapng", folder, STR_ARG(p->tool),
				  STR_ARG(p->port));

	return n < 0 ? NULL : name;
}

bool broker_is_input(const struct broker_run *run, const char *path)
{
	struct stat out, in;

	if (stat(path, &out))
		return false;
	for (uint32_t i = 0; i < run->inputs_n; i++) {
		const char *input = run->inputs[i].path;

		if (!(strcmp(input, "-") ? stat(input, &in) : fstat(STDIN_FILENO, &in)) &&
		    in.st_dev == out.st_dev && in.st_ino == out.st_ino)
			return true;
	}
	return false;
}

/* "TOOL.PORT-00017.pcapng" of that tool port. */
static bool is_of_row(const char *name, const struct broker_port *p)
{
	AUTO_BUF head = {0};
	struct str rest = str_of(name);

	buf_printf(&head, STR_FMT "." STR_FMT "-", STR_ARG(p->tool), STR_ARG(p->port));
	if (head.failed || !str_starts(rest, buf_str(&head)))
		return false;
	rest.p += head.n;
	rest.n -= head.n;
	for (size_t digits = 0; rest.n && *rest.p >= '0' && *rest.p <= '9'; rest.p++, rest.n--)
		if (++digits > DIGITS)
			return false;
	return str_eqz(rest, ".pcapng") && rest.p >= name + head.n + DIGITS;
}

/* What an earlier run has left of the row would be taken for this one's. */
static void remove_earlier(const struct broker_run *run, const struct broker_port *p, const char *folder)
{
	DIR *d = opendir(folder);

	for (const struct dirent *e; d && (e = readdir(d));) {
		AUTO_BUF path = {0};

		buf_printf(&path, "%s/%s", folder, e->d_name);
		if (is_of_row(e->d_name, p) && !path.failed && !broker_is_input(run, path.p))
			unlink(path.p);
	}
	if (d)
		closedir(d);
}

static int open_next(const struct broker_run *run, const char *folder, uint32_t port, uint32_t *numbers)
{
	const struct broker_port *p = port < run->b->ports_n ? &run->b->ports[port] : NULL;
	uint32_t number, keep;
	int fd;

	if (!p || !broker_is_row(p))
		return -EINVAL;
	if (!numbers[port])
		remove_earlier(run, p, folder);
	number = ++numbers[port];
	AUTO_MEM char *name = broker_file_name(p, folder, number);

	if (!name)
		return -ENOMEM;
	if (broker_is_input(run, name))
		return -EEXIST;
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	keep = p->to.rotate_count;
	AUTO_MEM char *old = keep && number > keep ? broker_file_name(p, folder, number - keep) : NULL;

	if (old && !broker_is_input(run, old))
		unlink(old);
	return fd;
}

void broker_rows_serve(const struct broker_run *run, const char *folder, int socket)
{
	AUTO_MEM uint32_t *numbers = calloc((size_t)run->b->ports_n + 1, sizeof(*numbers));
	uint32_t port;
	unsigned n;

	while (numbers) {
		ssize_t got = fdpass_recv(socket, &port, sizeof(port), NULL, &n, 0);

		if (got == -EINTR)
			continue;
		if (got != sizeof(port))
			return;
		int fd = open_next(run, folder, port, numbers), said = fd < 0 ? fd : 0;

		fdpass_send(socket, &said, sizeof(said), &fd, fd >= 0);
		if (fd >= 0)
			close(fd);
	}
}

int broker_row_next(void *ctx, uint32_t number)
{
	const struct broker_row *row = ctx;
	int fd = -1, said = -EPIPE, r;
	unsigned n = 0;
	ssize_t got;

	(void)number;
	r = fdpass_send(row->opener, &row->port, sizeof(row->port), NULL, 0);
	do
		got = r ? r : fdpass_recv(row->opener, &said, sizeof(said), &fd, &n, 1);
	while (got == -EINTR);
	if (got != sizeof(said))
		return r ? r : -EPIPE;
	return n ? fd : said ? said : -EPIPE;
}
