/* SPDX-License-Identifier: Apache-2.0 */
/* Walks the descriptors and prints what each member is. Two styles: with references, and all in place. See
 * schema.h. */
#include "object/schema.h"

#include <ctype.h>
#include <stdio.h>

#include "base/own.h"
#include "object/rule.h"

#define REF    "#/components/schemas/"
#define PREFIX "weft."

enum style { REFS, INLINE };

/* What upstream calls these differs from the tables' words. */
static const char *const names[][2] = {
    {"metadata", "ObjectMeta"},
    {"ip_block", "IPBlock"},
    {"policy_peer", "NetworkPolicyPeer"},
    {"policy_port", "NetworkPolicyPort"},
    {"ingress_rule", "NetworkPolicyIngressRule"},
    {"egress_rule", "NetworkPolicyEgressRule"},
    {"networkpolicy_spec", "NetworkPolicySpec"},
    {"clusternetworkpolicy_spec", "ClusterNetworkPolicySpec"},
    {"clusternetworkpolicy_status", "ClusterNetworkPolicyStatus"},
    {"addresspool_spec", "AddressPoolSpec"},
    {"addresspool_status", "AddressPoolStatus"},
    {"toolgroup_spec", "ToolGroupSpec"},
    {"trafficfilter_spec", "TrafficFilterSpec"},
    {"trafficmap_spec", "TrafficMapSpec"},
    {"alert_key", "SecretKeyReference"},
    {"replicaset_spec", "ReplicaSetSpec"},
    {"statefulset_spec", "StatefulSetSpec"},
    {"daemonset_spec", "DaemonSetSpec"},
    {"daemonset_status", "DaemonSetStatus"},
    {"selector_requirement", "LabelSelectorRequirement"},
    {"pod_template", "PodTemplateSpec"},
    {"pod_ip", "PodIP"},
    {"http_header", "HTTPHeader"},
    {"http_get_action", "HTTPGetAction"},
    {"tcp_socket_action", "TCPSocketAction"},
    {"grpc_action", "GRPCAction"},
    {"client_ip", "ClientIPConfig"},
    {"affinity_config", "SessionAffinityConfig"},
    {"balancer_status", "LoadBalancerStatus"},
    {"balancer_ingress", "LoadBalancerIngress"},
};

void schema_name(const struct struct_desc *d, char out[64])
{
	size_t n = 0;
	bool up = true;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(d->name, names[i][0])) {
			snprintf(out, 64, "%s", names[i][1]);
			return;
		}
	for (const char *c = d->name; *c && n + 1 < 64; c++) {
		if (*c != '_')
			out[n++] = up ? (char)toupper((unsigned char)*c) : *c;
		up = *c == '_';
	}
	out[n] = 0;
}

void schema_ref(struct buf *b, const struct kind_desc *k)
{
	buf_printf(b, REF PREFIX "%s.%s.%s", *k->group ? k->group : "core", k->version, k->name);
}

static void print_struct(struct buf *b, const struct struct_desc *d, enum style style);

static void print_type(struct buf *b, const struct struct_desc *d, enum style style)
{
	char name[64];
	schema_name(d, name);
	if (style == REFS)
		buf_printf(b, "\"allOf\":[{\"$ref\":\"" REF PREFIX "%s\"}],\"default\":{}", name);
	else
		print_struct(b, d, style);
}

static void print_text(struct buf *b, const struct field_desc *f, enum style style)
{
	buf_addz(b, "\"type\":\"string\"");
	if (f->shape == SHAPE_TIME)
		buf_addz(b, ",\"format\":\"date-time\"");
	if (f->flags & FIELD_LABEL && style == INLINE)
		buf_addz(b, ",\"maxLength\":63");
	if (!(f->flags & FIELD_ENUM) || !f->values)
		return;
	buf_addz(b, ",\"enum\":[");
	for (struct str rest = str_of(f->values); rest.n;) {
		buf_json(b, str_cut(&rest, '|'));
		if (rest.n)
			buf_addc(b, ',');
	}
	buf_addc(b, ']');
}

