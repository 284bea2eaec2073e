/* SPDX-License-Identifier: Apache-2.0 */
/* Objects: kinds by name, copies, positions, keys, printing in both forms and reading back, defaults. */
#include "manifest.h"

static const char policy_text[] = "apiVersion: networking.k8s.io/v1\n"	/* 1 */
				  "kind: NetworkPolicy\n"		/* 2 */
				  "metadata:\n"				/* 3 */
				  "  name: web\n"			/* 4 */
				  "  labels: {b: '2', a: '1'}\n"	/* 5 */
				  "spec:\n"				/* 6 */
				  "  podSelector:\n"			/* 7 */
				  "    matchLabels: {app: web}\n"	/* 8 */
				  "  ingress:\n"			/* 9 */
				  "  - ports:\n"			/* 10 */
				  "    - port: http\n"			/* 11 */
				  "    - {endPort: 90, port: 80}\n"	/* 12 */
				  "    from:\n"				/* 13 */
				  "    - ipBlock: {cidr: 10.0.0.0/8}\n" /* 14 */
				  "  policyTypes:\n"			/* 15 */
				  "  - Ingress\n";			/* 16 */

static void assert_pos(const struct object *o, const void *member, uint32_t line, uint32_t col, uint32_t len)
{
	struct pos p = object_pos(o, member);
	assert_int_equal(p.line, line);
	assert_int_equal(p.col, col);
	assert_int_equal(p.len, len);
	assert_non_null(p.file);
}

static void check_policy_positions(const struct object *o)
{
	const struct networkpolicy_spec *s = o->networkpolicy->spec;
	const struct ingress_rule *rule = &s->ingress.items[0];
	assert_pos(o, &o->meta.name, 4, 9, 3);
	assert_pos(o, &o->meta.labels.items[0].value, 5, 23, 3); /* a, sorted first */
	assert_pos(o, &o->meta.labels.items[1].value, 5, 15, 3);
	assert_pos(o, &o->networkpolicy->spec, 6, 1, 4);
	assert_pos(o, &s->pod_selector->match_labels, 8, 5, 11);
	assert_pos(o, &rule->from, 13, 5, 4);
	assert_pos(o, rule, 13, 5, 4); /* the first member's address */
	assert_pos(o, &rule->ports, 10, 5, 5);
	assert_pos(o, &rule->ports.items[1], 12, 8, 7); /* its first member, protocol, is absent */
	assert_pos(o, &rule->ports.items[1].end_port, 12, 17, 2);
	assert_pos(o, &rule->from.items[0].ip_block->cidr, 14, 23, 10);
	assert_pos(o, &s->policy_types.items[0], 16, 5, 7);
	assert_pos(o, &rule->ports.items[0].protocol, 11, 7, 4); /* absent: its item */
	assert_pos(o, &s->egress, 6, 1, 4);			 /* absent: what encloses it */
	assert_pos(o, &rule, 1, 1, 10);				 /* not inside: the object */
}

static void every_value_keeps_its_position(void **state)
{
	(void)state;
	struct object *o = manifest_one(policy_text), *copy;
	check_policy_positions(o);
	assert_int_equal(object_clone(&copy, o), 0);
	object_unref(&o);
	check_policy_positions(copy);
	assert_int_equal(object_set_pos(copy, &copy->meta.ns, (struct pos){.line = 7, .col = 8, .len = 9}),
			 0);
	assert_pos(copy, &copy->meta.ns, 7, 8, 9);
	assert_int_equal(object_set_pos(copy, &copy->meta.ns, (struct pos){.line = 1, .col = 2, .len = 3}),
			 0);
	assert_pos(copy, &copy->meta.ns, 1, 2, 3);
	check_policy_positions(copy);
	object_unref(&copy);
}

