/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of the agent that need no kernel: messages, comparing rows, cutting API answers, thresholds of
 * probes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "agent/compare.h"
#include "agent/narrow.h"
#include "agent/stream.h"
#include "base/own.h"
#include "compile/wire.h"
#include "object/decode.h"
#include "observe/probe.h"
#include "seam/policy.h"
#include "seam/service.h"

static struct row policy_row(const struct policy_key *k, const struct policy_value *v)
{
	return (struct row){.type = ROW_MAP,
			    .table = PLAN_MAP_policy,
			    .key_len = sizeof(*k),
			    .value_len = sizeof(*v),
			    .key = (const uint8_t *)k,
			    .value = (const uint8_t *)v};
}

static void rows_travel_as_they_are(void **state)
{
	struct policy_key k = {.set = 7, .class = 9};
	struct policy_value v = {.portset = 1, .rule = 33};
	struct change c = {.op = CHANGE_SET, .row = policy_row(&k, &v)}, got;
	struct wire_reader r;
	struct wire_head h;
	AUTO_BUF b = {0};
	unsigned step;

	(void)state;
	wire_start(&b, WIRE_ROWS, 5);
	assert_int_equal(wire_put(&b, 3, &c), 0);
	c.op = CHANGE_DEL;
	assert_int_equal(wire_put(&b, 4, &c), 0);
	assert_int_equal(wire_head(b.p, b.n, &h), 0);
	assert_int_equal(h.count, 2);
	assert_int_equal(h.txn, 5);
	wire_reader_init(&r, b.p, b.n);
	assert_int_equal(wire_next(&r, &step, &got), 1);
	assert_int_equal(step, 3);
	assert_int_equal(got.op, CHANGE_SET);
	assert_memory_equal(got.row.key, &k, sizeof(k));
	assert_memory_equal(got.row.value, &v, sizeof(v));
	assert_int_equal(wire_next(&r, &step, &got), 1);
	assert_null(got.row.value);
	assert_int_equal(wire_next(&r, &step, &got), 0);
}

static void broken_messages_are_refused(void **state)
{
	struct policy_key k = {.set = 7};
	struct policy_value v = {.portset = 1};
	struct change c = {.op = CHANGE_ADD, .row = policy_row(&k, &v)}, got;
	struct wire_reader r;
	struct wire_head h;
	AUTO_BUF b = {0};
	unsigned step;

	(void)state;
	c.row.key_len = 4;
	wire_start(&b, WIRE_ROWS, 1);
	assert_int_equal(wire_put(&b, 0, &c), -EINVAL);
	c.row.key_len = sizeof(k);
	assert_int_equal(wire_put(&b, WIRE_STEPS_MAX, &c), -EINVAL);
	assert_int_equal(wire_put(&b, 0, &c), 0);
	for (size_t cut = sizeof(h); cut < b.n; cut++) {
		wire_reader_init(&r, b.p, cut);
		assert_int_equal(wire_next(&r, &step, &got), -EPROTO);
	}
	buf_addc(&b, 'x');
	wire_reader_init(&r, b.p, b.n);
	assert_int_equal(wire_next(&r, &step, &got), 1);
	assert_int_equal(wire_next(&r, &step, &got), -EPROTO);
	b.p[0] ^= 1;
	assert_int_equal(wire_head(b.p, b.n, &h), -EPROTO);
}

static void a_full_message_says_so(void **state)
{
	struct policy_key k = {.set = 7};
	struct policy_value v = {.portset = 1};
	struct change c = {.op = CHANGE_ADD, .row = policy_row(&k, &v)};
	AUTO_BUF b = {0};
	int err = 0, n = 0;

	(void)state;
	wire_start(&b, WIRE_ROWS, 1);
	while (!(err = wire_put(&b, 0, &c)))
		n++;
	assert_int_equal(err, -EMSGSIZE);
	assert_true(b.n <= WIRE_MESSAGE_MAX && b.n > WIRE_MESSAGE_MAX - 40 && n > 1500);
}

