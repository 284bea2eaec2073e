/* SPDX-License-Identifier: Apache-2.0 */
/* BR86: rights by level and namespace, the same for each way of asking; and who is let in: names, origins,
 * cookies, links, sessions. */
#include "hub/sight.h"
#include "manifest.h"
#include "serve/api_state.h"
#include "serve/door.h"
#include "serve/login.h"
#include "store/store.h"

static const struct who *user(const char *name, const char *ns, enum access_level level)
{
	struct who *w;
	assert_int_equal(who_new(&w, name), 0);
	if (ns)
		assert_int_equal(who_grant(w, str_of(ns), level), 0);
	return w;
}

/* What a level allows in its own namespace, in another, and of kinds that are in none. */
static void levels(void **state)
{
	static const struct {
		enum access_verb verb;
		enum kind kind;
		enum access_level own, all; /* least level there; least level in "*" */
		bool anywhere;		    /* a level in any namespace is enough */
	} cases[] = {
	    {ACCESS_READ, KIND_pod, ACCESS_VIEW, ACCESS_VIEW, false},
	    {ACCESS_READ, KIND_secret, ACCESS_VIEW, ACCESS_VIEW, false},
	    {ACCESS_PACKETS, KIND_pod, ACCESS_CAPTURE, ACCESS_CAPTURE, false},
	    {ACCESS_WRITE, KIND_pod, ACCESS_OPERATE, ACCESS_OPERATE, false},
	    {ACCESS_WRITE, KIND_networkpolicy, ACCESS_OPERATE, ACCESS_OPERATE, false},
	    {ACCESS_READ, KIND_tool, ACCESS_VIEW, ACCESS_VIEW, true},
	    {ACCESS_WRITE, KIND_tool, ACCESS_ADMIN + 1, ACCESS_OPERATE, false},
	    {ACCESS_WRITE, KIND_namespace, ACCESS_ADMIN + 1, ACCESS_OPERATE, false},
	    {ACCESS_WRITE, KIND_capture, ACCESS_ADMIN + 1, ACCESS_CAPTURE, false},
	    {ACCESS_READ, KIND_user, ACCESS_ADMIN + 1, ACCESS_ADMIN, false},
	    {ACCESS_WRITE, KIND_user, ACCESS_ADMIN + 1, ACCESS_ADMIN, false},
	    {ACCESS_READ, KIND_role, ACCESS_ADMIN + 1, ACCESS_ADMIN, false},
	    {ACCESS_WRITE, KIND_role, ACCESS_ADMIN + 1, ACCESS_ADMIN, false},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (enum access_level l = ACCESS_NONE; l <= ACCESS_ADMIN; l++) {
			bool in = kind_table[cases[i].kind].namespaced;
			const struct who *own = user("anna", "shop", l), *all = user("otto", "*", l);
			struct str ns = in ? STR("shop") : STR("");
			bool may = access_may(own, cases[i].verb, cases[i].kind, ns);
			if (may != (l >= cases[i].own || (cases[i].anywhere && l >= ACCESS_VIEW)))
				fail_msg("case %zu: %s in shop: %d", i, access_level_name(l), may);
			if (in && access_may(own, cases[i].verb, cases[i].kind, STR("bank")))
				fail_msg("case %zu: %s in shop reaches bank", i, access_level_name(l));
			if (access_may(all, cases[i].verb, cases[i].kind, ns) != (l >= cases[i].all))
				fail_msg("case %zu: %s everywhere", i, access_level_name(l));
			who_unref(&own);
			who_unref(&all);
		}
	assert_false(access_may(&access_nothing, ACCESS_READ, KIND_pod, STR("shop")));
	assert_false(access_may(&access_nothing, ACCESS_READ, KIND_tool, STR("")));
	assert_true(access_may(&access_everything, ACCESS_WRITE, KIND_role, STR("")));
}

static void a_request_without_a_user_is_nobodys_on_the_page(void **state)
{
	struct http_request rq = {.door = HTTP_PAGE};
	(void)state;
	assert_ptr_equal(who_of(&rq), &access_nothing);
	rq.door = HTTP_CERTIFICATE;
	assert_ptr_equal(who_of(&rq), &access_everything);
}

/* --- the API ------------------------------------------------------------------------------------------- */

struct asked {
	struct api *a;
	const struct who *who;
};

static int write_it(void *ctx, struct api_write *w, struct object **now, struct api_error *e)
{
	(void)ctx;
	(void)e;
	*now = object_ref(w->object ? w->object : w->old);
	return 0;
}

static void ask(const struct asked *x, const char *method, const char *path, const char *accept,
		const char *body, int status, struct buf *out)
{
	const char *mark = strchr(path, '?');
	char *only = strndup(path, mark ? (size_t)(mark - path) : strlen(path));
	struct http_param watch = {.key = (char *)"watch", .value = (char *)"true"};
	struct http_request rq = {.method = method,
				  .path = only,
				  .query = &watch,
				  .query_len = mark ? 1 : 0,
				  .accept = accept,
				  .content_type = "application/json",
				  .body = str_of(body),
				  .door = HTTP_PAGE,
				  .who = x->who};
	struct http_reply rp = {.status = 200};

	buf_clear(out);
	api_handle(x->a, &rq, &rp);
	if (rp.stream) {
		rp.stream->pull(rp.stream);
		buf_adds(out, buf_str(&rp.stream->out));
		buf_fini(&rp.stream->out);
		rp.stream->close(rp.stream);
	} else {
		buf_adds(out, buf_str(&rp.body));
	}
	if (rp.status != status)
		fail_msg("%s %s: %d %s", method, path, rp.status, out->p ? out->p : "");
	buf_fini(&rp.body);
	free(only);
}

static const char *const manifests[] = {
    "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n",
    "apiVersion: v1\nkind: Namespace\nmetadata: {name: bank}\n",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: open-to-see, namespace: shop}\n",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: vault, namespace: bank}\n",
    "apiVersion: v1\nkind: Pod\nmetadata: {name: page, namespace: shop}\nspec: {nodeName: n, containers: "
    "[{name: c}]}\n"
    "status: {conditions: [{type: PodScheduled, status: 'True', lastTransitionTime: "
    "'2024-01-01T00:00:00Z'}]}\n",
    "apiVersion: v1\nkind: Pod\nmetadata: {name: vault, namespace: bank}\nspec: {nodeName: n, containers: "
    "[{name: c}]}\n"
    "status: {conditions: [{type: PodScheduled, status: 'True', lastTransitionTime: "
    "'2024-01-01T00:00:00Z'}]}\n",
    "apiVersion: weft.network/v1alpha1\nkind: Alert\nmetadata: {name: of-bank}\nspec: {filter: 'src.ns == "
    "bank'}\n",
    "apiVersion: weft.network/v1alpha1\nkind: User\nmetadata: {name: anna}\nspec: {password: "
    "'$y$j9T$0123456789abcdefghijkl'}\n",
};