static void print_extensions(struct buf *b, const struct struct_desc *d, const struct field_desc *f,
			     enum style style)
{
	struct merge_rule r = merge_rule(d, f->json);
	bool list = f->shape == SHAPE_MANY || f->shape == SHAPE_STRS ||
		    (f->shape == SHAPE_OPAQUE && f->flags & FIELD_LIST);
	bool map = f->shape == SHAPE_MAP || f->shape == SHAPE_ONE;
	/* The API server wants the keys required, or with a default: not told of in the tables. */
	bool keyed = r.how == MERGE_KEYED && style == REFS;
	if (list && keyed) {
		buf_printf(b, ",\"x-kubernetes-list-type\":\"map\",\"x-kubernetes-list-map-keys\":[\"%s\"",
			   r.keys[0]);
		if (r.keys[1])
			buf_printf(b, ",\"%s\"", r.keys[1]);
		buf_printf(
		    b, "],\"x-kubernetes-patch-strategy\":\"merge\",\"x-kubernetes-patch-merge-key\":\"%s\"",
		    r.keys[0]);
	} else if (list && r.how == MERGE_KEYED && !strcmp(f->json, "conditions")) {
		buf_addz(b, ",\"x-kubernetes-list-type\":\"map\",\"x-kubernetes-list-map-keys\":[\"type\"]");
	} else if (list) {
		buf_printf(b, ",\"x-kubernetes-list-type\":\"%s\"", r.how == MERGE_SET ? "set" : "atomic");
	}
	if (map && f->flags & FIELD_ATOMIC)
		buf_addz(b, ",\"x-kubernetes-map-type\":\"atomic\"");
}

static void print_opaque(struct buf *b, const struct field_desc *f)
{
	if (f->flags & FIELD_LIST)
		buf_addz(b, "\"type\":\"array\",\"items\":{\"type\":\"object\","
			    "\"x-kubernetes-preserve-unknown-fields\":true}");
	else
		buf_addz(b, "\"type\":\"object\",\"x-kubernetes-preserve-unknown-fields\":true");
}

static void print_shape(struct buf *b, const struct field_desc *f, enum style style)
{
	switch (f->shape) {
	case SHAPE_STR:
	case SHAPE_TIME:
		print_text(b, f, style);
		break;
	case SHAPE_INT:
		buf_printf(b, "\"type\":\"integer\",\"format\":\"%s\"",
			   f->flags & FIELD_PORT ? "int32" : "int64");
		if (f->flags & FIELD_PORT)
			buf_addz(b, ",\"minimum\":1,\"maximum\":65535");
		break;
	case SHAPE_BOOL:
		buf_addz(b, "\"type\":\"boolean\"");
		break;
	case SHAPE_INTSTR:
		buf_addz(b, style == REFS
				? "\"allOf\":[{\"$ref\":\"" REF PREFIX "IntOrString\"}]"
				: "\"x-kubernetes-int-or-string\":true,\"anyOf\":[{\"type\":\"integer\"},"
				  "{\"type\":\"string\"}]");
		break;
	case SHAPE_MAP:
		buf_addz(b, "\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}");
		break;
	case SHAPE_STRS:
		buf_addz(b, "\"type\":\"array\",\"items\":{");
		print_text(b, f, style);
		buf_addc(b, '}');
		break;
	case SHAPE_ONE:
		print_type(b, f->type, style);
		break;
	case SHAPE_MANY:
		buf_addz(b, "\"type\":\"array\",\"items\":{");
		print_type(b, f->type, style);
		buf_addc(b, '}');
		break;
	case SHAPE_OPAQUE:
		print_opaque(b, f);
		break;
	}
}

/* What Weft writes itself is no part of what users are told that they can write. */
static bool is_inner(const struct field_desc *f)
{
	return !strncmp(f->json, "weft", 4);
}

static void print_member(struct buf *b, const struct struct_desc *d, const struct field_desc *f,
			 enum style style)
{
	buf_printf(b, "\"%s\":{\"description\":", f->json);
	buf_json(b, str_of(f->sentence));
	buf_addc(b, ',');
	print_shape(b, f, style);
	print_extensions(b, d, f, style);
	buf_addc(b, '}');
}

static void print_members(struct buf *b, const struct struct_desc *d, enum style style, bool some)
{
	for (uint32_t i = 0; i < d->n; i++) {
		if (is_inner(&d->fields[i]))
			continue;
		buf_addz(b, some ? "," : "");
		some = true;
		print_member(b, d, &d->fields[i], style);
	}
}

static void print_required(struct buf *b, const struct struct_desc *d)
{
	bool some = false;
	for (uint32_t i = 0; i < d->n; i++) {
		if (!(d->fields[i].flags & FIELD_REQ))
			continue;
		buf_printf(b, "%s\"%s\"", some ? "," : ",\"required\":[", d->fields[i].json);
		some = true;
	}
	if (some)
		buf_addc(b, ']');
}

static void print_struct(struct buf *b, const struct struct_desc *d, enum style style)
{
	buf_addz(b, "\"type\":\"object\",\"properties\":{");
	print_members(b, d, style, false);
	buf_addc(b, '}');
	print_required(b, d);
}

