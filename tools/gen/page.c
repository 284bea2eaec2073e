/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints web/src/api/kinds.gen.ts, the page's types of all kinds, from tables/: each struct as an interface,
 * and a table of the kinds. Called by tools/web.
 */
#include <stdio.h>
#include <string.h>

static void camel(const char *id)
{
	int up = 1;
	for (; *id; id++) {
		if (*id == '_')
			up = 1;
		else {
			putchar(up && *id >= 'a' && *id <= 'z' ? *id - 32 : *id);
			up = 0;
		}
	}
}

/* "a|b|c", with its quotes → "a" | "b" | "c" */
static void alternatives(const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			printf("\" | \"");
		else
			putchar(*text);
	}
}

static void field(const char *shape, const char *type, const char *json, const char *flags,
		  const char *sentence)
{
	printf("\t/** %s */\n\t\"%s\"%s: ", sentence, json, strstr(flags, "REQ") ? "" : "?");
	if (!strcmp(shape, "INT"))
		printf("number");
	else if (!strcmp(shape, "BOOL"))
		printf("boolean");
	else if (!strcmp(shape, "INTSTR"))
		printf("number | string");
	else if (!strcmp(shape, "MAP"))
		printf("Record<string, string>");
	else if (!strcmp(shape, "STRS"))
		printf("string[]");
	else if (!strcmp(shape, "ONE"))
		camel(type);
	else if (!strcmp(shape, "MANY")) {
		camel(type);
		printf("[]");
	} else if (!strcmp(shape, "OPAQUE"))
		printf("unknown");
	else if (strstr(flags, "ENUM"))
		alternatives(type);
	else
		printf("string");
	printf(";\n");
}

int main(void)
{
	printf("// SPDX-License-Identifier: Apache-2.0\n// Made by tools/gen/page.c from tables/kinds.def "
	       "and tables/fields.def; never edited.\n\n");
#define STRUCT_BEGIN(id)                                                                                     \
	printf("export interface ");                                                                         \
	camel(#id);                                                                                          \
	printf(" {\n");
#define FIELD(shape, type, member, json, flags, sentence) field(#shape, #type, json, #flags, sentence);
#define STRUCT_END(id)					  printf("}\n\n");
#include "tables/fields.def"
	printf(
	    "export interface KindRow {\n\tkind: string;\n\tgroup: string;\n\tversion: string;\n\tplural: "
	    "string;\n"
	    "\tsingular: string;\n\tnamespaced: boolean;\n\tsentence: string;\n}\n\n"
	    "/** Every kind, by its plural. */\nexport const KINDS: Readonly<Record<string, KindRow>> = {\n");
#define KIND(id, Kind, group, version, plural, singular, shorts, scope, categories, role, sentence)          \
	printf("\t%s: { kind: \"%s\", group: \"%s\", version: \"%s\", plural: \"%s\", singular: \"%s\", "    \
	       "namespaced: %s, "                                                                            \
	       "sentence: \"%s\" },\n",                                                                      \
	       plural, #Kind, group, version, plural, singular,                                              \
	       !strcmp(#scope, "NAMESPACED") ? "true" : "false", sentence);
#include "tables/kinds.def"
	printf("};\n");
	return 0;
}
