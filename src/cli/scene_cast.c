/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cast of a scene: short forms of namespaces, pods and Services into ordinary manifests. What a short
 * form cannot say stands in the scene's `yaml` or `manifests`.
 */
#include "cli/scene.h"

#include "base/own.h"
#include "cli/output.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const cast_keys[] = {"namespaces", "pods", "services", NULL};
static const char *const pod_keys[] = {"labels", "ports", "node", "hostNetwork", NULL};
static const char *const service_keys[] = {"select", "ports", "headless", "nodePort", NULL};

/* "shop/web" into its parts; the namespace is "default" where it is left out. */
static json_t *metadata(const char *said, const json_t *labels)
{
	const char *slash = strchr(said, '/');
	json_t *m = json_pack("{s:s,s:o}", "name", slash ? slash + 1 : said, "namespace",
			      slash ? json_stringn(said, (size_t)(slash - said)) : json_string("default"));

	if (labels)
		json_object_set(m, "labels", (json_t *)(uintptr_t)labels);
	return m;
}

static void print_manifest(struct buf *b, json_t *v)
{
	buf_addz(b, "---\n");
	yaml_print(b, v, 0);
	json_decref(v);
}

/* "80", "53/udp", "http=8080", "80=8080" (Service), "http=80/tcp": what stands before '=', the number, the
 * protocol. */
struct port_words {
	char name[32];
	int64_t number;
	const char *protocol;
};

static int read_port(const struct scene_page *page, const json_t *v, struct port_words *out)
{
	struct str rest = str_of(json_string_value(v));
	struct str number = rest;

	*out = (struct port_words){.protocol = "TCP"};
	if (rest.p && memchr(rest.p, '=', rest.n)) {
		struct str name = str_cut(&number, '=');
		if (name.n >= sizeof(out->name))
			return scene_tell(page, v, NULL, "this name is too long");
		memcpy(out->name, name.p, name.n);
	}
	struct str protocol = number;
	number = str_cut(&protocol, '/');
	if (str_eqz(protocol, "udp"))
		out->protocol = "UDP";
	else if (protocol.n && !str_eqz(protocol, "tcp"))
		return scene_tell(page, v, NULL, "the protocol is tcp or udp");
	if (!rest.p || str_to_i64(number, 1, 65535, &out->number))
		return scene_tell(page, v, "80, 53/udp, http=8080", "this is no port");
	return 0;
}

static int print_namespaces(struct buf *b, const struct scene_page *page, const json_t *map)
{
	const char *name;
	json_t *labels;

	if (map && !json_is_object(map))
		return scene_tell(page, map, "namespaces: {shop: {team: a}}",
				  "namespaces is a map from names to labels");
	json_object_foreach ((json_t *)(uintptr_t)map, name, labels) {
		json_t *m = json_pack("{s:s}", "name", name);
		if (json_object_size(labels))
			json_object_set(m, "labels", labels);
		print_manifest(
		    b, json_pack("{s:s,s:s,s:o}", "apiVersion", "v1", "kind", "Namespace", "metadata", m));
	}
	return 0;
}

static json_t *pod_spec(const struct scene_page *page, const json_t *said)
{
	json_t *ports = json_array(), *v;
	const char *node = json_string_value(json_object_get(said, "node"));
	size_t i;

	json_array_foreach (json_object_get(said, "ports"), i, v) {
		struct port_words w;
		if (read_port(page, v, &w)) {
			json_decref(ports);
			return NULL;
		}
		json_t *p =
		    json_pack("{s:I,s:s}", "containerPort", (json_int_t)w.number, "protocol", w.protocol);
		if (w.name[0])
			json_object_set_new(p, "name", json_string(w.name));
		json_array_append_new(ports, p);
	}
	json_t *c = json_pack("{s:s,s:s,s:o}", "name", "main", "image", "stand-in", "ports", ports);
	json_t *spec = json_pack("{s:[o]}", "containers", c);
	if (node)
		json_object_set_new(spec, "nodeName", json_string(node));
	if (json_object_get(said, "hostNetwork"))
		json_object_set_new(spec, "hostNetwork", json_true());
	return spec;
}

static int print_pods(struct buf *b, const struct scene_page *page, const json_t *map)
{
	const char *name;
	json_t *said;

	if (map && !json_is_object(map))
		return scene_tell(page, map, "pods: {web: {labels: {app: web}, ports: [80]}}",
				  "pods is a map from names");
	json_object_foreach ((json_t *)(uintptr_t)map, name, said) {
		if (scene_check_keys(page, said, pod_keys, "a pod of the cast"))
			return -1;
		json_t *spec = pod_spec(page, said);
		if (!spec)
			return -1;
		print_manifest(b,
			       json_pack("{s:s,s:s,s:o,s:o}", "apiVersion", "v1", "kind", "Pod", "metadata",
					 metadata(name, json_object_get(said, "labels")), "spec", spec));
	}
	return 0;
}

