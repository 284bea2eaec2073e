/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft-copier as a child of `weft broker`: started as nobody with what it needs handed over, told each epoch,
 * asked for its account. It holds bytes of strangers: what it answers is read as little as can be.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "agent/fdpass.h"
#include "agent/privilege.h"
#include "base/clock.h"
#include "base/own.h"
#include "cli/broker_live.h"
#include "cli/cluster.h"
#include "cli/libexec.h"
#include "cli/output.h"

enum { ANSWER_MS = 20000, END_MS = 5000 };

static int tell(const char *what)
{
	cli_error(NULL, "%s: %s", what, strerror(errno));
	return -1;
}

/* The files' folder, in which a process without privileges writes. */
static int open_files(struct live *l)
{
	const char *out = l->o->out;
	struct stat st;

	l->files = -1;
	if (!out)
		return 0;
	if (!mkdir(out, 0755) && chown(out, NOBODY, NOBODY))
		return tell(out);
	l->files = open(out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l->files < 0 || fstat(l->files, &st))
		return tell(out);
	if (st.st_uid == NOBODY || st.st_mode & S_IWOTH)
		return 0;
	cli_error("give a folder that is not there yet, or say: chown nobody DIR",
		  "%s: weft-copier, which has no privileges, may not write there", out);
	return -1;
}

int live_copier_prepare(struct live *l)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	char folder[] = "/run/weft-broker-XXXXXX";
	bool good;

	if (open_files(l))
		return -1;
	if (!mkdtemp(folder))
		return tell(folder);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/copier.sock", folder);
	l->listen = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	good = l->listen >= 0 && !bind(l->listen, (const struct sockaddr *)&at, sizeof(at)) &&
	       !listen(l->listen, 16);
	/* Nobody else finds it, and nothing is left however we end. */
	l->dial = good ? open(at.sun_path, O_PATH | O_CLOEXEC) : -1;
	if (l->dial < 0)
		tell(at.sun_path);
	unlink(at.sun_path);
	rmdir(folder);
	snprintf(l->socket, sizeof(l->socket), "/proc/self/fd/%d", l->dial);
	return l->dial < 0 ? -1 : 0;
}

static int open_packets(void)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = __builtin_bswap16(ETH_P_ALL)};
	AUTO_FD int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	at.sll_ifindex = (int)if_nametoindex(COPY_BACK_NAME);
	return fd < 0 || !at.sll_ifindex || bind(fd, (const struct sockaddr *)&at, sizeof(at)) ? -1
											       : TAKE_FD(fd);
}

static int hand_over(struct live *l)
{
	AUTO_FD int packets = open_packets();
	struct timeval limit = {.tv_sec = ANSWER_MS / 1000};
	int pair[2], control = l->copier.control, err;

	if (packets < 0)
		return tell("a packet socket at " COPY_BACK_NAME);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return tell("a socket to weft-copier");
	own_fd(&l->peer);
	l->peer = pair[0];
	setsockopt(l->peer, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	err = control_send(control, CONTROL_PEER, 0, pair[1]);
	close(pair[1]);
	if (!err && l->files >= 0)
		err = control_send(control, CONTROL_FILES, 0, l->files);
	if (!err)
		err = control_send(control, CONTROL_LISTEN, 0, l->listen);
	if (!err)
		err = control_send(control, CONTROL_PACKETS, 0, packets);
	if (err)
		cli_error(NULL, "weft-copier cannot be told what it needs: %s", strerror(-err));
	return err ? -1 : 0;
}

int live_copier_start(struct live *l)
{
	AUTO_BUF libexec = {0};
	AUTO_BUF program = {0};
	char *argv[2] = {NULL, NULL};

	if (!libexec_program(&program, "weft-copier")) {
		cli_error("make install puts it beside weft; WEFT_LIBEXEC names another folder",
			  "there is no %s", program.p);
		return -1;
	}
	libexec_find(&libexec);
	l->copier.program = "weft-copier";
	if (child_begin(&l->copier, libexec.p, argv))
		return -1;
	if (hand_over(l))
		return -1;
	return l->config.n ? live_copier_config(l, l->epoch, buf_str(&l->config)) : 0;
}

/* Its answer to that epoch: 0, or -1 after telling. */
static int hear(struct live *l, uint32_t epoch)
{
	for (;;) {
		char text[4096];
		unsigned nfds;
		ssize_t n = fdpass_recv(l->peer, text, sizeof(text), NULL, &nfds, 0);
		AUTO_JSON answer = n > 0 ? json_loadb(text, (size_t)n, 0, NULL) : NULL;
		const char *error = json_string_value(json_object_get(answer, "error"));

		if (n <= 0) {
			cli_error(NULL, "weft-copier does not answer: %s",
				  n ? strerror((int)-n) : "it ended");
			return -1;
		}
		if (json_integer_value(json_object_get(answer, "epoch")) != (json_int_t)epoch)
			continue;
		if (json_is_true(json_object_get(answer, "ok")))
			return 0;
		cli_error(NULL, "weft-copier refuses it: %s", error ? error : "it does not say why");
		return -1;
	}
}

int live_copier_config(struct live *l, uint32_t epoch, struct str config)
{
	AUTO_FD int fd = memfd_create("config", MFD_CLOEXEC);
	AUTO_BUF head = {0};
	size_t at = 0;
	int err;

	while (fd >= 0 && at < config.n) {
		ssize_t n = write(fd, config.p + at, config.n - at);

		if (n <= 0)
			return tell("a file in memory");
		at += (size_t)n;
	}
	buf_printf(&head, "{\"epoch\":%u}", epoch);
	err = fd < 0 ? -errno : fdpass_send(l->peer, head.p, head.n, &fd, 1);
	if (err) {
		cli_error(NULL, "weft-copier cannot be told: %s", strerror(-err));
		return -1;
	}
	return hear(l, epoch);
}

json_t *live_copier_account(struct live *l)
{
	AUTO_BUF text = {0};
	json_t *o;

	if (!l->copier.pid || http_try(l->socket, "GET", "/account", (struct str){0}, &text) != 200)
		return NULL;
	o = json_loadb(text.p, text.n, 0, NULL);
	if (o && !json_is_object(o)) {
		json_decref(o);
		o = NULL;
	}
	return o;
}

/* It ends its files by itself when its control socket ends. */
void live_copier_end(struct live *l)
{
	uint64_t limit = clock_ms() + END_MS;
	int status;

	own_fd(&l->copier.control);
	while (l->copier.pid) {
		pid_t got = waitpid(l->copier.pid, &status, WNOHANG);

		if (got == l->copier.pid || (got < 0 && errno == ECHILD))
			l->copier.pid = 0;
		else if (clock_ms() > limit)
			kill(l->copier.pid, SIGKILL);
		if (l->copier.pid)
			poll(NULL, 0, 5);
	}
	own_fd(&l->peer);
	own_fd(&l->listen);
	own_fd(&l->files);
	own_fd(&l->dial);
}
