/* SPDX-License-Identifier: Apache-2.0 */
/* The manifests of the DNS pod and its Service, decoded as any other. See dnspod.h. */
#include "hub/dnspod.h"

#include "object/decode.h"

static const char pod_text[] = "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"kube-dns\","
			       "\"namespace\":\"kube-system\","
			       "\"labels\":{\"k8s-app\":\"kube-dns\"}},\"spec\":{\"containers\":[{\"name\":"
			       "\"dns\",\"image\":\"unbound\","
			       "\"ports\":[{\"name\":\"dns\",\"containerPort\":53,\"protocol\":\"UDP\"},"
			       "{\"name\":\"dns-tcp\",\"containerPort\":53,\"protocol\":\"TCP\"}]}]}}";

static const char service_text[] =
    "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"kube-dns\",\"namespace\":\"kube-"
    "system\","
    "\"labels\":{\"k8s-app\":\"kube-dns\"}},\"spec\":{\"selector\":{\"k8s-app\":\"kube-dns\"},"
    "\"ipFamilyPolicy\":\"PreferDualStack\",\"ipFamilies\":[\"IPv4\",\"IPv6\"],\"clusterIP\":\"10.96.0.10\","
    "\"clusterIPs\":[\"10.96.0.10\",\"fd57:e7f7:0:96::a\"],\"ports\":["
    "{\"name\":\"dns\",\"port\":53,\"protocol\":\"UDP\",\"targetPort\":53},"
    "{\"name\":\"dns-tcp\",\"port\":53,\"protocol\":\"TCP\",\"targetPort\":53}]}}";

static int add(struct cluster *c, const char *text, struct remarks *rs)
{
	struct object *o = NULL;
	int r = decode_json_object(str_of(text), NULL, NULL, &o, rs);
	if (r)
		return r;
	r = object_default(o);
	if (r) {
		object_unref(&o);
		return r;
	}
	return cluster_put(c, o, NULL, rs);
}

int dnspod_add(struct cluster *c, struct remarks *rs)
{
	struct str ns = STR("kube-system"), name = STR("kube-dns");
	int r = 0;
	/* A Service of that name brings its own pods. */
	if (store_get(c->store, KIND_service, ns, name))
		return 0;
	if (!store_get(c->store, KIND_pod, ns, name))
		r = add(c, pod_text, rs);
	return r ? r : add(c, service_text, rs);
}
