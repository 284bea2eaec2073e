/* SPDX-License-Identifier: Apache-2.0 */
/* The store: order, indexes, versions, history, watchers; and that 10,000 pods fit their budget. */
#include <malloc.h>

#include "manifest.h"
#include "store/store.h"

static struct object *pod(const char *ns, const char *name, const char *node, const char *owner)
{
	struct object *o;
	assert_int_equal(object_new(&o, &kind_table[KIND_pod], str_of(ns), str_of(name)), 0);
	o->pod->spec = arena_new(&o->arena, struct pod_spec);
	o->pod->spec->node_name = arena_str(&o->arena, str_of(node));
	if (owner) {
		struct owner_reference *r = arena_new(&o->arena, struct owner_reference);
		r->uid = arena_str(&o->arena, str_of(owner));
		o->meta.owner_references = (struct owner_reference_list){.items = r, .len = 1, .set = true};
	}
	return o;
}

static const struct object *put(struct store *s, struct object *o)
{
	const struct object *now = NULL;
	assert_int_equal(store_put(s, o, &now), 0);
	return now;
}

static void assert_names(struct object_refs *refs, const char *names)
{
	AUTO_BUF b = {0};
	buf_addz(&b, "");
	VEC_EACH (&refs->list, o) {
		struct str key = object_key(*o);
		buf_printf(&b, "%s" STR_FMT, b.n ? " " : "", STR_ARG(key));
	}
	assert_string_equal(b.p, names);
	vec_free(&refs->list);
}

static void lists_are_sorted(void **state)
{
	(void)state;
	struct store *s;
	struct object_refs refs = {0};
	assert_int_equal(store_new(&s, 0), 0);
	put(s, pod("b", "z", "n1", NULL));
	put(s, pod("a", "z", "n2", NULL));
	put(s, pod("b", "a", "n1", NULL));
	put(s, pod("ab", "a", "n1", NULL));
	assert_int_equal(store_list(s, KIND_pod, (struct str){0}, &refs), 0);
	assert_names(&refs, "a/z ab/a b/a b/z");
	assert_int_equal(store_list(s, KIND_pod, STR("b"), &refs), 0);
	assert_names(&refs, "b/a b/z");
	assert_int_equal(store_list(s, KIND_pod, STR("c"), &refs), 0);
	assert_names(&refs, "");
	assert_int_equal(store_count(s, KIND_pod), 4);
	assert_int_equal(store_count(s, KIND_service), 0);
	store_free(&s);
}

static void indexes_follow_changes(void **state)
{
	(void)state;
	struct store *s;
	struct object_refs refs = {0};
	assert_int_equal(store_new(&s, 4), 0);
	put(s, pod("a", "x", "n1", "u1"));
	put(s, pod("a", "y", "n1", "u1"));
	put(s, pod("a", "z", "", "u2"));
	assert_int_equal(store_pods_of_node(s, STR("n1"), &refs), 0);
	assert_names(&refs, "a/x a/y");
	put(s, pod("a", "x", "n2", "u2"));
	assert_int_equal(store_pods_of_node(s, STR("n1"), &refs), 0);
	assert_names(&refs, "a/y");
	assert_int_equal(store_owned_by(s, KIND_pod, STR("u2"), &refs), 0);
	assert_names(&refs, "a/x a/z");
	assert_int_equal(store_owned_by(s, KIND_replicaset, STR("u2"), &refs), 0);
	assert_names(&refs, "");
	assert_int_equal(store_delete(s, KIND_pod, STR("a"), STR("x")), 0);
	assert_int_equal(store_delete(s, KIND_pod, STR("a"), STR("x")), -2);
	assert_int_equal(store_pods_of_node(s, STR("n2"), &refs), 0);
	assert_names(&refs, "");
	assert_null(store_get(s, KIND_pod, STR("a"), STR("x")));
	assert_non_null(store_get(s, KIND_pod, STR("a"), STR("z")));
	store_free(&s);
}

struct seen {
	char text[256];
	uint64_t last;
	int stop_after;
};

static int note(void *ctx, const struct event *e)
{
	static const char signs[] = "+~-";
	struct seen *seen = ctx;
	size_t n = strlen(seen->text);
	struct str name = e->object->meta.name;
	snprintf(seen->text + n, sizeof(seen->text) - n, "%c" STR_FMT "%s ", signs[e->type], STR_ARG(name),
		 e->old ? "*" : "");
	assert_true(e->version > seen->last);
	assert_true(e->version == e->object->version);
	seen->last = e->version;
	return --seen->stop_after == 0 ? 42 : 0;
}

