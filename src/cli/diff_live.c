/* SPDX-License-Identifier: Apache-2.0 */
/* Holds a difference against a running cluster, see diff_live.h. Reads only. */
#include "cli/diff_live.h"

#include "base/own.h"
#include "cli/causes.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/judge.h"
#include "cli/output.h"
#include "cli/seen.h"
#include "reason/prove.h"
#include "seam/config.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

/* The maps that policies fill; the others follow pods and Services. */
static const enum plan_map maps[] = {PLAN_MAP_policy,	  PLAN_MAP_port, PLAN_MAP_block,
				     PLAN_MAP_block_trie, PLAN_MAP_name, PLAN_MAP_name_match};

static size_t default_capacity(enum plan_map m)
{
	static const size_t entries[] = {
#define BPF_MAP(id, type, key, value, n, ...) n,
#include "tables/maps.def"
#undef BPF_MAP
	};
	return entries[m];
}

/* Entries of the map that the node has pinned, in its folder or one below it; 0: may not be read. */
static size_t pinned_capacity(const char *folder, const char *map, int depth)
{
	AUTO_BUF path = {0};
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);
	size_t n = 0;

	buf_printf(&path, "%s/%s", folder, map);
	AUTO_FD int fd = path.failed ? -1 : bpf_obj_get(path.p);
	if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &len))
		return info.max_entries;
	DIR *d = depth ? opendir(folder) : NULL;
	for (struct dirent *e; d && !n && (e = readdir(d));) {
		AUTO_BUF below = {0};
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		buf_printf(&below, "%s/%s", folder, e->d_name);
		if (!below.failed)
			n = pinned_capacity(below.p, map, depth - 1);
	}
	if (d)
		closedir(d);
	return n;
}

struct end_index {
	struct hash by_address; /* → index + 1 */
};

static int index_ends(struct end_index *x, const struct ends *e)
{
	int r = 0;

	for (size_t i = 0; i < e->list.len; i++)
		for (int f = 0; f < FAMILIES && !r; f++)
			if (e->list.items[i].has[f] && e->list.items[i].kind != END_OUTSIDE)
				r = hash_set(&x->by_address,
					     (struct str){(const char *)&e->list.items[i].addr[0][f],
							  sizeof(struct addr)},
					     (void *)(uintptr_t)(i + 1), NULL);
	return r;
}

/* The end with that address in the running cluster; NULL: not compared. */
static const struct end *end_at(const struct end_index *x, const struct ends *e, const struct addr *a)
{
	size_t at = (size_t)(uintptr_t)hash_get(&x->by_address, (struct str){(const char *)a, sizeof(*a)});
	size_t region = at ? 0 : region_of(&e->regions, a);

	if (at)
		return &e->list.items[at - 1];
	for (size_t i = 0; i < e->list.len; i++)
		if (e->list.items[i].kind == END_OUTSIDE && e->list.items[i].region == region)
			return &e->list.items[i];
	return NULL;
}

static bool is_strict(const struct live *l, const struct compared *c, const struct end *end)
{
	return end->kind == END_POD &&
	       (l->strict || engine_strict(c->engines[1], &end->addr[1][end->has[0] ? 0 : 1]));
}

/* 0, or -ENOMEM. *refused: after the change the connection would not be allowed. */
static int judge_flow(const struct compared *c, const struct seen_row *f, const struct end *src,
		      const struct end *dst, bool *refused)
{
	const struct ends *e = &c->diff.ends;
	bool ports = f->proto == IPPROTO_TCP || f->proto == IPPROTO_UDP || f->proto == IPPROTO_SCTP;
	uint32_t fn[2];
	uint8_t word[ENGINES];

	for (size_t i = 0; i < ENGINES; i++) {
		int r = groups_fns(e, i, &e->groups.items[src->group], &e->groups.items[dst->group],
				   addr_is4(&f->from) ? 0 : 1, &fn[0], &fn[1]);
		if (r)
			return r;
		const struct fn_range *out =
		    port_fn_at(port_fn(e->fns, fn[0]), ports ? f->proto : 0, f->port);
		const struct fn_range *in = port_fn_at(port_fn(e->fns, fn[1]), ports ? f->proto : 0, f->port);
		word[i] = out->word < in->word ? out->word : in->word;
	}
	*refused = word[1] == PORT_DENY && word[0] != PORT_DENY && ends_judged(src, dst);
	return 0;
}

static int count_connections(struct live *l, const struct compared *c, const char *cluster)
{
	struct end_index index = {0};
	struct seen_all seen;
	int r;

	if (seen_collect(&seen, cluster))
		return -1;
	r = index_ends(&index, &c->diff.ends);
	VEC_EACH (&seen.list, f) {
		bool refused = false;
		if (r || !f->live || !f->answered)
			continue;
		const struct end *src = end_at(&index, &c->diff.ends, &f->from);
		const struct end *dst = end_at(&index, &c->diff.ends, &f->to);
		if (!src || !dst) {
			l->unknown += f->live;
			continue;
		}
		l->connections += f->live;
		r = judge_flow(c, f, src, dst, &refused);
		l->refused += refused ? f->live : 0;
		l->cut += refused && (is_strict(l, c, src) || is_strict(l, c, dst)) ? f->live : 0;
	}
	hash_fini(&index.by_address);
	seen_fini(&seen);
	if (r)
		cli_error(NULL, "out of memory");
	return r ? -1 : 0;
}

