/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Golden test of the compiler: the objects of NAME.yaml give the plan of node-1 that stands in NAME.plan:
 * remarks, who reaches whom, and the rows that the folder is about (policy, service, pod or node). Where
 * NAME.then exists, its objects come next (those annotated weft.test/gone go), and the steps of that change
 * follow. The rows and the reference must agree on each pair, whatever the file says. Pods without an address
 * get one, in the order in which they stand. WEFT_GOLDEN=write writes the files anew; a person reads the
 * difference.
 */
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/own.h"
#include "compile/compile.h"
#include "compile/names.h"
#include "compile/verdict.h"
#include "model.h"
#include "object/decode.h"
#include "seam/config.h"
#include "seam/policy.h"
#include "store/store.h"

struct golden {
	const char *folder; /* its last part: which tables are shown */
	struct store *store;
	struct compiler *compiler, *other; /* of node-1 and node-2 */
	struct remarks rs;
	unsigned hosts[2];
	bool names; /* the file speaks of domain names */
	bool bad;
};

static const char *const nodes_text =
    "{apiVersion: v1, kind: Node, metadata: {name: node-1}, spec: {podCIDRs: [10.244.0.0/24, "
    "'fd57:0:0:244::/80']}, "
    "status: {addresses: [{type: InternalIP, address: 172.31.0.10}, {type: InternalIP, address: "
    "'fd57:1::10'}]}}\n---\n"
    "{apiVersion: v1, kind: Node, metadata: {name: node-2}, spec: {podCIDRs: [10.244.1.0/24, "
    "'fd57:0:0:244:1::/80']}, "
    "status: {addresses: [{type: InternalIP, address: 172.31.0.11}, {type: InternalIP, address: "
    "'fd57:1::11'}]}}\n---\n"
    "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: shop}}}\n---\n"
    "{apiVersion: v1, kind: Namespace, metadata: {name: ops, labels: {team: ops}}}\n";

static void give_address(struct golden *g, struct object *o)
{
	struct pod_spec *spec = o->pod->spec;
	if (!o->meta.uid.n)
		o->meta.uid = arena_printf(&o->arena, "uid-" STR_FMT, STR_ARG(o->meta.name));
	if (spec && !spec->node_name.n)
		spec->node_name = STR("node-1");
	if (o->pod->status)
		return;
	int node = spec && str_eqz(spec->node_name, "node-2");
	o->pod->status = arena_new(&o->arena, struct pod_status);
	o->pod->status->phase = STR("Running");
	o->pod->status->pod_ip = arena_printf(&o->arena, "10.244.%d.%u", node, 4 + g->hosts[node]++);
}

static int take(void *ctx, struct object *o)
{
	struct golden *g = ctx;
	const struct str *gone = strmap_get(&o->meta.annotations, STR("weft.test/gone"));
	if (!object_validate(o, &g->rs) || object_default(o)) {
		object_unref(&o);
		g->bad = true;
		return 0;
	}
	if (o->desc->kind == KIND_pod)
		give_address(g, o);
	if (gone) {
		store_delete(g->store, o->desc->kind, o->meta.ns, o->meta.name);
		object_unref(&o);
		return 0;
	}
	return store_put(g->store, o, NULL);
}

static void heard(void *ctx, const struct event *e)
{
	struct golden *g = ctx;
	struct compiler *both[] = {g->compiler, g->other};
	for (int i = 0; i < 2; i++)
		g->bad |= compiler_tell(both[i], e->type == EVENT_DELETED ? e->object : e->old,
					e->type == EVENT_DELETED ? NULL : e->object) != 0;
}

static int read_all(const char *path, struct buf *b)
{
	FILE *f = fopen(path, "r");
	if (!f)
		return -errno;
	char chunk[4096];
	size_t n;
	while ((n = fread(chunk, 1, sizeof(chunk), f)))
		buf_add(b, chunk, n);
	fclose(f);
	return b->failed || !b->p ? -EINVAL : 0;
}

static int load_text(struct golden *g, const char *name, const char *text, size_t n)
{
	struct file *file;
	if (file_new(&file, name, text, n))
		return -ENOMEM;
	struct decoder_options opt = {.sink = take, .ctx = g, .remarks = &g->rs};
	int e = decode_yaml(file, &opt);
	file_unref(&file);
	return e;
}

