/* SPDX-License-Identifier: Apache-2.0 */
/* The dir source on real folders: changes, quarantine, duplicates, links, watching. */
#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <time.h>

#include "manifest.h"
#include "source/dir.h"

struct place {
	char folder[64];
	struct source_dir *source;
	struct remarks rs;
	char changes[1024]; /* "+Kind ns/name " and "-Kind …" of the last scan */
};

static void path_of(const struct place *p, const char *name, char out[256])
{
	snprintf(out, 256, "%s/%s", p->folder, name);
}

static void write_file(const struct place *p, const char *name, const char *text)
{
	char path[256];
	path_of(p, name, path);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void make_folder(const struct place *p, const char *name)
{
	char path[256];
	path_of(p, name, path);
	assert_int_equal(mkdir(path, 0755), 0);
}

static void remove_file(const struct place *p, const char *name)
{
	char path[256];
	path_of(p, name, path);
	assert_int_equal(remove(path), 0);
}

static int scan(struct place *p)
{
	struct source_changes c = {0};
	remarks_fini(&p->rs);
	int r = source_dir_scan(p->source, &c, &p->rs);
	AUTO_BUF b = {0};
	buf_addz(&b, "");
	VEC_EACH (&c.list, ch) {
		struct str key = object_key(ch->object);
		buf_printf(&b, "%c%s " STR_FMT " ", ch->op == SOURCE_PUT ? '+' : '-', ch->object->desc->name,
			   STR_ARG(key));
	}
	snprintf(p->changes, sizeof(p->changes), "%s", b.p);
	source_changes_fini(&c);
	return r;
}

/* Whether a remark of the last scan holds the text. */
static bool said(const struct place *p, const char *text)
{
	VEC_EACH (&p->rs.list, r)
		if (strstr(r->text, text))
			return true;
	return false;
}

static void open_place(struct place *p)
{
	*p = (struct place){.folder = "/tmp/weft-test-dir-XXXXXX"};
	assert_non_null(mkdtemp(p->folder));
	const char *paths[] = {p->folder};
	assert_int_equal(source_dir_new(&p->source, paths, 1, NULL, &p->rs), 0);
}

static void close_place(struct place *p)
{
	char cmd[128];
	source_dir_free(&p->source);
	remarks_fini(&p->rs);
	snprintf(cmd, sizeof(cmd), "rm -r %s", p->folder);
	assert_int_equal(system(cmd), 0);
}

#define NS(name)  "apiVersion: v1\nkind: Namespace\nmetadata: {name: " name "}\n"
#define SVC(name) "apiVersion: v1\nkind: Service\nmetadata: {name: " name "}\nspec: {ports: [{port: 80}]}\n"

static void changes_are_told_in_load_order(void **state)
{
	(void)state;
	struct place p;
	open_place(&p);
	assert_int_equal(scan(&p), 0);
	assert_string_equal(p.changes, "");
	write_file(&p, "1.yaml", SVC("web") "---\n" NS("late"));
	make_folder(&p, "sub");
	write_file(&p, "sub/2.json",
		   "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"shop\"}}");
	write_file(&p, ".hidden.yaml", NS("hidden"));
	write_file(&p, "notes.txt", "text");
	assert_int_equal(scan(&p), 0);
	assert_string_equal(p.changes, "+Namespace late +Namespace shop +Service default/web ");
	assert_int_equal(scan(&p), 0);
	assert_string_equal(p.changes, "");
	write_file(&p, "1.yaml", SVC("web2") "---\n" NS("late"));
	assert_int_equal(scan(&p), 0);
	assert_string_equal(p.changes, "+Service default/web2 -Service default/web ");
	remove_file(&p, "1.yaml");
	remove_file(&p, "sub/2.json");
	assert_int_equal(scan(&p), 0);
	assert_string_equal(p.changes, "-Service default/web2 -Namespace late -Namespace shop ");
	close_place(&p);
}

static void the_last_good_version_stays(void **state)
{
	(void)state;
	struct place p;
	open_place(&p);
	write_file(&p, "a.yaml", SVC("one") "---\n" SVC("two"));
	assert_int_equal(scan(&p), 0);
	/* A bad object and a good change beside it. */
	write_file(&p, "a.yaml",
		   "apiVersion: v1\nkind: Service\nmetadata: {name: one}\nspec: {ports: [{port: 0}]}\n---\n"
		   "apiVersion: v1\nkind: Service\nmetadata: {name: two}\nspec: {ports: [{port: 81}]}\n");
	assert_int_equal(scan(&p), -EINVAL);
	assert_string_equal(p.changes, "+Service default/two ");
	assert_true(said(&p, "1 object of this file stays in force"));
	/* Broken text: everything stays. */
	write_file(&p, "a.yaml", "apiVersion: v1\nkind: [\n");
	assert_int_equal(scan(&p), -EINVAL);
	assert_string_equal(p.changes, "");
	/* What moved to a good file is taken from there. */
	write_file(&p, "b.yaml", "# moved\n" SVC("one"));
	scan(&p); /* the broken file is so young that it may be read, and refused, once more */
	assert_string_equal(p.changes, "+Service default/one ");
	/* Repaired without `two`. */
	write_file(&p, "a.yaml", "# nothing\n");
	assert_int_equal(scan(&p), 0);
	assert_string_equal(p.changes, "-Service default/two ");
	close_place(&p);
}

static void duplicates_name_both_places(void **state)
{
	(void)state;
	struct place p;
	open_place(&p);
	write_file(&p, "a.yaml", SVC("web"));
	write_file(&p, "b.yaml", NS("x") "---\n" SVC("web"));
	assert_int_equal(scan(&p), -EINVAL);
	assert_string_equal(p.changes, "+Namespace x +Service default/web ");
	assert_true(
	    said(&p, "Service default/web is given twice; the first is in force, at /tmp/weft-test-dir-"));
	assert_true(said(&p, "/a.yaml:3:18"));
	remove_file(&p, "a.yaml");
	assert_int_equal(scan(&p), 0);
	assert_string_equal(p.changes, "+Service default/web ");
	close_place(&p);
}

static void unknown_kinds_are_summed_up(void **state)
{
	(void)state;
	struct place p;
	open_place(&p);
	write_file(&p, "a.yaml",
		   "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: a}\n---\n"
		   "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: b}\n---\n"
		   "apiVersion: example.org/v1\nkind: Thing\nmetadata: {name: b}\n");
	assert_int_equal(scan(&p), 0);
	assert_int_equal(p.rs.list.len, 1);
	assert_true(said(
	    &p, "skipped 3 objects of kinds that are not known here: 1 Thing (example.org/v1), 2 Ingress "
		"(networking.k8s.io/v1)"));
	close_place(&p);
}

static void links_stay_inside(void **state)
{
	(void)state;
	struct place p;
	char inside[256], outside[256];
	open_place(&p);
	write_file(&p, "real.yaml", NS("a"));
	write_file(&p, ".data", NS("b"));
	path_of(&p, "link.yaml", inside);
	path_of(&p, "out.yaml", outside);
	assert_int_equal(symlink(".data", inside), 0);
	assert_int_equal(symlink("/etc/hostname", outside), 0);
	assert_int_equal(scan(&p), 0);
	assert_string_equal(p.changes, "+Namespace b +Namespace a ");
	assert_true(said(&p, "leads out of the folder"));
	path_of(&p, "loop", inside);
	assert_int_equal(symlink(".", inside), 0);
	assert_int_equal(scan(&p), 0);
	assert_string_equal(p.changes, "");
	close_place(&p);
}

static void missing_and_unreadable_are_errors(void **state)
{
	(void)state;
	struct remarks rs = {0};
	struct source_dir *s = NULL;
	const char *missing[] = {"/nonexistent/weft"};
	assert_int_equal(source_dir_new(&s, missing, 1, NULL, &rs), -ENOENT);
	assert_null(s);
	assert_int_equal(rs.errors, 1);
	remarks_fini(&rs);
	struct place p;
	struct decode_limits small = decode_limits_default;
	char path[256];
	open_place(&p);
	write_file(&p, "a.yaml", NS("a"));
	path_of(&p, "a.yaml", path);
	const char *one[] = {path};
	small.bytes = 10;
	assert_int_equal(source_dir_new(&s, one, 1, &small, &rs), 0);
	struct source_changes c = {0};
	assert_int_equal(source_dir_scan(s, &c, &rs), -EINVAL);
	assert_int_equal(c.list.len, 0);
	source_dir_free(&s);
	remarks_fini(&rs);
	/* A named file that goes away keeps what it gave. */
	assert_int_equal(source_dir_new(&s, one, 1, NULL, &rs), 0);
	assert_int_equal(source_dir_scan(s, &c, &rs), 0);
	assert_int_equal(c.list.len, 1);
	remove_file(&p, "a.yaml");
	assert_int_equal(source_dir_scan(s, &c, &rs), -EINVAL);
	assert_int_equal(c.list.len, 1);
	source_changes_fini(&c);
	source_dir_free(&s);
	remarks_fini(&rs);
	close_place(&p);
}

static bool stirs(struct place *p)
{
	struct pollfd fd = {.fd = source_dir_fd(p->source), .events = POLLIN};
	return poll(&fd, 1, 1000) == 1;
}

static bool quiet(struct place *p)
{
	struct pollfd fd = {.fd = source_dir_fd(p->source), .events = POLLIN};
	return poll(&fd, 1, 0) == 0;
}

static void changes_are_noticed(void **state)
{
	(void)state;
	struct place p;
	char a[256], b[256];
	open_place(&p);
	scan(&p);
	source_dir_drain(p.source);
	assert_true(quiet(&p));
	write_file(&p, "a.yaml", NS("a"));
	assert_true(stirs(&p));
	source_dir_drain(p.source);
	scan(&p);
	make_folder(&p, "sub");
	assert_true(stirs(&p));
	source_dir_drain(p.source);
	scan(&p);
	write_file(&p, "sub/b.yaml", NS("b"));
	assert_true(stirs(&p));
	source_dir_drain(p.source);
	scan(&p);
	assert_string_equal(p.changes, "+Namespace b ");
	path_of(&p, "sub/b.yaml", a);
	path_of(&p, "sub/c.txt", b);
	assert_int_equal(rename(a, b), 0);
	assert_true(stirs(&p));
	scan(&p);
	assert_string_equal(p.changes, "-Namespace b ");
	close_place(&p);
}

/* Two writes of the same length within one tick of the file system's clock. */
static void quick_writes_are_not_missed(void **state)
{
	(void)state;
	struct place p;
	open_place(&p);
	for (int i = 0; i < 20; i++) {
		write_file(&p, "a.yaml", i % 2 ? NS("b") : NS("a"));
		assert_int_equal(scan(&p), 0);
		assert_string_equal(p.changes, i % 2 ? "+Namespace b -Namespace a "
					       : i   ? "+Namespace a -Namespace b "
						     : "+Namespace a ");
	}
	close_place(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(changes_are_told_in_load_order),
	    cmocka_unit_test(the_last_good_version_stays),
	    cmocka_unit_test(duplicates_name_both_places),
	    cmocka_unit_test(unknown_kinds_are_summed_up),
	    cmocka_unit_test(links_stay_inside),
	    cmocka_unit_test(missing_and_unreadable_are_errors),
	    cmocka_unit_test(changes_are_noticed),
	    cmocka_unit_test(quick_writes_are_not_missed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
