/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manual pages as roff, from the command table: weft.1 with all commands, and weft-COMMAND.1 for each. Keeps
 * no words of its own about a command. Called by `weft help --man` and by what generates and installs them.
 */
#include "cli/command.h"

#include "base/own.h"

#include <errno.h>
#include <stdio.h>

/* Changes with a release, so that the pages do not change by themselves. */
#define MANUAL_DATE "2026-11-23"

/* One code point of valid UTF-8. */
static unsigned decode(const unsigned char *p, size_t n)
{
	unsigned v = n == 2 ? p[0] & 0x1fu : n == 3 ? p[0] & 0x0fu : p[0] & 0x07u;

	for (size_t i = 1; i < n; i++)
		v = v << 6 | (p[i] & 0x3fu);
	return v;
}

/* A backslash, a leading dot or quote and a dash have a meaning of their own to roff; what is not ASCII goes
 * by number. */
static void put(FILE *to, struct str s, bool start)
{
	for (size_t i = 0, n; i < s.n; i += n) {
		char c = s.p[i];
		n = str_utf8(s.p + i, s.n - i);
		n = n ? n : 1;
		if (start && (c == '.' || c == '\''))
			fprintf(to, "\\&");
		start = c == '\n';
		if (n > 1)
			fprintf(to, "\\[u%04X]", decode((const unsigned char *)s.p + i, n));
		else if (c == '\\')
			fprintf(to, "\\e");
		else if (c == '-')
			fprintf(to, "\\-");
		else if (c == '~' || c == '^' || c == '`')
			fprintf(to, c == '~' ? "\\(ti" : c == '^' ? "\\(ha" : "\\(ga");
		else if (c == '\'')
			fprintf(to, "\\(aq");
		else
			fputc(c, to);
	}
}

static void put_line(FILE *to, struct str s)
{
	put(to, s, true);
	fputc('\n', to);
}

static void head(FILE *to, const char *page, const char *sentence)
{
	size_t n = strlen(sentence);
	AUTO_BUF title = {0};

	for (const char *p = page; *p; p++)
		buf_addc(&title, *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p);
	fprintf(to,
		".\\\" Made from tables/commands.def by `weft help --man`; do not edit.\n.TH %s 1 %s \"Weft "
		"%s\" Weft\n",
		title.p, MANUAL_DATE, WEFT_VERSION);
	fprintf(to, ".SH NAME\n");
	put(to, str_of(page), true);
	fprintf(to, " \\- ");
	put(to, (struct str){sentence, n && sentence[n - 1] == '.' ? n - 1 : n}, false);
	fputc('\n', to);
}

static void put_option(FILE *to, const struct option_desc *o)
{
	fprintf(to, ".TP\n\\fB");
	if (o->letter)
		fprintf(to, "\\-%c\\fR, \\fB", o->letter);
	put(to, STR("--"), false);
	put(to, str_of(o->name), false);
	fprintf(to, "\\fR");
	if (o->type != OPTION_FLAG) {
		fprintf(to, *o->metavar == '[' ? "\\fI" : " \\fI");
		put(to, str_of(*o->values ? o->values : o->metavar), false);
		fprintf(to, "\\fR");
	}
	fputc('\n', to);
	put(to, str_of(o->sentence), true);
	if (o->type == OPTION_NUMBER && o->preset)
		fprintf(to, " Default %lld.", (long long)o->preset);
	fputc('\n', to);
}

static void put_examples(FILE *to, const struct command_desc *c)
{
	struct str rest = str_of(c->examples);

	if (rest.n)
		fprintf(to, ".SH EXAMPLES\n");
	while (rest.n) {
		struct str line = str_cut(&rest, '\n'), command = str_cut(&line, '\t');
		fprintf(to, ".TP\n\\fB");
		put(to, command, false);
		fprintf(to, "\\fR\n");
		put_line(to, line);
	}
}

