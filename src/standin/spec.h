/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spec: what one container does, as the sandbox wrote it (JSON). Read once at start; everything in it lives
 * until the process ends.
 */
#ifndef WEFT_STANDIN_SPEC_H
#define WEFT_STANDIN_SPEC_H

#include "base/str.h"
#include "base/vec.h"

enum proto { PROTO_TCP, PROTO_UDP, PROTO_SCTP };

struct spec_port {
	uint16_t port;
	enum proto proto;
};

struct spec_call {
	char *env; /* the variable or argument that named it */
	char *host;
	uint16_t port;
	bool udp;
};

struct spec_ready { /* a question of the readiness probe */
	uint16_t port;
	bool plain;	      /* a connection is the answer */
	char *path, *service; /* "" where it has none */
};

struct spec_fault { /* what `weft fault` asks for */
	bool not_ready, refuse;
	uint32_t slow_ms;
};

struct spec {
	char *pod, *ns, *node, *container;
	VEC(struct spec_port) ports; /* each once; ports of probes are among them */
	VEC(struct spec_ready) ready;
	VEC(uint16_t) tls; /* ports that speak TLS to those who begin with it */
	struct spec_fault fault;
	uint32_t drain_ms;  /* after SIGTERM it goes on taking connections; 0: it ends at once */
	VEC(char *) health; /* service names that gRPC health answers for, besides "" */
	VEC(struct spec_call) calls;
	uint32_t interval_ms; /* between two calls of one place; default 2,000 */
	uint32_t retries;     /* init: attempts for each place; default 60 */
};

/* path "-" is stdin. 0, or -errno with one line on stderr. */
int spec_read(struct spec *out, const char *path);

#endif