static bool is_of(const struct row *r, enum plan_map m)
{
	return r->type == ROW_MAP && r->table == m;
}

/* Both plans are sorted: rows of one map side by side. */
static void compare_map(struct live_map *m, enum plan_map id, const struct plan *a, const struct plan *b)
{
	size_t i = 0, k = 0;

	while (i < a->rows.len || k < b->rows.len) {
		const struct row *x = i < a->rows.len ? &a->rows.items[i] : NULL;
		const struct row *y = k < b->rows.len ? &b->rows.items[k] : NULL;
		if (x && !is_of(x, id)) {
			i++;
			continue;
		}
		if (y && !is_of(y, id)) {
			k++;
			continue;
		}
		int d = !x ? 1 : !y ? -1 : row_cmp(x, y);
		m->before += d <= 0;
		m->after += d >= 0;
		m->removed += d < 0;
		m->added += d > 0;
		m->changed += !d && memcmp(x->value, y->value, x->value_len) != 0;
		i += d <= 0;
		k += d >= 0;
	}
}

static int compare_node(struct live *l, const struct compared *c, const char *cluster, struct str node)
{
	struct compiler *compilers[ENGINES] = {NULL, NULL};
	struct plan plans[ENGINES] = {0};
	char folder[CLUSTER_PATH];
	AUTO_BUF pins = {0};
	int r = 0;

	for (int i = 0; i < ENGINES && !r; i++) {
		r = judge_compile_quietly(&compilers[i], c->stores[i], node, MODE_VXLAN);
		r = r ? r : compiler_plan(compilers[i], &plans[i]);
	}
	buf_printf(&pins, "bpf/" STR_FMT, STR_ARG(node));
	cluster_path(folder, cluster, pins.p ? pins.p : "");
	for (size_t i = 0; i < ARRAY_LEN(maps) && !r; i++) {
		struct live_map m = {.map = plan_map_name(maps[i]), .node = strndup(node.p, node.n)};
		m.capacity = pinned_capacity(folder, m.map, 2);
		m.capacity = m.capacity ? m.capacity : default_capacity(maps[i]);
		compare_map(&m, maps[i], &plans[0], &plans[1]);
		r = m.node ? vec_push(&l->maps, m) : -ENOMEM;
	}
	for (int i = 0; i < ENGINES; i++) {
		vec_free(&plans[i].rows);
		compiler_free(&compilers[i]);
	}
	return r;
}

int live_new(struct live *out, const struct compared *c, const char *cluster)
{
	struct object_refs nodes = {0};
	struct live l = {0};
	int r = cluster_strict(cluster, &l.strict) ? -1 : count_connections(&l, c, cluster);

	if (!r)
		r = store_list(c->stores[0], KIND_node, STR(""), &nodes);
	VEC_EACH (&nodes.list, o)
		r = r ? r : compare_node(&l, c, cluster, (*o)->meta.name);
	vec_free(&nodes.list);
	*out = l;
	if (r)
		live_fini(out);
	return r ? -1 : 0;
}

void live_fini(struct live *l)
{
	VEC_EACH (&l->maps, m)
		free(m->node);
	vec_free(&l->maps);
}

void live_print(const struct live *l)
{
	static const char *const heads[] = {"NODE",  "BPF MAP", "NOW",	   "THEN", "CAPACITY",
					    "ADDED", "REMOVED", "CHANGED", NULL};
	AUTO_TABLE t;

	printf("%zu of %zu open connections would no longer be allowed", l->refused, l->connections);
	if (l->refused)
		printf(l->strict ? ": all are cut, since the cluster was started with --strict"
				 : ": %zu at strict pods are cut, the others go on until they end",
		       l->cut);
	putchar('\n');
	if (l->unknown)
		printf("%zu open connections of pods that are not compared\n", l->unknown);
	table_init(&t, heads);
	VEC_EACH (&l->maps, m) {
		if (!m->before && !m->after)
			continue;
		table_cell(&t, m->node);
		table_cell(&t, m->map);
		table_cellf(&t, "%zu", m->before);
		char after[24];
		snprintf(after, sizeof(after), "%zu", m->after);
		table_cell_styled(&t, m->after > m->capacity ? STYLE_RED : STYLE_PLAIN, after);
		table_cellf(&t, "%zu", m->capacity);
		table_cellf(&t, "%zu", m->added);
		table_cellf(&t, "%zu", m->removed);
		table_cellf(&t, "%zu", m->changed);
	}
	if (table_rows(&t))
		table_print(&t);
}

json_t *live_json(const struct live *l)
{
	json_t *list = json_array();

	VEC_EACH (&l->maps, m)
		json_array_append_new(
		    list, json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "node", m->node, "map",
				    m->map, "now", (json_int_t)m->before, "then", (json_int_t)m->after,
				    "capacity", (json_int_t)m->capacity, "added", (json_int_t)m->added,
				    "removed", (json_int_t)m->removed, "changed", (json_int_t)m->changed));
	return json_pack("{s:b, s:I, s:I, s:I, s:I, s:o}", "strict", l->strict, "connections",
			 (json_int_t)l->connections, "refused", (json_int_t)l->refused, "cut",
			 (json_int_t)l->cut, "notCompared", (json_int_t)l->unknown, "maps", list);
}
