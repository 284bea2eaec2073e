/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program `weft`: finds the command, parses its options, runs it. Nothing else lives here.
 */
#include "base/log.h"
#include "base/own.h"
#include "cli/command.h"

#include <stdio.h>

/* Wireshark calls a program of this name, and knows no word before the options: argv with it (owned), or
 * NULL. */
static char **as_extcap(int *argc, char **argv)
{
	const char *slash = *argc ? strrchr(argv[0], '/') : NULL;

	if (!*argc || strcmp(slash ? slash + 1 : argv[0], "weft-extcap"))
		return NULL;
	char **all = calloc((size_t)*argc + 2, sizeof(*all));

	if (!all)
		return NULL;
	all[0] = argv[0];
	all[1] = (char *)"extcap";
	memcpy(all + 2, argv + 1, (size_t)*argc * sizeof(*all));
	(*argc)++;
	return all;
}

int main(int argc, char **argv)
{
	log_open("weft");
	AUTO_MEM char **extcap = as_extcap(&argc, argv);
	if (extcap)
		argv = extcap;
	if (argc < 2 || !strcmp(argv[1], "-h") || !strcmp(argv[1], "--help")) {
		help_print(NULL);
		return argc < 2 ? EXIT_USAGE : EXIT_OK;
	}
	if (!strcmp(argv[1], "--version"))
		argv[1] = (char[]){"version"};

	if (!strcmp(argv[1], "__complete"))
		return command_complete(argc - 2, argv + 2);

	const struct command_desc *c = command_find(argv[1]);
	if (!c) {
		AUTO_BUF hint = {0};
		AUTO_BUF near = {0};
		if (command_suggest(&near, argv[1]))
			buf_printf(&hint, "did you mean `weft %s`?", near.p);
		cli_error(near.n ? hint.p : "`weft help` lists the commands", "there is no command \"%s\"",
			  argv[1]);
		return EXIT_USAGE;
	}

	AUTO_MEM void *options = calloc(1, c->size);
	AUTO_MEM const char **args = calloc((size_t)argc + 1, sizeof(*args));
	if (!options || !args) {
		cli_error(NULL, "out of memory");
		return EXIT_FAILED;
	}
	int r = command_parse(c, argc, argv, options, args);
	if (r < 0) {
		help_print(c);
		return EXIT_OK;
	}
	if (!r)
		r = c->run(options);
	if (fflush(stdout) || ferror(stdout)) {
		if (!r)
			cli_error(NULL, "cannot write the output");
		r = r ? r : EXIT_FAILED;
	}
	return r;
}
