/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Environ: the environment of an own program as a kubelet would make it: the Services of its namespace,
 * envFrom, env with valueFrom, "$(NAME)" expanded. Must never let a Secret's value into a log or a message.
 * Called by program.c and spec.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <ctype.h>

#include "base/own.h"
#include "sandbox/fabric.h"
#include "sandbox/program.h"

void environ_expand(const json_t *env, const char *text, struct buf *out)
{
	while (*text) {
		const char *end = text[0] == '$' && text[1] == '(' ? strchr(text, ')') : NULL;
		const json_t *o;
		size_t i;
		const char *value = NULL;

		if (text[0] == '$' && text[1] == '$') {
			buf_addc(out, '$');
			text += 2;
			continue;
		}
		json_array_foreach ((json_t *)(uintptr_t)env, i, o) {
			const char *name = json_text(json_object_get(o, "name"));

			if (end && strlen(name) == (size_t)(end - text - 2) &&
			    !strncmp(name, text + 2, strlen(name)))
				value = json_text(json_object_get(o, "value")); /* the last one counts */
		}
		if (value) {
			buf_addz(out, value);
			text = end + 1;
		} else {
			buf_addc(out, *text++);
		}
	}
}

static void set(json_t *env, const char *name, const char *value)
{
	json_t *o, *text = json_string(value);
	size_t i;

	if (!text) /* no UTF-8: as good as it can be said in JSON */
		text = json_string("");
	json_array_foreach (env, i, o)
		if (!strcmp(json_text(json_object_get(o, "name")), name)) {
			json_object_set_new(o, "value", text);
			return;
		}
	json_array_append_new(env, json_pack("{ssso}", "name", name, "value", text));
}

static void set_f(json_t *env, const char *prefix, const char *suffix, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void set_f(json_t *env, const char *prefix, const char *suffix, const char *fmt, ...)
{
	AUTO_BUF name = {0}, value = {0};
	va_list ap;

	buf_printf(&name, "%s%s", prefix, suffix);
	va_start(ap, fmt);
	buf_vprintf(&value, fmt, ap);
	va_end(ap);
	if (!name.failed && !value.failed)
		set(env, name.p, value.n ? value.p : "");
}

static void shout(const char *name, char *out, size_t cap)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < n && i + 1 < cap; i++)
		out[i] = (char)(name[i] == '-' || name[i] == '.' ? '_' : toupper((unsigned char)name[i]));
	out[n < cap ? n : cap - 1] = 0;
}

/* FOO_SERVICE_HOST, FOO_SERVICE_PORT, and as Docker's links had them. */
static void add_service(json_t *env, const json_t *service)
{
	const char *ip = json_text(json_at(service, "spec", "clusterIP", NULL));
	const json_t *ports = json_at(service, "spec", "ports", NULL), *o;
	char up[300], link[400];
	size_t i;

	if (!*ip || !strcmp(ip, "None"))
		return;
	bool six = strchr(ip, ':');
	shout(json_text(json_at(service, "metadata", "name", NULL)), up, sizeof(up));
	set_f(env, up, "_SERVICE_HOST", "%s", ip);
	json_array_foreach (ports, i, o) {
		long long port = json_integer_value(json_object_get(o, "port"));
		const char *protocol = json_text(json_object_get(o, "protocol"));
		const char *name = json_text(json_object_get(o, "name"));
		char low[16], named[300];

		protocol = *protocol ? protocol : "TCP";
		for (size_t k = 0; k < sizeof(low); k++)
			low[k] = (char)tolower(
			    (unsigned char)protocol[k < strlen(protocol) ? k : strlen(protocol)]);
		low[15] = 0;
		if (!i) {
			set_f(env, up, "_SERVICE_PORT", "%lld", port);
			set_f(env, up, "_PORT", "%s://%s%s%s:%lld", low, six ? "[" : "", ip, six ? "]" : "",
			      port);
		}
		if (*name) {
			shout(name, named, sizeof(named));
			snprintf(link, sizeof(link), "_SERVICE_PORT_%.90s", named);
			set_f(env, up, link, "%lld", port);
		}
		snprintf(link, sizeof(link), "%.280s_PORT_%lld_%.8s", up, port, protocol);
		set_f(env, link, "", "%s://%s%s%s:%lld", low, six ? "[" : "", ip, six ? "]" : "", port);
		set_f(env, link, "_PROTO", "%s", low);
		set_f(env, link, "_PORT", "%lld", port);
		set_f(env, link, "_ADDR", "%s", ip);
	}
}

