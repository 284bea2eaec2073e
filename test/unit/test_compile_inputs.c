/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real manifests, made by others: a shop of eleven services with a policy for each, and the policies that
 * people learn from. Who may call whom is checked against what their authors drew; the rows and the reference
 * agree on each pair. Reads the folder WEFT_INPUTS; is skipped without it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <cmocka.h>

#include "compile_world.h"

struct cluster {
	struct store *store;
	struct compiler *compilers[2];
	unsigned pods;
};

/* A Deployment's pod as the cluster would make it. */
static void add_pod(struct cluster *k, const struct object *deployment)
{
	const struct pod_template *t = deployment->deployment->spec->pod_template;
	struct object *o;
	assert_int_equal(
	    object_new(&o, kind_by_api(STR("v1"), STR("Pod")), STR("default"), deployment->meta.name), 0);
	o->meta.uid = arena_printf(&o->arena, "uid-%u", k->pods);
	for (size_t i = 0; i < t->metadata->labels.len; i++) {
		const struct strpair *l = &t->metadata->labels.items[i];
		strmap_set(&o->arena, &o->meta.labels, arena_str(&o->arena, l->key),
			   arena_str(&o->arena, l->value));
	}
	o->pod->spec = arena_new(&o->arena, struct pod_spec);
	*o->pod->spec = *t->spec; /* the deployment lives on in the store */
	o->pod->spec->node_name = k->pods % 2 ? STR("node-2") : STR("node-1");
	o->pod->status = arena_new(&o->arena, struct pod_status);
	o->pod->status->phase = STR("Running");
	o->pod->status->pod_ip = arena_printf(&o->arena, "10.244.%u.%u", k->pods % 2, 4 + k->pods);
	k->pods++;
	assert_int_equal(store_put(k->store, o, NULL), 0);
}

static int take(void *ctx, struct object *o)
{
	struct cluster *k = ctx;
	const struct object *now;
	assert_int_equal(object_default(o), 0);
	assert_int_equal(store_put(k->store, o, &now), 0);
	if (now->desc->kind == KIND_deployment)
		add_pod(k, now);
	return 0;
}

static void load(struct cluster *k, const char *path)
{
	FILE *f = fopen(path, "r");
	AUTO_BUF text = {0};
	char chunk[4096];
	size_t n;
	assert_non_null(f);
	while ((n = fread(chunk, 1, sizeof(chunk), f)))
		buf_add(&text, chunk, n);
	fclose(f);
	struct file *file;
	struct remarks rs = {0};
	struct hash skipped = {0};
	assert_int_equal(file_new(&file, path, text.p, text.n), 0);
	struct decoder_options opt = {.sink = take, .ctx = k, .remarks = &rs, .skipped = &skipped};
	assert_int_equal(decode_yaml(file, &opt), 0);
	assert_int_equal(rs.errors, 0);
	remarks_fini(&rs);
	hash_fini(&skipped);
	file_unref(&file);
}

static int visible(const struct dirent *d)
{
	return str_ends(str_of(d->d_name), STR(".yaml"));
}

/* Loads a folder's files; with `only` set, one of them by number. False when there are no more. */
static bool load_folder(struct cluster *k, const char *folder, int only)
{
	struct dirent **names;
	AUTO_BUF dir = {0};
	buf_printf(&dir, "%s/%s", getenv("WEFT_INPUTS"), folder);
	int n = scandir(dir.p, &names, visible, alphasort);
	assert_true(n > 0);
	for (int i = 0; i < n; i++) {
		AUTO_BUF path = {0};
		buf_printf(&path, "%s/%s", dir.p, names[i]->d_name);
		if (only < 0 || only == i)
			load(k, path.p);
		free(names[i]);
	}
	free(names);
	return only < n;
}

static void compile_both(struct cluster *k, struct verdict_table **t)
{
	assert_int_equal(verdict_table_new(t), 0);
	for (int n = 0; n < 2; n++) {
		struct plan_delta d = {0};
		struct plan p = {0};
		k->compilers[n] = world_compiler(n);
		world_tell_all(k->compilers[n], k->store);
		world_run(k->compilers[n], &d);
		plan_delta_fini(&d);
		assert_int_equal(compiler_plan(k->compilers[n], &p), 0);
		assert_int_equal(verdict_table_add(*t, &p), 0);
		vec_free(&p.rows);
	}
}

static bool agreed(struct cluster *k, const struct verdict_table *t, const struct object *a,
		   const struct object *b, uint16_t port)
{
	struct question q = {.proto = IPPROTO_TCP, .port = port};
	assert_int_equal(addr_parse(a ? a->pod->status->pod_ip : STR("203.0.113.10"), &q.src), 0);
	assert_int_equal(addr_parse(b ? b->pod->status->pod_ip : STR("203.0.113.10"), &q.dst), 0);
	enum judgement got = verdict_ask(t, &q).verdict;
	assert_int_equal(got, world_model(k->store, &q));
	return got == JUDGED_ALLOW;
}

static void cluster_fini(struct cluster *k, struct verdict_table **t)
{
	verdict_table_free(t);
	compiler_free(&k->compilers[0]);
	compiler_free(&k->compilers[1]);
	store_free(&k->store);
}

static void add_nodes(struct cluster *k)
{
	struct world w = {.store = k->store};
	world_put_node(&w, 0);
	world_put_node(&w, 1);
}

