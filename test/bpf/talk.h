/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real sockets in other namespaces: a server that tells each client under which address it is seen and sends
 * back what it gets, and clients whose answer is one line of text. Each client is a child process with a
 * deadline.
 */
#ifndef WEFT_TEST_BPF_TALK_H
#define WEFT_TEST_BPF_TALK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TALK_PORT 8080

struct talk {
	const char *from;   /* namespace */
	const char *cgroup; /* folder that the client joins first, or NULL */
	const char *proto;  /* "tcp", "udp", "udp-connected"; with "6" appended: an IPv6 socket, whatever the
			       address */
	const char *to;
	int port;
	int bytes; /* sent and wanted back after the greeting */
	int ttl;   /* 0: the system's */
};

/* TCP and UDP, both families, on TALK_PORT in the namespace; returns its pid when it listens, or -1. */
pid_t talk_serve(const char *ns);
/* "seen ADDR peer ADDR PORT", "icmp TYPE CODE from ADDR mtu N", or "timeout", "refused", "unreachable", or
 * what went wrong. */
void talk(const struct talk *t, char *answer, size_t size);
/* The number that the kernel knows the namespace by (SO_NETNS_COOKIE); 0: it cannot be had. */
uint64_t talk_cookie(const char *ns);
/* Runs a shell command in a namespace ("" for this one); its output, cut to size. Returns its exit status. */
int shell(const char *ns, char *out, size_t size, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
