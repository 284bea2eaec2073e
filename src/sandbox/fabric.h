/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fabric: what lies between and around the nodes: a bridge with a router in a namespace of its own, the host
 * outside behind that router, and each node's uplink. Addresses: doc/internals.md.
 */
#ifndef WEFT_SANDBOX_FABRIC_H
#define WEFT_SANDBOX_FABRIC_H

#include "sandbox/cluster.h"

int fabric_make(struct sandbox *s);			      /* 0 or -errno; told */
int fabric_add_node(struct sandbox *s, const struct node *n); /* its uplink, and the routes to its pods */
/* Pulls the cable of the node's uplink out of the fabric, or puts it back: no carrier on both ends. */
int fabric_cable(struct sandbox *s, const struct node *n, bool in);
/* --attach: one link "weft-NAME" from the caller's namespace, with routes to nodes, pods and Services. */
int fabric_attach(struct sandbox *s);
/* Whether no cluster is attached to this machine (told otherwise): all would have the same addresses. */
bool fabric_can_attach(void);
void fabric_attach_name(const char *cluster, char out[16]);
/* Removes that link; also after a kill. */
void fabric_detach(const char *cluster);

/* A node's addresses as text. */
enum { ADDRESS_TEXT = 48 };
void fabric_node4(unsigned index, char out[ADDRESS_TEXT]);
void fabric_node6(unsigned index, char out[ADDRESS_TEXT]);
void fabric_pods4(unsigned index, char out[ADDRESS_TEXT]); /* prefixes */
void fabric_pods6(unsigned index, char out[ADDRESS_TEXT]);

#endif
