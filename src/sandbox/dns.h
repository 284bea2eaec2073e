/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS of the cluster: unbound in the pods labelled k8s-app=kube-dns of kube-system, fed with zone files that
 * follow Services, EndpointSlices and pods. dnszone.c writes the zones, dns.c brings them to unbound.
 */
#ifndef WEFT_SANDBOX_DNS_H
#define WEFT_SANDBOX_DNS_H

#include "sandbox/cluster.h"

struct pod;
struct dns;

int dns_start(struct sandbox *s); /* 0 or -errno */
void dns_stop(struct sandbox *s);
/* Is this pod object played by unbound? */
bool dns_plays(const json_t *pod);
const char *dns_program(void);
/* Writes the pod's configuration, and the zones as they are now; its path goes to conf. 0 or -errno. */
int dns_pod_prepare(struct pod *p, char *conf, size_t cap);
void dns_pod_gone(struct pod *p);
/* Something that names are made of has changed: zones follow within some milliseconds. */
void dns_changed(struct sandbox *s);

/* dnsobject.c: makes pod and Service kube-system/kube-dns where the manifests bring none. */
void dns_create_objects(struct sandbox *s);
/* A pod left the API: ours is made anew. */
void dns_object_gone(struct sandbox *s, const char *key);

/* dnszone.c. The zones' origins, and one zone's text; serial goes up with each change. */
enum { DNS_ZONES = 4 };
extern const char *const dns_zone_names[DNS_ZONES]; /* without the last dot; "" is the root */
struct dns_view {
	const struct hash *services, *slices, *pods; /* "ns/name" → json_t */
	const struct sandbox_host *hosts;	     /* names outside the cluster; all others do not exist */
	size_t hosts_len;
};
void dns_zone_text(const struct dns_view *v, uint32_t serial, struct buf out[DNS_ZONES]);

#endif
