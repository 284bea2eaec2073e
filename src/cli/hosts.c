/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what --host says; see hosts.h. Resolves nothing. */
#include "cli/hosts.h"

#include "base/addr.h"
#include "base/own.h"
#include "cli/command.h"

#include <stdlib.h>

enum { TTL = 30, TTL_MAX = 86400, NAME_MAX_BYTES = 253, LABEL_MAX = 63 };

#define CLUSTER_DOMAIN "cluster.local"

static bool is_label(struct str label)
{
	if (!label.n || label.n > LABEL_MAX)
		return false;
	for (size_t i = 0; i < label.n; i++) {
		char c = label.p[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '-' || c == '_'))
			return false;
	}
	return true;
}

static bool is_name(struct str name)
{
	if (!name.n || name.n > NAME_MAX_BYTES)
		return false;
	while (name.n)
		if (!is_label(str_cut(&name, '.')))
			return false;
	return true;
}

/* "*.example.org" too: every name below that is not given itself. */
static bool is_pattern(struct str name)
{
	if (name.n > 2 && name.p[0] == '*' && name.p[1] == '.')
		name = (struct str){name.p + 2, name.n - 2};
	return is_name(name);
}

static struct str without_dot(struct str name)
{
	if (name.n && name.p[name.n - 1] == '.')
		name.n--;
	return name;
}

static bool is_of_cluster(struct str name)
{
	return str_eqz(name, CLUSTER_DOMAIN) || str_ends(name, STR("." CLUSTER_DOMAIN));
}

static int wrong(const char *said, const char *why)
{
	cli_error("write it as api.example.org=203.0.113.10,2001:db8:113::10@60, or as "
		  "www.example.org=api.example.org",
		  "--host %s: %s", said, why);
	return -1;
}

static int add(struct hosts *h, const char *said, struct str name, struct str to, unsigned ttl)
{
	bool alias, other;
	struct addr a;

	alias = addr_parse(to, &a) != 0;
	if (alias)
		to = without_dot(to);
	if (alias && !is_name(to))
		return wrong(said, "a name stands for addresses, or for one other name");
	VEC_EACH (&h->list, e) {
		other = addr_parse(str_of(e->to), &a) != 0;
		if (str_eqz(name, e->name) && (alias || other))
			return wrong(said, "an alias has one target, and no addresses");
	}
	struct sandbox_host new = {.name = strndup(name.p, name.n), .to = strndup(to.p, to.n), .ttl = ttl};
	if (new.name &&new.to && !vec_push(&h->list, new))
		return 0;
	free(new.name);
	free(new.to);
	cli_error(NULL, "out of memory");
	return -1;
}

int hosts_add(struct hosts *h, const char *said)
{
	struct str rest = str_of(said), name = without_dot(str_cut(&rest, '=')), list = str_cut(&rest, '@');
	int64_t ttl = TTL;

	if (!is_pattern(name))
		return wrong(said, "it begins with a domain name");
	if (is_of_cluster(name))
		return wrong(said, "names below " CLUSTER_DOMAIN " are the cluster's own");
	if (rest.p && rest.n && str_to_i64(rest, 0, TTL_MAX, &ttl))
		return wrong(said, "after @ stands a TTL of at most 86400 seconds");
	if (!list.n)
		return wrong(said, "what is its address?");
	while (list.n)
		if (add(h, said, name, str_cut(&list, ','), (unsigned)ttl))
			return -1;
	return 0;
}

void hosts_fini(struct hosts *h)
{
	VEC_EACH (&h->list, e) {
		free(e->name);
		free(e->to);
	}
	vec_free(&h->list);
}
