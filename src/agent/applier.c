/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft-applier: the process around apply/. Runs as nobody with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, which
 * weft-agent gives it. Reads the control socket and one planner at a time; nothing else.
 */
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "agent/fdpass.h"
#include "agent/options.h"
#include "apply/apply.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"

struct process {
	struct applier *applier;
	int planner; /* -1: none */
	bool end;
	uint8_t message[WIRE_MESSAGE_MAX];
};

static int send_planner(void *ctx, const void *message, size_t n)
{
	return fdpass_send(((struct process *)ctx)->planner, message, n, NULL, 0);
}

static void drop_planner(struct process *p)
{
	own_fd(&p->planner);
	applier_reset(p->applier);
	malloc_trim(0);
}

static void hear_planner(struct process *p)
{
	int fds[4];
	unsigned nfds;
	ssize_t n = fdpass_recv(p->planner, p->message, sizeof(p->message), fds, &nfds, 4);
	int err;

	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		drop_planner(p);
		return;
	}
	err = applier_message(p->applier, p->message, (size_t)n, fds, nfds, send_planner, p);
	if (err) {
		log_error("the planner is dropped: %s",
			  err == -EPROTO ? "it broke the protocol" : strerror(-err));
		drop_planner(p);
	}
}

static void take_planner(struct process *p, int fd)
{
	struct timeval limit = {.tv_sec = 5};
	int size = 1 << 20;

	if (p->planner >= 0)
		drop_planner(p);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	p->planner = fd;
}

static void serve_observer(struct process *p, int sock, bool outlets)
{
	int fds[APPLIER_FDS_MAX],
	    n = outlets ? applier_outlet_fd(p->applier, fds) : applier_observer_fds(p->applier, fds);
	uint32_t count = (uint32_t)(n < 0 ? 0 : n);
	int err = n < 0 ? n : fdpass_send(sock, &count, sizeof(count), fds, count);

	if (err)
		log_error("%s gets no descriptors: %s", outlets ? "weft-copier" : "the observer",
			  strerror(-err));
	for (int i = 0; i < n; i++)
		close(fds[i]);
}

static void hear_agent(struct process *p)
{
	struct control_message m;
	AUTO_FD int fd = -1;
	int ret = control_recv(CONTROL_FD, &m, &fd);

	if (ret <= 0) {
		p->end = true;
		return;
	}
	switch (m.type) {
	case CONTROL_PEER:
		if (fd >= 0)
			take_planner(p, TAKE_FD(fd));
		break;
	case CONTROL_OBSERVE:
		if (fd >= 0)
			serve_observer(p, fd, m.value == OBSERVE_OUTLETS);
		break;
	case CONTROL_KEEP:
		if (fd >= 0)
			applier_take_kept(p->applier, m.value, TAKE_FD(fd));
		break;
	case CONTROL_CLEAN:
		applier_clean(p->applier);
		p->end = true;
		break;
	default:
		log_warn("the agent sent an unknown message (%u)", m.type);
	}
}

static void keep(void *ctx, int32_t name, int fd)
{
	(void)ctx;
	control_send(CONTROL_FD, CONTROL_KEEP, name, fd);
}

static void run(struct process *p)
{
	while (!p->end) {
		struct pollfd fds[3] = {{.fd = CONTROL_FD, .events = POLLIN},
					{.fd = p->planner, .events = POLLIN},
					{.fd = applier_watch(p->applier), .events = POLLIN}};
		uint64_t now = clock_ms(), due;

		if (now >= applier_due(p->applier))
			applier_tick(p->applier);
		due = applier_due(p->applier);
		if (poll(fds, 3, due > now ? (int)(due - now) : 0) < 0)
			continue;
		if (fds[2].revents)
			applier_look(p->applier);
		if (fds[0].revents)
			hear_agent(p);
		else if (p->planner >= 0 && fds[1].revents)
			hear_planner(p);
	}
}

int main(int argc, char **argv)
{
	static struct process p = {.planner = -1};
	struct agent_options o;
	struct applier_options ao;
	AUTO_BUF why = {0};
	char name[80];
	uint64_t start = clock_ms();
	int err;

	options_parse(&o, argc, argv, "puts the planner's rows into the kernel; started by weft-agent");
	snprintf(name, sizeof(name), "applier[%s]", o.node ? o.node : "");
	log_open(name);
	if (!o.bpf) {
		log_error("--bpf is missing");
		return 2;
	}
	ao = (struct applier_options){.bpf_dir = o.bpf,
				      .cgroup = o.cgroup,
				      .uplink = o.uplink,
				      .mode = o.mode,
				      .entries = o.entries,
				      .keep = keep};
	err = applier_new(&p.applier, &ao, &why);
	if (err) {
		log_error("%.*s", (int)why.n, why.p ? why.p : "");
		return 1;
	}
	malloc_trim(0);
	control_send(CONTROL_FD, CONTROL_READY, (int32_t)(clock_ms() - start), -1);
	run(&p);
	own_fd(&p.planner);
	applier_free(&p.applier);
	return 0;
}