static void comparing_gives_what_is_missing_different_and_strange(void **state)
{
	struct policy_key k[4] = {{.set = 1}, {.set = 2}, {.set = 3}, {.set = 4}};
	struct policy_value old = {.portset = 1}, new = {.portset = 2};
	struct backend_key bk = {.list = 9};
	struct backend_value bv = {.port = 80};
	struct service_key sk = {.proto = 6};
	struct service_value sv = {.list = 9, .count = 1};
	struct hash actual = {0};
	struct plan want = {0};
	struct plan_delta d = {0};
	struct row r;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		r = policy_row(&k[i], &old);
		assert_int_equal(kept_add(&actual, &r), 0);
	}
	vec_push(&want.rows, policy_row(&k[0], &old)); /* the same */
	vec_push(&want.rows, policy_row(&k[1], &new)); /* different */
	vec_push(&want.rows, policy_row(&k[3], &new)); /* missing */
	vec_push(&want.rows, (struct row){.type = ROW_MAP,
					  .table = PLAN_MAP_service,
					  .key_len = sizeof(sk),
					  .value_len = sizeof(sv),
					  .key = (uint8_t *)&sk,
					  .value = (uint8_t *)&sv});
	vec_push(&want.rows, (struct row){.type = ROW_MAP,
					  .table = PLAN_MAP_backend,
					  .key_len = sizeof(bk),
					  .value_len = sizeof(bv),
					  .key = (uint8_t *)&bk,
					  .value = (uint8_t *)&bv});
	assert_int_equal(kept_compare(&actual, &want, &d), 0);
	assert_int_equal(d.steps.len, 1);
	assert_int_equal(d.steps.items[0].changes.len, 5);
	struct change *c = d.steps.items[0].changes.items;

	assert_true(c[0].op == CHANGE_ADD && c[0].row.table == PLAN_MAP_policy);
	/* A backend before the service that points to it. */
	assert_true(c[1].op == CHANGE_ADD && c[1].row.table == PLAN_MAP_backend);
	assert_true(c[2].op == CHANGE_ADD && c[2].row.table == PLAN_MAP_service);
	assert_true(c[3].op == CHANGE_SET && !memcmp(c[3].row.key, &k[1], sizeof(k[1])));
	assert_true(c[4].op == CHANGE_DEL && !memcmp(c[4].row.key, &k[2], sizeof(k[2])));
	plan_delta_fini(&d);
	vec_free(&want.rows);
	kept_forget(&actual);
}

static int count_item(void *ctx, struct str json)
{
	struct buf *b = ctx;

	buf_adds(b, json);
	buf_addc(b, '|');
	return 0;
}

static struct object *narrowed(const char *json)
{
	struct decode_limits limits = decode_limits_default;
	struct object *o = NULL;
	struct remarks rs = {0};

	limits.narrow = narrow;
	assert_int_equal(decode_json_object(str_of(json), NULL, &limits, &o, &rs), 0);
	remarks_fini(&rs);
	return o;
}

static void a_planner_keeps_what_it_reads(void **state)
{
	static const char pod[] =
	    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\",\"namespace\":\"shop\","
	    "\"uid\":\"u1\",\"labels\":{\"app\":\"a\"},\"annotations\":{\"x\":\"y\"}},\"spec\":{\"nodeName\":"
	    "\"n\",\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"ports\":[{\"name\":\"web\","
	    "\"containerPort\":"
	    "80}]}],\"initContainers\":[{\"name\":\"i\",\"ports\":[{\"containerPort\":81}]}]},\"status\":{"
	    "\"phase\":"
	    "\"Running\",\"hostIP\":\"172.31.0.10\",\"podIPs\":[{\"ip\":\"10.244.0.5\"}]}}";
	struct object *o = narrowed(pod);

	(void)state;
	assert_true(str_eqz(*strmap_get(&o->meta.labels, STR("app")), "a"));
	assert_true(str_eqz(o->meta.uid, "u1"));
	assert_int_equal(o->meta.annotations.len, 0);
	assert_true(str_eqz(o->pod->spec->node_name, "n"));
	assert_true(str_eqz(o->pod->spec->containers.items[0].ports.items[0].name, "web"));
	assert_null(o->pod->spec->containers.items[0].image.p);
	assert_int_equal(o->pod->spec->init_containers.len, 0);
	assert_true(str_eqz(o->pod->status->pod_ips.items[0].ip, "10.244.0.5"));
	assert_null(o->pod->status->host_ip.p);
	object_unref(&o);
}

