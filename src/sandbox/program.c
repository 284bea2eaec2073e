/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs: see program.h. What a container runs in a stand-in's place, and as whom; weft-box makes it so.
 * Must never give a program a uid of the machine's. Called by container.c, session_exec.c and control.c.
 */
#include "sandbox/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/own.h"
#include "sandbox/files.h"
#include "sandbox/output.h"
#include "sandbox/program_state.h"
#include "sandbox/runtime.h"

enum { CONFIG_MAX = 1 << 20, MESSAGE_MAX = 4096, MESSAGE_LINES = 80 };

bool program_lack(struct container *c, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	own_mem(&c->lacks);
	c->lacks = text;
	return false;
}

struct image {
	char root[PATH_MAX]; /* "": this machine's */
	json_t *config;	     /* of the bundle, or NULL */
};

static void image_fini(struct image *m)
{
	json_decref(m->config);
}

/* A bundle (config.json beside its root), or a folder that is a root itself. */
static bool find_image(struct container *c, struct image *out)
{
	const char *dir = program_annotation(c, "rootfs"), *below;
	char path[PATH_MAX];
	struct stat st;
	json_error_t err;

	*out = (struct image){0};
	if (!dir)
		return true;
	if (*dir != '/' || stat(dir, &st) || !S_ISDIR(st.st_mode))
		return program_lack(
		    c, "weft.network/rootfs: %s is no folder on this machine, by its whole path", dir);
	snprintf(path, sizeof(path), "%s/config.json", dir);
	if (!stat(path, &st) && st.st_size <= CONFIG_MAX) {
		out->config = json_load_file(path, 0, &err);
		if (!json_is_object(out->config))
			return program_lack(c, "%s:%d: %s", path, err.line, err.text);
	}
	below = json_text(json_at(out->config, "root", "path", NULL));
	if (*below == '/')
		snprintf(out->root, sizeof(out->root), "%s", below);
	else
		snprintf(out->root, sizeof(out->root), "%s/%s", dir, *below ? below : "rootfs");
	if (out->config && stat(out->root, &st))
		return program_lack(c, "%s names the root %s, which is not there", path, out->root);
	if (stat(out->root, &st))
		snprintf(out->root, sizeof(out->root), "%s", dir);
	return true;
}

static void add_words(json_t *argv, const json_t *env, const json_t *words)
{
	const json_t *o;
	size_t i;

	json_array_foreach ((json_t *)(uintptr_t)words, i, o) {
		AUTO_BUF text = {0};

		environ_expand(env, json_text(o), &text);
		json_array_append_new(argv, json_string(text.n ? text.p : ""));
	}
}

/* As a runtime joins image and manifest; the annotation, or `weft run`, goes before both. */
static json_t *words_of(struct container *c, const struct image *m, const json_t *env)
{
	json_t *argv = json_array();
	json_t *own = program_command(c);
	const json_t *image = json_at(m->config, "process", "args", NULL);
	const json_t *command = json_object_get(c->spec, "command"), *args = json_object_get(c->spec, "args");

	if (own) {
		add_words(argv, env, own);
	} else if (json_array_size(command)) {
		add_words(argv, env, command);
		add_words(argv, env, args);
	} else if (json_array_size(args)) {
		if (json_array_size(image))
			json_array_append(argv, json_array_get(image, 0));
		add_words(argv, env, args);
	} else {
		json_array_extend(argv, (json_t *)(uintptr_t)image);
	}
	json_decref(own);
	if (json_array_size(argv))
		return argv;
	json_decref(argv);
	program_lack(c,
		     "no command: neither the manifest, nor weft.network/command, nor a config.json beside "
		     "the root names one");
	return NULL;
}

static const json_t *security(const struct container *c, const char *field)
{
	const json_t *own = json_at(c->spec, "securityContext", field, NULL);

	return own ? own : json_at(c->pod->spec, "spec", "securityContext", field, NULL);
}

static bool add_user(struct container *c, const struct image *m, json_t *spec)
{
	const json_t *user = security(c, "runAsUser"), *group = security(c, "runAsGroup"), *o;
	json_int_t uid = json_integer_value(user ? user : json_at(m->config, "process", "user", "uid", NULL)),
		   gid =
		       json_integer_value(group ? group : json_at(m->config, "process", "user", "gid", NULL));
	json_t *groups = json_array();
	size_t i;

	json_array_foreach (security(c, "supplementalGroups"), i, o)
		json_array_append(groups, (json_t *)(uintptr_t)o);
	if (security(c, "fsGroup"))
		json_array_append(groups, (json_t *)(uintptr_t)security(c, "fsGroup"));
	json_object_set_new(spec, "uid", json_integer(uid));
	json_object_set_new(spec, "gid", json_integer(gid));
	json_object_set_new(spec, "groups", groups);
	if (uid < 0 || gid < 0 || uid >= 65536 || gid >= 65536)
		return program_lack(c, "runAsUser and runAsGroup go up to 65535 here");
	if (json_is_true(security(c, "runAsNonRoot")) && !uid)
		return program_lack(c, "container has runAsNonRoot and would run as root: give runAsUser");
	return true;
}