static bool shown(const struct golden *g, const struct row *r)
{
	static const struct {
		const char *folder;
		uint64_t maps;
		bool link, route, announced;
	} what[] = {
	    {"policy",
	     1u << PLAN_MAP_endpoint | 1u << PLAN_MAP_address | 1u << PLAN_MAP_block |
		 1u << PLAN_MAP_block_trie | 1u << PLAN_MAP_policy | 1u << PLAN_MAP_port,
	     false, false},
	    {"clusternetworkpolicy",
	     1u << PLAN_MAP_endpoint | 1u << PLAN_MAP_address | 1u << PLAN_MAP_block | 1u << PLAN_MAP_policy |
		 1u << PLAN_MAP_port | 1u << PLAN_MAP_name | 1u << PLAN_MAP_name_match,
	     false, false},
	    {"service", 1u << PLAN_MAP_service | 1u << PLAN_MAP_backend | 1u << PLAN_MAP_source_range, false,
	     false, true},
	    {"pod", 1u << PLAN_MAP_endpoint | 1u << PLAN_MAP_iface | 1u << PLAN_MAP_address, true, true},
	    {"node",
	     1u << PLAN_MAP_config | 1u << PLAN_MAP_range | 1u << PLAN_MAP_node | 1u << PLAN_MAP_address,
	     false, true},
	};
	for (size_t i = 0; i < ARRAY_LEN(what); i++) {
		if (strcmp(what[i].folder, g->folder))
			continue;
		if (r->type == ROW_LINK)
			return what[i].link;
		if (r->type == ROW_ROUTE)
			return what[i].route;
		if (r->type == ROW_ADDRESS)
			return what[i].announced;
		return what[i].maps >> r->table & 1;
	}
	return true;
}

static void print_plan(const struct golden *g, struct buf *out)
{
	struct plan p = {0};
	compiler_plan(g->compiler, &p);
	VEC_EACH (&p.rows, r)
		if (shown(g, r))
			row_print(out, r, compiler_names(g->compiler));
	vec_free(&p.rows);
}

static void print_steps(const struct golden *g, const struct plan_delta *d, struct buf *out)
{
	for (size_t i = 0; i < d->steps.len; i++) {
		buf_printf(out, "step %zu\n", i + 1);
		VEC_EACH (&d->steps.items[i].changes, ch) {
			if (!shown(g, &ch->row))
				continue;
			buf_addz(out, ch->op == CHANGE_ADD ? "+ " : ch->op == CHANGE_SET ? "~ " : "- ");
			row_print(out, &ch->row, compiler_names(g->compiler));
		}
	}
}

struct who {
	const char *name;
	struct addr addr;
	const struct object *pod;
	struct str known_as; /* what DNS answers called it */
};

/* Names outside, for policies of the cluster. */
static const struct model_name named[] = {{STR("api.example.org"), {{[10] = 255, 255, 203, 0, 113, 20}}},
					  {STR("example.org"), {{[10] = 255, 255, 203, 0, 113, 21}}},
					  {STR("api.example.net"), {{[10] = 255, 255, 203, 0, 113, 22}}}};

struct everyone {
	VEC(struct who) list;
	struct arena arena;
};

static void add_who(struct everyone *all, const char *name, struct str text, const struct object *pod)
{
	struct who w = {.name = name, .pod = pod};
	if (text.n && !addr_parse(text, &w.addr))
		vec_push(&all->list, w);
}

static void gather(const struct golden *g, struct everyone *all)
{
	struct object_refs refs = {0};
	store_list(g->store, KIND_pod, STR(""), &refs);
	VEC_EACH (&refs.list, it) {
		const struct object *o = *it;
		if (!o->pod->status || (o->pod->spec && o->pod->spec->host_network.v))
			continue;
		const char *name = arena_strz(&all->arena, object_key(o));
		add_who(all, name, o->pod->status->pod_ip, o);
		for (size_t i = 0; i < o->pod->status->pod_ips.len; i++)
			add_who(all, name, o->pod->status->pod_ips.items[i].ip, o);
	}
	vec_free(&refs.list);
	add_who(all, "own node", STR("172.31.0.10"), NULL);
	add_who(all, "other node", STR("172.31.0.11"), NULL);
	add_who(all, "outside", STR("203.0.113.10"), NULL);
	for (size_t i = 0; i < ARRAY_LEN(named) && g->names; i++)
		if (!vec_push(&all->list, (struct who){.name = named[i].name.p, .addr = named[i].addr}))
			all->list.items[all->list.len - 1].known_as = named[i].name;
}