static void services_keep_what_balances_them(void **state)
{
	static const char service[] =
	    "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"a\",\"annotations\":{\"x\":"
	    "\"y\",\"weft.network/load-balancing\":\"maglev\"}},\"spec\":{\"ports\":[{\"port\":80}]},"
	    "\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"198.51.100.7\"}]}}}";
	static const char slice[] = "{\"apiVersion\":\"discovery.k8s.io/"
				    "v1\",\"kind\":\"EndpointSlice\",\"metadata\":{\"name\":\"a\"},"
				    "\"addressType\":\"IPv4\",\"endpoints\":[{\"addresses\":[\"10.244.0.5\"],"
				    "\"hostname\":\"h\",\"hints\":{"
				    "\"forZones\":[{\"name\":\"z\"}]}}],\"ports\":[]}";
	static const char pod[] = "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\"},"
				  "\"spec\":{\"containers\":[{\"name\":"
				  "\"c\",\"ports\":[{\"containerPort\":80,\"hostPort\":8080}]}]}}";
	struct object *o = narrowed(service);

	(void)state;
	assert_int_equal(o->meta.annotations.len, 1);
	assert_true(str_eqz(o->service->status->load_balancer->ingress.items[0].ip, "198.51.100.7"));
	object_unref(&o);
	o = narrowed(slice);
	assert_true(str_eqz(o->endpointslice->endpoints.items[0].hints->for_zones.items[0].name, "z"));
	assert_null(o->endpointslice->endpoints.items[0].hostname.p);
	object_unref(&o);
	o = narrowed(pod);
	assert_int_equal(o->pod->spec->containers.items[0].ports.items[0].host_port.v, 8080);
	object_unref(&o);
}

static void annotations_of_policies_are_kept(void **state)
{
	static const char policy[] =
	    "{\"apiVersion\":\"networking.k8s.io/"
	    "v1\",\"kind\":\"NetworkPolicy\",\"metadata\":{\"name\":\"a\","
	    "\"annotations\":{\"a\":\"b\",\"weft.network/staged\":\"true\",\"z\":\"y\"}},\"spec\":{"
	    "\"podSelector\":{}}}";
	struct object *o = narrowed(policy);

	(void)state;
	assert_int_equal(o->meta.annotations.len, 1);
	assert_true(str_eqz(*strmap_get(&o->meta.annotations, STR("weft.network/staged")), "true"));
	object_unref(&o);
}

static void positions_go_with_what_they_are_of(void **state)
{
	static const char service[] =
	    "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"a\",\"annotations\":{\"x\":"
	    "\"y\"}},\"spec\":{\"ports\":[{\"port\":80}]},\"weftPositions\":{\"file\":\"s.yaml\",\"at\":{"
	    "\"\":[1,1,"
	    "4],\"metadata.annotations\":[5,3,1],\"spec.ports\":[7,3,5],\"spec.ports[0].port\":[8,5,2]}}}";
	struct object *o = narrowed(service);
	const struct service_port *port = &o->service->spec->ports.items[0];

	(void)state;
	assert_int_equal(object_pos(o, &port->port).line, 8);
	assert_int_equal(object_pos(o, &o->service->spec->ports).line, 7);
	assert_int_equal(object_pos(o, &o->meta.annotations).line, 1);
	assert_string_equal(o->pos.file->name, "s.yaml");
	object_unref(&o);
}