static void br86_other_namespaces_are_not_there(void **state)
{
	static const char *const json = "application/json",
				 *const table = "application/json;as=Table;v=v1;g=meta.k8s.io";
	static const char *const lists[] = {"/api/v1/namespaces",     "/api/v1/configmaps",
					    "/api/v1/pods",	      "/api/v1/events",
					    "/api/v1/configmaps?w=1", "/api/v1/pods?w=1",
					    "/api/v1/namespaces?w=1", "/apis/weft.network/v1alpha1/alerts"};
	static const char *const refused[] = {"/api/v1/namespaces/bank",
					      "/api/v1/namespaces/bank/configmaps",
					      "/api/v1/namespaces/bank/pods/vault",
					      "/api/v1/namespaces/bank/pods/nobody",
					      "/api/v1/namespaces/bank/pods/vault/log",
					      "/api/v1/namespaces/bank/events",
					      "/api/v1/namespaces/bank/pods?w=1",
					      "/apis/weft.network/v1alpha1/users",
					      "/apis/weft.network/v1alpha1/users/anna",
					      "/apis/weft.network/v1alpha1/roles"};
	static const struct api_ops ops = {.write = write_it};
	struct asked x = {.who = user("anna", "shop", ACCESS_VIEW)};
	struct store *s;
	AUTO_BUF out = {0};
	(void)state;
	assert_int_equal(store_new(&s, 100), 0);
	assert_int_equal(api_new(&x.a, s, &ops, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(manifests); i++)
		assert_int_equal(store_put(s, manifest_one(manifests[i]), NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		for (int t = 0; t < 2; t++) {
			ask(&x, "GET", lists[i], t ? table : json, "", 200, &out);
			if (strstr(out.p, "bank") || strstr(out.p, "vault"))
				fail_msg("%s tells of bank: %s", lists[i], out.p);
			if (!strstr(lists[i], "alerts") && !strstr(out.p, "shop"))
				fail_msg("%s does not tell of shop: %s", lists[i], out.p);
		}
	/* What is not there is refused as what is. */
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		ask(&x, "GET", refused[i], json, "", 403, &out);
		assert_null(strstr(out.p, "not found"));
	}
	ask(&x, "DELETE", "/api/v1/namespaces/shop/configmaps/open-to-see", json, "", 403, &out);
	ask(&x, "GET", "/api/v1/namespaces/shop/pods/page/exec", json, "", 403, &out);
	who_unref(&x.who);
	x.who = user("anna", "shop", ACCESS_OPERATE);
	ask(&x, "DELETE", "/api/v1/namespaces/shop/configmaps/open-to-see", json, "", 200, &out);
	ask(&x, "DELETE", "/api/v1/namespaces/bank/configmaps/vault", json, "", 403, &out);
	ask(&x, "DELETE", "/api/v1/namespaces/shop", json, "", 403, &out);
	who_unref(&x.who);
	/* An administrator sees all, and a hash not even so. */
	x.who = user("otto", "*", ACCESS_ADMIN);
	ask(&x, "GET", "/api/v1/configmaps", json, "", 200, &out);
	assert_non_null(strstr(out.p, "vault"));
	ask(&x, "GET", "/apis/weft.network/v1alpha1/users/anna", json, "", 200, &out);
	assert_null(strstr(out.p, "$y$"));
	assert_non_null(strstr(out.p, "<redacted>"));
	who_unref(&x.who);
	api_free(&x.a);
	store_free(&s);
}

/* A watch does not outlive the rights that it began with. */
static void br86_a_watch_ends_with_the_rights(void **state)
{
	static const struct api_ops ops = {.write = write_it};
	struct who *w = (struct who *)(uintptr_t)user("anna", "shop", ACCESS_VIEW);
	struct http_param watch = {.key = (char *)"watch", .value = (char *)"true"};
	struct http_request rq = {.method = "GET",
				  .path = "/api/v1/configmaps",
				  .query = &watch,
				  .query_len = 1,
				  .accept = "",
				  .content_type = "",
				  .door = HTTP_PAGE,
				  .who = w};
	struct http_reply rp = {.status = 200};
	const struct who *held = w;
	struct store *s;
	struct api *a;
	(void)state;
	assert_int_equal(store_new(&s, 100), 0);
	assert_int_equal(api_new(&a, s, &ops, NULL), 0);
	api_handle(a, &rq, &rp);
	assert_non_null(rp.stream);
	who_unref(&held); /* the watch has its own */
	rp.stream->pull(rp.stream);
	assert_false(rp.stream->done);
	w->ended = true;
	assert_int_equal(store_put(s, manifest_one(manifests[2]), NULL), 0);
	rp.stream->pull(rp.stream);
	assert_true(rp.stream->done);
	assert_int_equal(rp.stream->out.n, 0);
	buf_fini(&rp.stream->out);
	rp.stream->close(rp.stream);
	api_free(&a);
	store_free(&s);
}

static void br86_packets_only_of_own_namespaces(void **state)
{
#define CAPTURE	 "apiVersion: weft.network/v1alpha1\nkind: Capture\nmetadata: {name: c}\nspec: "
#define PODS(ns) "{pods: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: " ns "}}}}"
#define ONE_OF(ns)                                                                                           \
	"{pods: {namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, "   \
	"values: [" ns "]}]}}}"
	static const struct {
		const char *spec;
		bool may;
	} cases[] = {
	    {"{}", false},
	    {"{from: [" PODS("shop") "]}", true},
	    {"{from: [" PODS("bank") "]}", false},
	    {"{from: [" PODS("shop") ", " PODS("bank") "]}", false},
	    {"{from: [" ONE_OF("shop") "]}", true},
	    {"{from: [" ONE_OF("shop, bank") "]}", false},
	    {"{from: [{pods: {}}]}", false},
	    {"{from: [{pods: {podSelector: {matchLabels: {app: x}}}}]}", false},
	    {"{from: [{pods: {namespaceSelector: {matchLabels: {team: x}}}}]}", false},
	    {"{from: [{service: {namespace: shop, name: page}}]}", true},
	    {"{from: [{service: {namespace: bank, name: page}}]}", false},
	    {"{from: [{service: {name: page}}]}", false},
	    {"{from: [{uplink: {}}]}", false},
	    {"{from: [" PODS("shop") "], user: anna}", true},
	    {"{from: [" PODS("shop") "], user: otto}", false},
	};
	const struct who *anna = user("anna", "shop", ACCESS_CAPTURE),
			 *view = user("eva", "shop", ACCESS_VIEW), *all = user("otto", "*", ACCESS_CAPTURE);
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[600];
		snprintf(text, sizeof(text), CAPTURE "%s\n", cases[i].spec);
		struct object *o = manifest_one(text);
		if (access_packets(anna, o) != cases[i].may)
			fail_msg("%s: not %d", cases[i].spec, cases[i].may);
		assert_false(access_packets(view, o));
		assert_true(access_packets(all, o));
		object_unref(&o);
	}
	who_unref(&anna);
	who_unref(&view);
	who_unref(&all);
}

static void br86_other_ends_are_hidden(void **state)
{
	static const struct identity page = {
	    .kind = IDENTITY_POD, .ns = {.p = "shop", .n = 4}, .name = {.p = "page", .n = 4}};
	static const struct identity vault = {
	    .kind = IDENTITY_POD, .ns = {.p = "bank", .n = 4}, .name = {.p = "vault", .n = 5}};
	static const struct identity node = {.kind = IDENTITY_NODE, .name = {.p = "n1", .n = 2}};
	const struct who *anna = user("anna", "shop", ACCESS_VIEW), *all = user("otto", "*", ACCESS_VIEW);
	struct record r = {.from.who = &page, .to.who = &vault, .service = &vault};
	struct rollup_key k = {.from = {.ns = STR("shop"), .what = STR("page")},
			       .to = {.ns = STR("bank"), .what = STR("vault")},
			       .service_ns = STR("bank"),
			       .service = STR("vault")};
	(void)state;
	assert_true(sight_record(all, &r));
	assert_ptr_equal(r.to.who, &vault);
	assert_true(sight_record(anna, &r));
	assert_ptr_equal(r.from.who, &page);
	assert_true(str_eqz(r.to.who->name, "hidden") && !r.to.who->ns.n);
	assert_true(str_eqz(r.service->name, "hidden") && !r.service->ns.n);
	r = (struct record){.from.who = &node, .to.who = &vault};
	assert_false(sight_record(anna, &r));
	r = (struct record){.from.who = &node, .to.who = &page};
	assert_true(sight_record(anna, &r));
	assert_ptr_equal(r.from.who, &node);
	assert_true(sight_key(anna, &k));
	assert_true(str_eqz(k.to.what, "hidden") && !k.to.ns.n && !k.service_ns.n);
	k = (struct rollup_key){.to = {.ns = STR("bank"), .what = STR("vault")}};
	assert_false(sight_key(anna, &k));
	who_unref(&anna);
	who_unref(&all);
}

/* --- the door ------------------------------------------------------------------------------------------ */

static void who_may_come_in(void **state)
{
	char *names[] = {(char *)"localhost", (char *)"127.0.0.1", (char *)"[::1]"};
	struct door d = {.names = {.items = names, .len = 3}};
	static const struct {
		struct door_knock k;
		enum door_verdict v;
	} cases[] = {
#define K(m, h, o, s, mode, c, t, e) {m, h, o, s, mode, c, t, e}
	    {K("GET", "localhost:80", "", "", "", "", "x", false), DOOR_OPEN},
	    {K("GET", "LOCALHOST", "", "", "", "", "x", false), DOOR_OPEN},
	    {K("GET", "127.0.0.1:4", "", "same-origin", "cors", "", "x", false), DOOR_OPEN},
	    {K("GET", "[::1]:4", "", "none", "navigate", "", NULL, true), DOOR_OPEN},
	    /* A name of somebody else's that leads here: DNS rebinding. */
	    {K("GET", "evil.example:4", "", "", "", "", "x", false), DOOR_HOST},
	    {K("GET", "localhost.evil.example", "", "", "", "", "x", false), DOOR_HOST},
	    {K("GET", "127.0.0.1.evil.example:4", "", "", "", "", "x", false), DOOR_HOST},
	    {K("GET", "10.0.0.1:4", "", "", "", "", "x", false), DOOR_HOST},
	    {K("GET", "", "", "", "", "", "x", false), DOOR_HOST},
	    {K("GET", "localhost:4@evil", "", "", "", "", "x", false), DOOR_HOST},
	    {K("GET", "[::1", "", "", "", "", "x", false), DOOR_HOST},
	    {K("GET", "[::1]x", "", "", "", "", "x", false), DOOR_HOST},
	    /* A page of another site, or of another port of this machine: it may not even open a stream. */
	    {K("GET", "localhost:4", "http://evil.example", "cross-site", "cors", "", "x", false),
	     DOOR_ORIGIN},
	    {K("GET", "localhost:4", "http://localhost:5", "same-site", "cors", "", "x", false), DOOR_ORIGIN},
	    {K("GET", "localhost:4", "https://localhost:4", "", "", "", "x", false), DOOR_ORIGIN},
	    {K("GET", "localhost:4", "null", "", "", "", "x", false), DOOR_ORIGIN},
	    {K("GET", "localhost:4", "", "cross-site", "no-cors", "", "x", false), DOOR_ORIGIN},
	    {K("GET", "localhost:4", "", "cross-site", "navigate", "", "x", false), DOOR_ORIGIN},
	    {K("GET", "localhost:4", "", "cross-site", "navigate", "", NULL, true), DOOR_OPEN},
	    {K("GET", "localhost:4", "", "cross-site", "no-cors", "", NULL, true), DOOR_ORIGIN},
	    /* Writes: from this page, and with its word. */
	    {K("POST", "localhost:4", "", "", "", "x", "x", false), DOOR_ORIGIN},
	    {K("POST", "localhost:4", "http://localhost:4", "", "", "", "x", false), DOOR_CSRF},
	    {K("POST", "localhost:4", "http://localhost:4", "", "", "y", "x", false), DOOR_CSRF},
	    {K("POST", "localhost:4", "http://localhost:4", "", "", "xy", "x", false), DOOR_CSRF},
	    {K("DELETE", "localhost:4", "http://localhost:4", "", "", "", "", false), DOOR_CSRF},
	    {K("POST", "localhost:4", "http://localhost:4", "", "", "x", "x", false), DOOR_OPEN},
	    {K("PUT", "localhost:4", "", "same-origin", "cors", "x", "x", false), DOOR_OPEN},
	    {K("POST", "localhost:4", "", "cross-site", "navigate", "x", "x", true), DOOR_ORIGIN},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (door_check(&d, &cases[i].k) != cases[i].v)
			fail_msg("case %zu: %s %s", i, cases[i].k.method, cases[i].k.host);
	d.addresses = d.tls = true;
	struct door_knock k = {"GET", "10.0.0.1:4", "https://10.0.0.1:4", "", "", "", "x", false};
	assert_int_equal(door_check(&d, &k), DOOR_OPEN);
	k.host = "[2001:db8::1]";
	k.origin = "";
	assert_int_equal(door_check(&d, &k), DOOR_OPEN);
	k.host = "evil.example";
	assert_int_equal(door_check(&d, &k), DOOR_HOST);
	k.host = "10.0.0.1.example";
	assert_int_equal(door_check(&d, &k), DOOR_HOST);
}

static void cookies(void **state)
{
	static const struct {
		const char *header, *value;
	} cases[] = {
	    {"s=1", "1"},     {"a=b; s=1; c=d", "1"}, {"a=b;s=1", "1"},	  {" s=1 ", "1"},
	    {"", ""},	      {"as=1", ""},	      {"s", ""},	  {"a=s=1", ""},
	    {"s=1; s=2", ""}, {"s=1; s=1", ""},	      {";;;=;s=1;", "1"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (!str_eqz(cookie_get(str_of(cases[i].header), "s"), cases[i].value))
			fail_msg("\"%s\"", cases[i].header);
}

static void links_are_good_once_and_for_ten_minutes(void **state)
{
	struct logins *l;
	char word[LOGIN_WORD], other[LOGIN_WORD], who[ACCESS_USER];
	(void)state;
	assert_int_equal(logins_new(&l), 0);
	assert_int_equal(logins_link(l, "anna", 1000, word), 0);
	assert_false(logins_redeem(l, STR(""), 1000, who));
	assert_false(logins_redeem(l, str_of("anna"), 1000, who));
	other[0] = word[0] == 'a' ? 'b' : 'a';
	memcpy(other + 1, word + 1, sizeof(word) - 1);
	assert_false(logins_redeem(l, str_of(other), 1000, who));
	assert_true(logins_redeem(l, str_of(word), 1000 + LOGIN_LINK_S - 1, who));
	assert_string_equal(who, "anna");
	assert_false(logins_redeem(l, str_of(word), 1000 + LOGIN_LINK_S - 1, who));
	assert_int_equal(logins_link(l, "anna", 1000, word), 0);
	assert_false(logins_redeem(l, str_of(word), 1000 + LOGIN_LINK_S, who));
	/* More than there is room for: the oldest is none any more. */
	assert_int_equal(logins_link(l, "first", 1000, word), 0);
	for (int i = 0; i < LOGIN_LINKS; i++)
		assert_int_equal(logins_link(l, "later", 1001, other), 0);
	assert_false(logins_redeem(l, str_of(word), 1002, who));
	assert_true(logins_redeem(l, str_of(other), 1002, who));
	logins_free(&l);
}

static const struct who *knows_otto(void *ctx, const char *name)
{
	return strcmp(name, "otto") ? NULL : user(name, "*", *(enum access_level *)ctx);
}

static void sessions_end(void **state)
{
	struct logins *l;
	char word[LOGIN_WORD], again[LOGIN_WORD];
	const struct who *otto = user("otto", "*", ACCESS_VIEW), *anna = user("anna", "shop", ACCESS_VIEW);
	enum access_level level = ACCESS_VIEW;
	(void)state;
	assert_int_equal(logins_new(&l), 0);
	/* A word that a browser brings along is never made a session: each has one of its own. */
	assert_int_equal(logins_begin(l, otto, 1000, word), 0);
	assert_int_equal(logins_begin(l, anna, 1000, again), 0);
	assert_string_not_equal(word, again);
	struct login *s = logins_find(l, str_of(word), 1000);
	assert_non_null(s);
	assert_string_not_equal(s->csrf, word);
	assert_null(logins_find(l, STR("0"), 1000));
	/* Nobody knows anna any more; otto's rights are the same, then others. */
	logins_renew(l, knows_otto, &level);
	assert_int_equal(logins_count(l), 1);
	assert_true(anna->ended);
	assert_ptr_equal(logins_find(l, str_of(word), 1000)->who, otto);
	level = ACCESS_ADMIN;
	logins_renew(l, knows_otto, &level);
	assert_true(otto->ended);
	s = logins_find(l, str_of(word), 1000);
	assert_int_equal(access_level(s->who, STR("x")), ACCESS_ADMIN);
	/* Used each hour it lasts a week; unused, half a day. */
	for (uint64_t t = 1000; t < 1000 + LOGIN_SESSION_S; t += 3600)
		assert_non_null(logins_find(l, str_of(word), t));
	assert_null(logins_find(l, str_of(word), 1000 + LOGIN_SESSION_S));
	assert_int_equal(logins_begin(l, otto, 1000, word), 0);
	assert_null(logins_find(l, str_of(word), 1000 + LOGIN_IDLE_S));
	for (int i = 0; i <= LOGIN_SESSIONS; i++) {
		const struct who *each = user("otto", "*", ACCESS_VIEW);
		assert_int_equal(logins_begin(l, each, 2000 + (uint64_t)i, i ? again : word), 0);
		who_unref(&each);
	}
	assert_int_equal(logins_count(l), LOGIN_SESSIONS);
	struct login old = *logins_find(l, str_of(again), 2500);
	struct logins *next;
	assert_int_equal(logins_new(&next), 0);
	assert_int_equal(logins_restore(next, &old, 1), 0); /* the clock began anew */
	assert_int_equal(logins_restore(next, &old, 2500 + LOGIN_IDLE_S), 0);
	assert_int_equal(logins_count(next), 0);
	assert_int_equal(logins_restore(next, &old, 2600), 0);
	assert_non_null(logins_find(next, str_of(again), 2600));
	logins_free(&next);
	assert_null(logins_find(l, str_of(word), 2500));
	s = logins_find(l, str_of(again), 2500);
	logins_end(l, s);
	assert_null(logins_find(l, str_of(again), 2500));
	who_unref(&otto);
	who_unref(&anna);
	logins_free(&l);
}

/* A Draft tells of all that it would change. */
static void br86_drafts_of_what_one_may_see(void **state)
{
	static const struct {
		const char *edits;
		bool anna_sees, anna_writes, otto_writes; /* anna: operate in shop; otto: operate in all */
	} cases[] = {
	    {"[]", true, true, true},
	    {"[{\"verb\":\"put\",\"kind\":\"Service\",\"namespace\":\"shop\",\"name\":\"a\"}]", true, true,
	     true},
	    {"[{\"verb\":\"put\",\"kind\":\"Service\",\"namespace\":\"bank\",\"name\":\"a\"}]", false, false,
	     true},
	    {"[{\"verb\":\"put\",\"kind\":\"Service\",\"namespace\":\"shop\",\"name\":\"a\"},"
	     "{\"verb\":\"delete\",\"kind\":\"Service\",\"namespace\":\"bank\",\"name\":\"a\"}]",
	     false, false, true},
	    {"[{\"verb\":\"put\",\"kind\":\"Service\",\"name\":\"a\"}]", false, false, true},
	    {"[{\"verb\":\"put\",\"kind\":\"Nonsense\",\"namespace\":\"shop\"}]", false, false, true},
	    {"[{\"verb\":\"put\",\"kind\":\"TrafficMap\",\"name\":\"m\"}]", true, false, true},
	    {"[{\"verb\":\"delete\",\"kind\":\"Namespace\",\"name\":\"bank\"}]", false, false, true},
	    {"[{\"verb\":\"delete\",\"kind\":\"Namespace\",\"name\":\"shop\"}]", true, false, true},
	    {"[{\"verb\":\"put\",\"kind\":\"Alert\",\"name\":\"a\"}]", false, false, true},
	    {"[{\"verb\":\"put\",\"kind\":\"Role\",\"name\":\"r\"}]", false, false, false},
	};
	const struct who *anna = user("anna", "shop", ACCESS_OPERATE),
			 *otto = user("otto", "*", ACCESS_OPERATE);
	const struct who *vera = user("vera", "shop", ACCESS_VIEW);
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_BUF json = {0};
		struct remarks rs = {0};
		struct object *o = NULL;
		buf_printf(
		    &json,
		    "{\"apiVersion\":\"weft.network/v1alpha1\",\"kind\":\"Draft\",\"metadata\":{\"name\":"
		    "\"d\"},\"spec\":{\"edits\":%s}}",
		    cases[i].edits);
		assert_int_equal(decode_json_object(buf_str(&json), NULL, NULL, &o, &rs), 0);
		remarks_fini(&rs);
		if (access_sees(anna, o) != cases[i].anna_sees ||
		    access_sees(vera, o) != cases[i].anna_sees ||
		    access_draft(anna, ACCESS_WRITE, o) != cases[i].anna_writes ||
		    access_draft(otto, ACCESS_WRITE, o) != cases[i].otto_writes ||
		    access_draft(vera, ACCESS_WRITE, o) || access_sees(&access_nothing, o))
			fail_msg("case %zu: %s", i, cases[i].edits);
		object_unref(&o);
	}
	who_unref(&anna);
	who_unref(&otto);
	who_unref(&vera);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(levels),
	    cmocka_unit_test(a_request_without_a_user_is_nobodys_on_the_page),
	    cmocka_unit_test(br86_other_namespaces_are_not_there),
	    cmocka_unit_test(br86_a_watch_ends_with_the_rights),
	    cmocka_unit_test(br86_packets_only_of_own_namespaces),
	    cmocka_unit_test(br86_other_ends_are_hidden),
	    cmocka_unit_test(br86_drafts_of_what_one_may_see),
	    cmocka_unit_test(who_may_come_in),
	    cmocka_unit_test(cookies),
	    cmocka_unit_test(links_are_good_once_and_for_ten_minutes),
	    cmocka_unit_test(sessions_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
