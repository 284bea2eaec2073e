/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft test`: reads scenes, plays each in every set-up that it names, twice: by the model, and by real
 * packets where this machine can. Prints for people or as TAP.
 */
#include "base/clock.h"
#include "base/own.h"
#include "cli/command.h"
#include "cli/doctor.h"
#include "cli/output.h"
#include "cli/scene.h"

#include <stdio.h>

struct tally {
	bool tap;
	size_t number, passed, failed, skipped;
};

static void report(struct tally *t, const char *what, const char *skip, int result, const struct buf *why,
		   uint64_t ms)
{
	struct str rest = why ? buf_str(why) : (struct str){0};

	t->number++;
	t->passed += !skip && !result;
	t->failed += !skip && result;
	t->skipped += skip != NULL;
	if (t->tap)
		printf("%s %zu - %s%s%s\n", result ? "not ok" : "ok", t->number, what, skip ? " # SKIP " : "",
		       skip ? skip : "");
	else if (skip)
		printf("%sskipped%s %s: %s\n", output_style(STYLE_YELLOW), output_style(STYLE_PLAIN), what,
		       skip);
	else
		printf("%s%s%s %s (%.1f s)\n", output_style(result ? STYLE_RED : STYLE_GREEN),
		       result ? "failed " : "passed ", output_style(STYLE_PLAIN), what, (double)ms / 1000);
	while (rest.n) {
		struct str line = str_cut(&rest, '\n');
		printf("%s" STR_FMT "\n", t->tap ? "# " : "    ", STR_ARG(line));
	}
	fflush(stdout);
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

static void play_one(struct tally *t, const struct scene *s, const struct options_test *o, unsigned nodes,
		     const char *mode, bool packets, const char *skip)
{
	struct scene_stage st = {.scene = s,
				 .nodes = nodes,
				 .mode = mode,
				 .packets = packets,
				 .keep = o->keep,
				 .timeout_ms = o->timeout};
	AUTO_BUF what = {0};
	AUTO_BUF why = {0};
	const uint64_t began = clock_ms();
	int r = 0;

	if (packets)
		buf_printf(&what, "%s (%u node%s, %s)", s->title, nodes, nodes == 1 ? "" : "s", mode);
	else
		buf_printf(&what, "%s (model)", s->title);
	stage_name(&st);
	if (!skip)
		r = scene_play(&st, &why);
	report(t, what.p, skip, r, &why, clock_ms() - began);
}

static void play_scene(struct tally *t, const struct options_test *o, const char *path, const char *cannot)
{
	struct scene s = {0};

	if (scene_read(&s, path)) {
		report(t, path, NULL, 1, NULL, 0);
		return;
	}
	const char *missing = missing_input(&s);
	unsigned nodes = o->nodes ? (unsigned)o->nodes : s.nodes.items[0];
	if (!s.needs_cluster)
		play_one(t, &s, o, nodes, s.modes.items[0], false, missing);
	for (size_t i = 0; !o->offline && i < (o->nodes ? 1 : s.nodes.len); i++)
		for (size_t j = 0; j < (o->mode ? 1 : s.modes.len); j++)
			play_one(t, &s, o, o->nodes ? nodes : s.nodes.items[i],
				 o->mode ? o->mode : s.modes.items[j], true, missing ? missing : cannot);
	scene_fini(&s);
}

int cmd_test(const struct options_test *o)
{
	struct tally t = {.tap = o->tap};
	AUTO_BUF cannot = {0};
	bool can = o->offline || doctor_can_run(&cannot);

	for (int i = 0; i < o->n_args; i++)
		play_scene(&t, o, o->args[i], can ? NULL : cannot.p);
	if (t.tap)
		printf("1..%zu\n", t.number);
	else
		printf("%zu passed, %zu failed, %zu skipped\n", t.passed, t.failed, t.skipped);
	return t.failed ? EXIT_FAILED : EXIT_OK;
}
