/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command table of `weft`, made from tables/commands.def: option structs, descriptors, the parser. Help,
 * completion and the man page read the descriptors. Knows no command's work.
 */
#ifndef WEFT_CLI_COMMAND_H
#define WEFT_CLI_COMMAND_H

#include <stdio.h>

#include "base/str.h"

/* Of an option that may be given more than once. */
struct option_list {
	const char *items[64];
	size_t n;
};

/* struct options_ID, one per command. Text is NULL where it was not given; it lies in argv. */
#define COMMAND(id, ...)	struct options_##id {
#define FLAG(id, member, ...)	bool member;
#define TEXT(id, member, ...)	const char *member;
#define LIST(id, member, ...)	struct option_list member;
#define NUMBER(id, member, ...) int64_t member;
#define COMMAND_END(id)                                                                                      \
	const char *const *args; /* the arguments that are no options */                                     \
	int n_args;                                                                                          \
	}                                                                                                    \
	;
#include "tables/commands.def"
#undef COMMAND
#undef FLAG
#undef TEXT
#undef LIST
#undef NUMBER
#undef COMMAND_END

enum option_type { OPTION_FLAG, OPTION_TEXT, OPTION_LIST, OPTION_NUMBER };
enum argument_hint {
	HINT_NONE,
	HINT_PATHS,
	HINT_KIND,
	HINT_SCENES,
	HINT_SHELL,
	HINT_COMMANDS,
	HINT_ENDS,
	HINT_POD,
	HINT_FAULT,
	HINT_FILTER,
	HINT_CHANGE
};

struct option_desc {
	enum option_type type;
	const char *name; /* "detach" */
	char letter;	  /* 'd' or 0 */
	const char *metavar;
	const char *values; /* "a|b", or "" for any */
	int64_t min, max, preset;
	const char *sentence;
	size_t offset; /* in the option struct */
};

struct command_desc {
	const char *name;
	const char *arguments;
	int min, max;
	enum argument_hint hint;
	const char *sentence, *more, *examples;
	const struct option_desc *options;
	size_t n_options, size, offset_args, offset_n_args;
	int (*run)(const void *options); /* one of the exit statuses below */
};
extern const struct command_desc command_table[];
extern const size_t command_count;

/* EXIT_TROUBLE where EXIT_FAILED is an answer, as in `weft diff --exit-code`. */
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_TROUBLE = 2 };

/* NULL when there is none of that name. */
const struct command_desc *command_find(const char *name);
/* Appends the command nearest to `name` when one is near enough to suggest. */
bool command_suggest(struct buf *word, const char *name);

/* Parses argv[2…] by the command's options into `options` (c->size bytes). args (argc entries) takes the
 * arguments. EXIT_OK; EXIT_USAGE after telling on stderr what is wrong; or -1 when -h or --help was asked
 * for. */
int command_parse(const struct command_desc *c, int argc, char **argv, void *options, const char **args);

/* The words that may stand at the end of an unfinished line, see complete.c; an exit status. */
int command_complete(int n, char *const *words);

/* Help of one command, or of all (c is NULL), to stdout. */
void help_print(const struct command_desc *c);
/* The manual page as roff: weft.1 where c is NULL, else weft-COMMAND.1. */
void manual_print(FILE *to, const struct command_desc *c);
/* Writes all pages into a folder that is there; an exit status, told. */
int manual_write_all(const char *folder);

/* One line "weft: text" on stderr, then "  hint" when it is not NULL. */
void cli_error(const char *hint, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define COMMAND(id, ...) int cmd_##id(const struct options_##id *o);
#define FLAG(...)
#define TEXT(...)
#define LIST(...)
#define NUMBER(...)
#define COMMAND_END(id)
#include "tables/commands.def"
#undef COMMAND
#undef FLAG
#undef TEXT
#undef LIST
#undef NUMBER
#undef COMMAND_END

#endif