static json_t *plain_env(const json_t *env, const struct image *m, json_int_t uid)
{
	static const char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	json_t *list = json_array();
	const json_t *o, *image = json_at(m->config, "process", "env", NULL);
	size_t i;

	/* Later ones go before earlier ones: weft-box takes the last of a name. */
	json_array_append_new(list, json_string(path));
	json_array_append_new(list, json_string(uid ? "HOME=/" : "HOME=/root"));
	json_array_extend(list, (json_t *)(uintptr_t)image);
	json_array_foreach ((json_t *)(uintptr_t)env, i, o) {
		AUTO_BUF text = {0};

		buf_printf(&text, "%s=%s", json_text(json_object_get(o, "name")),
			   json_text(json_object_get(o, "value")));
		if (!text.failed)
			json_array_append_new(list, json_string(text.p));
	}
	return list;
}

static const char *host_name(const struct pod *p)
{
	const char *own = json_text(json_at(p->spec, "spec", "hostname", NULL));

	return *own ? own : p->host_network ? p->node->name : p->name;
}

static void add_hosts(const struct pod *p, struct buf *out)
{
	const json_t *alias, *o, *now = p->spec;
	size_t i, k;

	pod_has_object(p, &now);
	buf_addz(out, "# Made by Weft, as a kubelet would.\n127.0.0.1\tlocalhost\n::1\tlocalhost "
		      "ip6-localhost ip6-loopback\n");
	json_array_foreach (json_at(now, "status", "podIPs", NULL), i, o)
		buf_printf(out, "%s\t%s\n", json_text(json_object_get(o, "ip")), host_name(p));
	json_array_foreach (json_at(p->spec, "spec", "hostAliases", NULL), i, alias) {
		buf_printf(out, "%s", json_text(json_object_get(alias, "ip")));
		json_array_foreach (json_object_get(alias, "hostnames"), k, o)
			buf_printf(out, "\t%s", json_text(o));
		buf_addc(out, '\n');
	}
}

static void end_path(const struct container *c, const char *suffix, char path[PATH_LEN + 80])
{
	snprintf(path, PATH_LEN + 80, "%s/%s.%s", c->pod->dir, c->name, suffix);
}

static json_t *places_of(struct container *c)
{
	const char *message = json_text(json_object_get(c->spec, "terminationMessagePath"));
	char path[PATH_LEN + 80];
	AUTO_BUF resolv = {0}, hosts = {0};
	const char *hosts_text;
	json_t *o = json_object();

	snprintf(path, sizeof(path), "%s/etc-resolv.conf", c->pod->dir);
	file_read(path, &resolv);
	add_hosts(c->pod, &hosts);
	hosts_text = hosts.n && !hosts.failed ? hosts.p : "";
	json_object_set_new(o, "/etc/resolv.conf", json_string(resolv.n ? resolv.p : ""));
	json_object_set_new(o, "/etc/hosts", json_string(hosts_text));
	AUTO_BUF name = {0};
	buf_printf(&name, "%.63s\n", host_name(c->pod));
	json_object_set_new(o, "/etc/hostname", json_string(name.n ? name.p : ""));
	json_t *all = json_pack("{so}", "files", o);
	end_path(c, "end", path);
	file_write(path, STR(""));
	chmod(path, 0666);
	json_object_set_new(all, "messageFile", json_string(path));
	json_object_set_new(all, "messagePath", json_string(*message ? message : "/dev/termination-log"));
	end_path(c, "pid", path);
	unlink(path);
	json_object_set_new(all, "pidFile", json_string(path));
	end_path(c, "root", path);
	json_object_set_new(all, "place", json_string(path));
	return all;
}

