/* SPDX-License-Identifier: Apache-2.0 */
/* The syntax rules of names, labels, ports and quantities; text in, a sentence or NULL out. See syntax.h. */
#include "object/syntax.h"

static bool lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool alnum(char c)
{
	return lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool dns_label(struct str s)
{
	if (!s.n || s.n > 63 || !lower_alnum(s.p[0]) || !lower_alnum(s.p[s.n - 1]))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!lower_alnum(s.p[i]) && s.p[i] != '-')
			return false;
	return true;
}

const char *syntax_dns_label(struct str s)
{
	return dns_label(s) ? NULL
			    : "use at most 63 lower-case letters, digits and \"-\", with a letter or digit "
			      "at both ends";
}

const char *syntax_dns_label_1035(struct str s)
{
	return dns_label(s) && !digit(s.p[0])
		   ? NULL
		   : "use at most 63 lower-case letters, digits and \"-\", with a letter at "
		     "the start and a letter or digit at the end";
}

const char *syntax_dns_subdomain(struct str s)
{
	bool good = s.n && s.n <= 253 && s.p[s.n - 1] != '.';
	for (struct str rest = s; good && rest.n;) {
		struct str part = str_cut(&rest, '.');
		/* The whole name may have 253 bytes in one part: the rule bounds no part. */
		good = part.n && lower_alnum(part.p[0]) && lower_alnum(part.p[part.n - 1]);
		for (size_t i = 0; good && i < part.n; i++)
			good = lower_alnum(part.p[i]) || part.p[i] == '-';
	}
	return good ? NULL
		    : "use at most 253 lower-case letters, digits, \"-\" and \".\", with a letter or digit "
		      "at both ends "
		      "of each part";
}

const char *syntax_port_name(struct str s)
{
	bool good = s.n && s.n <= 15 && s.p[0] != '-' && s.p[s.n - 1] != '-', letter = false;
	for (size_t i = 0; good && i < s.n; i++) {
		good = lower_alnum(s.p[i]) || (s.p[i] == '-' && s.p[i + 1] != '-');
		letter |= s.p[i] >= 'a' && s.p[i] <= 'z';
	}
	return good && letter ? NULL
			      : "use at most 15 lower-case letters, digits and single \"-\", at least one "
				"letter, and no "
				"\"-\" at the ends";
}

static bool qualified_name(struct str s)
{
	if (!s.n || s.n > 63 || !alnum(s.p[0]) || !alnum(s.p[s.n - 1]))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_' && s.p[i] != '.')
			return false;
	return true;
}

const char *syntax_label_key(struct str s)
{
	const char *slash = s.n ? memchr(s.p, '/', s.n) : NULL;
	struct str name = s;
	if (slash) {
		struct str prefix = str_cut(&name, '/');
		if (syntax_dns_subdomain(prefix))
			return "the part before \"/\" must be a DNS name in lower case";
	}
	return qualified_name(name)
		   ? NULL
		   : "use a name of at most 63 letters, digits, \"-\", \"_\" and \".\", with a letter or "
		     "digit at both ends; a DNS name and \"/\" may stand before it";
}

const char *syntax_label_value(struct str s)
{
	return !s.n || qualified_name(s)
		   ? NULL
		   : "use at most 63 letters, digits, \"-\", \"_\" and \".\", with a letter or "
		     "digit at both ends";
}

const char *syntax_quantity(struct str s)
{
	static const char *const suffixes[] = {"",  "n", "u",  "m",  "k",  "M",	 "G",  "T",
					       "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
	static const char *const rule = "use a number with an optional suffix, such as 250m, 1.5 or 64Mi";
	size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+'), digits = 0;
	for (bool dot = false; i < s.n && (digit(s.p[i]) || (s.p[i] == '.' && !dot)); i++) {
		dot |= s.p[i] == '.';
		digits += digit(s.p[i]);
	}
	if (!digits)
		return rule;
	struct str tail = {.p = s.p + i, .n = s.n - i};
	for (size_t k = 0; k < sizeof(suffixes) / sizeof(suffixes[0]); k++)
		if (str_eqz(tail, suffixes[k]))
			return NULL;
	int64_t exponent;
	if (tail.n > 1 && (tail.p[0] == 'e' || tail.p[0] == 'E') &&
	    !str_to_i64((struct str){tail.p + 1, tail.n - 1}, -100, 100, &exponent))
		return NULL;
	return rule;
}

/* RFC 1035 section 2.3.4: 63 bytes a label, 253 as text without the last dot. */
const char *syntax_domain_pattern(struct str s)
{
	size_t labels = 0;
	struct str rest = s;
	if (str_starts(rest, STR("*.")))
		rest = (struct str){.p = rest.p + 2, .n = rest.n - 2};
	if (rest.n && rest.p[rest.n - 1] == '.')
		rest.n--;
	bool good = rest.n && rest.n <= 253 && rest.p[rest.n - 1] != '.';
	while (good && rest.n) {
		struct str label = str_cut(&rest, '.');
		good = label.n && label.n <= 63 && alnum(label.p[0]) && alnum(label.p[label.n - 1]);
		for (size_t i = 0; good && i < label.n; i++)
			good = alnum(label.p[i]) || label.p[i] == '-' || label.p[i] == '_';
		labels++;
	}
	return good && labels > 1 ? NULL
				  : "use two or more labels of letters, digits, \"-\" and \"_\" with dots "
				    "between them; \"*.\" may stand before them for all names below";
}

const char *syntax_env_name(struct str s)
{
	bool good = s.n > 0;
	for (size_t i = 0; good && i < s.n; i++)
		good = s.p[i] >= 0x20 && s.p[i] < 0x7f && s.p[i] != '=';
	return good ? NULL : "use printable ASCII characters other than \"=\"";
}
