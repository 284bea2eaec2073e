/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plays a scene: writes its manifests into a folder, starts a cluster on them (or asks the model alone),
 * checks, goes through the steps, takes everything away. The cluster is an ordinary `weft up`, run as a
 * child.
 */
#include "cli/scene.h"

#include "base/clock.h"
#include "base/own.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

enum { HOSTS_MAX = 64, START_MS = 40000, SETTLE_MS = 5000, RETRY_MS = 50 };

/* Writes beside and renames, so that the watching hub never sees half a file. */
static int write_file(const struct scene_stage *st, const char *name, const char *text, size_t n)
{
	AUTO_BUF path = {0};
	AUTO_BUF part = {0};

	buf_printf(&path, "%s/%s", st->folder, name);
	buf_printf(&part, "%s/.%s", st->folder, name);
	if (path.failed || part.failed)
		return -1;
	FILE *f = fopen(part.p, "we");
	bool good = f && fwrite(text, 1, n, f) == n;
	if (f && fclose(f))
		good = false;
	return good && !rename(part.p, path.p) ? 0 : -1;
}

static int write_cast(const struct scene_stage *st)
{
	AUTO_BUF b = {0};

	if (!st->cast)
		return 0;
	if (scene_cast_print(&b, &st->scene->page, st->cast))
		return -1;
	return b.n ? write_file(st, "00-cast.yaml", b.p, b.n) : 0;
}

static int read_whole(const char *path, struct buf *out)
{
	char chunk[8192];
	FILE *f = fopen(path, "re");

	if (!f)
		return -1;
	for (size_t n; (n = fread(chunk, 1, sizeof(chunk), f));)
		buf_add(out, chunk, n);
	int r = ferror(f) || out->failed ? -1 : 0;
	fclose(f);
	return r;
}

/* The last part of a path, where a manifest of that path is kept in the folder. */
static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int copy_manifest(const struct scene_stage *st, const char *path, struct buf *why)
{
	AUTO_BUF text = {0};
	AUTO_BUF name = {0};

	if (read_whole(path, &text)) {
		buf_printf(why, "%s: %m\n", path);
		return -1;
	}
	buf_printf(&name, "10-%s", base_name(path));
	return name.failed ? -1 : write_file(st, name.p, text.p ? text.p : "", text.n);
}

/* A manifest of the scene: a file, or all manifests of a folder. */
static int add_manifest(const struct scene_stage *st, const char *said, struct buf *why)
{
	AUTO_BUF path = {0};
	int r = 0;

	if (!scene_path(&path, &st->scene->page, said) || path.failed) {
		buf_printf(why, "%s: WEFT_INPUTS is not set\n", said);
		return -1;
	}
	DIR *d = opendir(path.p);
	if (!d)
		return copy_manifest(st, path.p, why);
	for (struct dirent *e; !r && (e = readdir(d));) {
		struct str name = str_of(e->d_name);
		AUTO_BUF file = {0};
		if (e->d_name[0] == '.' || !(str_ends(name, STR(".yaml")) || str_ends(name, STR(".yml"))))
			continue;
		buf_printf(&file, "%s/%s", path.p, e->d_name);
		r = file.failed ? -1 : copy_manifest(st, file.p, why);
	}
	closedir(d);
	return r;
}

static int write_stage(struct scene_stage *st, struct buf *why)
{
	const struct scene *s = st->scene;
	json_t *v;
	size_t i;
	int r = write_cast(st);

	if (!r && s->yaml)
		r = write_file(st, "20-scene.yaml", json_string_value(s->yaml), json_string_length(s->yaml));
	json_array_foreach (s->manifests, i, v)
		r = r ? r : add_manifest(st, json_string_value(v) ?: "", why);
	if (r && !why->n)
		buf_printf(why, "cannot write manifests into %s: %m\n", st->folder);
	return r;
}