static void watch(void *ctx, const struct event *e)
{
	note(ctx, e);
}

/* What is no longer in force is kept by its bytes too, but the last few changes always. */
static void history_is_bounded_by_bytes(void **state)
{
	(void)state;
	struct store *s;
	struct seen late = {0};
	assert_int_equal(store_new(&s, 1000), 0);
	for (int i = 0; i < 200; i++)
		put(s, pod("a", "x", i % 2 ? "n1" : "n2", NULL));
	size_t all = store_history_bytes(s), each = all / 199;
	assert_true(each > 100);
	assert_int_equal(store_oldest(s), 0);
	store_limit_history(s, 50 * each);
	put(s, pod("a", "x", "n3", NULL));
	assert_true(store_history_bytes(s) <= 50 * each && store_history_bytes(s) > 45 * each);
	assert_true(store_oldest(s) >= 150 && store_oldest(s) < 157);
	assert_int_equal(store_replay(s, store_oldest(s) - 1, ~0ULL, note, &late), -116);
	assert_int_equal(store_replay(s, store_version(s) - 1, ~0ULL, note, &late), 0);
	assert_string_equal(late.text, "~x* ");
	store_limit_history(s, 1);
	put(s, pod("a", "x", "n4", NULL));
	assert_int_equal(store_oldest(s), store_version(s) - 16);
	assert_int_equal(store_delete(s, KIND_pod, STR("a"), STR("x")), 0);
	/* One that was only made costs nothing but its place. */
	store_limit_history(s, 0);
	size_t before = store_history_bytes(s);
	put(s, pod("a", "y", "n1", NULL));
	assert_int_equal(store_history_bytes(s), before);
	store_free(&s);
}

static void history_is_replayed(void **state)
{
	(void)state;
	struct store *s;
	struct seen live = {0}, all = {0}, some = {0}, mask = {0};
	struct subscription *sub;
	assert_int_equal(store_new(&s, 4), 0);
	store_set_version(s, 100);
	assert_int_equal(store_oldest(s), 100);
	assert_int_equal(store_subscribe(s, watch, &live, &sub), 0);
	put(s, pod("a", "x", "n1", NULL));
	const struct object *first = store_get(s, KIND_pod, STR("a"), STR("x"));
	assert_int_equal(first->version, 101);
	assert_true(str_eqz(first->meta.resource_version, "101"));
	put(s, pod("a", "x", "n2", NULL));
	assert_int_equal(store_delete(s, KIND_pod, STR("a"), STR("x")), 0);
	assert_string_equal(live.text, "+x ~x* -x* ");
	store_unsubscribe(&sub);
	store_unsubscribe(&sub);
	assert_int_equal(store_replay(s, 100, ~0ULL, note, &all), 0);
	assert_string_equal(all.text, "+x ~x* -x* ");
	assert_int_equal(store_replay(s, 102, ~0ULL, note, &some), 0);
	assert_string_equal(some.text, "-x* ");
	assert_int_equal(store_replay(s, 100, 1ULL << KIND_service, note, &mask), 0);
	assert_string_equal(mask.text, "");
	assert_int_equal(store_replay(s, 99, ~0ULL, note, &mask), -116);
	put(s, pod("a", "p", "", NULL));
	put(s, pod("a", "q", "", NULL)); /* the ring holds four: 101 falls out */
	assert_int_equal(store_oldest(s), 101);
	assert_int_equal(store_replay(s, 100, ~0ULL, note, &mask), -116);
	struct seen rest = {.stop_after = 2};
	assert_int_equal(store_replay(s, 101, ~0ULL, note, &rest), 42);
	assert_string_equal(rest.text, "~x* -x* ");
	assert_int_equal(store_version(s), 105);
	assert_string_equal(live.text, "+x ~x* -x* ");
	store_free(&s);
}

struct leaver {
	struct subscription *sub;
	int calls;
};

static void leave(void *ctx, const struct event *e)
{
	struct leaver *l = ctx;
	(void)e;
	l->calls++;
	store_unsubscribe(&l->sub);
}

static void a_watcher_may_leave_while_called(void **state)
{
	(void)state;
	struct store *s;
	struct leaver a = {0}, b = {0};
	assert_int_equal(store_new(&s, 4), 0);
	assert_int_equal(store_subscribe(s, leave, &a, &a.sub), 0);
	assert_int_equal(store_subscribe(s, leave, &b, &b.sub), 0);
	put(s, pod("a", "x", "n1", NULL));
	put(s, pod("a", "y", "n1", NULL));
	assert_int_equal(a.calls, 1);
	assert_int_equal(b.calls, 1);
	store_free(&s);
}