static enum judgement reference(const struct golden *g, const struct question *q)
{
	const struct model_question mq = {
	    .src = q->src, .dst = q->dst, .proto = q->proto, .port = q->port, .service = q->through_service};
	struct model m;
	if (model_init(&m, g->store))
		return JUDGED_NOBODY;
	m.names = named;
	m.names_len = ARRAY_LEN(named);
	enum judgement out = (enum judgement)model_ask(&m, &mq).verdict;
	model_fini(&m);
	return out;
}

static void ask(struct golden *g, const struct verdict_table *t, const struct who *a, const struct who *b,
		uint8_t proto, uint16_t port, struct buf *out)
{
	static const char *const words[] = {"allowed", "denied at egress", "denied at ingress",
					    "nobody there"};
	struct question q = {.src = a->addr, .dst = b->addr, .proto = proto, .port = port};
	q.through_service = a == b;
	q.names = &b->known_as;
	q.names_len = b->known_as.n != 0;
	struct answer got = verdict_ask(t, &q);
	enum judgement want = reference(g, &q);
	const struct plan_names *names = compiler_names(g->compiler);
	buf_printf(out, "%-12s → %-12s ", a->name, b->name);
	buf_printf(out,
		   proto == IPPROTO_ICMP  ? "ICMP"
		   : proto == IPPROTO_TCP ? "TCP/%u"
		   : proto == IPPROTO_UDP ? "UDP/%u"
					  : "SCTP/%u",
		   port);
	buf_printf(out, " %s", words[got.verdict]);
	uint32_t rules[2] = {got.rule_egress, got.rule_ingress};
	if (got.verdict == JUDGED_DENY_INGRESS) /* the other end had nothing against it */
		rules[0] = RULE_NONE;
	for (int i = 0; i < 2 && got.verdict != JUDGED_NOBODY; i++) {
		if (rules[i] == RULE_NONE || (i && rules[1] == rules[0]))
			continue;
		buf_addz(out, i && rules[0] ? " " : " by ");
		name_rule(out, name_rule_origin(names, rules[i]).object ? names : compiler_names(g->other),
			  rules[i]);
	}
	buf_addc(out, '\n');
	if (got.verdict != want) {
		buf_printf(out, "  but the reference says: %s\n", words[want]);
		g->bad = true;
	}
}

/* The ports that the destination declares; 80 for who declares none. */
static void ask_ports(struct golden *g, const struct verdict_table *t, const struct who *a,
		      const struct who *b, struct buf *out)
{
	bool any = false;
	const struct pod_spec *spec = b->pod ? b->pod->pod->spec : NULL;
	for (size_t i = 0; spec && i < spec->containers.len; i++) {
		const struct container *c = &spec->containers.items[i];
		for (size_t j = 0; j < c->ports.len; j++) {
			struct str proto = c->ports.items[j].protocol;
			ask(g, t, a, b,
			    str_eqz(proto, "UDP")    ? IPPROTO_UDP
			    : str_eqz(proto, "SCTP") ? IPPROTO_SCTP
						     : IPPROTO_TCP,
			    (uint16_t)c->ports.items[j].container_port.v, out);
			any = true;
		}
	}
	if (!any)
		ask(g, t, a, b, IPPROTO_TCP, b->known_as.n ? 443 : 80, out);
}

static void print_reach(struct golden *g, struct buf *out)
{
	struct verdict_table *t;
	struct everyone all = {0};
	const struct compiler *both[] = {g->compiler, g->other};
	bool cluster = !strcmp(g->folder, "clusternetworkpolicy");
	if ((!cluster && strcmp(g->folder, "policy")) || verdict_table_new(&t))
		return;
	for (int i = 0; i < 2; i++) {
		struct plan p = {0};
		compiler_plan(both[i], &p);
		verdict_table_add(t, &p);
		vec_free(&p.rows);
	}
	gather(g, &all);
	VEC_EACH (&all.list, a)
		VEC_EACH (&all.list, b)
			if (addr_is4(&a->addr) == addr_is4(&b->addr) && (a != b || cluster) &&
			    (a->pod || b->pod))
				ask_ports(g, t, a, b, out);
	vec_free(&all.list);
	arena_fini(&all.arena);
	verdict_table_free(&t);
}

