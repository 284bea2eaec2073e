/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft user`: a User's manifest with a hash of a password that is read without showing it. Sends nothing,
 * and keeps nothing of the password.
 */
#include "base/own.h"
#include "cli/command.h"
#include "cli/output.h"
#include "object/syntax.h"

#include <crypt.h>
#include <stdio.h>
#include <termios.h>

enum { PASSWORD_MAX = 512, PASSWORD_MIN = 8 };

/* One line, without its end. */
static bool read_line(char out[PASSWORD_MAX])
{
	if (!fgets(out, PASSWORD_MAX, stdin))
		return false;
	size_t n = strcspn(out, "\r\n");
	bool whole = out[n] || feof(stdin);
	out[n] = 0;
	return whole;
}

static bool read_hidden(const char *prompt, char out[PASSWORD_MAX])
{
	struct termios was, quiet;
	bool terminal = !tcgetattr(STDIN_FILENO, &was);

	if (terminal) {
		fprintf(stderr, "%s: ", prompt);
		quiet = was;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}
	bool ok = read_line(out);
	if (terminal) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
		fputc('\n', stderr);
	}
	return ok;
}

static int read_password(char out[PASSWORD_MAX])
{
	char again[PASSWORD_MAX] = "";
	bool twice = isatty(STDIN_FILENO), same = true;
	bool ok = read_hidden("Password", out) && (!twice || read_hidden("Again", again));

	same = !twice || !strcmp(out, again);
	explicit_bzero(again, sizeof(again));
	if (!ok)
		cli_error("pipe in one line, or use --no-password", "there is no password to read");
	else if (!same)
		cli_error(NULL, "the two passwords differ");
	else if (strlen(out) < PASSWORD_MIN)
		cli_error(NULL, "a password has at least %d letters", PASSWORD_MIN);
	else
		return 0;
	return -1;
}

/* "yescrypt", as libcrypt prefers it, with a salt of its own. */
static int print_password(void)
{
	char password[PASSWORD_MAX] = "";
	struct crypt_data data = {0};
	int r = read_password(password);
	char *salt = r ? NULL : crypt_gensalt_ra(NULL, 0, NULL, 0);
	const char *hash = salt ? crypt_r(password, salt, &data) : NULL;

	if (hash && *hash != '*') {
		printf("spec:\n  password: %s\n", hash);
	} else if (!r) {
		cli_error(NULL, "libcrypt makes no hash");
		r = -1;
	}
	explicit_bzero(password, sizeof(password));
	explicit_bzero(&data, sizeof(data));
	free(salt);
	return r;
}

static void print_role(const struct options_user *o)
{
	printf("---\napiVersion: weft.network/v1alpha1\nkind: Role\nmetadata:\n  name: %s-%s\nspec:\n  "
	       "level: %s\n"
	       "  namespaces:",
	       o->args[0], o->level, o->level);
	for (size_t i = 0; i < o->spaces.n; i++)
		printf("\n  - %s", o->spaces.items[i]);
	printf("%s\n  users:\n  - %s\n", o->spaces.n ? "" : "\n  - \"*\"", o->args[0]);
}

int cmd_user(const struct options_user *o)
{
	const char *wrong = syntax_dns_subdomain(str_of(o->args[0]));

	if (wrong || strlen(o->args[0]) > 63) {
		cli_error(wrong, "\"%s\" is no name of a User%s", o->args[0],
			  wrong ? "" : ": it has more than 63 letters");
		return EXIT_USAGE;
	}
	for (size_t i = 0; i < o->spaces.n; i++)
		if (syntax_dns_label(str_of(o->spaces.items[i]))) {
			cli_error(syntax_dns_label(str_of(o->spaces.items[i])), "\"%s\" is no namespace",
				  o->spaces.items[i]);
			return EXIT_USAGE;
		}
	if (o->spaces.n && !o->level) {
		cli_error("add --level view, capture, operate or admin", "--in is of a Role");
		return EXIT_USAGE;
	}
	printf("apiVersion: weft.network/v1alpha1\nkind: User\nmetadata:\n  name: %s\n", o->args[0]);
	if (!o->no_password && print_password())
		return EXIT_FAILED;
	if (o->level)
		print_role(o);
	return EXIT_OK;
}
