/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft-agent: the one privileged process of a node. It opens what needs a right on a path (sockets, the pins'
 * folder, connections to the hub, the packet socket of copies, the one for other nodes' copies), starts the
 * applier, the planner, the observer and, when the planner wants it, weft-copier, with what each may do, and
 * starts them again when they end. It reads nothing but fixed-size messages of its children. Packets need
 * none of the five.
 */
#include <errno.h>
#include <fcntl.h>
#include <arpa/inet.h>
#include <linux/capability.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "agent/child.h"
#include "agent/fdpass.h"
#include "agent/options.h"
#include "agent/privilege.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "base/vec.h"
#include "copier/relay.h"

enum who { APPLIER, PLANNER, OBSERVER, COPIER, CHILDREN };
enum { END_MS = 3000, ARGS_MAX = 64, KEPT_MAX = 4096, KEPT_ROOM = 8 << 20, ARRIVALS_ROOM = 8 << 20 };

struct kept { /* for the next applier: sockets into pods' namespaces that nobody else can open again */
	int32_t name;
	int fd;
};

struct agent {
	struct agent_options o;
	struct child child[CHILDREN];
	int listen[CHILDREN]; /* PLANNER: agent.sock, OBSERVER: observer.sock */
	int questions;	      /* questions.sock, the planner's, too */
	int files;	      /* folder of weft-copier's files; -1 until that is wanted */
	bool packets;	      /* weft-copy1 is there: a packet socket is wanted */
	bool packets_given;   /* to the weft-copier that runs */
	bool arrivals;	      /* a socket for copies of other nodes is wanted */
	bool arrivals_given;
	int signals;
	VEC(struct kept) kept;
	bool end;
	char *argv[ARGS_MAX];
	int args;
	bool copier_began; /* once at least */
};

static int listen_at(const char *dir, const char *name, int type)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd, n = snprintf(at.sun_path, sizeof(at.sun_path), "%s/%s", dir, name);

	if (n < 0 || (size_t)n >= sizeof(at.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	unlink(at.sun_path);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || chmod(at.sun_path, 0600) || listen(fd, 256)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

/* The hub asks the observer too, and is nobody. */
static void open_to_nobody(const char *dir, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (chown(path, NOBODY, NOBODY))
		log_warn("%s cannot be given to nobody: %s", path, strerror(errno));
}

static int dial(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd, n = snprintf(to.sun_path, sizeof(to.sun_path), "%s", path ? path : "");

	if (n <= 0 || (size_t)n >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&to, sizeof(to))) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

/* A new pair of sockets to two children that talk to each other; one that is down gets its own at its next
 * start. */
static void introduce(struct agent *a, enum control type, enum who x, enum who y)
{
	int32_t value = 0;
	int pair[2];

	if (!a->child[x].pid || !a->child[y].pid)
		return;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		log_error("no socket pair: %s", strerror(errno));
		return;
	}
	if (type == CONTROL_CONFIG)
		value = a->packets_given;
	else if (type == CONTROL_OBSERVE)
		value = y == COPIER ? OBSERVE_OUTLETS : OBSERVE_ALL;
	control_send(a->child[x].control, type, value, pair[0]);
	if (type == CONTROL_CONFIG)
		type = CONTROL_PEER;
	control_send(a->child[y].control, type, 0, pair[1]);
	close(pair[0]);
	close(pair[1]);
}

static void keep(struct agent *a, int32_t name, int fd)
{
	struct kept one = {.name = name, .fd = fd};

	for (size_t i = 0; i < a->kept.len; i++)
		if (a->kept.items[i].name == name) {
			close(a->kept.items[i].fd);
			a->kept.items[i] = a->kept.items[--a->kept.len];
			break;
		}
	if (fd >= 0 && (a->kept.len >= KEPT_MAX || vec_push(&a->kept, one)))
		close(fd);
}

/* Before it hears of its planner. */
static void give_back(struct agent *a)
{
	int control = a->child[APPLIER].control, room = KEPT_ROOM;

	setsockopt(control, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	VEC_EACH (&a->kept, k)
		control_send(control, CONTROL_KEEP, k->name, k->fd);
}

/* Bound here, to the one interface: weft-copier cannot bind. */
static int open_packets(void)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	AUTO_FD int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	at.sll_ifindex = (int)if_nametoindex("weft-copy1");
	if (fd < 0 || !at.sll_ifindex || bind(fd, (struct sockaddr *)&at, sizeof(at)))
		return -errno;
	return TAKE_FD(fd);
}

static void give_packets(struct agent *a)
{
	AUTO_FD int fd = -1;
	int got;

	if (!a->packets || a->packets_given || !a->child[COPIER].pid)
		return;
	fd = got = open_packets();
	if (got < 0)
		log_warn("no packet socket at weft-copy1: %s", strerror(-got));
	else
		a->packets_given = !control_send(a->child[COPIER].control, CONTROL_PACKETS, 0, fd);
}

/* Bound to the uplink, so that nothing but what came in there is read. */
static int open_arrivals(const char *uplink)
{
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons(RELAY_PORT)};
	AUTO_FD int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int none = 0, room = ARRIVALS_ROOM;

	if (fd < 0 || !uplink ||
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, uplink, (socklen_t)strlen(uplink)) ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &none, sizeof(none)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)))
		return uplink ? -errno : -ENODEV;
	return TAKE_FD(fd);
}

