/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft logs`: what containers wrote, of one pod or of all that labels select, side by side as it comes.
 */
#include "base/own.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/podname.h"

#include <curl/curl.h>
#include <stdio.h>

enum { SOURCES_MAX = 128, LINE_MAX_ = 1 << 20 };

struct source {
	CURL *curl;
	char *prefix;	 /* owned, NULL: none */
	struct buf line; /* without its end yet; or a refusal */
	long code;
	bool broken;
};

struct sources {
	VEC(struct source *) list;
	const struct options_logs *o;
	struct str since; /* "30" seconds, of --since */
	char socket_path[CLUSTER_PATH];
};

static void put_lines(struct source *s, bool all)
{
	for (char *nl;
	     s->line.n && ((nl = memchr(s->line.p, '\n', s->line.n)) || all || s->line.n > LINE_MAX_);) {
		size_t n = nl ? (size_t)(nl - s->line.p) + 1 : s->line.n;
		fputs(s->prefix ? s->prefix : "", stdout);
		fwrite(s->line.p, 1, n, stdout);
		if (!nl)
			putchar('\n');
		buf_drop(&s->line, n);
	}
}

static size_t take(char *p, size_t size, size_t n, void *ctx)
{
	struct source *s = ctx;

	if (!s->code)
		curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &s->code);
	if (s->code != 200 || s->prefix)
		buf_add(&s->line, p, size * n);
	else
		fwrite(p, 1, size * n, stdout);
	if (s->code == 200 && s->prefix)
		put_lines(s, false);
	fflush(stdout);
	return ferror(stdout) || s->line.failed || s->line.n > 4 * LINE_MAX_ ? 0 : size * n;
}

static void add_query(struct buf *url, const struct sources *all, const char *container)
{
	const struct options_logs *o = all->o;

	buf_printf(url, "follow=%s&previous=%s&timestamps=%s", o->follow ? "true" : "false",
		   o->previous ? "true" : "false", o->timestamps ? "true" : "false");
	if (o->tail >= 0)
		buf_printf(url, "&tailLines=%lld", (long long)o->tail);
	if (all->since.n)
		buf_printf(url, "&sinceSeconds=" STR_FMT, STR_ARG(all->since));
	if (o->limit > 0)
		buf_printf(url, "&limitBytes=%lld", (long long)o->limit);
	if (container) {
		buf_addz(url, "&container=");
		http_escape(url, str_of(container));
	}
}

static int add_source(struct sources *all, const json_t *pod, const char *container, bool prefix)
{
	const json_t *meta = json_object_get(pod, "metadata");
	const char *name = json_string_value(json_object_get(meta, "name"));
	AUTO_BUF url = {0};

	if (all->list.len == SOURCES_MAX) {
		cli_error("name fewer by -l or -c", "more than %d logs at once", SOURCES_MAX);
		return -1;
	}
	struct source *s = calloc(1, sizeof(*s));
	if (!s || !name || vec_push(&all->list, s)) {
		free(s);
		return -1;
	}
	buf_addz(&url, "http://localhost");
	podname_url(&url, json_string_value(json_object_get(meta, "namespace")) ?: "default", name, "log");
	add_query(&url, all, container);
	if (prefix) {
		AUTO_BUF text = {0};
		buf_printf(&text, "%s[%s%s%s]%s ", output_style(STYLE_DIM), name, container ? "/" : "",
			   container ? container : "", output_style(STYLE_PLAIN));
		s->prefix = text.p;
		text = (struct buf){0};
	}
	s->curl = curl_easy_init();
	if (!s->curl || url.failed)
		return -1;
	curl_easy_setopt(s->curl, CURLOPT_UNIX_SOCKET_PATH, all->socket_path);
	curl_easy_setopt(s->curl, CURLOPT_URL, url.p);
	curl_easy_setopt(s->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(s->curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(s->curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(s->curl, CURLOPT_WRITEDATA, s);
	curl_easy_setopt(s->curl, CURLOPT_PRIVATE, s);
	return 0;
}

/* The containers that -c or --all-containers asks for; else one, which the hub picks where it can. */
static int add_pod(struct sources *all, const json_t *pod, bool several)
{
	json_t *list = json_object_get(json_object_get(pod, "spec"), "containers"), *c;
	bool prefix = several || all->o->prefix;
	size_t i;
	int r = 0;

	if (!all->o->all_containers)
		return add_source(all, pod, all->o->container, prefix);
	json_array_foreach (list, i, c)
		if (!r)
			r = add_source(all, pod, json_string_value(json_object_get(c, "name")),
				       prefix || json_array_size(list) > 1);
	return r;
}

static int find(struct sources *all)
{
	const struct options_logs *o = all->o;
	AUTO_BUF url = {0};
	int r = 0;

	if (!o->selector) {
		struct podname pod;
		if (podname_find(&pod, cluster_name(o->name), all->socket_path, o->args[0], o->ns))
			return -1;
		r = add_pod(all, pod.object, false);
		podname_fini(&pod);
		return r;
	}
	buf_addz(&url, "/api/v1/namespaces/");
	http_escape(&url, str_of(o->ns ? o->ns : "default"));
	buf_addz(&url, "/pods?labelSelector=");
	http_escape(&url, str_of(o->selector));
	AUTO_JSON list = http_get_json(all->socket_path, url.p, NULL);
	json_t *items = json_object_get(list, "items"), *pod;
	size_t i;
	if (!list)
		return -1;
	if (!json_array_size(items)) {
		cli_error("weft get pods --show-labels", "no pod in namespace %s has the labels %s",
			  o->ns ? o->ns : "default", o->selector);
		return -1;
	}
	json_array_foreach (items, i, pod)
		if (!r)
			r = add_pod(all, pod, json_array_size(items) > 1);
	return r;
}

static void end_one(struct source *s, CURLcode r, const char *socket_path)
{
	curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &s->code);
	if (s->code == 200) {
		if (s->prefix)
			put_lines(s, true);
		s->broken = r && !ferror(stdout);
		if (s->broken)
			cli_error(NULL, "the log broke off: %s", curl_easy_strerror(r));
		return;
	}
	s->broken = true;
	if (s->code)
		http_tell(s->code, buf_str(&s->line));
	else
		cli_error("is the cluster running? `weft doctor` may help", "cannot connect to %s: %s",
			  socket_path, curl_easy_strerror(r));
}

static int stream(struct sources *all)
{
	CURLM *multi = curl_multi_init();
	int running = 1, left, r = EXIT_OK;

	if (!multi)
		return EXIT_FAILED;
	VEC_EACH (&all->list, s)
		curl_multi_add_handle(multi, (*s)->curl);
	while (running && !ferror(stdout)) {
		curl_multi_perform(multi, &running);
		for (CURLMsg *m; (m = curl_multi_info_read(multi, &left));) {
			struct source *s = NULL;
			curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &s);
			end_one(s, m->data.result, all->socket_path);
			if (s->broken)
				r = EXIT_FAILED;
		}
		fflush(stdout);
		if (running)
			curl_multi_poll(multi, NULL, 0, 10000, NULL);
	}
	VEC_EACH (&all->list, s)
		curl_multi_remove_handle(multi, (*s)->curl);
	curl_multi_cleanup(multi);
	return r;
}

/* "30", "30s", "5m", "2h", "1d" as seconds. */
static int read_since(const char *text, char out[24])
{
	static const char units[] = "smhd";
	static const int64_t seconds[] = {1, 60, 3600, 86400};
	struct str number = str_of(text);
	int64_t n, by = 1;

	const char *unit = number.n ? strchr(units, text[number.n - 1]) : NULL;
	if (unit && *unit) {
		by = seconds[unit - units];
		number.n--;
	}
	if (str_to_i64(number, 1, INT32_MAX, &n)) {
		cli_error("as 30s, 5m, 2h", "--since of `weft logs` is a time back, not \"%s\"", text);
		return -1;
	}
	snprintf(out, 24, "%lld", (long long)(n * by));
	return 0;
}

int cmd_logs(const struct options_logs *o)
{
	struct sources all = {.o = o};
	char since[24] = "";

	if (!cluster_name(o->name) || (o->since && read_since(o->since, since)))
		return EXIT_USAGE;
	if (!o->n_args == !o->selector) {
		cli_error("weft logs shop/page, or weft logs -n shop -l app=page",
			  "logs needs a POD or -l LABELS%s", o->n_args ? ", not both" : "");
		return EXIT_USAGE;
	}
	if (!cluster_need(cluster_name(o->name)))
		return EXIT_FAILED;
	all.since = str_of(since);
	cluster_path(all.socket_path, cluster_name(o->name), "hub.sock");
	int r = find(&all) ? EXIT_FAILED : stream(&all);
	VEC_EACH (&all.list, s) {
		curl_easy_cleanup((*s)->curl);
		buf_fini(&(*s)->line);
		free((*s)->prefix);
		free(*s);
	}
	vec_free(&all.list);
	return r;
}
