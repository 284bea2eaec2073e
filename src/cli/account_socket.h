/* SPDX-License-Identifier: Apache-2.0 */
/* The witness of TCP: what sockets of pods say went through, against the records of their connections. */
#ifndef WEFT_CLI_ACCOUNT_SOCKET_H
#define WEFT_CLI_ACCOUNT_SOCKET_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* For each open TCP connection of these pods ("ns/name") to somebody else an object in list: the sequence
 * number's progress (what was acknowledged) must not be more than the record's bytes that way: else bytes
 * passed that nobody counted; and the record must not hold more than the socket ever sent, with headers.
 * Records are a second late: they are waited for. Whether all match. */
bool account_sockets(const char *name, const char *const *pods, size_t n, json_t *list);

/* The hub's answer to a question for flows (owned), or NULL. */
json_t *account_ask_flows(const char *name, const json_t *question);
/* A socket within a pod's namespace ("ns/name"; NULL: of the host outside), or -1. */
int account_socket(const char *name, const char *pod, int family, int type, int protocol);

#endif
