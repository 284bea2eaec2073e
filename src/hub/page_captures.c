/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the audit log has of captures, for the page: the newest lines, those of others to whoever administers
 * the whole cluster only, since filters and names of captures tell what somebody looks for.
 */
#include <jansson.h>

#include "base/own.h"
#include "hub/audit.h"
#include "hub/page_routes.h"

enum { TAIL_BYTES = 256 << 10, LINES_MAX = 400 };

static bool is_ours(const json_t *line, const struct who *who, bool all)
{
	const char *what = json_string_value(json_object_get(line, "what"));
	const char *user = json_string_value(json_object_get(line, "user"));

	if (!what || (strncmp(what, "capture-", 8) != 0 && strncmp(what, "download-", 9) != 0))
		return false;
	return all || (user && !strcmp(user, who->user));
}

void page_captures(struct hub *h, const struct who *who, const struct http_request *rq, struct http_reply *rp,
		   struct api_error *e)
{
	bool all = access_level(who, (struct str){0}) >= ACCESS_ADMIN;
	json_t *lines = json_array();
	AUTO_BUF text = {0};
	int r = audit_tail(h->audit, TAIL_BYTES, &text);
	struct str rest = buf_str(&text);

	(void)rq;
	while (!r && rest.n) {
		struct str one = str_cut(&rest, '\n');
		json_t *line = json_loadb(one.p, one.n, 0, NULL);

		if (line && is_ours(line, who, all))
			json_array_append(lines, line);
		json_decref(line);
		if (json_array_size(lines) > LINES_MAX)
			json_array_remove(lines, 0);
	}
	json_t *doc = json_pack("{s:o}", "lines", lines);
	char *out = doc && !r ? json_dumps(doc, JSON_COMPACT) : NULL;

	json_decref(doc);
	if (out)
		buf_addz(&rp->body, out);
	else
		api_fail(e, 500, "InternalError", "the audit log: %s", r ? strerror(-r) : "out of memory");
	free(out);
}