static void add_services(const struct pod *p, json_t *env)
{
	bool links = !json_is_false(json_at(p->spec, "spec", "enableServiceLinks", NULL));

	HASH_EACH (&p->sandbox->services.objects, slot) {
		const json_t *o = slot->value;
		const char *ns = json_text(json_at(o, "metadata", "namespace", NULL));
		bool master = !strcmp(ns, "default") &&
			      !strcmp(json_text(json_at(o, "metadata", "name", NULL)), "kubernetes");

		if (master || (links && !strcmp(ns, p->ns)))
			add_service(env, o);
	}
}

/* metadata.labels['app'] → "app" of labels. */
static bool keyed(const struct pod *p, const char *path, const char *map, struct buf *out)
{
	AUTO_MEM char *head = NULL;
	char key[400];
	size_t n;

	if (asprintf(&head, "metadata.%s['", map) < 0 || strncmp(path, head, strlen(head)) != 0)
		return false;
	n = strlen(path += strlen(head));
	if (n < 2 || n - 2 >= sizeof(key) || strcmp(path + n - 2, "']") != 0)
		return false;
	snprintf(key, sizeof(key), "%.*s", (int)(n - 2), path);
	buf_addz(out, json_text(json_at(p->spec, "metadata", map, key, NULL)));
	return true;
}

static bool whole_map(const struct pod *p, const char *map, struct buf *out)
{
	const char *key;
	const json_t *v;

	json_object_foreach ((json_t *)(uintptr_t)json_at(p->spec, "metadata", map, NULL), key, v) {
		buf_printf(out, "%s=", key);
		buf_json(out, str_of(json_text(v)));
		buf_addc(out, '\n');
	}
	return true;
}

static bool addresses(const struct pod *p, bool all, struct buf *out)
{
	const json_t *now, *o;
	char node[ADDRESS_TEXT];
	size_t i;

	if (p->host_network) {
		fabric_node4(p->node->index, node);
		buf_addz(out, node);
		return true;
	}
	if (!pod_has_object(p, &now))
		now = p->spec;
	json_array_foreach (json_at(now, "status", "podIPs", NULL), i, o)
		if (all || !i)
			buf_printf(out, "%s%s", i ? "," : "", json_text(json_object_get(o, "ip")));
	return true;
}

bool environ_field(const struct pod *p, const char *path, struct buf *out)
{
	char node[ADDRESS_TEXT];

	if (!strcmp(path, "metadata.name"))
		buf_addz(out, p->name);
	else if (!strcmp(path, "metadata.namespace"))
		buf_addz(out, p->ns);
	else if (!strcmp(path, "metadata.uid"))
		buf_addz(out, p->uid);
	else if (!strcmp(path, "spec.nodeName"))
		buf_addz(out, p->node->name);
	else if (!strcmp(path, "spec.serviceAccountName"))
		buf_addz(out, json_string_length(json_at(p->spec, "spec", "serviceAccountName", NULL))
				  ? json_text(json_at(p->spec, "spec", "serviceAccountName", NULL))
				  : "default");
	else if (!strcmp(path, "status.podIP") || !strcmp(path, "status.podIPs"))
		return addresses(p, path[12] == 's', out);
	else if (!strcmp(path, "status.hostIP") || !strcmp(path, "status.hostIPs")) {
		fabric_node4(p->node->index, node);
		buf_addz(out, node);
	} else if (!strcmp(path, "metadata.labels"))
		return whole_map(p, "labels", out);
	else if (!strcmp(path, "metadata.annotations"))
		return whole_map(p, "annotations", out);
	else
		return keyed(p, path, "labels", out) || keyed(p, path, "annotations", out);
	return true;
}

/* A quantity in units: "500m" → 0.5, "64Mi" → 67108864. */
static double quantity(const char *text)
{
	static const struct {
		const char *unit;
		double is;
	} units[] = {
	    {"m", 1e-3}, {"", 1},	 {"k", 1e3},	    {"M", 1e6},		  {"G", 1e9},
	    {"T", 1e12}, {"Ki", 1024.0}, {"Mi", 1048576.0}, {"Gi", 1073741824.0}, {"Ti", 1099511627776.0}};
	char *end;
	double v = strtod(text, &end);

	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (!strcmp(end, units[i].unit))
			return v * units[i].is;
	return 0;
}

static const json_t *container_named(const struct container *c, const char *name)
{
	for (size_t i = 0; *name && i < c->pod->containers_len; i++)
		if (!strcmp(c->pod->containers[i].name, name))
			return c->pod->containers[i].spec;
	return c->spec;
}