static void paths_name_members(void **state)
{
	(void)state;
	struct object *o = manifest_one(policy_text);
	AUTO_BUF b = {0};
	object_path(&b, o, &o->networkpolicy->spec->ingress.items[0].ports.items[1].end_port);
	assert_string_equal(b.p, "spec.ingress[0].ports[1].endPort");
	buf_clear(&b);
	object_path(&b, o, &o->meta.labels.items[1].value);
	assert_string_equal(b.p, "metadata.labels[\"b\"]");
	buf_clear(&b);
	object_path(&b, o, &b);
	assert_int_equal(b.n, 0);
	object_unref(&o);
}

static void positions_travel_in_json(void **state)
{
	(void)state;
	struct object *o = manifest_one(policy_text), *back;
	struct remarks rs = {0};
	AUTO_BUF json = {0}, again = {0};
	object_print_json(&json, o, PRINT_POSITIONS);
	object_unref(&o);
	assert_int_equal(decode_json_object(buf_str(&json), NULL, NULL, &back, &rs), 0);
	assert_int_equal(rs.list.len, 0);
	check_policy_positions(back);
	assert_string_equal(back->pos.file->name, "test.yaml");
	object_print_json(&again, back, PRINT_POSITIONS);
	assert_string_equal(again.p, json.p);
	object_unref(&back);
	remarks_fini(&rs);
}

static const char pod_text[] =
    "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  namespace: shop\n  annotations:\n"
    "    note: |\n      two\n      lines\n    odd: \"tab\\there\"\n    empty: ''\n    number: '80'\n    "
    "colon: 'a: b'\n"
    "    word: 'yes'\n    dash: '- x'\n    umlaut: \"\xc3\xbc\"\n    trail: \"x \\ny\"\n"
    "spec:\n  hostNetwork: false\n  volumes: [{emptyDir: {}, name: v}, 1.5, null, [a, [b]], {}]\n"
    "  nodeSelector: {}\n  tolerations: []\n"
    "  containers:\n  - name: c\n    args: ['-a', '80', 'true']\n    ports:\n    - containerPort: 80\n"
    "    readinessProbe:\n      httpGet: {port: http, httpHeaders: [{name: a, value: ''}]}\n";

static void yaml_reads_back_as_the_same(void **state)
{
	(void)state;
	struct object *o = manifest_one(pod_text);
	AUTO_BUF yaml = {0}, json = {0}, again = {0};
	object_print_yaml(&yaml, o, 0);
	object_print_json(&json, o, 0);
	object_unref(&o);
	o = manifest_one(yaml.p);
	object_print_json(&again, o, 0);
	assert_string_equal(again.p, json.p);
	assert_non_null(strstr(yaml.p, "    note: |\n      two\n      lines\n"));
	assert_non_null(strstr(yaml.p, "    number: \"80\"\n"));
	assert_non_null(strstr(yaml.p, "  - args:\n    - \"-a\"\n"));
	assert_true(!strncmp(yaml.p, "apiVersion: v1\nkind: Pod\nmetadata:\n  annotations:\n", 50));
	object_unref(&o);
}

