/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft completion SHELL`: scripts for bash, zsh and fish, written from the command and kind tables. The
 * scripts ask `weft get` for the names of objects; everything else is fixed words.
 */
#include "base/own.h"
#include "cli/command.h"
#include "object/object.h"

#include <stdio.h>

/* Pods and Services as NS/NAME, nodes as node:NAME, for `weft why`. */
#define NAMES_OF_ENDS                                                                                        \
	"{ weft get pods -A; weft get svc -A; } 2>/dev/null | sed -n 's,^\\([^ ]*\\)  *\\([^ ]*\\) "         \
	".*,\\1/\\2,p' | "                                                                                   \
	"grep -v ^NAMESPACE/; weft get nodes -o name 2>/dev/null | sed 's,.*/,node:,'"

static void print_kinds(void)
{
	for (int k = 0; k < KIND_COUNT; k++)
		printf("%s ", kind_table[k].plural);
	printf("all");
}

static void print_commands(void)
{
	for (size_t i = 0; i < command_count; i++)
		printf("%s%s", i ? " " : "", command_table[i].name);
}

/* "a|b" as "a b". */
static void print_values(const char *values)
{
	for (; *values; values++)
		putchar(*values == '|' ? ' ' : *values);
}

static bool is_path_option(const struct option_desc *o)
{
	return !strcmp(o->metavar, "DIR") || !strcmp(o->metavar, "PATH") || !strcmp(o->metavar, "FILE");
}

static void bash_options(const struct command_desc *c)
{
	printf("\t%s)\n\t\twords=\"--help", c->name);
	for (size_t i = 0; i < c->n_options; i++)
		printf(" --%s", c->options[i].name);
	printf("\"\n\t\tcase $before in\n");
	for (size_t i = 0; i < c->n_options; i++) {
		const struct option_desc *o = &c->options[i];
		if (o->type == OPTION_FLAG || *o->metavar == '[')
			continue;
		printf("\t\t--%s%s", o->name, o->letter ? "|-" : "");
		if (o->letter)
			putchar(o->letter);
		if (is_path_option(o)) {
			printf(") compopt -o default; COMPREPLY=(); return ;;\n");
			continue;
		}
		printf(") COMPREPLY=($(compgen -W \"");
		print_values(o->values);
		printf("\" -- \"$word\")); return ;;\n");
	}
	printf("\t\tesac\n");
	switch (c->hint) {
	case HINT_PATHS:
	case HINT_SCENES:
		printf("\t\tcase $word in -*) ;; *) compopt -o default; COMPREPLY=(); return ;; esac\n");
		break;
	case HINT_KIND:
		printf("\t\tif [ $COMP_CWORD = 2 ]; then words=\"$words ");
		print_kinds();
		printf("\"; else words=\"$words $(weft get \"${COMP_WORDS[2]}\" -o name 2>/dev/null | sed "
		       "'s,.*/,,')\"; fi\n");
		break;
	case HINT_SHELL:
		printf("\t\twords=\"$words bash zsh fish\"\n");
		break;
	case HINT_COMMANDS:
		printf("\t\twords=\"$words ");
		print_commands();
		printf("\"\n");
		break;
	case HINT_ENDS:
		printf("\t\twords=\"$words outside $(" NAMES_OF_ENDS ")\"\n");
		break;
	case HINT_NONE:
		break;
	}
	printf("\t\t;;\n");
}

static void print_bash(void)
{
	printf("# bash completion of weft; made by `weft completion bash`\n"
	       "_weft() {\n"
	       "\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words=\n"
	       "\tif [ $COMP_CWORD = 1 ]; then\n\t\tCOMPREPLY=($(compgen -W \"");
	print_commands();
	printf("\" -- \"$word\"))\n\t\treturn\n\tfi\n\tcase ${COMP_WORDS[1]} in\n");
	for (size_t i = 0; i < command_count; i++)
		bash_options(&command_table[i]);
	printf("\tesac\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}\ncomplete -F _weft weft\n");
}

/* Inside single quotes of a shell; brackets and colons are special to zsh's _arguments. */
static void print_quoted(const char *text, bool zsh)
{
	for (; *text; text++) {
		if (*text == '\'')
			printf("'\\''");
		else if (zsh && strchr("[]:\\", *text))
			printf("\\%c", *text);
		else
			putchar(*text);
	}
}

static void zsh_arguments(const struct command_desc *c)
{
	switch (c->hint) {
	case HINT_PATHS:
	case HINT_SCENES:
		printf(" '*:file:_files'");
		break;
	case HINT_KIND:
		printf(" '1:kind:(");
		print_kinds();
		printf(")' '*:name:_weft_names'");
		break;
	case HINT_SHELL:
		printf(" '1:shell:(bash zsh fish)'");
		break;
	case HINT_COMMANDS:
		printf(" '1:command:(");
		print_commands();
		printf(")'");
		break;
	case HINT_ENDS:
		printf(" '*:end:_weft_ends'");
		break;
	case HINT_NONE:
		break;
	}
}

static void zsh_option(const struct option_desc *o)
{
	printf(" '");
	if (o->letter)
		printf("(-%c --%s)'{-%c,--%s}'", o->letter, o->name, o->letter, o->name);
	else
		printf("--%s", o->name);
	printf("[");
	print_quoted(o->sentence, true);
	printf("]");
	if (o->type != OPTION_FLAG && *o->metavar != '[') {
		printf(":%s:", o->metavar);
		if (*o->values) {
			printf("(");
			print_values(o->values);
			printf(")");
		} else if (is_path_option(o)) {
			printf("_files");
		}
	}
	printf("'");
}

static void print_zsh(void)
{
	printf("#compdef weft\n# zsh completion of weft; made by `weft completion zsh`\n"
	       "_weft_names() {\n\tlocal -a names\n"
	       "\tnames=(${(f)\"$(weft get $words[2] -o name 2>/dev/null | sed 's,.*/,,')\"})\n"
	       "\tcompadd -a names\n}\n"
	       "_weft_ends() {\n\tlocal -a ends\n\tends=(outside ${(f)\"$(" NAMES_OF_ENDS ")\"})\n"
	       "\tcompadd -a ends\n}\n"
	       "_weft() {\n\tlocal -a commands\n\tcommands=(\n");
	for (size_t i = 0; i < command_count; i++) {
		printf("\t\t'%s:", command_table[i].name);
		print_quoted(command_table[i].sentence, true);
		printf("'\n");
	}
	printf("\t)\n\tif (( CURRENT == 2 )); then\n\t\t_describe command commands\n\t\treturn\n\tfi\n"
	       "\tlocal command=$words[2]\n\tshift words\n\t(( CURRENT-- ))\n\tcase $command in\n");
	for (size_t i = 0; i < command_count; i++) {
		const struct command_desc *c = &command_table[i];
		printf("\t%s) _arguments '--help[Show help]'", c->name);
		for (size_t j = 0; j < c->n_options; j++)
			zsh_option(&c->options[j]);
		zsh_arguments(c);
		printf(" ;;\n");
	}
	printf("\tesac\n}\n_weft \"$@\"\n");
}

static void fish_arguments(const struct command_desc *c)
{
	const char *in = "complete -c weft -n '__fish_seen_subcommand_from";

	switch (c->hint) {
	case HINT_PATHS:
	case HINT_SCENES:
		printf("%s %s' -F\n", in, c->name);
		break;
	case HINT_KIND:
		printf("%s %s' -a '", in, c->name);
		print_kinds();
		printf("'\n");
		break;
	case HINT_SHELL:
		printf("%s %s' -a 'bash zsh fish'\n", in, c->name);
		break;
	case HINT_COMMANDS:
		printf("%s %s' -a '", in, c->name);
		print_commands();
		printf("'\n");
		break;
	case HINT_ENDS:
		printf("%s %s' -a 'outside ", in, c->name);
		printf("(");
		print_quoted(NAMES_OF_ENDS, false);
		printf(")'\n");
		break;
	case HINT_NONE:
		break;
	}
}

static void print_fish(void)
{
	printf("# fish completion of weft; made by `weft completion fish`\ncomplete -c weft -f\n");
	for (size_t i = 0; i < command_count; i++) {
		const struct command_desc *c = &command_table[i];
		printf("complete -c weft -n __fish_use_subcommand -a %s -d '", c->name);
		print_quoted(c->sentence, false);
		printf("'\n");
		for (size_t j = 0; j < c->n_options; j++) {
			const struct option_desc *o = &c->options[j];
			printf("complete -c weft -n '__fish_seen_subcommand_from %s' -l %s", c->name,
			       o->name);
			if (o->letter)
				printf(" -s %c", o->letter);
			if (o->type != OPTION_FLAG)
				printf(is_path_option(o) ? " -r -F" : " -x");
			if (*o->values) {
				printf(" -a '");
				print_values(o->values);
				printf("'");
			}
			printf(" -d '");
			print_quoted(o->sentence, false);
			printf("'\n");
		}
		fish_arguments(c);
	}
}

int cmd_completion(const struct options_completion *o)
{
	const char *shell = o->args[0];

	if (!strcmp(shell, "bash"))
		print_bash();
	else if (!strcmp(shell, "zsh"))
		print_zsh();
	else if (!strcmp(shell, "fish"))
		print_fish();
	else {
		cli_error("bash, zsh and fish are known", "no completion for the shell \"%s\"", shell);
		return EXIT_USAGE;
	}
	return EXIT_OK;
}
