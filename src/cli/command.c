/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command table and its parser: argv into option structs by descriptor, with suggestions for what was
 * mistyped. Never does a command's work. Called by main.c; help.c and completion.c read the table.
 */
#include "cli/command.h"

#include "base/own.h"
#include "cli/names.h"
#include "cli/output.h"

#include <stdio.h>

/* First the option rows of each command, then the commands. */
#define COMMAND(id, ...) static const struct option_desc options_of_##id[] = {
#define FLAG(id, m, name, letter, sentence)                                                                  \
	{OPTION_FLAG, name, letter, "", "", 0, 0, 0, sentence, offsetof(struct options_##id, m)},
#define TEXT(id, m, name, letter, metavar, values, sentence)                                                 \
	{OPTION_TEXT, name, letter, metavar, values, 0, 0, 0, sentence, offsetof(struct options_##id, m)},
#define LIST(id, m, name, letter, metavar, sentence)                                                         \
	{OPTION_LIST, name, letter, metavar, "", 0, 0, 0, sentence, offsetof(struct options_##id, m)},
#define NUMBER(id, m, name, letter, metavar, min, max, preset, sentence)                                     \
	{OPTION_NUMBER, name, letter, metavar,	"",                                                          \
	 min,		max,  preset, sentence, offsetof(struct options_##id, m)},
#define COMMAND_END(id)                                                                                      \
	}                                                                                                    \
	;
#include "tables/commands.def"
#undef COMMAND
#undef FLAG
#undef TEXT
#undef LIST
#undef NUMBER
#undef COMMAND_END

#define COMMAND(id, ...)                                                                                     \
	static int run_##id(const void *options)                                                             \
	{                                                                                                    \
		return cmd_##id((const struct options_##id *)options);                                       \
	}
#define FLAG(...)
#define TEXT(...)
#define LIST(...)
#define NUMBER(...)
#define COMMAND_END(id)
#include "tables/commands.def"
#undef COMMAND

#define COMMAND(id, arguments, min, max, hint, sentence, more, examples)                                     \
	{#id,                                                                                                \
	 arguments,                                                                                          \
	 min,                                                                                                \
	 max,                                                                                                \
	 HINT_##hint,                                                                                        \
	 sentence,                                                                                           \
	 more,                                                                                               \
	 examples,                                                                                           \
	 options_of_##id,                                                                                    \
	 sizeof(options_of_##id) / sizeof(struct option_desc),                                               \
	 sizeof(struct options_##id),                                                                        \
	 offsetof(struct options_##id, args),                                                                \
	 offsetof(struct options_##id, n_args),                                                              \
	 run_##id},
const struct command_desc command_table[] = {
#include "tables/commands.def"
};
#undef COMMAND
#undef FLAG
#undef TEXT
#undef LIST
#undef NUMBER
#undef COMMAND_END
const size_t command_count = ARRAY_LEN(command_table);

void cli_error(const char *hint, const char *fmt, ...)
{
	AUTO_BUF b = {0};
	va_list ap;

	buf_addz(&b, "weft: ");
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	buf_addc(&b, '\n');
	if (hint)
		buf_printf(&b, "  %s\n", hint);
	if (!b.failed)
		fwrite(b.p, 1, b.n, stderr);
}

const struct command_desc *command_find(const char *name)
{
	for (size_t i = 0; i < command_count; i++)
		if (!strcmp(command_table[i].name, name))
			return &command_table[i];
	return NULL;
}

bool command_suggest(struct buf *word, const char *name)
{
	__attribute__((cleanup(near_fini))) struct near near = {.typed = str_of(name)};

	for (size_t i = 0; i < command_count; i++)
		near_try(&near, str_of(command_table[i].name));
	buf_adds(word, buf_str(&near.word));
	return near.word.n != 0;
}

static const struct option_desc *find_option(const struct command_desc *c, struct str name)
{
	for (size_t i = 0; i < c->n_options; i++)
		if (str_eqz(name, c->options[i].name))
			return &c->options[i];
	return NULL;
}

static const struct option_desc *find_letter(const struct command_desc *c, char letter)
{
	for (size_t i = 0; i < c->n_options; i++)
		if (c->options[i].letter == letter)
			return &c->options[i];
	return NULL;
}

static int unknown_option(const struct command_desc *c, const char *arg, struct str name)
{
	__attribute__((cleanup(near_fini))) struct near near = {.typed = name};
	AUTO_BUF hint = {0};

	for (size_t i = 0; name.n > 1 && i < c->n_options; i++)
		near_try(&near, str_of(c->options[i].name));
	if (near.word.n)
		buf_printf(&hint, "did you mean --%s?", near.word.p);
	else
		buf_printf(&hint, "`weft help %s` lists its options", c->name);
	cli_error(hint.p, "%s has no option %s", c->name, arg);
	return EXIT_USAGE;
}

static bool is_value(const char *values, const char *text)
{
	struct str rest = str_of(values);

	while (rest.n) {
		struct str one = str_cut(&rest, '|');
		if (str_eqz(one, text) || (str_ends(one, STR("=")) && str_starts(str_of(text), one)))
			return true;
	}
	return false;
}

static int unknown_value(const struct option_desc *o, const char *value)
{
	__attribute__((cleanup(near_fini))) struct near near = {.typed = str_of(value)};
	struct str rest = str_of(o->values);
	AUTO_BUF hint = {0};

	while (rest.n)
		near_try(&near, str_cut(&rest, '|'));
	if (near.word.n)
		buf_printf(&hint, "did you mean %s?", near.word.p);
	cli_error(hint.p, "--%s is one of %s, not \"%s\"", o->name, o->values, value);
	return EXIT_USAGE;
}

static int set_option(const struct command_desc *c, const struct option_desc *o, void *options,
		      const char *value)
{
	char *at = (char *)options + o->offset;

	if (o->type == OPTION_TEXT) {
		if (*o->values && !is_value(o->values, value))
			return unknown_value(o, value);
		memcpy(at, &value, sizeof(value));
		return EXIT_OK;
	}
	if (o->type == OPTION_LIST) {
		struct option_list *list = (struct option_list *)(void *)at;
		if (list->n == ARRAY_LEN(list->items)) {
			cli_error(NULL, "--%s can be given %zu times at most", o->name, list->n);
			return EXIT_USAGE;
		}
		list->items[list->n++] = value;
		return EXIT_OK;
	}
	int64_t v = 0;
	if (str_to_i64(str_of(value), o->min, o->max, &v)) {
		cli_error(NULL, "--%s of `weft %s` is a number from %lld to %lld, not \"%s\"", o->name,
			  c->name, (long long)o->min, (long long)o->max, value);
		return EXIT_USAGE;
	}
	memcpy(at, &v, sizeof(v));
	return EXIT_OK;
}

/* Where argv is read; `value` is what follows '=' or the letter, or NULL. */
struct parse {
	const struct command_desc *c;
	int argc, i;
	char **argv;
	void *options;
};

static int take(struct parse *p, const struct option_desc *o, const char *value)
{
	if (o->type == OPTION_FLAG) {
		if (value) {
			cli_error(NULL, "--%s takes no value", o->name);
			return EXIT_USAGE;
		}
		bool yes = true;
		memcpy((char *)p->options + o->offset, &yes, sizeof(yes));
		return EXIT_OK;
	}
	if (!value && *o->metavar == '[') /* may stand alone; a value only by '=' */
		value = "";
	if (!value && ++p->i < p->argc)
		value = p->argv[p->i];
	if (!value) {
		cli_error(NULL, "--%s needs a value: %s", o->name, *o->values ? o->values : o->metavar);
		return EXIT_USAGE;
	}
	return set_option(p->c, o, p->options, value);
}

static int take_long(struct parse *p, const char *arg)
{
	struct str rest = str_of(arg + 2);
	bool has_value = strchr(arg, '=') != NULL;
	struct str name = str_cut(&rest, '=');
	const struct option_desc *o = find_option(p->c, name);

	if (str_eqz(name, "help"))
		return -1;
	return o ? take(p, o, has_value ? rest.p : NULL) : unknown_option(p->c, arg, name);
}

static int take_letters(struct parse *p, const char *arg)
{
	for (const char *l = arg + 1; *l; l++) {
		const struct option_desc *o = find_letter(p->c, *l);
		if (*l == 'h' && !o)
			return -1;
		if (!o)
			return unknown_option(p->c, arg, (struct str){l, 1});
		if (o->type != OPTION_FLAG)
			return take(p, o, l[1] ? l + (l[1] == '=' ? 2 : 1) : NULL);
		int r = take(p, o, NULL);
		if (r)
			return r;
	}
	return EXIT_OK;
}

/* --color[=WHEN], of every command. */
static bool is_color(const char *arg)
{
	struct str rest = str_of(arg), name = str_cut(&rest, '=');

	return str_eqz(name, "--color") || str_eqz(name, "--colour");
}

static int take_color(const char *arg)
{
	const char *when = strchr(arg, '=');

	if (!output_set_color(when ? when + 1 : "always"))
		return 0;
	cli_error(NULL, "--color is one of auto, always, never, not \"%s\"", when ? when + 1 : "");
	return -1;
}

static int check_arguments(const struct command_desc *c, int n, const char *const *args)
{
	AUTO_BUF hint = {0};

	buf_printf(&hint, "usage: weft %s [OPTION…] %s", c->name, c->arguments);
	if (n < c->min) {
		cli_error(hint.p, "%s needs %s", c->name, c->arguments);
		return EXIT_USAGE;
	}
	if (c->max >= 0 && n > c->max) {
		cli_error(hint.p, "%s does not know what to do with \"%s\"", c->name, args[c->max]);
		return EXIT_USAGE;
	}
	return EXIT_OK;
}

int command_parse(const struct command_desc *c, int argc, char **argv, void *options, const char **args)
{
	struct parse p = {.c = c, .argc = argc, .argv = argv, .options = options};
	bool only_arguments = false;
	int n = 0;

	for (size_t i = 0; i < c->n_options; i++)
		if (c->options[i].type == OPTION_NUMBER)
			memcpy((char *)options + c->options[i].offset, &c->options[i].preset,
			       sizeof(int64_t));
	for (p.i = 2; p.i < argc; p.i++) {
		const char *arg = argv[p.i];
		int r = EXIT_OK;
		if (!only_arguments && is_color(arg)) {
			if (take_color(arg))
				return EXIT_USAGE;
			continue;
		}
		if (only_arguments || arg[0] != '-' || !arg[1])
			args[n++] = arg;
		else if (!strcmp(arg, "--"))
			only_arguments = true;
		else
			r = arg[1] == '-' ? take_long(&p, arg) : take_letters(&p, arg);
		if (r)
			return r;
	}
	memcpy((char *)options + c->offset_args, &args, sizeof(args));
	memcpy((char *)options + c->offset_n_args, &n, sizeof(n));
	return check_arguments(c, n, args);
}