/* As the agents' feed brings it: scheduled, with addresses and status. */
static const char running_pod[] = "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"frontend-"
				  "7d4b9c-%05d\",\"namespace\":\"shop\","
				  "\"uid\":\"2f6c1d1e-0000-4000-8000-0000000%05d\",\"generation\":1,"
				  "\"creationTimestamp\":\"2026-01-02T03:04:05Z\","
				  "\"labels\":{\"app\":\"frontend\",\"pod-template-hash\":\"7d4b9c\","
				  "\"tier\":\"web\"},\"ownerReferences\":[{\"apiVersion\":"
				  "\"apps/"
				  "v1\",\"kind\":\"ReplicaSet\",\"name\":\"frontend-7d4b9c\",\"uid\":"
				  "\"2f6c1d1e-1111-4000-8000-000000000000\","
				  "\"controller\":true}]},\"spec\":{\"containers\":[{\"name\":\"server\","
				  "\"image\":\"example.org/shop/frontend:v1.2.3\","
				  "\"ports\":[{\"name\":\"http\",\"containerPort\":8080,\"protocol\":\"TCP\"}"
				  "],\"env\":[{\"name\":\"PORT\",\"value\":\"8080\"},"
				  "{\"name\":\"CATALOG\",\"value\":\"catalog:3550\"}],\"readinessProbe\":{"
				  "\"httpGet\":{\"path\":\"/healthz\",\"port\":8080,"
				  "\"scheme\":\"HTTP\"},\"timeoutSeconds\":1,\"periodSeconds\":10}}],"
				  "\"restartPolicy\":\"Always\",\"dnsPolicy\":"
				  "\"ClusterFirst\",\"nodeName\":\"node-1\"},\"status\":{\"phase\":"
				  "\"Running\",\"conditions\":[{\"type\":\"Ready\",\"status\":"
				  "\"True\",\"lastTransitionTime\":\"2026-01-02T03:04:06Z\"}],\"hostIP\":"
				  "\"172.31.0.11\",\"podIP\":\"10.244.0.5\",\"podIPs\":"
				  "[{\"ip\":\"10.244.0.5\"},{\"ip\":\"fd57:e7f7:0:244::5\"}],"
				  "\"containerStatuses\":[{\"name\":\"server\",\"ready\":true,"
				  "\"restartCount\":0}]}}";

size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t allocated(void)
{
	if (__sanitizer_get_current_allocated_bytes)
		return __sanitizer_get_current_allocated_bytes();
	return mallinfo2().uordblks;
}

static void ten_thousand_pods_fit(void **state)
{
	(void)state;
	enum { PODS = 10000 };
	struct store *s;
	struct remarks rs = {0};
	assert_int_equal(store_new(&s, 0), 0);
	size_t before = allocated();
	for (int i = 0; i < PODS; i++) {
		AUTO_BUF json = {0};
		struct object *o;
		/* Not in order, so that the list is built from all sides. */
		int n = (i * 7919) % PODS;
		buf_printf(&json, running_pod, n, n);
		assert_int_equal(decode_json_object(buf_str(&json), NULL, NULL, &o, &rs), 0);
		put(s, o);
	}
	size_t used = allocated() - before;
	assert_int_equal(store_count(s, KIND_pod), PODS);
	struct object_refs refs = {0};
	assert_int_equal(store_list(s, KIND_pod, STR("shop"), &refs), 0);
	for (size_t i = 1; i < refs.list.len; i++)
		assert_true(str_cmp(refs.list.items[i - 1]->meta.name, refs.list.items[i]->meta.name) < 0);
	vec_free(&refs.list);
	print_message("# %zu bytes for each of %d pods, %.1f MiB in all\n", used / PODS, PODS,
		      (double)used / (1 << 20));
	/* The budget of 60 MiB is the agent's whole process. */
	assert_in_range(used, 1 << 20, 45 << 20);
	store_free(&s);
	remarks_fini(&rs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lists_are_sorted),
	    cmocka_unit_test(indexes_follow_changes),
	    cmocka_unit_test(history_is_replayed),
	    cmocka_unit_test(history_is_bounded_by_bytes),
	    cmocka_unit_test(a_watcher_may_leave_while_called),
	    cmocka_unit_test(ten_thousand_pods_fit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
