/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Zones: what Kubernetes' DNS specification says about Services, headless Services and pods, as the text of
 * three zones (cluster.local, and the two reverse ones), and the root zone with the names outside the cluster
 * that the user gave. Pure: objects in, text out. Called by dns.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/addr.h"
#include "sandbox/dns.h"

const char *const dns_zone_names[DNS_ZONES] = {"cluster.local", "10.in-addr.arpa", "7.f.7.e.7.5.d.f.ip6.arpa",
					       ""};

enum { ZONE_FORWARD, ZONE_REVERSE4, ZONE_REVERSE6, ZONE_ROOT, NAME_LEN = 600 };

struct zones {
	const struct dns_view *view;
	struct buf *out;
};

static bool parse(const char *ip, struct addr *a)
{
	return *ip && !addr_parse(str_of(ip), a);
}

static void put_address(struct zones *z, const char *name, const char *ip)
{
	struct addr a;

	if (parse(ip, &a))
		buf_printf(&z->out[ZONE_FORWARD], "%s %s %s\n", name, addr_is4(&a) ? "A" : "AAAA", ip);
}

/* Only for addresses in our own ranges, others have no zone here. */
static void put_reverse(struct zones *z, const char *ip, const char *name)
{
	struct addr a;

	if (!parse(ip, &a))
		return;
	if (addr_is4(&a)) {
		if (a.b[12] == 10)
			buf_printf(&z->out[ZONE_REVERSE4], "%u.%u.%u.10.in-addr.arpa. PTR %s\n", a.b[15],
				   a.b[14], a.b[13], name);
		return;
	}
	if (memcmp(a.b, "\xfd\x57\xe7\xf7", 4))
		return;
	for (int i = 15; i >= 0; i--)
		buf_printf(&z->out[ZONE_REVERSE6], "%x.%x.", a.b[i] & 15, a.b[i] >> 4);
	buf_printf(&z->out[ZONE_REVERSE6], "ip6.arpa. PTR %s\n", name);
}

/* "10.0.0.1" → "10-0-0-1", as names of endpoints and pods without a name of their own. */
static void dashed(const char *ip, char out[64])
{
	size_t i = 0;

	for (; ip[i] && i < 63; i++)
		out[i] = ip[i] == '.' || ip[i] == ':' ? '-' : ip[i];
	out[i] = 0;
}

static void put_srv(struct zones *z, const json_t *port, const char *service, const char *target)
{
	const char *name = json_text(json_object_get(port, "name")),
		   *proto = json_text(json_object_get(port, "protocol"));
	char lower[8] = "tcp";

	if (!*name)
		return;
	if (*proto)
		for (size_t i = 0; i < sizeof(lower); i++) {
			lower[i] = (char)(proto[i] >= 'A' && proto[i] <= 'Z' ? proto[i] + 32 : proto[i]);
			if (!proto[i])
				break;
		}
	lower[sizeof(lower) - 1] = 0;
	buf_printf(&z->out[ZONE_FORWARD], "_%s._%s.%s SRV 0 100 %lld %s\n", name, lower, service,
		   (long long)json_integer_value(json_object_get(port, "port")), target);
}

static void put_cluster_ip(struct zones *z, const json_t *spec, const char *name)
{
	const json_t *ips = json_object_get(spec, "clusterIPs"), *o;
	size_t i;

	if (!json_array_size(ips)) {
		put_address(z, name, json_text(json_object_get(spec, "clusterIP")));
		put_reverse(z, json_text(json_object_get(spec, "clusterIP")), name);
	}
	json_array_foreach ((json_t *)ips, i, o) {
		put_address(z, name, json_text(o));
		put_reverse(z, json_text(o), name);
	}
	json_array_foreach (json_object_get(spec, "ports"), i, o)
		put_srv(z, o, name, name);
}

static void put_endpoint(struct zones *z, const json_t *slice, const json_t *endpoint, const char *service)
{
	const json_t *ready = json_at(endpoint, "conditions", "ready", NULL), *o, *port;
	const char *hostname = json_text(json_object_get(endpoint, "hostname"));
	char own[NAME_LEN + 80], dash[64];
	size_t i, j;

	if (json_is_false(ready))
		return;
	json_array_foreach (json_object_get(endpoint, "addresses"), i, o) {
		dashed(json_text(o), dash);
		snprintf(own, sizeof(own), "%s.%s", *hostname ? hostname : dash, service);
		put_address(z, service, json_text(o));
		put_address(z, own, json_text(o));
		if (*hostname)
			put_reverse(z, json_text(o), own);
		json_array_foreach (json_object_get(slice, "ports"), j, port)
			put_srv(z, port, service, own);
	}
}