/* Who may call whom; everybody may also call what its own policy leaves open, see the check below. */
static const char *const shop_calls[][2] = {
    {"frontend", "adservice"},
    {"frontend", "cartservice"},
    {"frontend", "checkoutservice"},
    {"frontend", "currencyservice"},
    {"frontend", "productcatalogservice"},
    {"frontend", "recommendationservice"},
    {"frontend", "shippingservice"},
    {"checkoutservice", "cartservice"},
    {"checkoutservice", "currencyservice"},
    {"checkoutservice", "emailservice"},
    {"checkoutservice", "paymentservice"},
    {"checkoutservice", "productcatalogservice"},
    {"checkoutservice", "shippingservice"},
    {"recommendationservice", "productcatalogservice"},
    {"cartservice", "redis-cart"},
};

static bool drawn(struct str from, struct str to)
{
	if (str_eqz(to, "frontend"))
		return true; /* takes from everybody */
	for (size_t i = 0; i < sizeof(shop_calls) / sizeof(shop_calls[0]); i++)
		if (str_eqz(from, shop_calls[i][0]) && str_eqz(to, shop_calls[i][1]))
			return true;
	return false;
}

static void the_shop_calls_as_drawn(void **state)
{
	(void)state;
	if (!getenv("WEFT_INPUTS"))
		skip();
	struct cluster k = {0};
	struct verdict_table *t;
	struct object_refs pods = {0};
	size_t allowed = 0;
	assert_int_equal(store_new(&k.store, 0), 0);
	add_nodes(&k);
	load_folder(&k, "online-boutique", -1);
	compile_both(&k, &t);
	assert_int_equal(store_list(k.store, KIND_pod, STR(""), &pods), 0);
	assert_true(pods.list.len >= 12);
	VEC_EACH (&pods.list, a) {
		VEC_EACH (&pods.list, b) {
			const struct container_list *cs = &(*b)->pod->spec->containers;
			if (a == b || !cs->items[0].ports.len)
				continue;
			bool got =
			    agreed(&k, t, *a, *b, (uint16_t)cs->items[0].ports.items[0].container_port.v);
			if (got != drawn((*a)->meta.name, (*b)->meta.name))
				fail_msg(STR_FMT " → " STR_FMT ": %d", STR_ARG((*a)->meta.name),
					 STR_ARG((*b)->meta.name), got);
			assert_false(agreed(&k, t, *a, *b, 9) && !str_eqz((*b)->meta.name, "frontend"));
			allowed += got;
		}
		assert_int_equal(agreed(&k, t, NULL, *a, 8080), str_eqz((*a)->meta.name, "frontend"));
	}
	print_message("# %zu pods, %zu calls allowed\n", pods.list.len, allowed);
	vec_free(&pods.list);
	cluster_fini(&k, &t);
}

/* Each recipe by itself, over pods with the labels that the recipes speak of. */
static void recipes_agree_with_the_reference(void **state)
{
	static const char *const labels[] = {
	    "\"app\":\"web\"",
	    "\"app\":\"bookstore\",\"role\":\"api\"",
	    "\"app\":\"bookstore\",\"role\":\"search\"",
	    "\"app\":\"foo\"",
	    "\"app\":\"apiserver\"",
	    "\"app\":\"db\",\"type\":\"monitoring\",\"role\":\"monitoring\""};
	(void)state;
	if (!getenv("WEFT_INPUTS"))
		skip();
	bool more = true;
	for (int r = 0; more; r++) {
		struct cluster k = {0};
		struct verdict_table *t;
		struct object_refs pods = {0};
		assert_int_equal(store_new(&k.store, 0), 0);
		add_nodes(&k);
		struct world w = {.store = k.store};
		for (unsigned i = 0; i < 12; i++) {
			AUTO_BUF b = {0};
			buf_printf(&b,
				   "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p%u\","
				   "\"namespace\":\"%s\",\"uid\":"
				   "\"u%u\",\"labels\":{%s}},\"spec\":{\"nodeName\":\"node-%u\","
				   "\"containers\":[{\"name\":\"c\","
				   "\"image\":\"i\"}]},\"status\":{\"podIP\":\"10.244.%u.%u\"}}",
				   i, i < 6 ? "default" : "other", i, labels[i % 6], 1 + i % 2, i % 2, 4 + i);
			world_put(&w, &b);
		}
		more = load_folder(&k, "policy-recipes", r);
		compile_both(&k, &t);
		assert_int_equal(store_list(k.store, KIND_pod, STR(""), &pods), 0);
		static const uint16_t ports[] = {80, 53, 5000, 5978};
		VEC_EACH (&pods.list, a) {
			for (size_t p = 0; p < sizeof(ports) / sizeof(ports[0]); p++) {
				VEC_EACH (&pods.list, b)
					agreed(&k, t, *a, *b, ports[p]);
				agreed(&k, t, *a, NULL, ports[p]);
				agreed(&k, t, NULL, *a, ports[p]);
			}
		}
		vec_free(&pods.list);
		cluster_fini(&k, &t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_shop_calls_as_drawn),
					   cmocka_unit_test(recipes_agree_with_the_reference)};
	return cmocka_run_group_tests_name("compile inputs", tests, NULL, NULL);
}
