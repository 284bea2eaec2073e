/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hub's loop: before it waits, what changed is worked off: controllers, then the database, then the
 * watches. Holds the handles; what they do is in the other files. Called by main.c.
 */
#include "hub/run.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "hub/host.h"
#include "hub/offline.h"
#include "hub/page.h"
#include "hub/page_ask.h"
#include "hub/page_live.h"
#include "hub/pen.h"
#include "hub/record.h"
#include "hub/stepplan.h"
#include "hub/tls.h"

enum { FILES_SETTLE_MS = 15, HISTORY = 20000, RUNNING_MAX = 200 };
/* Some 10,000 changes of pods: twice as many as a cluster of 10,000 makes in a node's fall. */
enum { HISTORY_BYTES = 32 << 20 };

/* The loop turns, which is all that is wanted. */
static void on_flush_timer(uv_timer_t *t)
{
	(void)t;
}

static void settle(struct hub *h)
{
	files_settle(h);
	if (cluster_is_dirty(h->cluster)) {
		struct remarks rs = {0};
		cluster_clock(h->cluster, clock_wall(), clock_ms());
		int r = cluster_pass(h->cluster, &rs);
		*h->cluster->trigger = 0;
		if (r)
			log_error("controllers: %s", strerror(-r));
		VEC_EACH (&rs.list, it) {
			AUTO_BUF text = {0};
			remark_print(&text, it, false);
			log_warn(STR_FMT, STR_ARG(str_trim(buf_str(&text))));
		}
		/* Only the latest are kept. */
		if (h->running.list.len + rs.list.len > RUNNING_MAX)
			remarks_fini(&h->running);
		remarks_move(&h->running, &rs);
		remarks_fini(&rs);
	}
	namespaces_settle(h);
	alerts_settle(h->alerts);
	save_all(h);
	page_live_flush(h->live);
	unsigned rest_ms = api_flush(h->api);
	if (rest_ms)
		uv_timer_start(&h->flush_timer, on_flush_timer, rest_ms, 0);
}

static void on_prepare(uv_prepare_t *p)
{
	settle(p->data);
}

static void on_files_timer(uv_timer_t *t)
{
	struct hub *h = t->data;
	cluster_clock(h->cluster, clock_wall(), clock_ms());
	int r = files_load(h, false);
	if (r)
		log_error("files: %s", strerror(-r));
}

static void on_files(uv_poll_t *p, int status, int events)
{
	struct hub *h = p->data;
	(void)status;
	(void)events;
	source_dir_drain(h->source);
	uv_timer_start(&h->files_timer, on_files_timer, FILES_SETTLE_MS, 0);
}

static void remove_capture(void *ctx, const struct object *o)
{
	struct hub *h = ctx;
	if (!object_from_file(o))
		cluster_delete(h->cluster, o, -1);
}

static void on_tick(uv_timer_t *t)
{
	struct hub *h = t->data;
	cluster_clock(h->cluster, clock_wall(), clock_ms());
	int r = cluster_tick(h->cluster, (int64_t)(clock_ms() / 1000));
	if (r)
		log_error("tick: %s", strerror(-r));
	api_tick(h->api);
	flows_tick(h->flows);
	alerts_tick(h->alerts);
	captures_tick(h->captures, remove_capture, h);
	mapstatus_tick(h->mapstatus);
	toolstatus_tick(h->toolstatus);
	if (h->page)
		page_tick(h->page);
}

static void on_signal(uv_signal_t *s, int number)
{
	struct hub *h = s->data;
	(void)number;
	h->stopping = true;
	uv_stop(&h->loop);
}

/* On loopback at once; elsewhere it waits for its certificate. */
static void listen_page(struct hub *h, const struct tls_files *files)
{
	if (!h->page || page_is_loopback(h->page) == (files != NULL))
		return;
	int r = page_listen(h->page, files, h->tls_dir_fd);
	if (r)
		log_error("no page: %s", strerror(-r));
}

