/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Styles, widths and JSON or YAML on stdout. Knows nothing of what it prints. Used by every command.
 */
#include "cli/output.h"

#include "base/own.h"

#include <stdio.h>
#include <sys/ioctl.h>

int output_width(void)
{
	struct winsize w;
	int64_t v = 0;

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) && w.ws_col >= 20)
		return w.ws_col;
	if (!str_to_i64(str_of(getenv("COLUMNS")), 20, 10000, &v))
		return (int)v;
	return 1 << 20;
}

bool output_is_terminal(void)
{
	return isatty(STDOUT_FILENO);
}

static enum { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER } color;

int output_set_color(const char *when)
{
	static const char *const words[] = {"auto", "always", "never"};

	for (unsigned i = 0; i < ARRAY_LEN(words); i++)
		if (!strcmp(when, words[i])) {
			color = i;
			return 0;
		}
	return -1;
}

/* Whether the variable is set to something that is neither nothing nor 0. */
static bool is_set(const char *variable)
{
	const char *v = getenv(variable);

	return v && *v && strcmp(v, "0") != 0;
}

static bool is_colored(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM"), *cli = getenv("CLICOLOR");

	if (color != COLOR_AUTO)
		return color == COLOR_ALWAYS;
	if (no && *no)
		return false;
	if (is_set("CLICOLOR_FORCE"))
		return true;
	return output_is_terminal() && !(term && !strcmp(term, "dumb")) && !(cli && !strcmp(cli, "0"));
}

const char *output_style(enum style s)
{
	static const char *const codes[] = {"\033[0m",	"\033[1m",  "\033[2m",
					    "\033[32m", "\033[31m", "\033[33m"};

	return is_colored() ? codes[s] : "";
}

size_t output_columns(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == 0x1b) {
			while (i < s.n && s.p[i] != 'm')
				i++;
			continue;
		}
		n += (c & 0xc0) != 0x80;
	}
	return n;
}

/* Plain where every YAML reader takes it for text and nothing else. */
static bool yaml_is_plain(const char *s)
{
	static const char *const words[] = {"null", "true", "false", "yes", "no", "on", "off", "y", "n", "~"};
	char *end;

	if (!*s || strchr("-?:,[]{}#&*!|>'\"%@` ", *s) || s[strlen(s) - 1] == ' ' || s[strlen(s) - 1] == ':')
		return false;
	if (strstr(s, ": ") || strstr(s, " #"))
		return false;
	for (const char *p = s; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return false;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (!strcasecmp(s, words[i]))
			return false;
	if (strtod(s, &end), !*end)
		return false;
	/* Dates and sexagesimal numbers are text to us, not to every reader. */
	return !(*s >= '0' && *s <= '9' && strspn(s, "0123456789-:_.TZ+") == strlen(s) && !strchr(s, '.'));
}

static void yaml_text(struct buf *b, const char *s)
{
	if (yaml_is_plain(s))
		buf_addz(b, s);
	else
		buf_json(b, str_of(s));
}

static void yaml_scalar(struct buf *b, const json_t *v)
{
	if (json_is_string(v))
		yaml_text(b, json_string_value(v));
	else if (json_is_integer(v))
		buf_printf(b, "%lld", (long long)json_integer_value(v));
	else if (json_is_real(v))
		buf_printf(b, "%.15g", json_real_value(v));
	else if (json_is_boolean(v))
		buf_addz(b, json_is_true(v) ? "true" : "false");
	else if (json_is_array(v))
		buf_addz(b, "[]");
	else if (json_is_object(v))
		buf_addz(b, "{}");
	else
		buf_addz(b, "null");
}

static bool yaml_is_block(const json_t *v)
{
	return (json_is_array(v) && json_array_size(v)) || (json_is_object(v) && json_object_size(v));
}

void yaml_print(struct buf *b, const json_t *v, int indent)
{
	const char *key;
	json_t *item;
	size_t i;

	if (!yaml_is_block(v)) {
		buf_printf(b, "%*s", indent, "");
		yaml_scalar(b, v);
		buf_addc(b, '\n');
		return;
	}
	json_array_foreach (v, i, item) {
		size_t start = b->n;
		if (yaml_is_block(item)) {
			/* The item is printed two deeper, then its first line gets the dash. */
			yaml_print(b, item, indent + 2);
			if (!b->failed)
				b->p[start + (size_t)indent] = '-';
		} else {
			buf_printf(b, "%*s- ", indent, "");
			yaml_scalar(b, item);
			buf_addc(b, '\n');
		}
	}
	json_object_foreach ((json_t *)(uintptr_t)v, key, item) {
		buf_printf(b, "%*s", indent, "");
		yaml_text(b, key);
		buf_addc(b, ':');
		if (yaml_is_block(item)) {
			buf_addc(b, '\n');
			yaml_print(b, item, json_is_array(item) ? indent : indent + 2);
		} else {
			buf_addc(b, ' ');
			yaml_scalar(b, item);
			buf_addc(b, '\n');
		}
	}
}

void output_value(const json_t *v, const char *format)
{
	AUTO_BUF b = {0};

	if (format && !strcmp(format, "yaml")) {
		yaml_print(&b, v, 0);
		if (!b.failed)
			fwrite(b.p, 1, b.n, stdout);
		return;
	}
	json_dumpf(v, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
	putchar('\n');
}
