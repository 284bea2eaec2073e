/* SPDX-License-Identifier: Apache-2.0 */
/* Users and Roles: a password is a hash and never the password, a Role names namespaces that can be. */
#include "object/check.h"

enum { NAME_MAX_LEN = 63 };

/* What the API shows in place of a hash; who sends it back changes nothing. */
static bool is_hidden(struct str s)
{
	return str_eqz(s, "<redacted>");
}

/* The text is not shown: it may be the password itself. */
static void check_user(struct check *c)
{
	const struct user_spec *s = c->o->user->spec;

	if (c->o->meta.name.n > NAME_MAX_LEN)
		check_fail(c, &c->o->meta.name, NULL, "a User's name has at most %d letters", NAME_MAX_LEN);
	if (!s || !s->password.n || is_hidden(s->password))
		return;
	bool hash = s->password.p[0] == '$' && s->password.n > 20 && s->password.n < 384;
	for (size_t i = 0; i < s->password.n; i++)
		hash &= s->password.p[i] > ' ' && s->password.p[i] < 127 && s->password.p[i] != ':';
	if (!hash)
		check_fail(c, &s->password, "weft user NAME asks for a password and prints the manifest",
			   "is no hash as crypt(5) has it: $y$…, $6$…");
}

static void check_role(struct check *c)
{
	const struct role_spec *s = c->o->role->spec;

	if (!s)
		return; /* the field table says that it is required */
	for (size_t i = 0; i < s->namespaces.len; i++) {
		struct str ns = s->namespaces.items[i];
		if (!str_eqz(ns, "*"))
			check_rule(c, &s->namespaces.items[i], ns, syntax_dns_label(ns), "namespace");
	}
	for (size_t i = 0; i < s->users.len; i++)
		check_rule(c, &s->users.items[i], s->users.items[i], syntax_dns_subdomain(s->users.items[i]),
			   "user");
	check_distinct(c, &s->namespaces);
	check_distinct(c, &s->users);
}

const struct kind_rules user_rules = {.check = check_user}, role_rules = {.check = check_role};