static void run(struct golden *g, bool steps, struct buf *out)
{
	struct plan_delta d = {0}, none = {0};
	struct remarks ignored = {0};
	g->bad |= compiler_run(g->compiler, &d, &g->rs) || compiler_run(g->other, &none, &ignored);
	remarks_sort(&g->rs);
	VEC_EACH (&g->rs.list, rm)
		remark_print(out, rm, false);
	remarks_fini(&g->rs);
	print_reach(g, out);
	if (steps)
		print_steps(g, &d, out);
	else
		print_plan(g, out);
	remarks_fini(&ignored);
	plan_delta_fini(&d);
	plan_delta_fini(&none);
}

/* Settings come from the name of the case. */
static int make_compiler(struct compiler **out, const char *node, const char *name)
{
	uint32_t mode = strstr(name, "routes") ? MODE_ROUTES : MODE_VXLAN;
	struct compile_config cfg = {.node = str_of(node), .mode = mode, .uplink = 2, .mtu = 1500};
	cfg.no_external_ips = strstr(name, "no-external-ips");
	cfg.tunnel = mode == MODE_VXLAN ? 3 : 0;
	prefix_parse(STR("10.96.0.0/16"), &cfg.services4);
	prefix_parse(STR("fd57:0:0:96::/112"), &cfg.services6);
	int e = compiler_new(out, &cfg);
	if (!e)
		compiler_wire_all(*out);
	return e;
}

static bool play(const char *folder, const char *name, struct buf *out)
{
	struct golden g = {.folder = folder};
	struct subscription *sub = NULL;
	AUTO_BUF first = {0};
	AUTO_BUF path = {0};
	AUTO_BUF then = {0};
	buf_printf(&path, "%s.yaml", name);
	if (read_all(path.p, &first) || store_new(&g.store, 0) ||
	    make_compiler(&g.compiler, "node-1", name) || make_compiler(&g.other, "node-2", name) ||
	    store_subscribe(g.store, heard, &g, &sub))
		return false;
	if (!strstr(first.p, "kind: Node,"))
		load_text(&g, "nodes", nodes_text, strlen(nodes_text));
	g.names = strstr(first.p, "domainNames");
	load_text(&g, path.p, first.p, first.n);
	run(&g, false, out);
	buf_clear(&path);
	buf_printf(&path, "%s.then", name);
	if (!read_all(path.p, &then)) {
		buf_addz(out, "then\n");
		load_text(&g, path.p, then.p, then.n);
		run(&g, true, out);
	}
	store_unsubscribe(&sub);
	compiler_free(&g.compiler);
	compiler_free(&g.other);
	store_free(&g.store);
	return !g.bad && !out->failed;
}

static bool compare(const char *name, const struct buf *got)
{
	AUTO_BUF path = {0};
	AUTO_BUF want = {0};
	buf_printf(&path, "%s.plan", name);
	const char *write = getenv("WEFT_GOLDEN");
	if (write && !strcmp(write, "write")) {
		FILE *f = fopen(path.p, "w");
		if (!f)
			return false;
		fwrite(got->p, 1, got->n, f);
		return !fclose(f);
	}
	if (!read_all(path.p, &want) && str_eq(buf_str(&want), buf_str(got)))
		return true;
	printf("# wanted:\n%s# got:\n%s", want.p ? want.p : "", got->p);
	return false;
}

static int only_yaml(const struct dirent *d)
{
	return str_ends(str_of(d->d_name), STR(".yaml"));
}

int main(int argc, char **argv)
{
	struct dirent **names;
	if (argc != 2 || chdir(argv[1])) {
		fprintf(stderr, "usage: golden_plan FOLDER\n");
		return 2;
	}
	const char *folder = strrchr(argv[1], '/') ? strrchr(argv[1], '/') + 1 : argv[1];
	int n = scandir(".", &names, only_yaml, alphasort), failed = n <= 0;
	printf("1..%d\n", n);
	for (int i = 0; i < n; i++) {
		AUTO_BUF out = {0};
		AUTO_BUF name = {0};
		buf_add(&name, names[i]->d_name, strlen(names[i]->d_name) - strlen(".yaml"));
		bool played = play(folder, name.p, &out), same = compare(name.p, &out);
		printf("%s %d - %s %s\n", played && same ? "ok" : "not ok", i + 1, folder, name.p);
		if (!played)
			printf("# rows and reference differ, or the objects are bad; output above\n");
		failed |= !played || !same;
		free(names[i]);
	}
	free(names);
	return failed;
}
