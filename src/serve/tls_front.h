/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS in front of the HTTP server: takes connections, shakes hands, and hands each on as one end of a socket
 * pair, with what goes through decrypted. libmicrohttpd's own TLS is not used: a connection that changed its
 * protocol goes through buffers of a few bytes there (0.4 MB/s). A handshake that takes long is ended; a side
 * that is slow makes the other wait.
 */
#ifndef WEFT_SERVE_TLS_FRONT_H
#define WEFT_SERVE_TLS_FRONT_H

#include <sys/socket.h>
#include <uv.h>

#include "base/str.h"

/* Takes over fd. trusted: its certificate is one of the authority's. Negative: no, it is closed. */
typedef int tls_front_accept(void *ctx, int fd, bool trusted, uint64_t address);
/* A number for who is at the other end: an IPv4 address itself; of IPv6 its network of 64 bits, which is one
 * site's. 0: neither. */
uint64_t address_number(const struct sockaddr_storage *at);

struct tls_front;
/* ca NULL: no certificate is asked of clients, and none is trusted. */
int tls_front_new(struct tls_front **out, uv_loop_t *loop, int listener, const char *key, const char *cert,
		  const char *ca, unsigned connections, tls_front_accept *fn, void *ctx);
/* Ends all connections; the loop must run once more. */
void tls_front_free(struct tls_front **f);

#endif
