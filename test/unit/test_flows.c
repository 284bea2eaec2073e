/* SPDX-License-Identifier: Apache-2.0 */
/* The hub's side of flows: reports in, names joined by time, losses counted once, questions answered. */
#include <errno.h>
#include <jansson.h>

#include "cluster_world.h"
#include "hub/flows.h"
#include "observe/report.h"

static struct world w;
static struct flows *flows;
static int64_t start;

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int begin(void **state)
{
	(void)state;
	world_make(&w, true, 2);
	start = now();
	return flows_new(&flows, w.store, NULL, 1000);
}

static int end(void **state)
{
	(void)state;
	flows_free(&flows);
	world_free(&w);
	return 0;
}

static struct record flow(uint64_t id, const char *from, const char *to, uint16_t port, bool ended)
{
	struct record r = {.kind = RECORD_FLOW,
			   .proto = 6,
			   .state = ended ? STATE_CLOSED : STATE_OPEN,
			   .ended = ended,
			   .from = {.port = 40000},
			   .to = {.port = port},
			   .bytes = {100 * id, id},
			   .packets = {1, 1},
			   .first = now(),
			   .id = id,
			   .dns_code = 255};

	assert_int_equal(addr_parse(str_of(from), &r.from.addr), 0);
	assert_int_equal(addr_parse(str_of(to), &r.to.addr), 0);
	r.last = r.first;
	return r;
}

/* Tells a report; true: the node is asked to tell again what is open. */
static bool tell(const char *node, struct report head, const struct record *list, uint32_t n)
{
	struct api_error e = {0};
	AUTO_BUF body = {0};
	AUTO_BUF answer = {0};

	report_begin(&body, &head);
	for (uint32_t i = 0; i < n; i++)
		report_add(&body, &list[i]);
	report_end(&body, n);
	assert_int_equal(flows_take(flows, str_of(node), buf_str(&body), &answer, &e), 0);
	return strstr(answer.p, "\"again\":true") != NULL;
}

static json_t *ask(const char *question)
{
	struct api_error e = {0};
	AUTO_BUF answer = {0};

	assert_int_equal(flows_ask(flows, str_of(question), NULL, &answer, &e), 0);
	json_t *j = json_loadb(answer.p, answer.n, 0, NULL);

	assert_non_null(j);
	return j;
}

static unsigned found(const char *question)
{
	json_t *j = ask(question);
	unsigned n = (unsigned)json_array_size(json_object_get(j, "flows"));

	json_decref(j);
	return n;
}

static json_int_t of_node(const char *name, const char *what)
{
	json_t *j = ask("{}"), *n;
	json_int_t v = -1;
	size_t i;

	json_array_foreach (json_object_get(j, "nodes"), i, n)
		if (!strcmp(json_string_value(json_object_get(n, "name")), name))
			v = json_object_get(n, what) ? json_integer_value(json_object_get(n, what)) : -1;
	json_decref(j);
	return v;
}

static void losses_are_counted_once(void **state)
{
	struct record two[] = {flow(1, "192.0.2.1", "192.0.2.2", 80, true),
			       flow(2, "192.0.2.1", "192.0.2.2", 80, true)};

	(void)state;
	assert_int_equal(of_node("node-1", "received"), -1); /* unknown, not none */
	/* what another hub took is not missing here */
	assert_true(
	    tell("node-1",
		 (struct report){
		     .epoch = 5, .first = 700, .lost = 9, .taken_before = 50, .untold = 4, .evicted = 3},
		 two, 2));
	assert_int_equal(of_node("node-1", "missing"), 0);
	assert_int_equal(of_node("node-1", "lost"), 0);
	assert_int_equal(of_node("node-1", "evicted"), 0);
	/* told again: nothing twice */
	assert_false(
	    tell("node-1",
		 (struct report){
		     .epoch = 5, .first = 700, .lost = 9, .taken_before = 50, .untold = 4, .evicted = 3},
		 two, 2));
	assert_int_equal(of_node("node-1", "received"), 2);
	assert_int_equal(found("{}"), 2);
	/* a gap; what the node and the kernel lost */
	assert_true(
	    tell("node-1",
		 (struct report){
		     .epoch = 5, .first = 705, .lost = 10, .taken_before = 50, .untold = 6, .evicted = 8},
		 two, 1));
	assert_int_equal(of_node("node-1", "missing"), 3);
	assert_int_equal(of_node("node-1", "lost"), 1 + 2);
	assert_int_equal(of_node("node-1", "evicted"), 5);
	/* the next observer: the kernel had told 50 + 9 before; 3 came, 3 are missing, 1 + 9 lost before us:
	 * 2 died with it */
	assert_true(
	    tell("node-1",
		 (struct report){
		     .epoch = 6, .first = 0, .taken_before = 50 + 3 + 3 + 10 + 2, .untold = 6, .evicted = 8},
		 two, 0));
	assert_int_equal(of_node("node-1", "missing"), 3 + 2);
	assert_int_equal(of_node("node-1", "lost"), 1 + 2);
	assert_int_equal(of_node("node-2", "received"), -1);
}