/* CN11: that a rule fails closed survives printing, a copy and reading back. */
static void what_is_not_known_stays_closed(void **state)
{
	static const char text[] = "apiVersion: policy.networking.k8s.io/v1alpha2\n"
				   "kind: ClusterNetworkPolicy\nmetadata: {name: a}\n"
				   "spec:\n  tier: Admin\n  priority: 1\n  subject: {namespaces: {}}\n"
				   "  egress:\n  - action: Deny\n"
				   "    to: [{tenants: {}, namespaces: {x: 1}}, {nodes: {}}]\n"
				   "    protocols: [{icmp: {}}]\n"
				   "    a: 1\n    b: 1\n    c: 1\n    d: 1\n    e: 1\n    f: 1\n"
				   "    g: 1\n    h: 1\n    i: 1\n    j: 1\n";
	(void)state;
	struct object *o = manifest_one(text), *copy;
	AUTO_BUF json = {0};
	assert_int_equal(object_clone(&copy, o), 0);
	object_print_json(&json, copy, PRINT_POSITIONS);
	object_unref(&o);
	object_unref(&copy);
	struct remarks rs = {0};
	assert_int_equal(decode_json_object(buf_str(&json), NULL, NULL, &o, &rs), 0);
	assert_int_equal(rs.list.len, 0);
	const struct cluster_egress_rule *rule = o->clusternetworkpolicy->spec->egress.items;
	const struct cluster_egress_peer *peer = rule->to.items;
	assert_int_equal(rule->to.len, 2);
	assert_int_equal(peer[0].unknown.len, 2); /* its own and that of the selector */
	assert_true(str_eqz(peer[0].unknown.items[0], "tenants"));
	assert_pos(o, &peer[0].unknown.items[1], 10, 37, 1);
	assert_false(peer[1].unknown.len);
	assert_true(str_eqz(rule->unknown.items[0], "icmp")); /* of a protocol: the rule's */
	assert_int_equal(rule->unknown.len, 8);		      /* bounded */
	object_unref(&o);
}

static void absent_and_empty_differ(void **state)
{
	(void)state;
	struct object *o = manifest_one(pod_text);
	AUTO_BUF json = {0};
	object_print_json(&json, o, 0);
	assert_non_null(strstr(json.p, "\"nodeSelector\":{}"));
	assert_non_null(strstr(json.p, "\"tolerations\":[]"));
	assert_non_null(strstr(json.p, "\"hostNetwork\":false"));
	assert_non_null(
	    strstr(json.p, "\"volumes\":[{\"emptyDir\":{},\"name\":\"v\"},1.5,null,[\"a\",[\"b\"]],{}]"));
	assert_null(strstr(json.p, "initContainers"));
	object_unref(&o);
}

static void a_secret_is_hidden(void **state)
{
	(void)state;
	struct object *o =
	    manifest_one("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ntype: Opaque\n"
			 "data: {key: aHVzaA==, other: aHVzaA==}\nstringData: {deep: [hush]}\nodd: hush\n");
	AUTO_BUF shown = {0}, plain = {0}, yaml = {0};
	object_print_json(&plain, o, 0);
	assert_non_null(strstr(plain.p, "aHVzaA=="));
	object_print_json(&shown, o, PRINT_REDACT);
	assert_null(strstr(shown.p, "aHVzaA"));
	assert_null(strstr(shown.p, "hush"));
	assert_non_null(strstr(
	    shown.p, "\"type\":\"Opaque\",\"data\":{\"key\":\"<redacted>\",\"other\":\"<redacted>\"}"));
	object_print_yaml(&yaml, o, PRINT_REDACT);
	assert_null(strstr(yaml.p, "aHVzaA"));
	object_unref(&o);
	/* JSON that is not understood hides everything. */
	assert_int_equal(object_new(&o, &kind_table[KIND_secret], STR("a"), STR("b")), 0);
	o->opaque = STR("{\"data\":[\"hush\"],\"x\":{\"y\":\"hush\"");
	buf_clear(&shown);
	object_print_json(&shown, o, PRINT_REDACT);
	assert_null(strstr(shown.p, "hush"));
	object_unref(&o);
}

static void kinds_are_found_by_any_name(void **state)
{
	(void)state;
	const struct kind_desc *pol = &kind_table[KIND_networkpolicy];
	assert_ptr_equal(kind_by_name(STR("netpol")), pol);
	assert_ptr_equal(kind_by_name(STR("NetworkPolicies")), pol);
	assert_ptr_equal(kind_by_name(STR("networkpolicy.networking.k8s.io")), pol);
	assert_null(kind_by_name(STR("networkpolicy.apps")));
	assert_null(kind_by_name(STR("")));
	assert_null(kind_by_name(STR("po,do")));
	assert_ptr_equal(kind_by_api(STR("v1"), STR("Pod")), &kind_table[KIND_pod]);
	assert_null(kind_by_api(STR("v2"), STR("Pod")));
	assert_null(kind_by_api(STR("/v1"), STR("Pod")));
	assert_string_equal(kind_api_version(&kind_table[KIND_deployment]), "apps/v1");
}

