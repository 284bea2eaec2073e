/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft prove`: assertions about manifests, proven for every pair and port, or refuted by one packet. Reads
 * files only; needs no privileges.
 */
#include "cli/prove.h"

#include "base/own.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/world.h"
#include "hub/offline.h"

#include <errno.h>
#include <stdio.h>

struct asked {
	struct assertion a;
	struct proof proof;
};
struct prover {
	const struct options_prove *o;
	struct arena arena;
	VEC(struct asked) list;
	struct store *store;
	struct port_fns fns;
	struct engine *engine;
	struct ends ends;
	bool scene_written;
};

/* Reads one assertion; `name` and `line` are where it stands in a file (NULL: on the command line). */
static int read_one(struct prover *p, struct str text, const char *name, unsigned line)
{
	struct asked asked = {0};
	const char *why = NULL;
	size_t column = 0;
	int r = assertion_parse(&asked.a, &p->arena, text, &column, &why);

	if (r == -EINVAL) {
		if (name)
			fprintf(stderr, "%s:%u:%zu: error: %s\n", name, line, column, why);
		else
			cli_error(NULL, "column %zu: %s", column, why);
		fprintf(stderr, "  " STR_FMT "\n  %*s^\n", STR_ARG(text), (int)column - 1, "");
		return -1;
	}
	if (r || vec_push(&p->list, asked)) {
		assertion_fini(&asked.a);
		cli_error(NULL, "out of memory");
		return -1;
	}
	return 0;
}

static int read_file(struct prover *p, const char *path)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "re") : stdin;
	AUTO_MEM char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	int r = 0;

	if (!f) {
		cli_error(NULL, "cannot read %s: %s", path, strerror(errno));
		return -1;
	}
	for (unsigned number = 1; (n = getline(&line, &cap, f)) >= 0; number++) {
		struct str rest = {line, (size_t)n}, text = str_cut(&rest, '#');
		while (text.n && strchr("\r\n \t", text.p[text.n - 1]))
			text.n--;
		if (str_trim(text).n && read_one(p, text, path, number))
			r = -1;
	}
	if (f != stdin)
		fclose(f);
	return r;
}

static int load(struct prover *p)
{
	const struct world_files files = {.paths = p->o->args,
					  .n = 1,
					  .nodes = (unsigned)p->o->nodes,
					  .quiet = true,
					  .max_file = (size_t)p->o->max_file};
	struct engine_options opt = {.staged = p->o->staged};
	struct regions extra = {0};
	struct remarks rs = {0};
	int r = 0;

	if (world_from_files(&p->store, &files))
		return -1;
	cluster_service_ranges(&opt.services4, &opt.services6);
	VEC_EACH (&p->list, x)
		r = r ? r : assertion_regions(&x->a, &extra);
	if (!r)
		r = port_fns_init(&p->fns);
	if (!r)
		r = engine_new(&p->engine, p->store, &p->fns, &opt, &rs);
	if (!r)
		r = ends_new(&p->ends, &p->engine, 1, &p->fns, NULL, &extra);
	VEC_EACH (&p->list, x)
		r = r ? r : prove(&p->ends, &x->a, &x->proof);
	if (r)
		cli_error(NULL, "cannot prove: %s", strerror(-r));
	remarks_fini(&rs);
	regions_fini(&extra);
	return r ? -1 : 0;
}

static void print_ports(struct buf *b, const struct assertion *a)
{
	port_spans_print(b, a->ports.items, a->ports.len);
}

/* The scene of the first assertion that does not hold. */
static void write_scene(struct prover *p, const struct asked *x, struct str scene)
{
	FILE *f = p->scene_written ? NULL : fopen(p->o->scene, "we");

	if (p->scene_written)
		return;
	p->scene_written = true;
	if (!f || fwrite(scene.p, 1, scene.n, f) != scene.n)
		cli_error(NULL, "cannot write %s: %s", p->o->scene, strerror(errno));
	else
		printf("  replay: weft test %s\n", p->o->scene);
	if (f)
		fclose(f);
	(void)x;
}

static void print_scene(struct prover *p, const struct asked *x)
{
	AUTO_BUF scene = {0};
	const char *why = NULL;

	if (!packet_scene(&scene, &p->ends, &x->proof.packet, x->a.can, p->o->args[0], x->a.text, &why)) {
		printf("  no scene can replay it: %s\n", why);
		return;
	}
	if (p->o->scene) {
		write_scene(p, x, buf_str(&scene));
		return;
	}
	printf("  a scene that replays it (--scene FILE writes it):\n");
	for (struct str rest = buf_str(&scene), line; rest.n;) {
		line = str_cut(&rest, '\n');
		printf("    " STR_FMT "\n", STR_ARG(line));
	}
}

static void print_one(struct prover *p, const struct asked *x)
{
	const struct proof *proof = &x->proof;
	AUTO_BUF b = {0};

	if (!proof->from || !proof->to) {
		struct str who = proof->from ? x->a.to.text : x->a.from.text;
		printf("%sunknown%s  " STR_FMT "\n  nobody is meant by \"" STR_FMT "\"\n",
		       output_style(STYLE_YELLOW), output_style(STYLE_PLAIN), STR_ARG(x->a.text),
		       STR_ARG(who));
		return;
	}
	printf("%s%s%s  " STR_FMT "\n", output_style(proof->holds ? STYLE_GREEN : STYLE_RED),
	       proof->holds ? "holds" : "fails", output_style(STYLE_PLAIN), STR_ARG(x->a.text));
	if (proof->holds) {
		print_ports(&b, &x->a);
		printf("  proven for %llu pair%s (%zu source%s, %zu destination%s): %s\n",
		       (unsigned long long)proof->pairs, proof->pairs == 1 ? "" : "s", proof->from,
		       proof->from == 1 ? "" : "s", proof->to, proof->to == 1 ? "" : "s", b.p ? b.p : "");
		return;
	}
	packet_print(&b, &p->ends, &proof->packet);
	buf_printf(&b, "%s\n",
		   proof->decision.word == PORT_ALLOW  ? " passes"
		   : proof->decision.word == PORT_DENY ? " is refused"
						       : " passes to addresses learned by name only");
	decision_print(&b, &p->ends, &proof->packet, &proof->decision, "    ");
	printf("  %s", b.p ? b.p : "");
	print_scene(p, x);
}

static json_t *one_json(struct prover *p, const struct asked *x)
{
	const struct proof *proof = &x->proof;
	AUTO_BUF scene = {0};
	const char *why = NULL;
	json_t *j = json_pack("{s:s%, s:b, s:i, s:i, s:I}", "assertion", x->a.text.p, x->a.text.n, "holds",
			      proof->holds, "sources", (int)proof->from, "destinations", (int)proof->to,
			      "pairs", (json_int_t)proof->pairs);

	if (proof->holds || !proof->from || !proof->to)
		return j;
	json_object_set_new(j, "counterexample", packet_json(&p->ends, &proof->packet, &proof->decision));
	if (packet_scene(&scene, &p->ends, &proof->packet, x->a.can, p->o->args[0], x->a.text, &why))
		json_object_set_new(j, "scene", json_string(scene.p));
	return j;
}

static int answer(struct prover *p)
{
	size_t failed = 0, unknown = 0;

	VEC_EACH (&p->list, x) {
		unknown += !x->proof.from || !x->proof.to;
		failed += !x->proof.holds;
		if (!p->o->output)
			print_one(p, x);
	}
	if (p->o->output) {
		AUTO_JSON all = json_array();
		VEC_EACH (&p->list, x)
			json_array_append_new(all, one_json(p, x));
		AUTO_JSON j = json_pack("{s:O, s:b}", "assertions", all, "holds", !failed);
		output_value(j, p->o->output);
	}
	return unknown ? EXIT_TROUBLE : failed ? EXIT_FAILED : EXIT_OK;
}

int cmd_prove(const struct options_prove *o)
{
	struct prover p = {.o = o};
	int r = 0;

	for (int i = 1; i < o->n_args; i++)
		r |= read_one(&p, str_of(o->args[i]), NULL, 0);
	if (o->file)
		r |= read_file(&p, o->file);
	if (!r && !p.list.len) {
		cli_error("weft prove DIR 'ns=dev cannot reach ns=db except tcp/5432', or -f FILE",
			  "there is nothing to prove");
		r = EXIT_USAGE;
	} else {
		r = r || load(&p) ? EXIT_TROUBLE : answer(&p);
	}
	VEC_EACH (&p.list, x)
		assertion_fini(&x->a);
	vec_free(&p.list);
	ends_fini(&p.ends);
	engine_free(&p.engine);
	port_fns_fini(&p.fns);
	store_free(&p.store);
	arena_fini(&p.arena);
	return r;
}