/* "80", "80=8080", "80=http", "53/udp": the Service's port, then where it leads when that is another. */
static json_t *service_port(const struct scene_page *page, const json_t *v, size_t i)
{
	struct str protocol = str_of(json_string_value(v));
	struct str target = str_cut(&protocol, '/');
	struct str own = str_cut(&target, '=');
	int64_t port = 0, number = 0;
	char name[24];

	if (str_to_i64(own, 1, 65535, &port) ||
	    (protocol.n && !str_eqz(protocol, "udp") && !str_eqz(protocol, "tcp"))) {
		scene_tell(page, v, "80, 80=8080, 80=http, 53/udp", "this is no port of a Service");
		return NULL;
	}
	snprintf(name, sizeof(name), "p%zu", i);
	json_t *p = json_pack("{s:s,s:I,s:s}", "name", name, "port", (json_int_t)port, "protocol",
			      str_eqz(protocol, "udp") ? "UDP" : "TCP");
	if (target.n && str_to_i64(target, 1, 65535, &number))
		json_object_set_new(p, "targetPort", json_stringn(target.p, target.n));
	else
		json_object_set_new(p, "targetPort", json_integer(target.n ? number : port));
	return p;
}

static json_t *service_ports(const struct scene_page *page, const json_t *list, const json_t *node_port)
{
	json_t *ports = json_array(), *v;
	int64_t number = 0;
	size_t i;

	if (node_port && str_to_i64(str_of(json_string_value(node_port)), 1, 65535, &number)) {
		scene_tell(page, node_port, NULL, "nodePort is a number");
		json_decref(ports);
		return NULL;
	}

	json_array_foreach ((json_t *)(uintptr_t)list, i, v) {
		json_t *p = service_port(page, v, i);
		if (!p) {
			json_decref(ports);
			return NULL;
		}
		if (node_port && !i)
			json_object_set_new(p, "nodePort", json_integer(number));
		json_array_append_new(ports, p);
	}
	return ports;
}

static int print_services(struct buf *b, const struct scene_page *page, const json_t *map)
{
	const char *name;
	json_t *said;

	if (map && !json_is_object(map))
		return scene_tell(page, map, "services: {web: {select: {app: web}, ports: [80]}}",
				  "services is a map from names");
	json_object_foreach ((json_t *)(uintptr_t)map, name, said) {
		if (scene_check_keys(page, said, service_keys, "a Service of the cast"))
			return -1;
		const json_t *node_port = json_object_get(said, "nodePort");
		json_t *ports = service_ports(page, json_object_get(said, "ports"), node_port);
		if (!ports)
			return -1;
		json_t *spec = json_pack("{s:s,s:O?,s:o}", "ipFamilyPolicy", "PreferDualStack", "selector",
					 json_object_get(said, "select"), "ports", ports);
		if (json_object_get(said, "headless"))
			json_object_set_new(spec, "clusterIP", json_string("None"));
		if (node_port)
			json_object_set_new(spec, "type", json_string("NodePort"));
		print_manifest(b, json_pack("{s:s,s:s,s:o,s:o}", "apiVersion", "v1", "kind", "Service",
					    "metadata", metadata(name, NULL), "spec", spec));
	}
	return 0;
}

int scene_cast_print(struct buf *b, const struct scene_page *page, const json_t *cast)
{
	if (!json_is_object(cast))
		return scene_tell(page, cast, NULL, "cast is a map of namespaces, pods and services");
	if (scene_check_keys(page, cast, cast_keys, "the cast"))
		return -1;
	if (print_namespaces(b, page, json_object_get(cast, "namespaces")) ||
	    print_pods(b, page, json_object_get(cast, "pods")) ||
	    print_services(b, page, json_object_get(cast, "services")))
		return -1;
	return b->failed ? -1 : 0;
}

int scene_cast_merge(json_t *cast, const json_t *change)
{
	const char *section, *name, *key;
	json_t *names, *said, *v;

	json_object_foreach ((json_t *)(uintptr_t)change, section, names) {
		json_t *into = json_object_get(cast, section);
		if (!into && json_object_set_new(cast, section, into = json_object()))
			return -1;
		json_object_foreach (names, name, said) {
			json_t *old = json_object_get(into, name);
			if (json_is_null(said)) {
				json_object_del(into, name);
				continue;
			}
			if (!old || !json_is_object(said) || !json_is_object(old)) {
				json_object_set(into, name, said);
				continue;
			}
			json_object_foreach (said, key, v)
				json_object_set(old, key, v);
		}
	}
	return 0;
}