static void keys_follow_the_name(void **state)
{
	(void)state;
	struct object *o;
	assert_int_equal(object_new(&o, &kind_table[KIND_pod], STR("shop"), STR("web")), 0);
	assert_true(str_eqz(object_key(o), "shop/web"));
	o->meta.ns = STR("sho");
	o->meta.name = STR("pweb");
	assert_true(str_eqz(object_key(o), "sho/pweb"));
	object_unref(&o);
	assert_int_equal(object_new(&o, &kind_table[KIND_node], (struct str){0}, STR("n1")), 0);
	assert_true(str_eqz(object_key(o), "n1"));
	object_unref(&o);
}

static void defaults_are_those_of_kubernetes(void **state)
{
	(void)state;
	struct object *o = manifest_one(policy_text);
	o->networkpolicy->spec->policy_types = (struct strlist){0};
	assert_int_equal(object_default(o), 0);
	assert_true(str_eqz(o->meta.ns, "default"));
	assert_int_equal(o->networkpolicy->spec->policy_types.len, 1); /* NP04 */
	assert_true(str_eqz(o->networkpolicy->spec->ingress.items[0].ports.items[0].protocol, "TCP"));
	object_unref(&o);
	o = manifest_one("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\n"
			 "spec: {podSelector: {}, egress: [{}]}\n");
	assert_int_equal(object_default(o), 0);
	assert_int_equal(o->networkpolicy->spec->policy_types.len, 2); /* NP05 */
	object_unref(&o);
	o = manifest_one(
	    "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80, nodePort: 0}]}\n");
	assert_int_equal(object_default(o), 0);
	assert_int_equal(o->service->spec->ports.items[0].target_port.i, 80);
	assert_false(o->service->spec->ports.items[0].node_port.set);
	assert_true(str_eqz(o->service->spec->type, "ClusterIP"));
	object_unref(&o);
	o = manifest_one("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n");
	assert_int_equal(object_default(o), 0);
	assert_true(str_eqz(*strmap_get(&o->meta.labels, STR("kubernetes.io/metadata.name")), "shop"));
	object_unref(&o);
	o = manifest_one(pod_text);
	assert_int_equal(object_default(o), 0);
	const struct probe *p = o->pod->spec->containers.items[0].readiness_probe; /* PR02 */
	assert_int_equal(p->period_seconds.v, 10);
	assert_int_equal(p->timeout_seconds.v, 1);
	assert_int_equal(p->success_threshold.v, 1);
	assert_int_equal(p->failure_threshold.v, 3);
	object_unref(&o);
}

static void references_are_counted(void **state)
{
	(void)state;
	struct object *o;
	assert_int_equal(object_new(&o, &kind_table[KIND_pod], STR("a"), STR("b")), 0);
	struct object *second = object_ref(o);
	assert_ptr_equal(second, o);
	object_unref(&o);
	assert_null(o);
	assert_true(str_eqz(second->meta.name, "b"));
	object_unref(&second);
	object_unref(&second);
	assert_null(object_ref(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_value_keeps_its_position),	cmocka_unit_test(paths_name_members),
	    cmocka_unit_test(positions_travel_in_json),		cmocka_unit_test(yaml_reads_back_as_the_same),
	    cmocka_unit_test(absent_and_empty_differ),		cmocka_unit_test(a_secret_is_hidden),
	    cmocka_unit_test(kinds_are_found_by_any_name),	cmocka_unit_test(keys_follow_the_name),
	    cmocka_unit_test(defaults_are_those_of_kubernetes), cmocka_unit_test(references_are_counted),
	    cmocka_unit_test(what_is_not_known_stays_closed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
