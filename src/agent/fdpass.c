/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors by SCM_RIGHTS. Received descriptors are close-on-exec; what does not fit is closed, never
 * leaked. */
#include "agent/fdpass.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

enum { DIAL_MS = 2000 };

union room {
	char bytes[CMSG_SPACE(FDPASS_MAX * sizeof(int))];
	struct cmsghdr align;
};

int fdpass_send(int sock, const void *message, size_t n, const int *fds, unsigned nfds)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)message, .iov_len = n};
	union room room = {0};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

	if (nfds > FDPASS_MAX)
		return -EINVAL;
	if (nfds) {
		struct cmsghdr *c;

		mh.msg_control = room.bytes;
		mh.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	for (;;) {
		if (sendmsg(sock, &mh, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

static void take_fds(struct msghdr *mh, int *fds, unsigned *nfds, unsigned max)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (*nfds < max)
				fds[(*nfds)++] = fd;
			else
				close(fd);
		}
	}
}

ssize_t fdpass_recv(int sock, void *message, size_t n, int *fds, unsigned *nfds, unsigned fds_max)
{
	struct iovec iov = {.iov_base = message, .iov_len = n};
	union room room;
	struct msghdr mh = {.msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = room.bytes,
			    .msg_controllen = sizeof(room.bytes)};
	ssize_t got;

	*nfds = 0;
	do
		got = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	take_fds(&mh, fds, nfds, fds_max);
	if (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		while (*nfds)
			close(fds[--*nfds]);
		return -EMSGSIZE;
	}
	return got;
}

int control_send(int sock, enum control type, int32_t value, int fd)
{
	struct control_message m = {.type = type, .value = value};

	return fdpass_send(sock, &m, sizeof(m), &fd, fd >= 0);
}

int control_recv(int sock, struct control_message *m, int *fd)
{
	unsigned n;
	ssize_t got;

	*fd = -1;
	got = fdpass_recv(sock, m, sizeof(*m), fd, &n, 1);
	if (got == 0 || got == -ECONNRESET)
		return 0;
	if (got < 0)
		return (int)got;
	if (got == sizeof(*m))
		return 1;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return -EPROTO;
}

int control_dial(enum control_dial whom, void (*other)(void *ctx, const struct control_message *m, int fd),
		 void *ctx)
{
	uint64_t deadline = clock_ms() + DIAL_MS;

	if (control_send(CONTROL_FD, CONTROL_DIAL, (int32_t)whom, -1))
		return -EPIPE;
	for (;;) {
		struct pollfd f = {.fd = CONTROL_FD, .events = POLLIN};
		uint64_t now = clock_ms();
		struct control_message m;
		int fd;

		if (now >= deadline || poll(&f, 1, (int)(deadline - now)) <= 0 ||
		    control_recv(CONTROL_FD, &m, &fd) <= 0)
			return -ETIMEDOUT;
		if (m.type == CONTROL_DIAL)
			return fd >= 0 ? fd : -m.value;
		other(ctx, &m, fd);
	}
}
