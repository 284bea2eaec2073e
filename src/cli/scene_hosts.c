/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scene's names outside the cluster, as `weft up --host` takes them:
 *
 *   hosts:
 *     api.example.org: 198.51.100.1                   one address, several in a list, or another name
 *     www.example.org: {to: [198.51.100.1, "2001:db8:51::1"], ttl: 6}
 */
#include "cli/scene.h"

#include "cli/hosts.h"

#include <stdlib.h>

static const char *const host_keys[] = {"to", "ttl", NULL};

static int add_targets(struct buf *b, const struct scene_page *page, const json_t *to, const json_t *at)
{
	json_t *v;
	size_t i;

	if (json_is_string(to))
		buf_addz(b, json_string_value(to));
	else if (!json_array_size(to))
		return scene_tell(page, at, "api.example.org: 198.51.100.1",
				  "a host has an address, a list of addresses, or to and ttl");
	json_array_foreach ((json_t *)(uintptr_t)to, i, v) {
		if (!json_is_string(v))
			return scene_tell(page, v, NULL, "an address is text");
		buf_printf(b, "%s%s", i ? "," : "", json_string_value(v));
	}
	return 0;
}

static int print_host(struct buf *b, const struct scene_page *page, const char *name, const json_t *host)
{
	const json_t *ttl = json_object_get(host, "ttl");

	buf_printf(b, "%s=", name);
	if (scene_check_keys(page, host, host_keys, "a host") ||
	    add_targets(b, page, json_is_object(host) ? json_object_get(host, "to") : host, host))
		return -1;
	if (json_is_string(ttl))
		buf_printf(b, "@%s", json_string_value(ttl));
	return b->failed ? -1 : 0;
}

int scene_hosts_args(struct scene_args *out, const struct scene_page *page, const json_t *hosts)
{
	struct hosts checked = {0};
	const char *name;
	json_t *host;
	int r = 0;

	if (hosts && !json_is_object(hosts))
		return scene_tell(page, hosts, "hosts: {api.example.org: 198.51.100.1}", "hosts is a map");
	json_object_foreach ((json_t *)(uintptr_t)hosts, name, host) {
		struct buf b = {0};
		r = print_host(&b, page, name, host);
		if (!r && hosts_add(&checked, b.p))
			r = scene_tell(page, host, NULL, "this host cannot be given");
		if (!r && vec_push(&out->list, b.p))
			r = -1;
		if (r) {
			buf_fini(&b);
			break;
		}
	}
	hosts_fini(&checked);
	return r;
}

void scene_args_fini(struct scene_args *a)
{
	VEC_EACH (&a->list, text)
		free(*text);
	vec_free(&a->list);
}