/* Certificates come after the Unix socket serves: nobody waits for them. */
static void on_tls(uv_timer_t *t)
{
	struct hub *h = t->data;
	struct tls_files files = {0};
	AUTO_BUF config = {0};
	int r = tls_get(&files, h->tls_dir_fd, h->opt.name);
	if (!r)
		r = http_listen(h->http, h->tls_fd, files.server.key.p, files.server.cert.p, files.ca.cert.p);
	if (!r)
		h->tls_fd = -1;
	if (!r)
		listen_page(h, &files);
	if (!r)
		tls_kubeconfig(&config, &files, h->opt.name, h->tls_port);
	if (!r && (config.failed || ftruncate(h->kubeconfig_fd, 0) ||
		   pwrite(h->kubeconfig_fd, config.p, config.n, 0) != (ssize_t)config.n))
		r = -EIO;
	if (r)
		log_error("no TLS: %s; the Unix socket serves on", strerror(-r));
	else
		log_info("serving on https://127.0.0.1:%u", h->tls_port);
	tls_fini(&files);
}

static int start_store(struct hub *h)
{
	struct cluster_config cfg = {.kubelet = h->opt.sandbox,
				     .node_lost = h->opt.node_lost,
				     .faster = h->opt.faster,
				     .node_evict = h->opt.node_evict};
	cluster_service_ranges(&cfg.services4, &cfg.services6);
	int r = store_new(&h->store, HISTORY);
	if (!r)
		store_limit_history(h->store, HISTORY_BYTES);
	if (!r)
		r = cluster_new(&h->cluster, h->store, &cfg);
	if (r)
		return r;
	cluster_clock(h->cluster, clock_wall(), clock_ms());
	r = save_load(h);
	if (!r)
		r = save_start(h);
	if (!r)
		r = recorder_new(&h->recorder, h->store, h->steplog, h->audit);
	h->cluster->cfg.first_load = store_version(h->store) == 0;
	h->ending_namespaces = true;
	return r;
}

static int start_objects(struct hub *h)
{
	int r = cluster_need_namespace(h->cluster, STR("default"));
	if (!r)
		r = cluster_need_namespace(h->cluster, STR("kube-system"));
	if (!r)
		step_recover(h);
	if (!r && h->source)
		r = files_load(h, true);
	if (!r)
		r = cluster_pass(h->cluster, &h->running);
	h->cluster->cfg.first_load = false;
	return r;
}

static void init_handles(struct hub *h)
{
	uv_timer_t *timers[] = {&h->files_timer, &h->nodes_timer, &h->tick, &h->tls_timer, &h->flush_timer};
	for (size_t i = 0; i < ARRAY_LEN(timers); i++) {
		uv_timer_init(&h->loop, timers[i]);
		timers[i]->data = h;
	}
	uv_prepare_init(&h->loop, &h->prepare);
	uv_signal_init(&h->loop, &h->sigterm);
	uv_signal_init(&h->loop, &h->sigint);
	h->prepare.data = h->sigterm.data = h->sigint.data = h;
	uv_prepare_start(&h->prepare, on_prepare);
	uv_timer_start(&h->tick, on_tick, 1000, 1000);
	uv_signal_start(&h->sigterm, on_signal, SIGTERM);
	uv_signal_start(&h->sigint, on_signal, SIGINT);
	if (h->source && source_dir_fd(h->source) >= 0) {
		uv_poll_init(&h->loop, &h->files, source_dir_fd(h->source));
		h->files.data = h;
		uv_poll_start(&h->files, UV_READABLE, on_files);
	}
	if (h->tls_fd >= 0)
		uv_timer_start(&h->tls_timer, on_tls, 0, 0);
}