static void open_ones_outlive_their_observer(void **state)
{
	struct record r = flow(7, "192.0.2.1", "192.0.2.2", 80, false);

	(void)state;
	tell("node-1", (struct report){.epoch = 1}, &r, 1);
	assert_true(tell("node-1", (struct report){.epoch = 2}, NULL, 0));
	assert_int_equal(found("{\"filter\":\"!ended\"}"), 1);
	r.bytes[0] = 5000;
	tell("node-1", (struct report){.epoch = 2}, &r, 1);
	assert_int_equal(found("{}"), 1);
	assert_int_equal(found("{\"filter\":\"bytes.there == 5000 && !ended\"}"), 1);
}

static const char pods[] =
    "apiVersion: v1\n"
    "kind: Service\n"
    "metadata: {name: web, namespace: default}\n"
    "spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}\n"
    "---\n"
    "apiVersion: v1\n"
    "kind: Pod\n"
    "metadata: {name: web, namespace: default, labels: {app: web}}\n"
    "spec: {nodeName: node-1, containers: [{name: c, image: x, ports: [{containerPort: 8080}]}]}\n"
    "---\n"
    "apiVersion: v1\n"
    "kind: Pod\n"
    "metadata: {name: caller, namespace: default}\n"
    "spec: {nodeName: node-2, containers: [{name: c, image: x}]}\n";

static const char *address(const char *pod)
{
	static char text[2][64];
	static unsigned which;
	const struct object *o = store_get(w.store, KIND_pod, STR("default"), str_of(pod));

	assert_non_null(o);
	assert_true(o->pod->status->pod_ips.len > 0);
	char *out = text[which++ % 2];

	snprintf(out, 64, STR_FMT, STR_ARG(o->pod->status->pod_ips.items[0].ip));
	return out;
}

static const char *service_address(const char *name)
{
	static char text[64];
	const struct object *o = store_get(w.store, KIND_service, STR("default"), str_of(name));

	assert_non_null(o);
	assert_true(o->service->spec->cluster_ips.len > 0);
	snprintf(text, sizeof(text), STR_FMT, STR_ARG(o->service->spec->cluster_ips.items[0]));
	return text;
}

static void br15_names_and_services(void **state)
{
	char web[64], caller[64];
	struct record r;

	(void)state;
	put(&w, pods);
	pass(&w);
	snprintf(web, sizeof(web), "%s", address("web"));
	snprintf(caller, sizeof(caller), "%s", address("caller"));
	r = flow(1, caller, web, 8080, true);
	tell("node-2", (struct report){.epoch = 1}, &r, 1);
	tell("node-1", (struct report){.epoch = 1}, &r, 1);
	assert_int_equal(
	    found("{\"filter\":\"src.pod == default/caller && dst.pod == web && service == default/web\"}"),
	    1);
	assert_int_equal(found("{\"again\":true,\"filter\":\"dst.pod == web\"}"), 2);
	assert_int_equal(found("{\"filter\":\"seen.node == node-1\"}"), 0);
	/* another port is no endpoint of the Service */
	r = flow(2, caller, web, 8081, true);
	tell("node-2", (struct report){.epoch = 1, .first = 1}, &r, 1);
	assert_int_equal(found("{\"filter\":\"dst.port == 8081 && has(service)\"}"), 0);
	/* a second Service with the same endpoint: which one was called cannot be known */
	put(&w, "apiVersion: v1\nkind: Service\nmetadata: {name: other, namespace: default}\n"
		"spec: {selector: {app: web}, ports: [{port: 81, targetPort: 8080}]}\n");
	pass(&w);
	r = flow(3, caller, web, 8080, true);
	tell("node-2", (struct report){.epoch = 1, .first = 2}, &r, 1);
	assert_int_equal(found("{\"filter\":\"dst.port == 8080 && has(service)\"}"), 1);
	/* but where its own address is called, it can: also when nobody answers there */
	r = flow(0, caller, service_address("other"), 81, true);
	r.kind = RECORD_DROP;
	r.verdict = VERDICT_DROPPED;
	tell("node-2", (struct report){.epoch = 1, .first = 3}, &r, 1);
	assert_int_equal(found("{\"filter\":\"service == default/other && verdict == dropped\"}"), 1);
	assert_int_equal(found("{\"filter\":\"service == default/web && service.port == 80\"}"), 1);
	assert_int_equal(found("{\"filter\":\"service.port == 81 && service.ip == 10.96.0.0/12\"}"), 1);
	/* the pod goes; what began before is told later, under its name */
	r = flow(4, caller, web, 8080, true);
	store_delete(w.store, KIND_pod, STR("default"), STR("web"));
	tell("node-2", (struct report){.epoch = 1, .first = 4}, &r, 1);
	assert_int_equal(found("{\"filter\":\"dst.pod == web\"}"), 4);
	r = flow(5, caller, web, 8080, true);
	tell("node-2", (struct report){.epoch = 1, .first = 5}, &r, 1);
	assert_int_equal(found("{\"filter\":\"dst.pod == web\"}"), 4);
	assert_int_equal(found("{\"filter\":\"dst.kind == unknown\"}"), 1);
	r = flow(6, "198.51.100.1", caller, 8080, true);
	tell("node-2", (struct report){.epoch = 1, .first = 6}, &r, 1);
	assert_int_equal(found("{\"filter\":\"src.kind == outside && dst.pod == caller\"}"), 1);
}

