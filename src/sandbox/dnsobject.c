/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cluster's DNS as objects: Service and pod kube-system/kube-dns, created through the API unless the
 * manifests bring a Service of that name. Must never touch what a user brought. Called by kubelet.c after the
 * first list.
 */
#include "base/log.h"
#include "sandbox/dns.h"

#define DNS_KEY "kube-system/kube-dns"

static void created(void *ctx, int status, const json_t *reply)
{
	(void)ctx;
	if (status > 0 && status != 201 && status != 200 && status != 409)
		log_error("the hub refused kube-system/kube-dns: %d %s", status,
			  json_text(json_object_get(reply, "message")));
}

static json_t *metadata(void)
{
	return json_pack("{sssss{ss}}", "name", "kube-dns", "namespace", "kube-system", "labels", "k8s-app",
			 "kube-dns");
}

static void create_pod(struct sandbox *s)
{
	json_t *pod = json_pack("{sssssos{s[{sssss[{sssiss}{sssiss}]}]}}", "apiVersion", "v1", "kind", "Pod",
				"metadata", metadata(), "spec", "containers", "name", "dns", "image",
				"unbound", "ports", "name", "dns", "containerPort", 53, "protocol", "UDP",
				"name", "dns-tcp", "containerPort", 53, "protocol", "TCP");

	api_request(&s->api, "POST", "/api/v1/namespaces/kube-system/pods", NULL, pod, created, s);
	json_decref(pod);
}

static void namespace_there(void *ctx, int status, const json_t *reply)
{
	struct sandbox *s = ctx;
	json_t *service = json_pack(
	    "{sssssos{s{ss}sss[ss]sss[ss]s[{sssisssi}{sssisssi}]}}", "apiVersion", "v1", "kind", "Service",
	    "metadata", metadata(), "spec", "selector", "k8s-app", "kube-dns", "ipFamilyPolicy",
	    "PreferDualStack", "ipFamilies", "IPv4", "IPv6", "clusterIP", DNS_SERVICE4, "clusterIPs",
	    DNS_SERVICE4, DNS_SERVICE6, "ports", "name", "dns", "port", 53, "protocol", "UDP", "targetPort",
	    53, "name", "dns-tcp", "port", 53, "protocol", "TCP", "targetPort", 53);

	created(ctx, status, reply);
	s->dns_ours = true;
	if (!mirror_get(&s->pods_seen, DNS_KEY))
		create_pod(s);
	api_request(&s->api, "POST", "/api/v1/namespaces/kube-system/services", NULL, service, created, s);
	json_decref(service);
}

void dns_object_gone(struct sandbox *s, const char *key)
{
	if (s->dns_ours && !s->stopping && !strcmp(key, DNS_KEY))
		create_pod(s);
}

void dns_create_objects(struct sandbox *s)
{
	json_t *ns;

	if (s->dns_asked || mirror_get(&s->services, DNS_KEY))
		return;
	s->dns_asked = true;
	ns = json_pack("{sssss{ss}}", "apiVersion", "v1", "kind", "Namespace", "metadata", "name",
		       "kube-system");
	api_request(&s->api, "POST", "/api/v1/namespaces", NULL, ns, namespace_there, s);
	json_decref(ns);
}
