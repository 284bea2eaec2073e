/* SPDX-License-Identifier: Apache-2.0 */
/* The API without sockets: URLs, queries, selectors, tables, discovery, patches, and whole requests against a
 * store. */
#include "manifest.h"
#include "serve/api_state.h"
#include "serve/patch.h"
#include "serve/request.h"
#include "serve/table.h"
#include "store/store.h"

static void urls(void **state)
{
	(void)state;
	static const struct {
		const char *path, *expected;
	} cases[] = {
	    {"/api/v1/pods", "pods  "},
	    {"/api/v1/namespaces/shop/pods/web", "pods shop web "},
	    {"/api/v1/namespaces/shop/pods/web/status", "pods shop web status"},
	    {"/api/v1/namespaces/shop", "namespaces  shop "},
	    {"/api/v1/namespaces/shop/status", "namespaces  shop status"},
	    {"/api/v1/namespaces", "namespaces  "},
	    {"/apis/apps/v1/namespaces/a/deployments", "deployments a "},
	    {"/apis/apps/v1/deployments/x", NULL},
	    {"/apis/apps/v2/deployments", NULL},
	    {"/api/v1/deployments", NULL},
	    {"/api/v1/namespaces/a/nodes", NULL},
	    {"/api/v1/nodes/n/", NULL},
	    {"/api/v1/nodes/n/status/x", NULL},
	    {"/api/v1", NULL},
	    {"/", NULL},
	    {"", NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct target t;
		char got[512];
		bool found = !target_parse(&t, cases[i].path);
		if (found != (cases[i].expected != NULL))
			fail_msg("%s: %s", cases[i].path, found ? "found" : "not found");
		if (!found)
			continue;
		snprintf(got, sizeof(got), "%s %s %s%s%s", t.kind->plural, t.ns, t.name, t.named ? " " : "",
			 t.sub);
		assert_string_equal(got, cases[i].expected);
	}
	char name[400] = "/api/v1/namespaces/a/pods/";
	memset(name + strlen(name), 'x', 300);
	struct target t;
	assert_int_not_equal(target_parse(&t, name), 0);
}

static void queries(void **state)
{
	(void)state;
	struct request_parts p = {0};
	assert_int_equal(request_parse(&p, "/a%20b?x=1&y=a%3Db+c&z&=q&&w=%E4"), 0);
	assert_string_equal(p.path, "/a b");
	assert_int_equal(p.query_len, 4);
	struct http_request rq = {.query = p.query, .query_len = p.query_len};
	assert_string_equal(http_query(&rq, "y"), "a=b c");
	assert_string_equal(http_query(&rq, "z"), "");
	assert_null(http_query(&rq, "q"));
	request_fini(&p);
	static const char *const bad[] = {"a",	   "//a",    "/a%",	"/a%2", "/a%zz",
					  "/a%00", "/a%2Fb", "/?x=%00", "/a//b"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (!request_parse(&p, bad[i]))
			fail_msg("\"%s\" is accepted", bad[i]);
		request_fini(&p);
	}
	AUTO_BUF many = {0};
	buf_addz(&many, "/?");
	for (int i = 0; i <= QUERY_MAX; i++)
		buf_printf(&many, "k%d=v&", i);
	assert_int_not_equal(request_parse(&p, many.p), 0);
	request_fini(&p);
}

static const char web[] =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop, labels: {app: web},\n"
    "  creationTimestamp: \"2026-01-01T00:00:00Z\"}\n"
    "spec: {nodeName: n1, containers: [{name: c, image: i}, {name: d, image: i}]}\n"
    "status: {phase: Running, podIP: 10.0.0.1, containerStatuses: [{name: c, ready: true, restartCount: 2}, "
    "{name: d, ready: false, restartCount: 1}]}\n";

static bool selected(const char *labels, const char *fields, const struct object *o)
{
	struct http_param params[] = {{"labelSelector", (char *)(uintptr_t)labels},
				      {"fieldSelector", (char *)(uintptr_t)fields}};
	struct http_request rq = {.query = params, .query_len = 2};
	struct target t = {.kind = &kind_table[KIND_pod]};
	struct select s = {0};
	struct api_error e = {0};
	bool r = !select_parse(&s, &t, &rq, &e) && select_matches(&s, o);
	if (e.code)
		assert_int_equal(e.code, 400);
	api_error_fini(&e);
	select_fini(&s);
	return r;
}

static void selectors(void **state)
{
	(void)state;
	struct object *o = manifest_one(web);
	assert_true(selected("", "", o));
	assert_true(selected("app=web", "metadata.name=web,spec.nodeName==n1", o));
	assert_true(selected("app in (web,x),!tier", "status.phase!=Pending", o));
	assert_false(selected("app=x", "", o));
	assert_false(selected("", "spec.nodeName=", o));
	assert_false(selected("", "metadata.namespace!=shop", o));
	assert_false(selected("", "spec.foo=1", o));
	assert_false(selected("", "nonsense", o));
	assert_false(selected("a in (", "", o));
	object_unref(&o);
}

static void tables(void **state)
{
	(void)state;
	struct object *o = manifest_one(web);
	AUTO_BUF b = {0};
	table_begin(&b, KIND_pod, 7);
	assert_non_null(strstr(b.p, "\"metadata\":{\"resourceVersion\":\"7\"}"));
	assert_non_null(strstr(
	    b.p,
	    "{\"name\":\"IP\",\"type\":\"string\",\"format\":\"\",\"description\":\"\",\"priority\":1}"));
	buf_clear(&b);
	table_row(&b, o, 1767225600 + 65, false, PRINT_PLAIN);
	assert_non_null(strstr(
	    b.p,
	    "{\"cells\":[\"web\",\"1/"
	    "2\",\"Running\",\"3\",\"65s\",\"10.0.0.1\",\"n1\",\"<none>\",\"<none>\"],"
	    "\"object\":{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{"
	    "\"name\":\"web\""));
	assert_null(strstr(b.p, "containers"));
	buf_clear(&b);
	table_row(&b, o, 0, true, PRINT_PLAIN);
	assert_non_null(strstr(b.p, "\"containers\""));
	object_unref(&o);
	/* Each kind has as many cells as columns, also with nothing in it. */
	for (enum kind k = 0; k < KIND_COUNT; k++) {
		size_t columns = 0, cells = 0;
		assert_int_equal(object_new(&o, &kind_table[k], STR("a"), STR("b")), 0);
		buf_clear(&b);
		table_begin(&b, k, 1);
		for (const char *at = b.p; (at = strstr(at, "\"priority\":")); at++)
			columns++;
		buf_clear(&b);
		table_row(&b, o, 0, false, PRINT_PLAIN);
		*strchr(b.p, ']') = 0;
		for (const char *at = b.p; *at; at++)
			cells += *at == ',';
		if (columns != cells + 1)
			fail_msg("%s: %zu columns, %zu cells", kind_table[k].name, columns, cells + 1);
		object_unref(&o);
	}
}

static void patches(void **state)
{
	(void)state;
	struct object *o = manifest_one(web);
	AUTO_BUF b = {0};
	const char *why;
	assert_int_equal(
	    patch_merge(o, STR("{\"metadata\":{\"labels\":{\"app\":null,\"x\":\"y\"}}}"), &b, &why), 0);
	assert_non_null(strstr(b.p, "\"labels\":{\"x\":\"y\"}"));
	assert_non_null(strstr(b.p, "\"nodeName\":\"n1\""));
	assert_int_not_equal(patch_merge(o, STR("[]"), &b, &why), 0);
	assert_int_not_equal(patch_merge(o, STR("{\"a\":1,\"a\":2}"), &b, &why), 0);
	assert_int_not_equal(patch_merge(o, STR(""), &b, &why), 0);
	AUTO_BUF deep = {0};
	for (int i = 0; i < 200; i++)
		buf_addz(&deep, "{\"a\":");
	buf_addz(&deep, "1");
	for (int i = 0; i < 200; i++)
		buf_addc(&deep, '}');
	assert_int_not_equal(patch_merge(o, buf_str(&deep), &b, &why), 0);
	assert_string_equal(why, "it is nested too deep");
	object_unref(&o);
}

static int no_write(void *ctx, struct api_write *w, struct object **now, struct api_error *e)
{
	(void)w;
	(void)now;
	++*(int *)ctx;
	return api_fail(e, 409, "Conflict", "no");
}

static bool is_ready(void *ctx)
{
	(void)ctx;
	return false;
}

static void ask(struct api *a, const char *method, const char *path, const char *body, int status,
		const char *part)
{
	struct http_request rq = {.method = method,
				  .path = path,
				  .accept = "application/json",
				  .content_type = "application/json",
				  .body = str_of(body)};
	struct http_reply rp = {.status = 200};
	api_handle(a, &rq, &rp);
	if (rp.status != status || !strstr(rp.body.p, part))
		fail_msg("%s %s: %d %s", method, path, rp.status, rp.body.p);
	buf_fini(&rp.body);
}

static void requests(void **state)
{
	(void)state;
	int writes = 0;
	struct store *s;
	struct api *a;
	struct api_ops ops = {.write = no_write, .ready = is_ready};
	assert_int_equal(store_new(&s, 0), 0);
	assert_int_equal(api_new(&a, s, &ops, &writes), 0);
	assert_int_equal(store_put(s, manifest_one(web), NULL), 0);
	struct object *secret;
	assert_int_equal(object_new(&secret, &kind_table[KIND_secret], STR("shop"), STR("s")), 0);
	secret->opaque = arena_str(&secret->arena, STR("{\"data\":{\"k\":\"c2VjcmV0\"}}"));
	assert_int_equal(store_put(s, secret, NULL), 0);

	ask(a, "GET", "/version", "", 200, "\"gitVersion\":\"v1.32");
	ask(a, "GET", "/api", "", 200, "\"versions\":[\"v1\"]");
	ask(a, "GET", "/apis", "", 200, "coordination.k8s.io/v1");
	ask(a, "GET", "/apis/apps/v1", "", 200, "\"name\":\"deployments/status\"");
	ask(a, "GET", "/apis/nope/v1", "", 404, "NotFound");
	ask(a, "GET", "/openapi/v3", "", 200,
	    "\"apis/apps/v1\":{\"serverRelativeURL\":\"/openapi/v3/apis/apps/v1?hash=");
	ask(a, "GET", "/openapi/v3/apis/apps/v1", "", 200, "\"name\":\"fieldValidation\"");
	ask(a, "GET", "/openapi/v2", "", 404, "Status");
	ask(a, "GET", "/livez", "", 200, "ok");
	ask(a, "GET", "/readyz", "", 503, "still loading");
	ask(a, "GET", "/api/v1/pods", "", 200, "\"kind\":\"PodList\"");
	ask(a, "GET", "/api/v1/namespaces/shop/pods/web", "", 200, "\"name\":\"web\"");
	ask(a, "GET", "/api/v1/namespaces/shop/pods/web/log", "", 503, "no runtime is connected");
	ask(a, "GET", "/api/v1/namespaces/shop/pods/web/other", "", 404, "no sub-resource");
	ask(a, "GET", "/api/v1/namespaces/shop/pods/nope", "", 404,
	    "\"message\":\"pods \\\"nope\\\" not "
	    "found\",\"reason\":\"NotFound\",\"details\":{\"name\":\"nope\",\"kind\":\"pods\"}");
	/* Not over the Unix socket: a Secret's data stays here. */
	ask(a, "GET", "/api/v1/namespaces/shop/secrets/s", "", 200, "<redacted>");
	ask(a, "GET", "/apis/weft.network/internal/remarks", "", 403, "Forbidden");
	assert_int_equal(writes, 0);
	ask(a, "DELETE", "/api/v1/namespaces/shop/pods/web", "", 409, "Conflict");
	ask(a, "DELETE", "/api/v1/namespaces/shop/pods/web", "{\"preconditions\":{\"uid\":\"x\"}}", 409,
	    "precondition");
	ask(a, "DELETE", "/api/v1/namespaces/shop/pods", "", 409, "Conflict");
	ask(a, "POST", "/api/v1/pods",
	    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"x\"}}", 405,
	    "below a namespace");
	ask(a, "POST", "/api/v1/namespaces/a/pods", "", 400, "BadRequest");
	ask(a, "PUT", "/api/v1/namespaces/shop/pods/web",
	    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"other\"}}", 400,
	    "not that of the URL");
	ask(a, "PUT", "/api/v1/namespaces/shop/pods/web",
	    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"web\",\"resourceVersion\":"
	    "\"99\"}}",
	    409, "modified");
	ask(a, "HEAD", "/api/v1/namespaces/shop/pods/web", "", 405, "MethodNotAllowed");
	assert_int_equal(writes, 2);
	api_free(&a);
	store_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(urls),   cmocka_unit_test(queries), cmocka_unit_test(selectors),
	    cmocka_unit_test(tables), cmocka_unit_test(patches), cmocka_unit_test(requests),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