static void close_handle(uv_handle_t *handle, void *ctx)
{
	(void)ctx;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void stop(struct hub *h)
{
	if (h->http)
		http_free(&h->http);
	page_asks_stop(h->asks);
	rollups_stop(h->rollups);
	alerts_stop(h->alerts);
	captures_stop(h->captures);
	toolstatus_stop(h->toolstatus);
	host_stop(h->host);
	uv_walk(&h->loop, close_handle, NULL);
	uv_run(&h->loop, UV_RUN_DEFAULT);
	uv_loop_close(&h->loop);
	if (h->persist && h->recorder)
		save_all(h);
	api_free(&h->api);
	alerts_free(&h->alerts);
	captures_free(&h->captures);
	mapstatus_free(&h->mapstatus);
	toolstatus_free(&h->toolstatus);
	audit_close(&h->audit);
	metrics_free(&h->metrics);
	exporters_free(&h->exporters);
	page_live_free(&h->live);
	host_free(&h->host);
	page_asks_free(&h->asks);
	flows_free(&h->flows);
	rollups_free(&h->rollups);
	if (h->sub)
		store_unsubscribe(&h->sub);
	VEC_EACH (&h->waiting_pods.list, o)
		object_unref((struct object **)(uintptr_t)o);
	vec_free(&h->waiting_pods.list);
	keyset_fini(&h->unsaved);
	recorder_free(&h->recorder);
	steplog_close(&h->steplog);
	cluster_free(&h->cluster);
	if (h->store)
		store_free(&h->store);
	if (h->source)
		source_dir_free(&h->source);
	pen_free(&h->pen);
	persist_close(&h->persist);
	page_free(&h->page);
	remarks_fini(&h->remarks);
	remarks_fini(&h->running);
}

int hub_run(struct hub *h, int unix_fd)
{
	int r = uv_loop_init(&h->loop);
	if (r)
		return r;
	r = start_store(h);
	uint64_t floor = h->store ? store_version(h->store) : 0;
	if (!r)
		r = rollups_new(&h->rollups, &h->loop, h->store, h->opt.dir, h->opt.history);
	if (!r)
		r = flows_new(&h->flows, h->store, h->rollups, h->opt.flow_records);
	if (!r)
		r = exporters_new(&h->exporters);
	if (!r)
		r = metrics_new(&h->metrics, h->store, h->flows, h->exporters);
	if (!r)
		r = alerts_new(&h->alerts, &h->loop, h->store, h->flows, h->metrics);
	if (!r)
		r = captures_new(&h->captures, &h->loop, h->store, h->opt.dir, h->audit);
	if (!r)
		r = mapstatus_new(&h->mapstatus, h->store);
	if (!r)
		r = toolstatus_new(&h->toolstatus, &h->loop, h->store, h->opt.dir);
	if (!r)
		r = page_live_new(&h->live, h);
	if (!r && h->opt.host)
		r = host_new(&h->host, h);
	if (!r)
		r = page_asks_new(&h->asks, h, h->program);
	if (!r)
		r = api_new(&h->api, h->store, &hub_api_ops, h);
	if (!r) {
		/* What was deleted before the last run ended is not known any more. */
		api_set_floor(h->api, floor);
		if (h->opt.runtime)
			r = api_set_runtime(h->api, &h->loop, h->opt.runtime);
		struct http_options opt = {.handler = api_handle, .ctx = h->api};
		if (!r)
			r = http_new(&h->http, &h->loop, &opt);
	}
	if (!r)
		r = start_objects(h);
	if (!r)
		r = http_listen(h->http, unix_fd, NULL, NULL, NULL);
	if (r) {
		log_error("start: %s", strerror(-r));
		stop(h);
		return r;
	}
	init_handles(h);
	listen_page(h, NULL);
	settle(h);
	h->loaded = true;
	log_info("serving %zu pods, %zu services at version %llu", store_count(h->store, KIND_pod),
		 store_count(h->store, KIND_service), (unsigned long long)store_version(h->store));
	uv_run(&h->loop, UV_RUN_DEFAULT);
	log_info("ending");
	stop(h);
	return 0;
}