static void give_arrivals(struct agent *a)
{
	AUTO_FD int fd = -1;
	int got;

	if (!a->arrivals || a->arrivals_given || !a->child[COPIER].pid)
		return;
	fd = got = open_arrivals(a->o.uplink);
	if (got < 0)
		log_warn(
		    "no socket for copies of other nodes at UDP port %d: %s; tools of this node get none "
		    "of theirs",
		    RELAY_PORT, strerror(-got));
	else
		a->arrivals_given = !control_send(a->child[COPIER].control, CONTROL_ARRIVALS, 0, fd);
}

/* Nobody may hang on a socket that nobody accepts on: the one of weft-copier goes with it. */
static void listen_for_copier(struct agent *a)
{
	AUTO_FD int fd = listen_at(a->o.run, "copier.sock", SOCK_STREAM);

	if (fd < 0) {
		log_error("cannot listen at %s/copier.sock: %s", a->o.run, strerror(-fd));
		return;
	}
	open_to_nobody(a->o.run, "copier.sock");
	control_send(a->child[COPIER].control, CONTROL_LISTEN, 0, fd);
}

static void start(struct agent *a, enum who w)
{
	int r;

	/* weft-copier says which copies it cannot know of */
	a->argv[a->args] = w == COPIER && a->copier_began ? (char *)(uintptr_t) "--again" : NULL;
	r = child_begin(&a->child[w], a->o.libexec, a->argv);
	a->argv[a->args] = NULL;
	if (r)
		return;
	a->copier_began |= w == COPIER;
	if (w == APPLIER)
		give_back(a);
	if (a->listen[w] >= 0)
		control_send(a->child[w].control, CONTROL_LISTEN, LISTEN_ALL, a->listen[w]);
	if (w == PLANNER && a->questions >= 0)
		control_send(a->child[w].control, CONTROL_LISTEN, LISTEN_QUESTIONS, a->questions);
	if (w == COPIER) {
		a->packets_given = a->arrivals_given = false;
		listen_for_copier(a);
		if (a->files >= 0)
			control_send(a->child[w].control, CONTROL_FILES, 0, a->files);
		give_packets(a);
		give_arrivals(a);
	}
	if (w == APPLIER || w == PLANNER)
		introduce(a, CONTROL_PEER, APPLIER, PLANNER);
	if (w == APPLIER || w == OBSERVER)
		introduce(a, CONTROL_OBSERVE, APPLIER, OBSERVER);
	if (w == APPLIER || w == COPIER)
		introduce(a, CONTROL_OBSERVE, APPLIER, COPIER);
	if (w == PLANNER || w == COPIER)
		introduce(a, CONTROL_CONFIG, PLANNER, COPIER);
}

