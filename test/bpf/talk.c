/* SPDX-License-Identifier: Apache-2.0 */
/* The sockets of talk.h. Knows nothing of Weft: it sees what an application sees. */
#include "talk.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE_MS 1000

static int enter(const char *ns)
{
	char path[256];
	int fd, err;

	snprintf(path, sizeof(path), "/run/netns/%s", ns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	err = setns(fd, CLONE_NEWNET);
	close(fd);
	return err;
}

static void address_text(const struct sockaddr_in6 *a, char *to, size_t size)
{
	char text[INET6_ADDRSTRLEN];

	if (a->sin6_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)a)->sin_addr, text, sizeof(text));
	else
		inet_ntop(AF_INET6, &a->sin6_addr, text, sizeof(text));
	snprintf(to, size, "%s", strncmp(text, "::ffff:", 7) ? text : text + 7);
}

static int listen_on(int type)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(TALK_PORT)};
	int fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) || (type == SOCK_STREAM && listen(fd, 16)))
		return -1;
	return fd;
}

static void serve_stream(int listener)
{
	struct sockaddr_in6 peer;
	socklen_t len = sizeof(peer);
	int fd = accept(listener, (struct sockaddr *)&peer, &len);
	char text[80], buf[65536];
	ssize_t n;

	if (fork())
		goto out;
	memset(text, 0, sizeof(text));
	address_text(&peer, text, sizeof(text));
	if (write(fd, text, sizeof(text)) != sizeof(text))
		_exit(1);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		if (write(fd, buf, (size_t)n) != n)
			break;
	_exit(0);
out:
	close(fd);
}

/* Answers from the address that was asked, which need not be the one that the route would choose. */
static void serve_datagram(int fd)
{
	char buf[65536], control[256];
	struct sockaddr_in6 peer;
	struct iovec part = {.iov_base = buf, .iov_len = sizeof(buf)};
	struct msghdr m = {.msg_name = &peer,
			   .msg_namelen = sizeof(peer),
			   .msg_iov = &part,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(fd, &m, 0);

	if (n < 80)
		return;
	memset(buf, 0, 80);
	address_text(&peer, buf, 80);
	part.iov_len = (size_t)n;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_type == IPV6_PKTINFO)
			((struct in6_pktinfo *)CMSG_DATA(c))->ipi6_ifindex = 0;
	sendmsg(fd, &m, 0);
}

static void serve(int ready)
{
	struct pollfd fds[2] = {{.events = POLLIN}, {.events = POLLIN}};

	fds[0].fd = listen_on(SOCK_STREAM);
	fds[1].fd = listen_on(SOCK_DGRAM);
	if (fds[0].fd < 0 || fds[1].fd < 0)
		_exit(1);
	signal(SIGCHLD, SIG_IGN);
	if (write(ready, "", 1) != 1)
		_exit(1);
	close(ready);
	while (poll(fds, 2, -1) > 0) {
		if (fds[0].revents)
			serve_stream(fds[0].fd);
		if (fds[1].revents)
			serve_datagram(fds[1].fd);
	}
	_exit(0);
}

pid_t talk_serve(const char *ns)
{
	int ends[2];
	pid_t pid;
	char byte;

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		if (enter(ns))
			_exit(1);
		serve(ends[1]);
	}
	close(ends[1]);
	if (read(ends[0], &byte, 1) != 1)
		pid = -1;
	close(ends[0]);
	return pid;
}

static const char *error_text(int err)
{
	switch (err) {
	case EAGAIN:
	case EINPROGRESS:
	case ETIMEDOUT:
		return "timeout";
	case ECONNREFUSED:
		return "refused";
	case EHOSTUNREACH:
	case ENETUNREACH:
		return "unreachable";
	default:
		return strerror(err);
	}
}

static void fail(int out)
{
	dprintf(out, "%s", error_text(errno));
	_exit(0);
}

static socklen_t target(const struct talk *t, struct sockaddr_in6 *a)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)a;
	char mapped[80];

	memset(a, 0, sizeof(*a));
	if (strchr(t->to, ':') || strchr(t->proto, '6')) {
		snprintf(mapped, sizeof(mapped), "%s%s", strchr(t->to, ':') ? "" : "::ffff:", t->to);
		a->sin6_family = AF_INET6;
		a->sin6_port = htons((uint16_t)t->port);
		inet_pton(AF_INET6, mapped, &a->sin6_addr);
		return sizeof(*a);
	}
	v4->sin_family = AF_INET;
	v4->sin_port = htons((uint16_t)t->port);
	inet_pton(AF_INET, t->to, &v4->sin_addr);
	return sizeof(*v4);
}

static void tell(int out, const char *seen, const struct sockaddr_in6 *peer)
{
	char text[80];

	address_text(peer, text, sizeof(text));
	dprintf(out, "seen %s peer %s %d", seen, text, ntohs(peer->sin6_port));
	_exit(0);
}

/* Sends t->bytes and reads them back at the same time, so that neither side's buffers fill for good. */
static void echo_stream(const struct talk *t, int fd, int out)
{
	char buf[65536];
	long sent = 0, got = 0;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (got < t->bytes) {
		struct pollfd p = {.fd = fd, .events = (short)(POLLIN | (sent < t->bytes ? POLLOUT : 0))};
		ssize_t n;

		if (poll(&p, 1, DEADLINE_MS) <= 0) {
			dprintf(out, "timeout after %ld of %d bytes", got, t->bytes);
			_exit(0);
		}
		if (p.revents & POLLOUT) {
			size_t left = (size_t)(t->bytes - sent);

			memset(buf, (int)(sent & 0x7f), sizeof(buf));
			n = send(fd, buf, left < sizeof(buf) ? left : sizeof(buf), MSG_NOSIGNAL);
			sent += n > 0 ? n : 0;
		}
		if (p.revents & (POLLIN | POLLERR)) {
			n = read(fd, buf, sizeof(buf));
			if (n <= 0)
				fail(out);
			got += n;
		}
	}
}

