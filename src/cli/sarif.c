/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Findings of checks (check.h) and of scenes (test_report.h) as SARIF 2.1.0. Paths are relative to where the
 * command runs, as CI expects.
 */
#include "base/own.h"
#include "cli/check.h"
#include "cli/test_report.h"

static const char *level(enum remark_level l)
{
	return l == REMARK_ERROR ? "error" : l == REMARK_WARNING ? "warning" : "note";
}

static json_t *rules(void)
{
	json_t *list = json_array();

	for (int i = 0; i < CHECK_COUNT; i++) {
		const struct check_desc *c = &check_table[i];
		json_array_append_new(list,
				      json_pack("{s:s, s:{s:s}, s:{s:s}, s:{s:s}}", "id", c->name,
						"shortDescription", "text", c->sentence, "help", "text",
						c->advice, "defaultConfiguration", "level", level(c->level)));
	}
	return list;
}

/* A path as the reference of a URI: bytes that stand for themselves, the others as %XX. */
static void uri(struct buf *b, const char *path)
{
	static const char plain[] = "-._~/!$&'()*+,;=@";

	if (*path == '/')
		buf_addz(b, "file://");
	for (; *path; path++) {
		bool letter = (*path >= 'a' && *path <= 'z') || (*path >= 'A' && *path <= 'Z') ||
			      (*path >= '0' && *path <= '9');
		if (letter || strchr(plain, *path))
			buf_addc(b, *path);
		else
			buf_printf(b, "%%%02X", (unsigned char)*path);
	}
}

/* Columns of a region count UTF-16 units by default; ours count bytes, and differ only in lines that are not
 * ASCII: those get no column. */
static json_t *region(const char *text, uint32_t line, uint32_t col, uint32_t len)
{
	json_t *j = json_pack("{s:i}", "startLine", (int)line);

	for (uint32_t n = 1; text && n < line; n++) {
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	for (uint32_t i = 0; text && text[i] && text[i] != '\n'; i++)
		if ((unsigned char)text[i] >= 0x80)
			return j;
	if (col) {
		json_object_set_new(j, "startColumn", json_integer(col));
		json_object_set_new(j, "endColumn", json_integer(col + (len ? len : 1)));
	}
	return j;
}

/* The list of one place: a file, and where in it unless line is 0; text is the file's, or NULL. */
static json_t *locations(const char *path, const char *text, uint32_t line, uint32_t col, uint32_t len)
{
	AUTO_BUF where = {0};

	uri(&where, path);
	json_t *place = json_pack("{s:{s:s}}", "artifactLocation", "uri", where.p ? where.p : "");
	if (line)
		json_object_set_new(place, "region", region(text, line, col, len));
	return json_pack("[{s:o}]", "physicalLocation", place);
}

static json_t *result(const struct finding *x)
{
	const struct remark *r = &x->remark;
	AUTO_BUF message = {0};

	buf_printf(&message, "%s%s%s", r->text, r->hint ? ". " : "", r->hint ? r->hint : "");
	json_t *j =
	    json_pack("{s:s, s:i, s:s, s:{s:s}}", "ruleId", check_table[x->check].name, "ruleIndex",
		      (int)x->check, "level", level(r->level), "message", "text", message.p ? message.p : "");
	if (r->file)
		json_object_set_new(j, "locations",
				    locations(r->file->name, r->file->text, r->line, r->col, r->len));
	return j;
}

static json_t *log_of(const char *name, json_t *rule_list, json_t *results)
{
	return json_pack("{s:s, s:s, s:[{s:{s:{s:s, s:s, s:o}}, s:o}]}", "$schema",
			 "https://json.schemastore.org/sarif-2.1.0.json", "version", "2.1.0", "runs", "tool",
			 "driver", "name", name, "semanticVersion", WEFT_VERSION, "rules", rule_list,
			 "results", results);
}

json_t *sarif_json(const struct findings *f)
{
	json_t *results = json_array();

	VEC_EACH (&f->list, x)
		json_array_append_new(results, result(x));
	return log_of("weft check", rules(), results);
}

enum { RULE_EXPECTATION, RULE_TROUBLE };
static const struct {
	const char *id, *sentence, *help;
} test_rules[] = {
    {"scene-expectation", "What the scene states does not hold.",
     "Mend the policy, or the scene where it states too much; weft why tells which rule decides."},
    {"scene-trouble", "The scene could not be read or played.",
     "doc/scenes.md tells how scenes are written."},
};

static json_t *rules_of_tests(void)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_LEN(test_rules); i++)
		json_array_append_new(
		    list, json_pack("{s:s, s:{s:s}, s:{s:s}, s:{s:s}}", "id", test_rules[i].id,
				    "shortDescription", "text", test_rules[i].sentence, "help", "text",
				    test_rules[i].help, "defaultConfiguration", "level", "error"));
	return list;
}

static json_t *fault_result(const struct test_result *r, const struct scene_fault *f, const char *text)
{
	int rule = r->outcome == TEST_FAILED ? RULE_EXPECTATION : RULE_TROUBLE;
	AUTO_BUF message = {0};

	buf_printf(&message, "%s (%s): " STR_FMT, r->title, r->setup, STR_ARG(f->text));
	return json_pack("{s:s, s:i, s:s, s:{s:s}, s:o}", "ruleId", test_rules[rule].id, "ruleIndex", rule,
			 "level", "error", "message", "text", message.p ? message.p : "", "locations",
			 locations(r->path, text, f->at.line, f->at.column, 1));
}

json_t *sarif_of_tests(const struct test_results *t)
{
	json_t *results = json_array();

	VEC_EACH (&t->list, r) {
		struct str rest = buf_str(&r->why);
		struct scene_fault f = {.text = STR("this scene could not be played")};
		if (r->outcome != TEST_FAILED && r->outcome != TEST_TROUBLE)
			continue;
		if (!rest.n)
			json_array_append_new(results, fault_result(r, &f, NULL));
		while (scene_why_next(&rest, &f))
			json_array_append_new(results, fault_result(r, &f, r->text));
	}
	return log_of("weft test", rules_of_tests(), results);
}