static void open_files(struct agent *a)
{
	char path[512];

	if (a->o.files)
		snprintf(path, sizeof(path), "%s", a->o.files);
	else
		snprintf(path, sizeof(path), "%s/files", a->o.run);
	if ((mkdir(path, 0755) && errno != EEXIST) || chown(path, NOBODY, NOBODY) ||
	    (a->files = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		log_error("no folder %s for files of tools: %s", path, strerror(errno));
}

static void want(struct agent *a, int32_t what)
{
	struct child *c = &a->child[COPIER];

	if (a->files < 0)
		open_files(a);
	if (!c->pid && !c->started)
		start(a, COPIER);
	if (what == WANT_PACKETS) {
		a->packets = true;
		give_packets(a);
	}
	if (what == WANT_ARRIVALS) {
		a->arrivals = true;
		give_arrivals(a);
	}
}

static void reap(struct agent *a)
{
	struct signalfd_siginfo info;
	pid_t pid;
	int status;

	while (read(a->signals, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			a->end = true;
	for (unsigned w = 0; w < CHILDREN; w++) {
		struct child *c = &a->child[w];

		if (c->pid <= 0)
			continue;
		pid = waitpid(c->pid, &status, WNOHANG);
		if (pid == c->pid)
			child_ended(c, status);
	}
}

static void hear(struct agent *a, struct child *c)
{
	struct control_message m;
	AUTO_FD int fd = -1;
	int ret = control_recv(c->control, &m, &fd);

	if (ret <= 0)
		return; /* its end comes as a signal */
	if (m.type == CONTROL_DIAL) {
		AUTO_FD int to = -1;
		char runtime[512];
		int got;

		/* Containers are the observer's matter only. */
		snprintf(runtime, sizeof(runtime), "%s/runtime.sock", a->o.run);
		if (m.value == DIAL_RUNTIME)
			got = c == &a->child[OBSERVER] ? dial(runtime) : -EPERM;
		else
			got = dial(a->o.hub);
		to = got;
		control_send(c->control, CONTROL_DIAL, got < 0 ? -got : 0, to);
	} else if (m.type == CONTROL_KEEP && c == &a->child[APPLIER]) {
		keep(a, m.value, TAKE_FD(fd));
	} else if (m.type == CONTROL_WANT && c == &a->child[PLANNER]) {
		want(a, m.value);
	} else if (m.type == CONTROL_READY) {
		log_info("%s is in force after %d ms", c->program, m.value);
	}
}

static void run(struct agent *a)
{
	while (!a->end) {
		struct pollfd fds[1 + CHILDREN] = {{.fd = a->signals, .events = POLLIN}};
		uint64_t now = clock_ms();
		int wait = -1;

		for (unsigned w = 0; w < CHILDREN; w++) {
			struct child *c = &a->child[w];

			if (!c->pid && c->next <= now)
				start(a, w);
			if (!c->pid && c->next != UINT64_MAX)
				wait =
				    wait < 0 || (uint64_t)wait > c->next - now ? (int)(c->next - now) : wait;
			/* A child that closed its end would wake us for ever: POLLIN only. */
			fds[1 + w] = (struct pollfd){.fd = c->pid ? c->control : -1, .events = POLLIN};
		}
		if (poll(fds, 1 + CHILDREN, wait) < 0)
			continue;
		if (fds[0].revents)
			reap(a);
		for (unsigned w = 0; w < CHILDREN; w++)
			if (fds[1 + w].revents & POLLIN && a->child[w].pid)
				hear(a, &a->child[w]);
			else if (fds[1 + w].revents && a->child[w].pid)
				own_fd(&a->child[w].control);
	}
}

static void await_end(struct agent *a, enum who w, uint64_t deadline)
{
	struct child *c = &a->child[w];

	while (c->pid) {
		struct pollfd p = {.fd = a->signals, .events = POLLIN};
		uint64_t now = clock_ms();

		if (now >= deadline) {
			log_warn("%s does not end; killed", c->program);
			kill(c->pid, SIGKILL);
			deadline = now + END_MS;
		}
		poll(&p, 1, (int)(deadline > now ? deadline - now : 1));
		reap(a);
	}
}

static void end(struct agent *a)
{
	uint64_t deadline = clock_ms() + END_MS;

	if (a->child[PLANNER].pid)
		own_fd(&a->child[PLANNER].control);
	if (a->child[OBSERVER].pid)
		own_fd(&a->child[OBSERVER].control);
	if (a->child[COPIER].pid)
		own_fd(&a->child[COPIER].control);
	if (a->child[APPLIER].pid) {
		if (a->o.clean)
			control_send(a->child[APPLIER].control, CONTROL_CLEAN, 0, -1);
		own_fd(&a->child[APPLIER].control);
	}
	for (unsigned w = 0; w < CHILDREN; w++)
		await_end(a, w, deadline);
}

static int prepare(struct agent *a)
{
	const struct agent_options *o = &a->o;
	sigset_t set;

	if (!o->node || !o->hub || !o->run || !o->bpf || !o->libexec) {
		log_error("--node, --hub, --run, --bpf and --libexec are needed; --help lists the options");
		return -EINVAL;
	}
	if ((mkdir(o->run, 0755) && errno != EEXIST) || (mkdir(o->bpf, 0700) && errno != EEXIST) ||
	    chown(o->bpf, NOBODY, NOBODY)) {
		log_error("cannot make %s and %s: %s", o->run, o->bpf, strerror(errno));
		return -errno;
	}
	a->listen[PLANNER] = listen_at(o->run, "agent.sock", SOCK_SEQPACKET);
	a->listen[OBSERVER] = listen_at(o->run, "observer.sock", SOCK_STREAM);
	a->questions = listen_at(o->run, "questions.sock", SOCK_SEQPACKET);
	if (a->listen[PLANNER] < 0 || a->listen[OBSERVER] < 0 || a->questions < 0) {
		int err = a->listen[PLANNER] < 0    ? a->listen[PLANNER]
			  : a->listen[OBSERVER] < 0 ? a->listen[OBSERVER]
						    : a->questions;

		log_error("cannot listen in %s: %s", o->run, strerror(-err));
		return err;
	}
	open_to_nobody(o->run, "observer.sock");
	open_to_nobody(o->run, "questions.sock");
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	a->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return a->signals < 0 ? -errno : 0;
}

int main(int argc, char **argv)
{
	static struct agent a;
	char name[80];

	options_parse(&a.o, argc, argv,
		      "keeps one node: starts the applier, the planner, the observer and weft-copier");
	snprintf(name, sizeof(name), "agent[%s]", a.o.node ? a.o.node : "");
	log_open(name);
	if (argc + 4 > ARGS_MAX) {
		log_error("too many arguments");
		return 2;
	}
	memcpy(a.argv, argv, (size_t)argc * sizeof(*argv));
	/* The applier stands in the pins' folder already. */
	a.argv[argc] = (char *)(uintptr_t) "--bpf";
	a.argv[argc + 1] = (char *)(uintptr_t) ".";
	a.args = argc + 2;
	a.listen[APPLIER] = a.listen[PLANNER] = a.listen[OBSERVER] = a.listen[COPIER] = a.files = -1;
	a.child[APPLIER] =
	    (struct child){.program = "weft-applier",
			   .capabilities = 1ULL << CAP_BPF | 1ULL << CAP_NET_ADMIN | 1ULL << CAP_PERFMON,
			   .cwd = a.o.bpf,
			   .control = -1};
	a.child[PLANNER] = (struct child){.program = "weft-planner", .cwd = "/", .control = -1};
	a.child[OBSERVER] = (struct child){.program = "weft-observer", .cwd = "/", .control = -1};
	a.child[COPIER] =
	    (struct child){.program = "weft-copier", .cwd = "/", .control = -1, .next = UINT64_MAX};
	if (prepare(&a))
		return 1;
	run(&a);
	end(&a);
	return 0;
}
