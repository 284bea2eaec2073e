/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft test`: reads scenes, plays each in every set-up that it names, twice: by the model, and by real
 * packets where this machine can. What it prints is test_report.h's.
 */
#include "base/clock.h"
#include "base/own.h"
#include "cli/command.h"
#include "cli/doctor.h"
#include "cli/output.h"
#include "cli/scene.h"
#include "cli/test_report.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

struct tally {
	const struct options_test *o;
	const char *form;
	const char *cannot; /* why no cluster can run here, or NULL */
	struct test_results results;
};

/* Takes over `why` and `text`. */
static void report(struct tally *t, struct test_result r, const char *path, const char *title,
		   const char *skip)
{
	r.path = strdup(path);
	r.title = strdup(title);
	r.skip = skip ? strdup(skip) : NULL;
	if (!r.path || !r.title || vec_push(&t->results.list, r)) {
		cli_error(NULL, "out of memory");
		exit(EXIT_TROUBLE);
	}
	t->results.count[r.outcome]++;
	test_report_one(&t->results, t->form);
}

/* A cluster's name out of the scene's: its file name, shortened, and a hash of the whole set-up. */
static void stage_name(struct scene_stage *st)
{
	const char *slash = strrchr(st->scene->page.path, '/');
	const char *base = slash ? slash + 1 : st->scene->page.path;
	char key[64];
	size_t n = 0;

	snprintf(key, sizeof(key), "%u %s %d", st->nodes, st->mode, (int)getpid());
	uint64_t h = hash_bytes(key, strlen(key), hash_bytes(base, strlen(base), 0));
	for (; *base && *base != '.' && n < 18; base++)
		if ((*base >= 'a' && *base <= 'z') || (*base >= '0' && *base <= '9') || (*base == '-' && n))
			st->name[n++] = *base;
	snprintf(st->name + n, sizeof(st->name) - n, "%s%04x", n ? "-" : "s", (unsigned)(h & 0xffff));
}

/* The input that is missing, or NULL. */
static const char *missing_input(const struct scene *s)
{
	json_t *v;
	size_t i;

	json_array_foreach (s->manifests, i, v) {
		AUTO_BUF path = {0};
		if (!scene_path(&path, &s->page, json_string_value(v) ?: ""))
			return "WEFT_INPUTS is not set";
		if (!path.failed && access(path.p, R_OK) && strstr(json_string_value(v), "${"))
			return "the input is not there";
	}
	return NULL;
}

static void play_one(struct tally *t, const struct scene *s, unsigned nodes, const char *mode, bool packets,
		     const char *skip)
{
	struct scene_stage st = {.scene = s,
				 .nodes = nodes,
				 .mode = mode,
				 .packets = packets,
				 .keep = t->o->keep,
				 .timeout_ms = t->o->timeout};
	struct test_result r = {.outcome = TEST_SKIPPED};
	const uint64_t began = clock_ms();

	if (packets)
		snprintf(r.setup, sizeof(r.setup), "%u node%s, %s", nodes, nodes == 1 ? "" : "s", mode);
	else
		snprintf(r.setup, sizeof(r.setup), "model");
	stage_name(&st);
	if (!skip) {
		int played = scene_play(&st, &r.why);
		r.outcome = played < 0 ? TEST_TROUBLE : played ? TEST_FAILED : TEST_PASSED;
	}
	r.ms = clock_ms() - began;
	r.text = s->page.text.p ? strndup(s->page.text.p, s->page.text.n) : NULL;
	report(t, r, s->page.path, s->title, skip);
}

static void play_scene(struct tally *t, const char *path)
{
	const struct options_test *o = t->o;
	struct test_result unread = {.outcome = TEST_TROUBLE, .setup = "page"};
	struct scene s = {0};

	if (scene_read(&s, path, &unread.why)) {
		report(t, unread, path, path, NULL);
		return;
	}
	buf_fini(&unread.why);
	s.page.told = NULL;
	const char *missing = missing_input(&s);
	unsigned nodes = o->nodes ? (unsigned)o->nodes : s.nodes.items[0];
	if (!s.needs_cluster)
		play_one(t, &s, nodes, s.modes.items[0], false, missing);
	else if (o->offline)
		play_one(t, &s, nodes, s.modes.items[0], false, "it needs a running cluster");
	for (size_t i = 0; !o->offline && i < (o->nodes ? 1 : s.nodes.len); i++)
		for (size_t j = 0; j < (o->mode ? 1 : s.modes.len); j++)
			play_one(t, &s, o->nodes ? nodes : s.nodes.items[i],
				 o->mode ? o->mode : s.modes.items[j], true, missing ? missing : t->cannot);
	scene_fini(&s);
}

static int is_scene(const struct dirent *e)
{
	struct str name = str_of(e->d_name);

	return e->d_name[0] != '.' && (str_ends(name, STR(".yaml")) || str_ends(name, STR(".yml")));
}

/* A scene, or all of a folder in the order of their names. 0, or -1 (told). */
static int play_path(struct tally *t, const char *path)
{
	struct dirent **list = NULL;
	struct stat st;

	if (stat(path, &st) || !S_ISDIR(st.st_mode)) {
		play_scene(t, path);
		return 0;
	}
	int n = scandir(path, &list, is_scene, alphasort);
	if (n <= 0)
		cli_error("a scene is a file whose name ends with .yaml", "there is no scene in %s", path);
	for (int i = 0; i < n; i++) {
		AUTO_BUF file = {0};
		buf_printf(&file, "%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/", list[i]->d_name);
		if (!file.failed)
			play_scene(t, file.p);
		free(list[i]);
	}
	free(list);
	return n > 0 ? 0 : -1;
}

static int write_report(const char *path, struct str text)
{
	FILE *f = fopen(path, "we");
	bool good = f && fwrite(text.p ? text.p : "", 1, text.n, f) == text.n;

	if (f && fclose(f))
		good = false;
	if (!good)
		cli_error(NULL, "cannot write %s: %s", path, strerror(errno));
	return good ? 0 : -1;
}

static void add_sarif(struct buf *b, const struct test_results *t)
{
	AUTO_JSON v = sarif_of_tests(t);
	char *text = json_dumps(v, JSON_INDENT(2));

	buf_addz(b, text ? text : "");
	buf_addc(b, '\n');
	free(text);
}

/* What is printed at the end, and the files that were asked for. */
static int finish(const struct tally *t)
{
	AUTO_BUF junit = {0};
	AUTO_BUF sarif = {0};
	int r = 0;

	junit_print(&junit, &t->results);
	add_sarif(&sarif, &t->results);
	if (!t->form || !strcmp(t->form, "tap") || !strcmp(t->form, "github"))
		test_report_end(&t->results, t->form);
	else if (!strcmp(t->form, "junit"))
		fwrite(junit.p, 1, junit.n, stdout);
	else if (!strcmp(t->form, "sarif"))
		fwrite(sarif.p, 1, sarif.n, stdout);
	else {
		AUTO_JSON v = test_report_json(&t->results);
		output_value(v, t->form);
	}
	if (t->o->junit)
		r |= write_report(t->o->junit, buf_str(&junit));
	if (t->o->sarif)
		r |= write_report(t->o->sarif, buf_str(&sarif));
	return r;
}

int cmd_test(const struct options_test *o)
{
	struct tally t = {.o = o, .form = o->output ? o->output : o->tap ? "tap" : NULL};
	const size_t *count = t.results.count;
	AUTO_BUF cannot = {0};
	int bad = 0;

	if (!o->offline && !doctor_can_run(&cannot))
		t.cannot = cannot.p ? cannot.p : "out of memory";
	for (int i = 0; i < o->n_args; i++)
		bad |= play_path(&t, o->args[i]);
	bad |= finish(&t);
	if (o->no_skip && count[TEST_SKIPPED])
		cli_error("weft doctor tells what this machine lacks", "%zu skipped, and --no-skip was given",
			  count[TEST_SKIPPED]);
	int r = bad || count[TEST_TROUBLE]				    ? EXIT_TROUBLE
		: count[TEST_FAILED] || (o->no_skip && count[TEST_SKIPPED]) ? EXIT_FAILED
									    : EXIT_OK;
	test_results_fini(&t.results);
	return r;
}
