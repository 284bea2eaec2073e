/* SPDX-License-Identifier: Apache-2.0 */
/* Findings as SARIF 2.1.0, see check.h. Paths are relative to where the command runs, as CI expects. */
#include "cli/check.h"

#include "base/own.h"

#include <stdio.h>

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
static json_t *region(const struct remark *r)
{
	json_t *j = json_pack("{s:i}", "startLine", (int)r->line);
	const char *line = r->file->text;

	for (uint32_t n = 1; line && n < r->line; n++) {
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	for (uint32_t i = 0; line && line[i] && line[i] != '\n'; i++)
		if ((unsigned char)line[i] >= 0x80)
			return j;
	if (r->col) {
		json_object_set_new(j, "startColumn", json_integer(r->col));
		json_object_set_new(j, "endColumn", json_integer(r->col + (r->len ? r->len : 1)));
	}
	return j;
}

static json_t *result(const struct finding *x)
{
	const struct remark *r = &x->remark;
	AUTO_BUF message = {0};
	AUTO_BUF where = {0};

	buf_printf(&message, "%s%s%s", r->text, r->hint ? ". " : "", r->hint ? r->hint : "");
	json_t *j =
	    json_pack("{s:s, s:i, s:s, s:{s:s}}", "ruleId", check_table[x->check].name, "ruleIndex",
		      (int)x->check, "level", level(r->level), "message", "text", message.p ? message.p : "");
	if (!r->file)
		return j;
	uri(&where, r->file->name);
	json_t *place = json_pack("{s:{s:s}}", "artifactLocation", "uri", where.p ? where.p : "");
	if (r->line)
		json_object_set_new(place, "region", region(r));
	json_object_set_new(j, "locations", json_pack("[{s:o}]", "physicalLocation", place));
	return j;
}

json_t *sarif_json(const struct findings *f)
{
	json_t *results = json_array();

	VEC_EACH (&f->list, x)
		json_array_append_new(results, result(x));
	return json_pack("{s:s, s:s, s:[{s:{s:{s:s, s:s, s:o}}, s:o}]}", "$schema",
			 "https://json.schemastore.org/sarif-2.1.0.json", "version", "2.1.0", "runs", "tool",
			 "driver", "name", "weft check", "semanticVersion", WEFT_VERSION, "rules", rules(),
			 "results", results);
}
