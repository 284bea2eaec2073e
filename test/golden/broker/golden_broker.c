/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Golden test of the broker's compiler: the objects of NAME.yaml give the configuration, the overlaps in
 * words and the remarks that stand in NAME.broker; the same objects put into the store in the opposite order
 * give the same configuration (BR02), but for which of equal things is named as origin. WEFT_GOLDEN=write
 * writes the files anew; a person reads the difference.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#include "base/own.h"
#include "broker/broker.h"
#include "object/decode.h"

struct load {
	struct remarks rs;
	VEC(struct object *) objects;
	bool bad;
};

static int take(void *ctx, struct object *o)
{
	AUTO(remarks_fini) struct remarks again = {0};
	struct load *l = ctx;

	object_validate(o, &again); /* what it says of filters the compiler says too, and more */
	if (object_default(o) || vec_push(&l->objects, o)) {
		l->bad = true;
		object_unref(&o);
	}
	return 0;
}

static int read_all(const char *path, struct buf *b)
{
	FILE *f = fopen(path, "r");
	char chunk[4096];
	size_t n;

	if (!f)
		return -errno;
	while ((n = fread(chunk, 1, sizeof(chunk), f)))
		buf_add(b, chunk, n);
	fclose(f);
	return b->failed || !b->p ? -EINVAL : 0;
}

static int load(struct load *l, const char *name)
{
	AUTO_BUF text = {0};
	struct file *file;
	int r = read_all(name, &text);

	if (!r)
		r = file_new(&file, name, text.p, text.n);
	if (r)
		return r;
	r = decode_yaml(file, &(struct decoder_options){.sink = take, .ctx = l, .remarks = &l->rs});
	file_unref(&file);
	return r;
}

/* Compiles the objects in their order or backwards; origins are cut off where they shall not be told. */
static int compile(const struct load *l, bool backwards, bool origins, struct buf *out, struct remarks *rs)
{
	struct store *s = NULL;
	struct broker *b = NULL;
	AUTO_BUF text = {0};
	int r = store_new(&s, 1);

	for (size_t i = 0; !r && i < l->objects.len; i++) {
		struct object *copy = NULL;

		r = object_clone(&copy, l->objects.items[backwards ? l->objects.len - 1 - i : i]);
		if (!r)
			r = store_put(s, copy, NULL);
	}
	if (!r)
		r = broker_compile(&b, s, rs);
	store_free(&s);
	if (r)
		return r == -EINVAL ? 0 : r;
	broker_print(&text, b);
	broker_print_overlaps(&text, b);
	for (struct str rest = buf_str(&text); rest.n;) {
		struct str line = str_cut(&rest, '\n');
		const char *origin = memmem(line.p, line.n, "  # ", 4);

		if (origin && !origins)
			line.n = (size_t)(origin - line.p);
		buf_adds(out, line);
		buf_addc(out, '\n');
	}
	broker_free(&b);
	return out->failed ? -ENOMEM : 0;
}

static bool check_case(const char *name)
{
	AUTO_BUF got = {0}, want = {0}, path = {0}, plain = {0}, backwards = {0};
	AUTO(remarks_fini) struct remarks again = {0};
	struct load l = {0};
	const char *mode = getenv("WEFT_GOLDEN");
	int r = load(&l, name);

	if (!r && !l.bad)
		r = compile(&l, false, true, &got, &l.rs);
	if (!r && !l.bad)
		r = compile(&l, false, false, &plain, &again);
	if (!r && !l.bad)
		r = compile(&l, true, false, &backwards, &again);
	remarks_sort(&l.rs);
	VEC_EACH (&l.rs.list, rm)
		remark_print(&got, rm, false);
	remarks_fini(&l.rs);
	VEC_EACH (&l.objects, o)
		object_unref(o);
	vec_free(&l.objects);
	buf_add(&path, name, strlen(name) - 5);
	buf_addz(&path, ".broker");
	if (r || !str_eq(buf_str(&plain), buf_str(&backwards))) {
		printf("# %s\n",
		       r ? strerror(-r) : "BR02: the other order of the objects means something else");
		return false;
	}
	if (mode && !strcmp(mode, "write")) {
		FILE *f = fopen(path.p, "w");

		return f && fwrite(got.p, 1, got.n, f) == got.n && !fclose(f);
	}
	r = read_all(path.p, &want);
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
	return str_ends(str_of(e->d_name), STR(".yaml"));
}

int main(int argc, char **argv)
{
	struct dirent **names;
	int n, bad = 0;

	if (argc != 2 || chdir(argv[1])) {
		fprintf(stderr, "golden_broker: name the folder of the cases\n");
		return 2;
	}
	n = scandir(".", &names, is_case, alphasort);
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