/* What weft-box is told; NULL: c->lacks, or out of memory. */
static json_t *spec_of(struct container *c)
{
	struct image __attribute__((cleanup(image_fini))) m;
	json_t *env, *argv = NULL, *volumes = NULL, *spec = NULL;
	const char *dir = json_text(json_object_get(c->spec, "workingDir")), *name;

	if (!find_image(c, &m) || !(env = environ_of(c, &c->lacks)))
		return NULL;
	argv = words_of(c, &m, env);
	volumes = argv ? volumes_of(c, &c->lacks) : NULL;
	if (volumes)
		spec = json_object();
	if (!spec || !add_user(c, &m, spec)) {
		json_decref(env);
		json_decref(argv);
		json_decref(volumes);
		json_decref(spec);
		return NULL;
	}
	if (!*dir)
		dir = json_text(json_at(m.config, "process", "cwd", NULL));
	name = host_name(c->pod);
	json_object_set_new(spec, "argv", argv);
	json_object_set_new(spec, "env",
			    plain_env(env, &m, json_integer_value(json_object_get(spec, "uid"))));
	json_decref(env);
	json_object_set_new(spec, "volumes", volumes);
	json_object_set_new(spec, "dir", json_string(*dir ? dir : "/"));
	json_object_set_new(spec, "root", json_string(m.root));
	json_object_set_new(spec, "base", json_integer(PROGRAM_UID_BASE));
	json_object_set_new(spec, "hostname", json_stringn(name, strnlen(name, 63)));
	json_object_set_new(
	    spec, "readOnly",
	    json_boolean(json_is_true(json_at(c->spec, "securityContext", "readOnlyRootFilesystem", NULL))));
	json_object_set_new(spec, "overlay", json_boolean(!getenv("WEFT_NO_OVERLAY")));
	json_t *places = places_of(c);
	json_object_update(spec, places);
	json_decref(places);
	return spec;
}

/* Never on a disk: it may hold Secrets. */
static int in_memory(const json_t *spec)
{
	AUTO_MEM char *text = json_dumps(spec, JSON_COMPACT);
	AUTO_FD int fd = memfd_create("weft-box", MFD_CLOEXEC);
	size_t n = text ? strlen(text) : 0;

	if (!text || fd < 0)
		return text ? -errno : -ENOMEM;
	for (size_t at = 0; at < n;) {
		ssize_t w = write(fd, text + at, n - at);

		if (w < 0 && errno != EINTR)
			return -errno;
		at += w > 0 ? (size_t)w : 0;
	}
	if (lseek(fd, 0, SEEK_SET))
		return -errno;
	return TAKE_FD(fd);
}

static char *no_env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};

static int start_box(struct container *c, const json_t *spec)
{
	struct pod *p = c->pod;
	char program[PATH_LEN];
	char *argv[] = {"weft-box", "run", NULL};
	int fds[2] = {-1, -1}, r;
	AUTO_FD int more = in_memory(spec);

	if (!sandbox_program(p->sandbox, "weft-box", program))
		return -ENOENT;
	AUTO_FD int in = more < 0 ? more : program_stdin_open(c);
	r = more < 0 ? more : output_open(c, true, fds);
	AUTO_FD int out = fds[0], err = fds[1];
	struct spawn s = {.program = program,
			  .argv = argv,
			  .cgroup = p->cgroup,
			  .netns = pod_netns(p),
			  .mntns = p->sandbox->mounts.fd,
			  .in = in,
			  .out = out,
			  .err = err,
			  .env = no_env,
			  .more = more};

	return r ? r : child_start(&c->child, &p->sandbox->loop, &s);
}

int program_start(struct container *c)
{
	struct sandbox *s = c->pod->sandbox;
	json_t *spec;
	int r;

	own_mem(&c->lacks);
	program_needs_objects(s);
	if (!s->configs.listed || !s->secrets.listed) {
		program_lack(c, "ConfigMaps and Secrets are being read");
		return -EAGAIN;
	}
	spec = spec_of(c);
	if (!spec)
		return c->lacks ? -EAGAIN : -ENOMEM;
	r = start_box(c, spec);
	json_object_del(spec, "volumes");
	json_object_del(spec, "files");
	json_decref(c->box);
	c->box = spec;
	return r;
}

/* The last lines of what it printed, where the manifest wants them told. */
static char *last_lines(struct container *c)
{
	const struct log_ask ask = {.tail = MESSAGE_LINES, .limit = -1};
	struct log_reader *r = NULL;
	struct buf text = {0};
	bool err;

	if (log_open_reader(&r, c, &ask))
		return NULL;
	while (log_read(r, &text, OUTPUT_FILE, &err) > 0 && text.n < OUTPUT_FILE)
		;
	log_drop_reader(&r);
	if (text.n > MESSAGE_MAX / 2)
		buf_drop(&text, text.n - MESSAGE_MAX / 2);
	return text.p;
}