bool environ_resource(const struct container *c, const json_t *ref, struct buf *out)
{
	const char *what = json_text(json_object_get(ref, "resource")), *kind;
	const json_t *of = container_named(c, json_text(json_object_get(ref, "containerName"))), *v;
	double divisor = 1, n;
	char text[32];

	if (!strncmp(what, "limits.", 7))
		kind = "limits";
	else if (!strncmp(what, "requests.", 9))
		kind = "requests";
	else
		return false;
	what += strlen(kind) + 1;
	v = json_at(of, "resources", kind, what, NULL);
	if (!v && !strcmp(kind, "requests"))
		v = json_at(of, "resources", "limits", what, NULL);
	if (json_is_number(v))
		snprintf(text, sizeof(text), "%g", json_number_value(v));
	else
		snprintf(text, sizeof(text), "%s", json_text(v));
	n = quantity(text);
	if (!v && !strcmp(what, "cpu") && !strcmp(kind, "limits"))
		n = (double)sysconf(_SC_NPROCESSORS_ONLN);
	else if (!v && !strcmp(what, "memory") && !strcmp(kind, "limits"))
		n = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
	if (json_is_string(json_object_get(ref, "divisor")))
		divisor = quantity(json_text(json_object_get(ref, "divisor")));
	n /= divisor > 0 ? divisor : 1;
	buf_printf(out, "%lld", (long long)n + ((double)(long long)n < n));
	return true;
}

static bool lack(char **lacks, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool lack(char **lacks, const char *fmt, ...)
{
	va_list ap;

	own_mem(lacks);
	va_start(ap, fmt);
	if (vasprintf(lacks, fmt, ap) < 0)
		*lacks = NULL;
	va_end(ap);
	return false;
}

/* False when something is not there that must be. *none: it is not there and need not be. */
static bool value_from(const struct container *c, const json_t *from, struct buf *out, bool *none,
		       char **lacks)
{
	const json_t *field = json_object_get(from, "fieldRef"),
		     *key = json_object_get(from, "configMapKeyRef");
	const json_t *resource = json_object_get(from, "resourceFieldRef");
	bool secret = !key;

	if (field)
		return environ_field(c->pod, json_text(json_object_get(field, "fieldPath")), out) ||
		       lack(lacks, "no such fieldPath: %s", json_text(json_object_get(field, "fieldPath")));
	if (resource)
		return environ_resource(c, resource, out) ||
		       lack(lacks, "no such resource: %s", json_text(json_object_get(resource, "resource")));
	if (secret)
		key = json_object_get(from, "secretKeyRef");
	if (!key)
		return lack(lacks, "valueFrom names nothing that is known");
	const char *name = json_text(json_object_get(key, "name"));
	const char *which = json_text(json_object_get(key, "key"));

	if (!volume_key(c->pod, secret, name, which, out))
		return true;
	*none = json_is_true(json_object_get(key, "optional"));
	if (*none)
		return true;
	if (!volume_object(c->pod, secret, name))
		return lack(lacks, "%s \"%s\" not found", secret ? "secret" : "configmap", name);
	return lack(lacks, "couldn't find key %s in %s %s/%s", which, secret ? "Secret" : "ConfigMap",
		    c->pod->ns, name);
}

static bool add_from(const struct container *c, json_t *env, const json_t *from, char **lacks)
{
	const json_t *ref = json_object_get(from, "configMapRef"), *object, *v;
	const char *prefix = json_text(json_object_get(from, "prefix")), *name, *key;
	bool secret = !ref;

	if (secret)
		ref = json_object_get(from, "secretRef");
	name = json_text(json_object_get(ref, "name"));
	object = volume_object(c->pod, secret, name);
	if (!object)
		return json_is_true(json_object_get(ref, "optional")) ||
		       lack(lacks, "%s \"%s\" not found", secret ? "secret" : "configmap", name);
	static const char *const maps[] = {"data", "stringData"};
	for (size_t i = 0; i < ARRAY_LEN(maps); i++)
		json_object_foreach ((json_t *)(uintptr_t)json_object_get(object, maps[i]), key, v) {
			AUTO_BUF value = {0};

			if (!volume_key(c->pod, secret, name, key, &value) && !value.failed)
				set_f(env, prefix, key, "%s", value.n ? value.p : "");
		}
	return true;
}

json_t *environ_of(const struct container *c, char **lacks)
{
	json_t *env = json_array();
	const json_t *o;
	size_t i;

	add_services(c->pod, env);
	set(env, "HOSTNAME", c->pod->name);
	json_array_foreach (json_object_get(c->spec, "envFrom"), i, o)
		if (!add_from(c, env, o, lacks)) {
			json_decref(env);
			return NULL;
		}
	json_array_foreach (json_object_get(c->spec, "env"), i, o) {
		const json_t *from = json_object_get(o, "valueFrom");
		AUTO_BUF value = {0};
		bool none = false;

		if (from && !value_from(c, from, &value, &none, lacks)) {
			json_decref(env);
			return NULL;
		}
		if (!from)
			environ_expand(env, json_text(json_object_get(o, "value")), &value);
		if (!none && !value.failed)
			set(env, json_text(json_object_get(o, "name")), value.n ? value.p : "");
	}
	return env;
}
