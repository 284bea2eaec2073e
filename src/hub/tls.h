/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster's certificates: an authority, a server for loopback, a client; and the kubeconfig that holds
 * the last. */
#ifndef WEFT_HUB_TLS_H
#define WEFT_HUB_TLS_H

#include "base/str.h"

struct tls_identity { /* PEM texts, owned */
	struct buf key, cert;
};
struct tls_files {
	struct tls_identity ca, server, client;
};

/* Reads them from the folder, or makes them there (files 0600, P-256, ten years). 0 or -errno, with a log
 * line. */
int tls_get(struct tls_files *out, int dir_fd, const char *name);
void tls_fini(struct tls_files *t);
/* A server's certificate for these hosts and addresses beside loopback's, by that authority: the kept one
 * where it is for all of them, so that browsers see the same again. 0 or -errno, with a log line. */
int tls_page(struct tls_identity *out, const struct tls_files *t, int dir_fd, const char *name,
	     char *const *names, size_t n);
void tls_identity_fini(struct tls_identity *id);
/* The kubeconfig of cluster `name` at 127.0.0.1:port. */
void tls_kubeconfig(struct buf *b, const struct tls_files *t, const char *name, unsigned port);

#endif