void program_ended(struct container *c)
{
	bool fall_back =
	    !strcmp(json_text(json_object_get(c->spec, "terminationMessagePolicy")), "FallbackToLogsOnError");
	char path[PATH_LEN + 80];
	AUTO_FD int fd = -1;
	char text[MESSAGE_MAX + 1];
	ssize_t n;

	own_mem(&c->end.message);
	program_stdin_close(c);
	end_path(c, "end", path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	n = fd < 0 ? 0 : read(fd, text, MESSAGE_MAX);
	unlink(path);
	end_path(c, "pid", path);
	unlink(path);
	if (n > 0) {
		text[n] = 0;
		c->end.message = strdup(text);
	} else if (fall_back && c->exit_code) {
		c->end.message = last_lines(c);
	}
}

void program_free(struct container *c)
{
	program_stdin_close(c);
	own_mem(&c->lacks);
	own_mem(&c->lacked);
	json_decref(c->box);
	c->box = NULL;
	own_mem(&c->end.message);
}

void container_signal(struct container *c, int sig)
{
	/* weft-box then ends all that is in it, and waits until it has ended. */
	if (sig == SIGKILL && c->program && !c->killed) {
		c->killed = true;
		sig = SIGUSR2;
	}
	child_signal(&c->child, sig);
}

static pid_t first_process(const struct container *c)
{
	char path[PATH_LEN + 80];
	AUTO_BUF text = {0};
	int64_t pid;

	end_path(c, "pid", path);
	if (file_read(path, &text) || str_to_i64(str_trim(buf_str(&text)), 2, INT32_MAX, &pid))
		return -1;
	return (pid_t)pid;
}

static int exec_in_box(struct container *c, struct child *child, struct spawn *s, char *const *argv)
{
	char program[PATH_LEN];
	char *box[] = {"weft-box", "exec", NULL};
	json_t *spec = json_copy(c->box), *words;
	pid_t pid = first_process(c);
	int r;

	if (!spec || pid < 0 || !sandbox_program(c->pod->sandbox, "weft-box", program)) {
		json_decref(spec);
		return spec ? -ESRCH : -EINVAL;
	}
	words = json_array();
	for (; *argv; argv++)
		json_array_append_new(words, json_string(*argv));
	json_object_set_new(spec, "argv", words);
	json_object_set_new(spec, "pid", json_integer(pid));
	json_object_set_new(spec, "parent", json_integer(c->child.pid));
	if (s->terminal) {
		json_t *env = json_copy(json_object_get(spec, "env"));

		json_array_append_new(env, json_string("TERM=xterm"));
		json_object_set_new(spec, "env", env);
	}
	AUTO_FD int more = in_memory(spec);
	json_decref(spec);
	s->program = program;
	s->argv = box;
	s->env = no_env;
	s->more = more;
	r = more < 0 ? more : child_start(child, &c->pod->sandbox->loop, s);
	return r;
}

/* A stand-in's environment says what the manifest does, as far as it is there. */
static char **environ_of_standin(struct container *c, const char *resolv, bool terminal)
{
	char *lacks = NULL;
	json_t *env = environ_of(c, &lacks);
	const json_t *o;
	char **list = calloc(json_array_size(env) + 4, sizeof(*list));
	size_t i, n = 0;

	free(lacks);
	if (list && asprintf(&list[n], "WEFT_RESOLV_CONF=%s", resolv) > 0)
		n++;
	if (list &&
	    asprintf(&list[n], "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin") > 0)
		n++;
	if (list && terminal && asprintf(&list[n], "TERM=xterm") > 0)
		n++;
	json_array_foreach (env, i, o)
		if (list && asprintf(&list[n], "%s=%s", json_text(json_object_get(o, "name")),
				     json_text(json_object_get(o, "value"))) > 0)
			n++;
	if (list)
		list[n] = NULL;
	json_decref(env);
	return list;
}

int program_exec(struct container *c, struct child *child, const struct program_words *w)
{
	struct pod *p = c->pod;
	char path[PATH_LEN], resolv[PATH_LEN + 32];
	struct spawn s = {.cgroup = p->cgroup,
			  .netns = pod_netns(p),
			  .mntns = -1,
			  .in = w->in,
			  .out = w->out,
			  .err = w->err,
			  .apart = true,
			  .terminal = w->terminal};
	char **env;
	int r;

	if (c->program)
		return exec_in_box(c, child, &s, w->argv);
	if (!runtime_find_program(w->argv[0], path))
		return -ENOENT;
	snprintf(resolv, sizeof(resolv), "%s/etc-resolv.conf", p->dir);
	env = environ_of_standin(c, resolv, w->terminal);
	s.program = path;
	s.argv = w->argv;
	s.mntns = p->sandbox->mounts.fd;
	s.resolv_conf = resolv;
	s.unprivileged = true;
	s.env = env;
	r = child_start(child, &p->sandbox->loop, &s);
	for (char **e = env; e && *e; e++)
		free(*e);
	free(env);
	return r;
}