static void put_service(struct zones *z, const json_t *service)
{
	const char *ns = json_text(json_at(service, "metadata", "namespace", NULL));
	const char *svc = json_text(json_at(service, "metadata", "name", NULL));
	const json_t *spec = json_object_get(service, "spec");
	char name[NAME_LEN];

	snprintf(name, sizeof(name), "%.255s.%.63s.svc.cluster.local.", svc, ns);
	if (!strcmp(json_text(json_object_get(spec, "type")), "ExternalName")) {
		const char *target = json_text(json_object_get(spec, "externalName"));
		size_t n = strlen(target);

		if (n)
			buf_printf(&z->out[ZONE_FORWARD], "%s CNAME %s%s\n", name, target,
				   target[n - 1] == '.' ? "" : ".");
		return;
	}
	if (strcmp(json_text(json_object_get(spec, "clusterIP")), "None"))
		put_cluster_ip(z, spec, name);
}

static void put_slice(struct zones *z, const json_t *slice)
{
	const char *ns = json_text(json_at(slice, "metadata", "namespace", NULL));
	const char *svc = json_text(json_at(slice, "metadata", "labels", "kubernetes.io/service-name", NULL));
	char key[400], name[NAME_LEN];
	const json_t *service, *o;
	size_t i;

	snprintf(key, sizeof(key), "%s/%s", ns, svc);
	service = hash_get(z->view->services, str_of(key));
	if (!service || strcmp(json_text(json_at(service, "spec", "clusterIP", NULL)), "None"))
		return;
	snprintf(name, sizeof(name), "%.255s.%.63s.svc.cluster.local.", svc, ns);
	json_array_foreach (json_object_get(slice, "endpoints"), i, o)
		put_endpoint(z, slice, o, name);
}

static void put_pod(struct zones *z, const json_t *pod)
{
	const char *ns = json_text(json_at(pod, "metadata", "namespace", NULL));
	const json_t *o;
	size_t i;

	json_array_foreach (json_at(pod, "status", "podIPs", NULL), i, o) {
		const char *ip = json_text(json_object_get(o, "ip"));
		char dash[64], name[NAME_LEN];

		dashed(ip, dash);
		snprintf(name, sizeof(name), "%s.%.63s.pod.cluster.local.", dash, ns);
		put_address(z, name, ip);
	}
}

/* Without them, "localhost" would be a name that does not exist. */
static const char root_head[] = "localhost. A 127.0.0.1\nlocalhost. AAAA ::1\n"
				"1.0.0.127.in-addr.arpa. PTR localhost.\n";

static void put_hosts(struct zones *z)
{
	struct buf *b = &z->out[ZONE_ROOT];
	struct addr a;

	buf_addz(b, root_head);
	for (size_t i = 0; i < z->view->hosts_len; i++) {
		const struct sandbox_host *h = &z->view->hosts[i];

		if (parse(h->to, &a))
			buf_printf(b, "%s. %u %s %s\n", h->name, h->ttl, addr_is4(&a) ? "A" : "AAAA", h->to);
		else
			buf_printf(b, "%s. %u CNAME %s.\n", h->name, h->ttl, h->to);
	}
}

void dns_zone_text(const struct dns_view *v, uint32_t serial, struct buf out[DNS_ZONES])
{
	struct zones z = {.view = v, .out = out};

	for (int i = 0; i < DNS_ZONES; i++) {
		buf_clear(&out[i]);
		buf_printf(&out[i],
			   "$ORIGIN %s.\n$TTL 5\n@ SOA ns.dns.cluster.local. hostmaster.cluster.local. %u "
			   "7200 1800 86400 5\n"
			   "@ NS ns.dns.cluster.local.\n",
			   dns_zone_names[i], serial);
	}
	buf_addz(&out[ZONE_FORWARD],
		 "ns.dns A " DNS_SERVICE4 "\nns.dns AAAA " DNS_SERVICE6 "\ndns-version TXT \"1.1.0\"\n");
	put_hosts(&z);
	HASH_EACH (v->services, slot)
		put_service(&z, slot->value);
	HASH_EACH (v->slices, slot)
		put_slice(&z, slot->value);
	HASH_EACH (v->pods, slot)
		put_pod(&z, slot->value);
}
