/* SPDX-License-Identifier: Apache-2.0 */
/* From URL paths to kinds, namespaces, names and sub-resources. Looks nothing up in the store. */
#include <errno.h>
#include <stdio.h>

#include "serve/api_state.h"

static const struct kind_desc *by_plural(struct str group, struct str version, struct str plural)
{
	for (size_t i = 0; i < KIND_COUNT; i++)
		if (str_eqz(plural, kind_table[i].plural) && str_eqz(group, kind_table[i].group) &&
		    str_eqz(version, kind_table[i].version))
			return &kind_table[i];
	return NULL;
}

static int keep(char *out, size_t size, struct str s)
{
	if (s.n >= size)
		return -ENOENT;
	memcpy(out, s.p, s.n);
	out[s.n] = 0;
	return 0;
}

/* RESOURCE[/NAME[/SUB]] after the namespace was taken off. */
static int parse_resource(struct target *t, struct str group, struct str version, struct str rest)
{
	struct str plural = str_cut(&rest, '/'), name = str_cut(&rest, '/'), sub = str_cut(&rest, '/');
	t->kind = by_plural(group, version, plural);
	t->events = !t->kind && !group.n && str_eqz(plural, "events");
	t->leases = !t->kind && str_eqz(group, "coordination.k8s.io") && str_eqz(plural, "leases");
	if ((!t->kind && !t->events && !t->leases) || rest.n)
		return -ENOENT;
	t->named = name.n;
	return keep(t->name, sizeof(t->name), name) || keep(t->sub, sizeof(t->sub), sub) ? -ENOENT : 0;
}

int target_parse(struct target *t, const char *path)
{
	struct str rest = str_of(path), group = {0}, version;
	*t = (struct target){0};
	str_cut(&rest, '/');
	struct str root = str_cut(&rest, '/');
	if (str_eqz(root, "apis"))
		group = str_cut(&rest, '/');
	else if (!str_eqz(root, "api"))
		return -ENOENT;
	version = str_cut(&rest, '/');
	if (!rest.n || str_ends(rest, STR("/")))
		return -ENOENT;
	/* namespaces/NS/RESOURCE… unless what follows NS is a sub-resource of the Namespace itself. */
	struct str after = rest, ns;
	if (str_eqz(str_cut(&after, '/'), "namespaces")) {
		ns = str_cut(&after, '/');
		struct str look = after, resource = str_cut(&look, '/');
		if (after.n &&
		    !(!group.n && (str_eqz(resource, "status") || str_eqz(resource, "finalize")))) {
			if (keep(t->ns, sizeof(t->ns), ns) || parse_resource(t, group, version, after))
				return -ENOENT;
			return t->kind && !t->kind->namespaced ? -ENOENT : 0;
		}
	}
	int r = parse_resource(t, group, version, rest);
	/* One object of a namespaced kind needs its namespace. */
	return r || (t->named && (t->events || t->leases || (t->kind && t->kind->namespaced))) ? -ENOENT : 0;
}