static void print_command(FILE *to, const struct command_desc *c)
{
	struct str more = str_of(c->more);
	AUTO_BUF page = {0};
	bool first = true;

	buf_printf(&page, "weft-%s", c->name);
	head(to, page.p, c->sentence);
	fprintf(to, ".SH SYNOPSIS\n\\fBweft %s\\fR", c->name);
	if (c->n_options)
		fprintf(to, " [\\fIOPTION\\fR]\\|.\\|.\\|.");
	fputc(' ', to);
	put(to, str_of(c->arguments), false);
	fprintf(to, "\n.SH DESCRIPTION\n");
	if (!more.n)
		put_line(to, str_of(c->sentence));
	while (more.n) {
		struct str paragraph = str_cut(&more, '\n');
		if (!paragraph.n)
			continue;
		if (!first)
			fprintf(to, ".PP\n");
		put_line(to, paragraph);
		first = false;
	}
	if (c->n_options)
		fprintf(to, ".SH OPTIONS\n");
	for (size_t i = 0; i < c->n_options; i++)
		put_option(to, &c->options[i]);
	put_examples(to, c);
	fprintf(to, ".SH SEE ALSO\n.BR weft (1)\n");
}

static void print_all(FILE *to)
{
	head(to, "weft", "a network for containers that you can see");
	fprintf(to, ".SH SYNOPSIS\n.B weft\n\\fICOMMAND\\fR [\\fIOPTION\\fR]\\|.\\|.\\|. "
		    "[\\fIARGUMENT\\fR]\\|.\\|.\\|.\n"
		    ".SH DESCRIPTION\n"
		    "Weft runs a Kubernetes cluster network on this machine from manifests: pods in network "
		    "namespaces,\n"
		    "Services, DNS and network policies in force in eBPF, in both address families.\n"
		    ".SH COMMANDS\nEach has a page of its own, weft\\-\\fICOMMAND\\fR(1).\n");
	for (size_t i = 0; i < command_count; i++) {
		fprintf(to, ".TP\n.BR weft\\-%s (1)\n", command_table[i].name);
		put_line(to, str_of(command_table[i].sentence));
	}
	fprintf(
	    to,
	    ".SH OPTIONS\n"
	    ".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nHelp of weft or of a command, before or after its name.\n"
	    ".TP\n\\fB\\-\\-version\\fR\nThe version.\n"
	    ".TP\n\\fB\\-\\-color\\fR[=\\fIauto|always|never\\fR]\n"
	    "Of every command: colours on a terminal (auto), in any case, or not at all.\n"
	    ".SH EXIT STATUS\n"
	    "0 when it went well; 1 when it failed, or the answer is no; 2 when the command line was wrong, "
	    "or there is\n"
	    "no answer. Where a command means more by it, its page says so.\n"
	    ".SH ENVIRONMENT\n"
	    ".TP\n.B NO_COLOR\nNo colours, where it is set and not empty.\n"
	    ".TP\n.B CLICOLOR_FORCE\nColours also where the output is no terminal, where it is set and not "
	    "0; NO_COLOR "
	    "goes before.\n"
	    ".TP\n.B COLUMNS\nWidth of tables where the output is no terminal.\n"
	    ".TP\n.B WEFT_LIBEXEC\nFolder of the private programs.\n"
	    ".TP\n.B WEFT_LOG\nLevel of the log: error, warn, info or debug.\n"
	    ".SH FILES\n.TP\n.I /run/weft/NAME/\nSockets, logs and the kubeconfig of a running cluster.\n");
}

void manual_print(FILE *to, const struct command_desc *c)
{
	if (c)
		print_command(to, c);
	else
		print_all(to);
}

/* Page number i: weft.1, then one a command. 0 or -1 (told). */
static int write_page(const char *folder, size_t i)
{
	const struct command_desc *c = i ? &command_table[i - 1] : NULL;
	AUTO_BUF path = {0};

	buf_printf(&path, "%s/weft%s%s.1", folder, c ? "-" : "", c ? c->name : "");
	FILE *f = path.failed ? NULL : fopen(path.p, "we");
	if (f)
		manual_print(f, c);
	bool good = f && !ferror(f);
	if (f && fclose(f))
		good = false;
	if (!good)
		cli_error(NULL, "cannot write %s: %s", path.p ? path.p : folder, strerror(errno));
	return good ? 0 : -1;
}

int manual_write_all(const char *folder)
{
	for (size_t i = 0; i <= command_count; i++)
		if (write_page(folder, i))
			return EXIT_FAILED;
	return EXIT_OK;
}
