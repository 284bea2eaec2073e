/* SPDX-License-Identifier: Apache-2.0 */
/* A new object at the end of a manifest, as its author wrote it. Called by the hub; see edit.h. */
#include <errno.h>
#include <stdio.h>

#include "base/own.h"
#include "source/edit_state.h"

/* Without the marks around the document, which are ours to set. */
static struct str bare(struct str yaml)
{
	static const char bom[] = "\xef\xbb\xbf";
	if (str_starts(yaml, STR(bom))) {
		yaml.p += 3;
		yaml.n -= 3;
	}
	for (;;) {
		struct str rest = yaml, line = str_trim(str_cut(&rest, '\n'));
		if (!yaml.n || (line.n && !str_eqz(line, "---")))
			return yaml;
		yaml = rest;
	}
}

static void add_lines(struct buf *out, struct str text, bool crlf)
{
	while (text.n) {
		struct str line = str_cut(&text, '\n');
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		buf_adds(out, line);
		buf_addz(out, crlf ? "\r\n" : "\n");
	}
}

static int refuse(struct edit_refusal *no, const char *why)
{
	snprintf(no->why, sizeof(no->why), "%s", why);
	return -EINVAL;
}

int edit_add(const struct edit_ask *ask, struct str yaml, struct buf *out, struct object **now,
	     struct edit_refusal *no)
{
	struct edit_given was = {0}, is = {0};
	struct str t = ask->text;
	const char *nl = t.n ? memchr(t.p, '\n', t.n) : NULL;
	bool crlf = nl && nl > t.p && nl[-1] == '\r';
	*no = (struct edit_refusal){0};
	if (str_ends(str_of(ask->path), STR(".json")))
		return refuse(no, "new objects are only added to YAML files");
	int r = edit_read(ask, t, &was);
	if (!r && edit_find(&was, ask->object) < was.list.len)
		r = refuse(no, "an object of that name is in it already");
	if (!r) {
		buf_adds(out, t);
		if (t.n && t.p[t.n - 1] != '\n')
			buf_addz(out, crlf ? "\r\n" : "\n");
		if (t.n)
			buf_addz(out, crlf ? "---\r\n" : "---\n");
		add_lines(out, bare(yaml), crlf);
		r = out->failed ? -ENOMEM : edit_read(ask, buf_str(out), &is);
	}
	bool good = !r && is.errors <= was.errors && is.skipped == was.skipped &&
		    is.list.len == was.list.len + 1 && edit_find(&is, ask->object) == was.list.len;
	for (size_t i = 0; good && i < was.list.len; i++)
		good = edit_same_text(was.list.items[i], is.list.items[i]);
	if (!r && !good)
		r = refuse(no, "behind what it holds, the text would not say what was asked for");
	if (!r)
		*now = object_ref(is.list.items[was.list.len]);
	edit_given_fini(&was);
	edit_given_fini(&is);
	return r;
}