static void talk_stream(const struct talk *t, int fd, int out)
{
	struct sockaddr_in6 peer;
	socklen_t len = sizeof(peer);
	char seen[81] = "";

	if (read(fd, seen, 80) != 80)
		fail(out);
	echo_stream(t, fd, out);
	if (getpeername(fd, (struct sockaddr *)&peer, &len))
		fail(out);
	tell(out, seen, &peer);
}

static void talk_datagram(const struct talk *t, int fd, int out, const struct sockaddr_in6 *to,
			  socklen_t to_len)
{
	size_t size = t->bytes < 80 ? 80 : (size_t)t->bytes;
	int connected = strstr(t->proto, "connected") != NULL;
	struct sockaddr_in6 peer;
	socklen_t len = sizeof(peer);
	char buf[65536] = "";

	if (sendto(fd, buf, size, 0, connected ? NULL : (const struct sockaddr *)to, connected ? 0 : to_len) <
		0 ||
	    recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&peer, &len) != (ssize_t)size)
		fail(out);
	len = sizeof(peer);
	if (connected && getpeername(fd, (struct sockaddr *)&peer, &len))
		fail(out);
	tell(out, buf, &peer);
}

static void tell_error(int out, const struct sock_extended_err *e)
{
	char text[80];

	address_text((const struct sockaddr_in6 *)(const void *)SO_EE_OFFENDER(e), text, sizeof(text));
	dprintf(out, "icmp %d %d from %s mtu %u", e->ee_type, e->ee_code, text, e->ee_info);
	_exit(0);
}

/* Sends t->bytes and waits for the ICMP error that they cause; what the socket's queue holds is told. */
static void talk_error(const struct talk *t, int fd, int out, const struct sockaddr_in6 *to, socklen_t to_len)
{
	int v6 = to->sin6_family == AF_INET6, one = 1,
	    probe = strstr(t->proto, "cut") ? 0 : 3; /* …_PMTUDISC_… */
	char buf[65536] = "", control[512];
	struct iovec part = {.iov_base = buf, .iov_len = sizeof(buf)};
	struct msghdr m = {
	    .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct pollfd p = {.fd = fd};

	setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVERR : IP_RECVERR, &one, sizeof(one));
	setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER, &probe,
		   sizeof(probe));
	if (sendto(fd, buf, (size_t)t->bytes, 0, (const struct sockaddr *)to, to_len) < 0)
		fail(out);
	if (poll(&p, 1, DEADLINE_MS) <= 0) {
		errno = EAGAIN;
		fail(out);
	}
	if (recvmsg(fd, &m, MSG_ERRQUEUE) < 0)
		fail(out);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_type == (v6 ? IPV6_RECVERR : IP_RECVERR))
			tell_error(out, (const struct sock_extended_err *)(const void *)CMSG_DATA(c));
	dprintf(out, "an error without its cause");
	_exit(0);
}

static void client(const struct talk *t, int out)
{
	struct timeval tv = {.tv_sec = DEADLINE_MS / 1000};
	int stream = !strncmp(t->proto, "tcp", 3), fd;
	struct sockaddr_in6 a;
	socklen_t len = target(t, &a);

	fd = socket(a.sin6_family, (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	if (t->ttl) {
		setsockopt(fd, IPPROTO_IP, IP_TTL, &t->ttl, sizeof(t->ttl));
		setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &t->ttl, sizeof(t->ttl));
	}
	if (!strncmp(t->proto, "error", 5))
		talk_error(t, fd, out, &a, len);
	if ((stream || strstr(t->proto, "connected")) && connect(fd, (struct sockaddr *)&a, len))
		fail(out);
	if (stream)
		talk_stream(t, fd, out);
	talk_datagram(t, fd, out, &a, len);
}

uint64_t talk_cookie(const char *ns)
{
	int fd, home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	if (home < 0 || enter(ns))
		return 0;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) || setns(home, CLONE_NEWNET))
		cookie = 0;
	close(fd);
	close(home);
	return cookie;
}

void talk(const struct talk *t, char *answer, size_t size)
{
	int ends[2], status;
	ssize_t n, got = 0;
	pid_t pid;

	answer[0] = 0;
	if (pipe2(ends, O_CLOEXEC))
		return;
	pid = fork();
	if (!pid) {
		char path[256];
		int fd;

		if (enter(t->from))
			fail(ends[1]);
		if (t->cgroup) {
			snprintf(path, sizeof(path), "%s/cgroup.procs", t->cgroup);
			fd = open(path, O_WRONLY | O_CLOEXEC);
			if (fd < 0 || write(fd, "0", 1) != 1)
				fail(ends[1]);
			close(fd);
		}
		client(t, ends[1]);
	}
	close(ends[1]);
	while ((n = read(ends[0], answer + got, size - 1 - (size_t)got)) > 0)
		got += n;
	answer[got] = 0;
	close(ends[0]);
	waitpid(pid, &status, 0);
}

int shell(const char *ns, char *out, size_t size, const char *format, ...)
{
	char command[4096], line[4400];
	size_t got = 0, n;
	va_list args;
	FILE *f;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	snprintf(line, sizeof(line), "%s%s %s 2>&1", *ns ? "ip netns exec " : "", ns, command);
	f = popen(line, "r");
	if (!f)
		return -1;
	while (got < size - 1 && (n = fread(out + got, 1, size - 1 - got, f)) > 0)
		got += n;
	out[got] = 0;
	return pclose(f);
}