/* Runs a program, its output into a file of the stage; its exit status. */
static int run_child(const struct scene_stage *st, char *const argv[])
{
	AUTO_BUF log = {0};
	int status = 0;

	buf_printf(&log, "%s.log", st->folder);
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0 || log.failed)
		return -1;
	if (!pid) {
		int fd = open(log.p, O_WRONLY | O_CREAT | O_APPEND, 0600);
		int null = open("/dev/null", O_RDONLY);
		if (fd < 0 || null < 0 || dup2(null, 0) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
			_exit(127);
		setenv("NO_COLOR", "1", 1);
		setenv("WEFT_NAME", st->name, 1);
		execv(argv[0], argv);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void add_log(const struct scene_stage *st, struct buf *why)
{
	AUTO_BUF log = {0};
	AUTO_BUF text = {0};

	buf_printf(&log, "%s.log", st->folder);
	if (!log.failed && !read_whole(log.p, &text) && text.n)
		buf_adds(why, buf_str(&text));
}

static int start_cluster(const struct scene_stage *st, struct buf *why)
{
	char own[512], nodes[16], *argv[16 + 2 * HOSTS_MAX] = {own, "up", "-d", "--name"};
	__attribute__((cleanup(scene_args_fini))) struct scene_args hosts = {0};
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
	size_t i = 4;

	if (n <= 0 || scene_hosts_args(&hosts, &st->scene->page, st->scene->hosts))
		return -1;
	own[n] = 0;
	snprintf(nodes, sizeof(nodes), "%u", st->nodes);
	argv[i++] = (char *)(uintptr_t)st->name;
	argv[i++] = "--nodes";
	argv[i++] = nodes;
	argv[i++] = "--mode";
	argv[i++] = (char *)(uintptr_t)st->mode;
	argv[i++] = (char *)(uintptr_t)st->folder;
	VEC_EACH (&hosts.list, host) {
		if (i >= ARRAY_LEN(argv) - 2)
			break; /* `weft up` takes no more either */
		argv[i++] = "--host";
		argv[i++] = *host;
	}
	if (!run_child(st, argv))
		return 0;
	buf_addz(why, "the cluster did not come up:\n");
	add_log(st, why);
	return -1;
}

static int stop_cluster(const struct scene_stage *st, struct buf *why)
{
	char own[512];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);

	if (n <= 0)
		return -1;
	own[n] = 0;
	char *const argv[] = {own, "down", "--name", (char *)(uintptr_t)st->name, NULL};
	if (!run_child(st, argv))
		return 0;
	buf_addz(why, "the cluster did not go:\n");
	add_log(st, why);
	return -1;
}

/* Pods that have not started; -1 when the hub did not say. */
static int count_pending(const struct scene_stage *st)
{
	char socket_path[CLUSTER_PATH];
	json_t *pod;
	size_t i;
	int n = 0;

	cluster_path(socket_path, st->name, "hub.sock");
	AUTO_JSON v = http_get_json(socket_path, "/api/v1/pods", NULL);
	json_array_foreach (json_object_get(v, "items"), i, pod) {
		const char *phase =
		    json_string_value(json_object_get(json_object_get(pod, "status"), "phase"));
		n += !phase || !strcmp(phase, "Pending");
	}
	return v ? n : -1;
}

/* `up` waits until everything is wired and serving; pods whose init containers wait for others' probes take
 * longer. */
static int wait_running(const struct scene_stage *st, struct buf *why)
{
	const uint64_t end = clock_ms() + START_MS;
	int n;

	while ((n = count_pending(st)) > 0 && clock_ms() < end)
		nanosleep(&(struct timespec){.tv_nsec = RETRY_MS * 1000000L}, NULL);
	if (n > 0)
		buf_printf(why, "%d pods have not started after %d s\n", n, START_MS / 1000);
	return n ? -1 : 0;
}

static int load_world(const struct scene_stage *st, struct store **s)
{
	const char *folder = st->folder;
	const struct world_files files = {.paths = &folder, .n = 1, .nodes = st->nodes, .quiet = true};

	return st->packets ? world_from_cluster(s, st->name) : world_from_files(s, &files);
}

/* One look at the reach surface; the number of differences, or -1. */
static int look_at_reach(const struct scene_stage *st, const json_t *text, int64_t timeout_ms,
			 struct buf *out, size_t *open)
{
	const struct reach_filter filter = {.need_running = st->packets};
	struct expect_table t = {0};
	struct store *s = NULL;
	struct reach r = {0};
	int bad = -1;

	if (!expect_table_read(&t, &st->scene->page, text) && !load_world(st, &s) &&
	    !reach_collect(&r, s, &filter) && !expect_add_names(&r, &t) && !reach_judge(&r, s) &&
	    (!st->packets || !reach_try(&r, st->name, timeout_ms)))
		bad = (int)expect_compare(out, &r, &t, st->packets, open);
	expect_table_fini(&t);
	reach_fini(&r);
	store_free(&s);
	return bad;
}

static int look(const struct scene_stage *st, const json_t *expect, int64_t timeout_ms, struct buf *out,
		size_t *open)
{
	const json_t *reach = json_is_string(expect) ? expect : json_object_get(expect, "reach");
	int bad = reach ? look_at_reach(st, reach, timeout_ms, out, open) : 0;

	if (bad < 0 || !st->packets)
		return bad;
	bad += (int)expect_drops(out, &st->scene->page, st->name, json_object_get(expect, "drops"));
	bad += (int)expect_objects(out, &st->scene->page, st->name, json_object_get(expect, "get"));
	return bad;
}

/* At the first look nothing may get through that must not: what `up` calls ready is enforced. An answer that
 * is late on a busy machine gets a second look with more time. After a step the cluster has SETTLE_MS to
 * follow. */
static int check(const struct scene_stage *st, const json_t *expect, bool patient, struct buf *why)
{
	const uint64_t end = clock_ms() + SETTLE_MS + 2 * (uint64_t)st->timeout_ms;
	int64_t timeout_ms = st->timeout_ms;
	AUTO_BUF out = {0};
	size_t open = 0;
	bool again = false;
	int bad = 0;

	if (!expect)
		return 0;
	do {
		buf_clear(&out);
		bad = look(st, expect, timeout_ms, &out, &open);
		if (bad <= 0 || !st->packets)
			break;
		again = patient ? clock_ms() < end : !again && !open;
		timeout_ms = patient ? timeout_ms : 3 * st->timeout_ms;
		nanosleep(&(struct timespec){.tv_nsec = RETRY_MS * 1000000L}, NULL);
	} while (again);
	buf_adds(why, buf_str(&out));
	if (bad < 0)
		buf_addz(why, "it could not be looked at\n");
	return bad;
}

static int run_shell(const struct scene_stage *st, const char *text, struct buf *why)
{
	char *const argv[] = {"/bin/sh", "-ec", (char *)(uintptr_t)text, NULL};
	int status = run_child(st, argv);

	if (status) {
		buf_printf(why, "`%s` ended with status %d\n", text, status);
		add_log(st, why);
	}
	return status ? -1 : 0;
}

/* What `weft fault` is told, of this cluster. */
static int run_fault(const struct scene_stage *st, const char *text, struct buf *why)
{
	AUTO_BUF command = {0};
	char own[512];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);

	if (n <= 0)
		return -1;
	own[n] = 0;
	buf_printf(&command, "exec \"$0\" fault --name \"$WEFT_NAME\" %s", text);
	char *const argv[] = {"/bin/sh", "-ec", command.p, own, NULL};
	int status = command.failed ? -1 : run_child(st, argv);

	if (status) {
		buf_printf(why, "fault: %s: ended with status %d\n", text, status);
		add_log(st, why);
	}
	return status ? -1 : 0;
}

