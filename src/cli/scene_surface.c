/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The surfaces of a scene besides reach: drop counters and objects of the running cluster. Only asks.
 */
#include "cli/scene.h"

#include "base/own.h"
#include "cli/cluster.h"
#include "cli/drops.h"
#include "cli/output.h"

static bool was_dropped(const json_t *drops, struct str pod, struct str reason)
{
	json_t *d;
	size_t i;

	json_array_foreach ((json_t *)(uintptr_t)drops, i, d) {
		struct str name = str_of(json_string_value(json_object_get(d, "pod")));
		bool in_default = str_starts(name, STR("default/")) && name.n - 8 == pod.n &&
				  !memcmp(name.p + 8, pod.p, pod.n);
		if ((str_eq(name, pod) || in_default) &&
		    str_eqz(reason, json_string_value(json_object_get(d, "reason"))) &&
		    json_integer_value(json_object_get(d, "packets")) > 0)
			return true;
	}
	return false;
}

size_t expect_drops(struct buf *out, const struct scene_page *page, const char *cluster, const json_t *list)
{
	const struct options_drops all = {0};
	AUTO_JSON drops = json_array();
	size_t bad = 0, i;
	json_t *v;

	if (!json_array_size(list))
		return 0;
	if (drops_collect(&all, cluster, false, drops)) {
		scene_why_add(out, scene_place_of(page, list), "drops: an observer does not answer");
		return 1;
	}
	json_array_foreach ((json_t *)(uintptr_t)list, i, v) {
		struct str reason = str_of(json_string_value(v));
		struct str pod = str_cut(&reason, ' ');
		if (was_dropped(drops, pod, reason))
			continue;
		scene_why_add(out, scene_place_of(page, v),
			      "drops: nothing was counted for " STR_FMT " as " STR_FMT, STR_ARG(pod),
			      STR_ARG(reason));
		bad++;
	}
	return bad;
}

static bool object_has(const char *cluster, struct str line, struct buf *seen)
{
	struct str kind = str_cut(&line, ' '), name = str_cut(&line, ' '), path = str_cut(&line, ' ');
	const struct kind_desc *k = kind_by_name(kind);
	char socket_path[CLUSTER_PATH];
	AUTO_BUF url = {0};
	AUTO_BUF body = {0};
	struct str ns = STR("default");

	if (!k) {
		buf_addz(seen, "no such kind");
		return false;
	}
	if (name.n && memchr(name.p, '/', name.n))
		ns = str_cut(&name, '/');
	buf_printf(&url, "%s%s", *k->group ? "/apis/" : "/api/", kind_api_version(k));
	if (k->namespaced)
		buf_printf(&url, "/namespaces/" STR_FMT, STR_ARG(ns));
	buf_printf(&url, "/%s/" STR_FMT, k->plural, STR_ARG(name));
	cluster_path(socket_path, cluster, "hub.sock");
	long code = http_request(socket_path, "GET", url.p, NULL, (struct str){0}, &body);
	AUTO_JSON v = code == 200 ? json_loadb(body.p ? body.p : "", body.n, 0, NULL) : NULL;
	const json_t *at = v;
	while (path.n && at) {
		struct str step = str_cut(&path, '.');
		AUTO_BUF key = {0};
		int64_t index = 0;
		buf_adds(&key, step);
		at = json_is_array(at) && !str_to_i64(step, 0, 100000, &index)
			 ? json_array_get(at, (size_t)index)
			 : json_object_get(at, key.p);
	}
	char *text = json_is_string(at) ? NULL : at ? json_dumps(at, JSON_ENCODE_ANY) : NULL;
	buf_addz(seen, json_is_string(at) ? json_string_value(at)
		       : text		  ? text
		       : v		  ? "nothing there"
					  : "no such object");
	free(text);
	return str_eq(buf_str(seen), line);
}

size_t expect_objects(struct buf *out, const struct scene_page *page, const char *cluster, const json_t *list)
{
	size_t bad = 0, i;
	json_t *v;

	json_array_foreach ((json_t *)(uintptr_t)list, i, v) {
		AUTO_BUF seen = {0};
		if (object_has(cluster, str_of(json_string_value(v)), &seen))
			continue;
		scene_why_add(out, scene_place_of(page, v), "get: expected %s; there is %s",
			      json_string_value(v), seen.p);
		bad++;
	}
	return bad;
}
