/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Golden test of decoding and validation: each NAME.yaml or NAME.json in the folder gives the remarks and the
 * objects that stand in NAME.remarks. WEFT_GOLDEN=write writes these files anew; a person reads the
 * difference.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#include "base/own.h"
#include "object/decode.h"

struct outcome {
	struct remarks rs;
	struct buf objects;
};

static int take(void *ctx, struct object *o)
{
	struct outcome *out = ctx;
	bool good = object_validate(o, &out->rs);
	struct str key = object_key(o);
	if (good && object_default(o))
		return -ENOMEM;
	buf_printf(&out->objects, "%s %s ", good ? "good" : "bad ", o->desc->name);
	buf_json(&out->objects, key);
	buf_addc(&out->objects, '\n');
	object_unref(&o);
	return 0;
}

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
	if (!b->p)
		buf_addz(b, "");
	return b->failed ? -ENOMEM : 0;
}

static int decode_file(const char *name, struct buf *text)
{
	AUTO_BUF input = {0};
	struct outcome out = {0};
	struct file *file;
	int r = read_all(name, &input);
	if (!r)
		r = file_new(&file, name, input.p, input.n);
	if (r)
		return r;
	struct decoder_options opt = {.sink = take, .ctx = &out, .remarks = &out.rs};
	if (str_ends(str_of(name), STR(".json")))
		decode_json(file, &opt);
	else
		decode_yaml(file, &opt);
	remarks_sort(&out.rs);
	VEC_EACH (&out.rs.list, rm)
		remark_print(text, rm, false);
	buf_adds(text, buf_str(&out.objects));
	buf_fini(&out.objects);
	remarks_fini(&out.rs);
	file_unref(&file);
	return text->failed ? -ENOMEM : 0;
}

static int write_all(const char *path, const struct buf *b)
{
	FILE *f = fopen(path, "w");
	if (!f)
		return -errno;
	fwrite(b->p, 1, b->n, f);
	return fclose(f) ? -errno : 0;
}

static bool check_case(const char *name)
{
	AUTO_BUF got = {0}, want = {0}, path = {0};
	buf_addz(&got, "");
	if (decode_file(name, &got))
		return false;
	buf_add(&path, name, strlen(name) - 5);
	buf_addz(&path, ".remarks");
	const char *mode = getenv("WEFT_GOLDEN");
	if (mode && !strcmp(mode, "write"))
		return !write_all(path.p, &got);
	int r = read_all(path.p, &want);
	if (!r && str_eq(buf_str(&got), buf_str(&want)))
		return true;
	printf("# %s: %s; got:\n", path.p, r ? "cannot be read" : "differs");
	for (struct str rest = buf_str(&got); rest.n;) {
		struct str line = str_cut(&rest, '\n');
		printf("# " STR_FMT "\n", STR_ARG(line));
	}
	return false;
}

static int is_case(const struct dirent *e)
{
	return str_ends(str_of(e->d_name), STR(".yaml")) || str_ends(str_of(e->d_name), STR(".json"));
}

int main(int argc, char **argv)
{
	struct dirent **names;
	if (argc != 2 || chdir(argv[1])) {
		fprintf(stderr, "golden_decode: name the folder of the cases\n");
		return 2;
	}
	int n = scandir(".", &names, is_case, alphasort), bad = 0;
	if (n <= 0)
		return 2;
	printf("1..%d\n", n);
	for (int i = 0; i < n; i++) {
		bool good = check_case(names[i]->d_name);
		bad += !good;
		printf("%sok %d - %s\n", good ? "" : "not ", i + 1, names[i]->d_name);
		free(names[i]);
	}
	free(names);
	return bad ? 1 : 0;
}
