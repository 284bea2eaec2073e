/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft help`: text for the terminal, from the command table; manual pages are manual.c's. Keeps no words of
 * its own about a command.
 */
#include "cli/command.h"
#include "cli/output.h"

#include <stdio.h>

/* Prints text wrapped to the terminal, each line after `indent` spaces; the first line starts at column `at`.
 */
static void wrap(struct str text, int at, int indent)
{
	int width = output_width();

	if (width > 100)
		width = 100;
	while (text.n) {
		struct str word = str_cut(&text, ' ');
		int len = (int)output_columns(word);
		if (at > indent && at + 1 + len > width) {
			printf("\n%*s", indent, "");
			at = indent;
		} else if (at > indent) {
			putchar(' ');
			at++;
		} else if (at < indent) {
			printf("%*s", indent - at, "");
			at = indent;
		}
		printf(STR_FMT, STR_ARG(word));
		at += len;
	}
	putchar('\n');
}

static void option_heading(struct buf *b, const struct option_desc *o)
{
	if (o->letter)
		buf_printf(b, "-%c, ", o->letter);
	else
		buf_addz(b, "    ");
	buf_printf(b, "--%s", o->name);
	if (o->type != OPTION_FLAG)
		buf_printf(b, "%s%s", *o->metavar == '[' ? "" : " ", *o->values ? o->values : o->metavar);
}

static void print_options(const struct command_desc *c)
{
	printf("\n%sOptions%s\n", output_style(STYLE_BOLD), output_style(STYLE_PLAIN));
	for (size_t i = 0; i < c->n_options; i++) {
		const struct option_desc *o = &c->options[i];
		AUTO_BUF b = {0};
		AUTO_BUF text = {0};
		option_heading(&b, o);
		buf_addz(&text, o->sentence);
		if (o->type == OPTION_NUMBER && o->preset)
			buf_printf(&text, " Default %lld.", (long long)o->preset);
		printf("  %-30s", b.p);
		int at = 2 + (b.n > 30 ? (int)b.n : 30);
		if (b.n > 29) {
			putchar('\n');
			at = 0;
		}
		wrap(buf_str(&text), at, 33);
	}
	printf("  %-30s ", "    --color[=auto|always|never]");
	wrap(STR("Colours; auto, the default, looks at the terminal, NO_COLOR and CLICOLOR_FORCE."), 33, 33);
}

static void print_examples(const struct command_desc *c)
{
	struct str rest = str_of(c->examples);

	printf("\n%sExamples%s\n", output_style(STYLE_BOLD), output_style(STYLE_PLAIN));
	while (rest.n) {
		struct str line = str_cut(&rest, '\n');
		struct str command = str_cut(&line, '\t');
		printf("  " STR_FMT "\n      ", STR_ARG(command));
		wrap(line, 6, 6);
	}
}

void help_print(const struct command_desc *c)
{
	if (c) {
		printf("%sweft %s%s%s%s %s\n\n", output_style(STYLE_BOLD), c->name, output_style(STYLE_PLAIN),
		       c->n_options ? " [OPTION…]" : "", "", c->arguments);
		wrap(str_of(c->sentence), 0, 0);
		struct str more = str_of(c->more);
		if (more.n)
			putchar('\n');
		while (more.n)
			wrap(str_cut(&more, '\n'), 0, 0);
		print_options(c);
		print_examples(c);
		return;
	}
	wrap(STR("Weft is a network for containers that you can see: a Kubernetes cluster network on this "
		 "machine, "
		 "from manifests, with real packets."),
	     0, 0);
	printf("\n%sCommands%s\n", output_style(STYLE_BOLD), output_style(STYLE_PLAIN));
	for (size_t i = 0; i < command_count; i++) {
		printf("  %-12s", command_table[i].name);
		wrap(str_of(command_table[i].sentence), 14, 15);
	}
	printf("\n`weft help COMMAND` tells more, with examples; `man weft` the same as pages. Status: 0 ok, "
	       "1 failed, 2 wrong usage.\n");
}

int cmd_help(const struct options_help *o)
{
	if (o->man_pages)
		return manual_write_all(o->man_pages);
	const struct command_desc *c = o->n_args ? command_find(o->args[0]) : NULL;
	if (o->n_args && !c) {
		AUTO_BUF hint = {0};
		AUTO_BUF near = {0};
		if (command_suggest(&near, o->args[0]))
			buf_printf(&hint, "did you mean `weft help %s`?", near.p);
		cli_error(hint.p, "there is no command \"%s\"", o->args[0]);
		return EXIT_USAGE;
	}
	if (o->man)
		manual_print(stdout, c);
	else
		help_print(c);
	return EXIT_OK;
}