static void refused(const char *question, const char *words)
{
	struct api_error e = {0};
	AUTO_BUF answer = {0};

	assert_int_equal(flows_ask(flows, str_of(question), NULL, &answer, &e), -EINVAL);
	assert_int_equal(e.code, 400);
	if (!strstr(e.message.p, words))
		fail_msg("%s: %s", question, e.message.p);
	api_error_fini(&e);
}

static json_t *follow(const char *question)
{
	struct api_error e = {0};
	AUTO_BUF answer = {0};

	assert_int_equal(flows_follow(flows, str_of(question), &answer, &e), 0);
	json_t *j = json_loadb(answer.p, answer.n, 0, NULL);

	assert_non_null(j);
	return j;
}

/* What a hub tells a follower of another one: which record is which, and what its node told nobody. */
static void a_follower_knows_what_a_new_hub_did_not_hear(void **state)
{
	struct record two[] = {flow(1, "192.0.2.1", "192.0.2.2", 80, true),
			       flow(2, "192.0.2.1", "192.0.2.2", 80, false)};
	json_int_t epoch, number, told, first, began;
	AUTO_BUF again = {0};

	(void)state;
	two[0].epoch = two[1].epoch = 5;
	/* 30 ends were told to others: 7 before this observer, 20 by it, and 3 found no room */
	tell("node-1", (struct report){.epoch = 5, .first = 700, .ends = 20, .lost = 3, .taken_before = 7},
	     two, 2);
	json_t *j = follow("{}");
	assert_int_equal(json_unpack(j, "{s:[[I,I]], s:I, s:[{s:I,s:I}]}", "marks", &epoch, &number, "began",
				     &began, "nodes", "told", &told, "toldFirst", &first),
			 0);
	assert_int_equal(json_array_size(json_object_get(j, "flows")), 1);
	assert_int_equal(epoch, 5);
	assert_int_equal(number, 700);
	assert_int_equal(first, 30);
	assert_int_equal(told, 31);
	json_decref(j);
	/* a place of this hub; and one of another, which says nothing here */
	buf_printf(&again, "{\"began\":%lld,\"at\":[1,0,0]}", (long long)began);
	j = follow(again.p);
	assert_int_equal(json_array_size(json_object_get(j, "flows")), 0);
	json_decref(j);
	j = follow("{\"began\":1,\"at\":[1,0,0]}");
	assert_int_equal(json_array_size(json_object_get(j, "flows")), 1);
	json_decref(j);
}

static void bad_questions_are_refused(void **state)
{
	struct api_error e = {0};
	AUTO_BUF answer = {0};

	(void)state;
	refused("", "one JSON object");
	refused("[]", "one JSON object");
	refused("{\"sicne\":1}", "sicne");
	refused("{\"since\":\"1\"}", "since");
	refused("{\"since\":-1}", "negative");
	refused("{\"filter\":\"src.pdo == a\"}", "src.pod");
	refused("{\"filter\":\"tcp.syn\"}", "cannot be judged over records");
	assert_int_equal(flows_take(flows, STR("node-1"), STR("GET / HTTP/1.1"), &answer, &e), -EINVAL);
	assert_int_equal(e.code, 400);
	api_error_fini(&e);
	e = (struct api_error){0};
	AUTO_BUF body = {0};
	report_begin(&body, &(struct report){.epoch = 1});
	assert_int_equal(flows_take(flows, STR("node-9"), buf_str(&body), &answer, &e), -EINVAL);
	assert_int_equal(e.code, 404);
	api_error_fini(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(losses_are_counted_once, begin, end),
	    cmocka_unit_test_setup_teardown(open_ones_outlive_their_observer, begin, end),
	    cmocka_unit_test_setup_teardown(br15_names_and_services, begin, end),
	    cmocka_unit_test_setup_teardown(a_follower_knows_what_a_new_hub_did_not_hear, begin, end),
	    cmocka_unit_test_setup_teardown(bad_questions_are_refused, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