static int delete_manifest(const struct scene_stage *st, const char *said, struct buf *why)
{
	AUTO_BUF path = {0};

	buf_printf(&path, "%s/10-%s", st->folder, base_name(said));
	if (path.failed || unlink(path.p)) {
		buf_printf(why, "%s is not applied, and cannot be deleted\n", said);
		return -1;
	}
	return 0;
}

static int act(struct scene_stage *st, const json_t *step, struct buf *why)
{
	const char *apply = json_string_value(json_object_get(step, "apply"));
	const char *delete = json_string_value(json_object_get(step, "delete"));
	const char *run = json_string_value(json_object_get(step, "run"));
	const char *fault = json_string_value(json_object_get(step, "fault"));
	const json_t *yaml = json_object_get(step, "yaml"), *cast = json_object_get(step, "cast");
	int r = 0;

	if (apply)
		r = add_manifest(st, apply, why);
	if (!r && delete)
		r = delete_manifest(st, delete, why);
	if (!r && yaml) {
		AUTO_BUF name = {0};
		buf_printf(&name, "10-%s", json_string_value(json_object_get(step, "as")));
		r = write_file(st, name.p, json_string_value(yaml), json_string_length(yaml));
	}
	if (!r && cast) {
		if (!st->cast)
			st->cast = json_object();
		r = scene_cast_merge(st->cast, cast) ? -1 : write_cast(st);
	}
	if (!r && fault)
		r = run_fault(st, fault, why);
	if (!r && run)
		r = run_shell(st, run, why);
	return r;
}

static int play_steps(struct scene_stage *st, struct buf *why)
{
	json_t *step;
	size_t i;
	int r = 0;

	json_array_foreach (st->scene->steps, i, step) {
		AUTO_BUF said = {0};
		r = act(st, step, &said);
		if (!r)
			r = check(st, json_object_get(step, "expect"), true, &said);
		if (r) {
			scene_why_add(why, scene_place_of(&st->scene->page, step), "step %zu:", i + 1);
			buf_adds(why, buf_str(&said));
			break;
		}
	}
	return r;
}

static void remove_folder(const struct scene_stage *st)
{
	AUTO_BUF log = {0};
	DIR *d = opendir(st->folder);

	for (struct dirent *e; d && (e = readdir(d));)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(st->folder);
	buf_printf(&log, "%s.log", st->folder);
	if (!log.failed)
		unlink(log.p);
}

int scene_play(struct scene_stage *st, struct buf *why)
{
	int r;

	snprintf(st->folder, sizeof(st->folder), "/tmp/weft-scene-XXXXXX");
	if (!mkdtemp(st->folder)) {
		buf_printf(why, "%s: %m\n", st->folder);
		return -1;
	}
	/* The hub has no privileges, and has to read it. */
	chmod(st->folder, 0755);
	umask(022);
	st->cast = st->scene->cast ? json_deep_copy(st->scene->cast) : NULL;
	r = write_stage(st, why);
	if (!r && st->packets)
		r = start_cluster(st, why) ? -1 : wait_running(st, why);
	if (!r)
		r = check(st, st->scene->expect, false, why);
	if (!r)
		r = play_steps(st, why);
	if (r && st->keep && st->packets) {
		buf_printf(why, "kept: weft reach --name %s; end it with weft down --name %s\n", st->name,
			   st->name);
	} else {
		if (st->packets && stop_cluster(st, why) && !r)
			r = 1;
		remove_folder(st);
	}
	json_decref(st->cast);
	st->cast = NULL;
	return r;
}