static void print_kind(struct buf *b, const struct kind_desc *k, enum style style)
{
	buf_addz(b, "{\"description\":");
	buf_json(b, str_of(k->sentence));
	buf_addz(
	    b, ",\"type\":\"object\",\"properties\":{\"apiVersion\":{\"description\":\"Group and version of "
	       "the kind.\",\"type\":\"string\"},\"kind\":{\"description\":\"Name of the kind.\",\"type\":"
	       "\"string\"},\"metadata\":{");
	if (style == REFS)
		buf_addz(
		    b, "\"description\":\"Name, namespace, labels and what the server says of the object.\","
		       "\"allOf\":[{\"$ref\":\"" REF PREFIX "ObjectMeta\"}],\"default\":{}}");
	else
		buf_addz(b, "\"type\":\"object\"}");
	print_members(b, k->members, style, true);
	buf_addc(b, '}');
	print_required(b, k->members);
	if (style == REFS)
		buf_printf(
		    b,
		    ",\"x-kubernetes-group-version-kind\":[{\"group\":\"%s\",\"version\":\"%s\",\"kind\":"
		    "\"%s\"}]",
		    k->group, k->version, k->name);
	buf_addc(b, '}');
}

enum { STRUCTS_MAX = 256 };
struct seen {
	const struct struct_desc *list[STRUCTS_MAX];
	size_t n;
};

static void collect(struct seen *s, const struct struct_desc *d, bool itself)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->list[i] == d)
			return;
	if (itself && s->n < STRUCTS_MAX)
		s->list[s->n++] = d;
	for (uint32_t i = 0; i < d->n; i++)
		if (d->fields[i].type)
			collect(s, d->fields[i].type, true);
}

void schema_components(struct buf *b, const char *group, const char *version)
{
	struct seen s = {0};
	char name[64];
	collect(&s, &metadata_desc, true);
	for (size_t i = 0; i < KIND_COUNT; i++) {
		const struct kind_desc *k = &kind_table[i];
		if (strcmp(k->group, group) || strcmp(k->version, version))
			continue;
		collect(&s, k->members, false);
		AUTO_BUF ref = {0};
		schema_ref(&ref, k);
		buf_printf(b, "\"%s\":", ref.p ? ref.p + strlen(REF) : "");
		print_kind(b, k, REFS);
		buf_addc(b, ',');
	}
	for (size_t i = 0; i < s.n; i++) {
		schema_name(s.list[i], name);
		buf_printf(b, "\"" PREFIX "%s\":{", name);
		print_struct(b, s.list[i], REFS);
		buf_addz(b, "},");
	}
	buf_addz(b, "\"" PREFIX
		    "IntOrString\":{\"description\":\"A number or a text.\",\"format\":\"int-or-string\","
		    "\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"string\"}]}");
}

void schema_structural(struct buf *b, const struct kind_desc *k)
{
	print_kind(b, k, INLINE);
}

static bool has_status(const struct kind_desc *k)
{
	for (uint32_t i = 0; i < k->members->n; i++)
		if (!strcmp(k->members->fields[i].json, "status"))
			return true;
	return false;
}

static void print_words(struct buf *b, const char *key, const char *words)
{
	if (!*words)
		return;
	buf_printf(b, ",\"%s\":[", key);
	for (struct str rest = str_of(words); rest.n;) {
		buf_json(b, str_cut(&rest, ','));
		if (rest.n)
			buf_addc(b, ',');
	}
	buf_addc(b, ']');
}

void schema_crd(struct buf *b, const struct kind_desc *k)
{
	buf_printf(
	    b,
	    "{\"apiVersion\":\"apiextensions.k8s.io/v1\",\"kind\":\"CustomResourceDefinition\",\"metadata\":"
	    "{\"name\":\"%s.%s\"},\"spec\":{\"group\":\"%s\",\"names\":{\"kind\":\"%s\",\"listKind\":"
	    "\"%sList\",\"plural\":\"%s\",\"singular\":\"%s\"",
	    k->plural, k->group, k->group, k->name, k->name, k->plural, k->singular);
	print_words(b, "shortNames", k->shorts);
	print_words(b, "categories", k->categories);
	buf_printf(
	    b,
	    "},\"scope\":\"%s\",\"versions\":[{\"name\":\"%s\",\"served\":true,\"storage\":true,\"schema\":"
	    "{\"openAPIV3Schema\":",
	    k->namespaced ? "Namespaced" : "Cluster", k->version);
	schema_structural(b, k);
	buf_printf(b, "}%s}]}}", has_status(k) ? ",\"subresources\":{\"status\":{}}" : "");
}
