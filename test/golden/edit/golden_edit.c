/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Golden test of surgical edits: each NAME.cases in the folder holds cases
 *
 *   #### title
 *   Kind ns/name [json] [crlf] [open] [bom]       how the file is: named .json, with CR LF, without a last
 * line end
 *   {"a":…}                                        a merge patch of the object; or: remove
 *   ----
 *   the file
 *   ====
 *   what changes in it, line by line with numbers, or why it is refused
 *
 * WEFT_GOLDEN=write writes the last part of each anew; a person reads the difference.
 */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "base/own.h"
#include "source/edit.h"

static int read_all(const char *path, struct buf *b)
{
	FILE *f = fopen(path, "r");
	if (!f)
		return -errno;
	char chunk[4096];
	size_t n;
	while ((n = fread(chunk, 1, sizeof(chunk), f)))
		buf_add(b, chunk, n);
	fclose(f);
	return b->failed ? -ENOMEM : 0;
}

static void merge(json_t *to, const json_t *patch)
{
	const char *key;
	json_t *v;
	json_object_foreach ((json_t *)(uintptr_t)patch, key, v) {
		json_t *was = json_object_get(to, key);
		if (json_is_null(v))
			json_object_del(to, key);
		else if (json_is_object(v) && json_is_object(was))
			merge(was, v);
		else
			json_object_set(to, key, v);
	}
}

struct wanted {
	struct str kind, ns, name;
	struct object *found;
};

static int take(void *ctx, struct object *o)
{
	struct wanted *w = ctx;
	bool it = str_eqz(w->kind, o->desc->name) && str_eq(w->name, o->meta.name) &&
		  (str_eq(w->ns, o->meta.ns) || (!o->meta.ns.n && str_eqz(w->ns, "default")));
	if (it && !w->found && !object_default(o))
		w->found = o;
	else
		object_unref(&o);
	return 0;
}

static void shape_text(struct buf *out, struct str body, struct str flags)
{
	bool crlf = memmem(flags.p, flags.n, "crlf", 4), open = memmem(flags.p, flags.n, "open", 4);
	if (memmem(flags.p, flags.n, "bom", 3))
		buf_addz(out, "\xef\xbb\xbf");
	if (open && body.n)
		body.n--;
	for (size_t i = 0; i < body.n; i++) {
		if (crlf && body.p[i] == '\n')
			buf_addc(out, '\r');
		buf_addc(out, body.p[i]);
	}
	buf_addz(out, "");
}

enum { LINES = 400 };

static size_t lines_of(struct str s, struct str out[LINES])
{
	size_t n = 0;
	while (s.n && n < LINES) {
		const char *nl = memchr(s.p, '\n', s.n);
		size_t len = nl ? (size_t)(nl - s.p) + 1 : s.n;
		out[n++] = (struct str){.p = s.p, .n = len};
		s = (struct str){.p = s.p + len, .n = s.n - len};
	}
	return n;
}

static void show_line(struct buf *b, size_t number, char sign, struct str line)
{
	bool ended = line.n && line.p[line.n - 1] == '\n';
	buf_printf(b, "%zu%c", number, sign);
	for (size_t i = 0; i + ended < line.n; i++)
		if (line.p[i] == '\r')
			buf_addz(b, "\\r");
		else
			buf_addc(b, line.p[i]);
	buf_addz(b, ended ? "\n" : "\\\n");
}

static void show_diff(struct buf *b, struct str from, struct str to)
{
	static struct str x[LINES], y[LINES];
	static unsigned short best[LINES + 1][LINES + 1];
	size_t n = lines_of(from, x), m = lines_of(to, y), i = 0, j = 0;
	memset(best, 0, sizeof(best));
	for (size_t k = n; k-- > 0;)
		for (size_t l = m; l-- > 0;)
			best[k][l] = str_eq(x[k], y[l]) ? (unsigned short)(best[k + 1][l + 1] + 1)
				     : best[k + 1][l] > best[k][l + 1] ? best[k + 1][l]
								       : best[k][l + 1];
	while (i < n || j < m) {
		if (i < n && j < m && str_eq(x[i], y[j])) {
			i++;
			j++;
		} else if (i < n && (j == m || best[i + 1][j] >= best[i][j + 1])) {
			show_line(b, i + 1, '-', x[i]);
			i++;
		} else {
			show_line(b, j + 1, '+', y[j]);
			j++;
		}
	}
}