static void lists_are_cut_into_items_in_any_pieces(void **state)
{
	static const char list[] = "{\"kind\":\"PodList\",\"items\":[{\"a\":\"]}\\\"\"}, {\"b\":[{}]}],"
				   "\"metadata\":{\"resourceVersion\":\"79\",\"items\":[{}]}}";

	(void)state;
	for (size_t cut = 0; cut < sizeof(list) - 1; cut++) {
		AUTO_BUF items = {0};
		struct list_stream s;
		struct str v;

		list_stream_init(&s, count_item, &items);
		assert_int_equal(list_stream_feed(&s, list, cut), 0);
		assert_int_equal(list_stream_feed(&s, list + cut, sizeof(list) - 1 - cut), 0);
		assert_string_equal(items.p, "{\"a\":\"]}\\\"\"}|{\"b\":[{}]}|");
		v = json_plain_string(
		    json_member(json_member(buf_str(&s.head), "metadata"), "resourceVersion"));
		assert_true(str_eqz(v, "79"));
		list_stream_fini(&s);
	}
}

static void members_are_found_on_the_first_level_only(void **state)
{
	struct str t = STR("{ \"x\" : {\"type\":1}, \"type\": \"ADDED\" ,\"object\":{\"type\":2}}");

	(void)state;
	assert_true(str_eqz(json_plain_string(json_member(t, "type")), "ADDED"));
	assert_true(str_eqz(json_member(t, "object"), "{\"type\":2}"));
	assert_null(json_member(t, "none").p);
	assert_null(json_member(STR("[1]"), "x").p);
	assert_null(json_plain_string(STR("\"a\\n\"")).p);
}

static void pr02_defaults_of_a_probe(void **state)
{
	struct probe p = {0};
	struct probe_rule r = probe_rule(&p);

	(void)state;
	assert_true(r.delay_s == 0 && r.period_s == 10 && r.timeout_s == 1 && r.successes == 1 &&
		    r.failures == 3);
}

static void pr08_pr30_counts_restart_at_each_change(void **state)
{
	struct probe_rule r = {.successes = 2, .failures = 3};
	struct probe_state s;

	(void)state;
	probe_reset(&s);
	assert_false(s.good); /* PR01 */
	assert_false(probe_result(&s, &r, true));
	assert_false(probe_result(&s, &r, false));
	assert_false(probe_result(&s, &r, true));
	assert_true(probe_result(&s, &r, true));
	for (unsigned i = 0; i < 20; i++) { /* one failure in three never takes it out */
		assert_false(probe_result(&s, &r, i % 3 != 0));
		assert_true(s.good);
	}
	probe_result(&s, &r, true);
	assert_false(probe_result(&s, &r, false));
	assert_false(probe_result(&s, &r, false));
	assert_true(probe_result(&s, &r, false));
	assert_false(s.good);
	probe_reset(&s); /* PR09 */
	assert_false(s.good || s.judged || s.run);
}

static void pr20_ports_by_number_and_name(void **state)
{
	struct container_port ports[] = {{.name = STR("web"), .container_port = {8080, true}}};
	struct container c = {.ports = {.items = ports, .len = 1, .set = true}};
	struct intstr by_name = {.type = INTSTR_STR, .s = STR("web")},
		      none = {.type = INTSTR_STR, .s = STR("x")};
	struct intstr number = {.type = INTSTR_INT, .i = 81}, big = {.type = INTSTR_INT, .i = 70000};

	(void)state;
	assert_int_equal(probe_port(&c, &by_name), 8080);
	assert_int_equal(probe_port(&c, &none), 0);
	assert_int_equal(probe_port(&c, &number), 81);
	assert_int_equal(probe_port(&c, &big), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rows_travel_as_they_are),
	    cmocka_unit_test(broken_messages_are_refused),
	    cmocka_unit_test(a_full_message_says_so),
	    cmocka_unit_test(comparing_gives_what_is_missing_different_and_strange),
	    cmocka_unit_test(a_planner_keeps_what_it_reads),
	    cmocka_unit_test(services_keep_what_balances_them),
	    cmocka_unit_test(annotations_of_policies_are_kept),
	    cmocka_unit_test(positions_go_with_what_they_are_of),
	    cmocka_unit_test(lists_are_cut_into_items_in_any_pieces),
	    cmocka_unit_test(members_are_found_on_the_first_level_only),
	    cmocka_unit_test(pr02_defaults_of_a_probe),
	    cmocka_unit_test(pr08_pr30_counts_restart_at_each_change),
	    cmocka_unit_test(pr20_ports_by_number_and_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