static void run_case(struct buf *out, struct str head, struct str patch, struct str body)
{
	AUTO_BUF text = {0}, old = {0}, new = {0};
	struct str kind = str_cut(&head, ' '), key = str_cut(&head, ' '), ns = str_cut(&key, '/');
	struct wanted w = {.kind = kind, .ns = key.p && key.n ? ns : STR(""), .name = key.n ? key : ns};
	struct remarks rs = {0};
	struct file *file = NULL;
	struct edit_refusal no;
	struct object *now = NULL;
	bool json = memmem(head.p ? head.p : "", head.n, "json", 4);
	struct edit_ask ask = {.path = json ? "f.json" : "f.yaml", .remove = str_eqz(patch, "remove")};
	struct decoder_options opt = {.sink = take, .ctx = &w, .remarks = &rs};
	static const char *const out_names[] = {"kubectl.kubernetes.io/last-applied-configuration", NULL};
	shape_text(&text, body, head);
	if (file_new(&file, ask.path, text.p, text.n))
		abort();
	json ? decode_json(file, &opt) : decode_yaml(file, &opt);
	file_unref(&file);
	remarks_fini(&rs);
	if (!w.found) {
		buf_addz(out, "there is no such object\n");
		return;
	}
	object_print_json(&old, w.found, PRINT_PLAIN);
	json_t *o = json_loadb(old.p, old.n, 0, NULL), *p = json_loadb(patch.p, patch.n, 0, NULL);
	merge(o, p);
	char *dumped = json_dumps(o, JSON_COMPACT);
	ask.text = buf_str(&text);
	ask.object = ask.in_force = w.found;
	ask.old = buf_str(&old);
	ask.want = str_of(dumped);
	ask.keep_out = out_names;
	int r = edit_text(&ask, &new, &now, &no);
	if (r == -EINVAL)
		buf_printf(out, "refused: %u:%u: %s\n", no.line, no.col, no.why);
	else if (r)
		buf_printf(out, "error %d\n", r);
	else
		show_diff(out, ask.text, buf_str(&new));
	if (!r && str_eq(ask.text, buf_str(&new)))
		buf_addz(out, "nothing\n");
	free(dumped);
	json_decref(o);
	json_decref(p);
	object_unref(&now);
	object_unref(&w.found);
}

static struct str until(struct str *rest, const char *mark)
{
	char *at = memmem(rest->p, rest->n, mark, strlen(mark));
	struct str s = {.p = rest->p, .n = at ? (size_t)(at - rest->p) : rest->n};
	size_t skip = at ? s.n + strlen(mark) : rest->n;
	*rest = (struct str){.p = rest->p + skip, .n = rest->n - skip};
	return s;
}

static unsigned number;

static bool check_file(const char *name)
{
	AUTO_BUF all = {0}, again = {0};
	const char *mode = getenv("WEFT_GOLDEN");
	bool good = true;
	if (read_all(name, &all))
		return false;
	struct str rest = buf_str(&all);
	buf_adds(&again, until(&rest, "#### "));
	while (rest.n) {
		struct str one = until(&rest, "#### ");
		AUTO_BUF got = {0};
		struct str title = str_cut(&one, '\n'), head = str_cut(&one, '\n'),
			   patch = str_cut(&one, '\n');
		until(&one, "----\n");
		struct str body = until(&one, "====\n");
		run_case(&got, head, patch, body);
		bool same = str_eq(str_trim(buf_str(&got)), str_trim(one));
		printf("%sok %u - %s: " STR_FMT "\n", same || mode ? "" : "not ", ++number, name,
		       STR_ARG(title));
		for (struct str g = buf_str(&got); !same && !mode && g.n;) {
			struct str line = str_cut(&g, '\n');
			printf("# " STR_FMT "\n", STR_ARG(line));
		}
		good &= same || mode;
		buf_printf(&again,
			   "#### " STR_FMT "\n" STR_FMT "\n" STR_FMT "\n----\n" STR_FMT "====\n" STR_FMT "\n",
			   STR_ARG(title), STR_ARG(head), STR_ARG(patch), STR_ARG(body),
			   STR_ARG(buf_str(&got)));
	}
	if (mode && !strcmp(mode, "write")) {
		FILE *f = fopen(name, "w");
		if (!f)
			return false;
		fwrite(again.p, 1, again.n, f);
		return !fclose(f);
	}
	return good;
}

static int is_case(const struct dirent *e)
{
	return str_ends(str_of(e->d_name), STR(".cases"));
}

int main(int argc, char **argv)
{
	struct dirent **names;
	bool good = true;
	if (argc != 2 || chdir(argv[1])) {
		fprintf(stderr, "golden_edit: name the folder of the cases\n");
		return 2;
	}
	int n = scandir(".", &names, is_case, alphasort);
	if (n <= 0)
		return 2;
	for (int i = 0; i < n; i++) {
		good &= check_file(names[i]->d_name);
		free(names[i]);
	}
	free(names);
	printf("1..%u\n", number);
	return good ? 0 : 1;
}
