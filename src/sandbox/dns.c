/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS feeder: writes the zones and has each unbound read them again, by its control socket; changes that come
 * close together go in one step. Must never hold up the pods. Called by kubelet.c and container.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/own.h"
#include "sandbox/dns.h"
#include "sandbox/files.h"
#include "sandbox/pod.h"

enum { SETTLE_MS = 10, AGAIN_MS = 30, SERVERS_MAX = 8 };

struct dns {
	struct sandbox *sandbox;
	uv_timer_t timer;
	uint32_t serial;
	struct buf zones[DNS_ZONES];
	bool dirty[DNS_ZONES]; /* written, not yet read by all servers */
	struct pod *servers[SERVERS_MAX];
};

struct reload {		/* one command to one server */
	uv_pipe_t pipe; /* first: freed with it */
	uv_connect_t connect;
	uv_write_t write;
	struct sandbox *sandbox;
	char command[96], answer[256];
	size_t answer_len;
};

static void dns_timer(uv_timer_t *t);

static void reload_end(struct reload *r, bool ok)
{
	struct dns *d = r->sandbox->dns;

	if (!ok && d && !r->sandbox->stopping) {
		memset(d->dirty, 1, sizeof(d->dirty));
		uv_timer_start(&d->timer, dns_timer, AGAIN_MS, 0);
	}
	uv_close((uv_handle_t *)&r->pipe, (uv_close_cb)free);
}

static void reload_alloc(uv_handle_t *h, size_t want, uv_buf_t *b)
{
	struct reload *r = (struct reload *)h;

	(void)want;
	*b = uv_buf_init(r->answer + r->answer_len, (unsigned)(sizeof(r->answer) - 1 - r->answer_len));
}

static void reload_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct reload *r = (struct reload *)s;

	(void)b;
	if (n > 0) {
		r->answer_len += (size_t)n;
		return;
	}
	if (n == 0)
		return;
	if (r->answer_len && strncmp(r->answer, "ok", 2))
		log_warn("unbound: %s: %s", r->command + 6, r->answer);
	reload_end(r, r->answer_len > 0);
}

static void reload_written(uv_write_t *w, int status)
{
	(void)w;
	(void)status; /* the read tells */
}

static void reload_connected(uv_connect_t *c, int status)
{
	struct reload *r = c->data;
	uv_buf_t b = uv_buf_init(r->command, (unsigned)strlen(r->command));

	if (status < 0) {
		if (status != UV_ECANCELED)
			reload_end(r, false);
		return;
	}
	uv_write(&r->write, (uv_stream_t *)&r->pipe, &b, 1, reload_written);
	uv_read_start((uv_stream_t *)&r->pipe, reload_alloc, reload_read);
}

static void reload_send(struct dns *d, const struct pod *p, const char *zone)
{
	struct reload *r = calloc(1, sizeof(*r));
	char path[PATH_LEN + 16];

	if (!r)
		return;
	r->sandbox = d->sandbox;
	snprintf(r->command, sizeof(r->command), "UBCT1 auth_zone_reload %s.\n", zone);
	snprintf(path, sizeof(path), "%s/control", p->dir);
	uv_pipe_init(&d->sandbox->loop, &r->pipe, 0);
	r->connect.data = r;
	uv_pipe_connect(&r->connect, &r->pipe, path, reload_connected);
}

static void zone_path(const struct sandbox *s, int zone, char out[PATH_LEN])
{
	const char *name = dns_zone_names[zone];

	snprintf(out, PATH_LEN, "%s/dns/%s.zone", s->dir, *name ? name : "root");
}

/* The part of a zone behind its serial number. */
static struct str body(const struct buf *b)
{
	const char *at = b->n ? memmem(b->p, b->n, "@ NS ", 5) : NULL;

	return at ? (struct str){.p = at, .n = b->n - (size_t)(at - b->p)} : (struct str){0};
}

/* Writes the zones that changed. */
static void zones_write(struct dns *d)
{
	struct sandbox *s = d->sandbox;
	struct dns_view view = {.services = &s->services.objects,
				.slices = &s->slices.objects,
				.pods = &s->pods_seen.objects,
				.hosts = s->opt->hosts,
				.hosts_len = s->opt->hosts_len};
	struct buf now[DNS_ZONES] = {0};
	char path[PATH_LEN];

	dns_zone_text(&view, ++d->serial, now);
	for (int i = 0; i < DNS_ZONES; i++) {
		zone_path(s, i, path);
		if (!now[i].failed && !str_eq(body(&now[i]), body(&d->zones[i]))) {
			int r = file_write(path, buf_str(&now[i]));

			if (r)
				log_error("%s: %s", path, strerror(-r));
			buf_fini(&d->zones[i]);
			d->zones[i] = now[i];
			d->dirty[i] = true;
			continue;
		}
		buf_fini(&now[i]);
	}
}

static void dns_timer(uv_timer_t *t)
{
	struct dns *d = t->data;
	bool sent = false;

	zones_write(d);
	for (int i = 0; i < DNS_ZONES; i++)
		for (int k = 0; d->dirty[i] && k < SERVERS_MAX; k++)
			if (d->servers[k] && d->servers[k]->step == POD_RUNNING) {
				reload_send(d, d->servers[k], dns_zone_names[i]);
				sent = true;
			}
	if (sent)
		memset(d->dirty, 0, sizeof(d->dirty));
}

void dns_changed(struct sandbox *s)
{
	if (s->dns && !uv_is_active((uv_handle_t *)&s->dns->timer))
		uv_timer_start(&s->dns->timer, dns_timer, SETTLE_MS, 0);
}

bool dns_plays(const json_t *pod)
{
	return !strcmp(json_text(json_at(pod, "metadata", "namespace", NULL)), "kube-system") &&
	       !strcmp(json_text(json_at(pod, "metadata", "labels", "k8s-app", NULL)), "kube-dns");
}

const char *dns_program(void)
{
	static const char *const places[] = {"/usr/sbin/unbound", "/usr/bin/unbound",
					     "/usr/local/sbin/unbound"};

	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (!access(places[i], X_OK))
			return places[i];
	return places[0];
}

static const char config_head[] =
    "server:\n"
    "  username: \"\"\n  chroot: \"\"\n  pidfile: \"\"\n  use-syslog: no\n  logfile: \"\"\n  verbosity: 0\n"
    "  do-daemonize: no\n  num-threads: 1\n  module-config: \"iterator\"\n"
    "  interface: 0.0.0.0\n  interface: ::0\n  interface-automatic: yes\n  port: 53\n"
    "  access-control: 0.0.0.0/0 allow\n  access-control: ::0/0 allow\n"
    "  outgoing-range: 16\n  num-queries-per-thread: 256\n  incoming-num-tcp: 64\n"
    "  msg-cache-size: 256k\n  rrset-cache-size: 256k\n  infra-cache-numhosts: 16\n  key-cache-size: 16k\n"
    "  neg-cache-size: 16k\n  rrset-roundrobin: yes\n  minimal-responses: yes\n  hide-identity: yes\n"
    "  hide-version: yes\n  unblock-lan-zones: yes\n  insecure-lan-zones: yes\n";

/* As much as an unprivileged process may have: bursts of questions wait there. 0: the system's default. */
static int64_t receive_room(void)
{
	AUTO_BUF text = {0};
	int64_t n;

	if (file_read("/proc/sys/net/core/rmem_max", &text) ||
	    str_to_i64(str_trim(buf_str(&text)), 0, INT32_MAX, &n))
		return 0;
	return n;
}

int dns_pod_prepare(struct pod *p, char *conf, size_t cap)
{
	struct dns *d = p->sandbox->dns;
	AUTO_BUF text = {0};
	char path[PATH_LEN];
	int slot = 0;

	zones_write(d);
	buf_addz(&text, config_head);
	buf_printf(&text, "  so-rcvbuf: %lld\n", (long long)receive_room());
	buf_printf(&text,
		   "remote-control:\n  control-enable: yes\n  control-use-cert: no\n  control-interface: "
		   "\"%s/control\"\n",
		   p->dir);
	for (int i = 0; i < DNS_ZONES; i++) {
		zone_path(p->sandbox, i, path);
		buf_printf(&text,
			   "auth-zone:\n  name: \"%s.\"\n  zonefile: \"%s\"\n  for-downstream: yes\n  "
			   "for-upstream: no\n"
			   "  fallback-enabled: no\n",
			   dns_zone_names[i], path);
	}
	if (text.failed || chown(p->dir, WORKLOAD_UID, WORKLOAD_UID))
		return text.failed ? -ENOMEM : -errno;
	while (slot < SERVERS_MAX - 1 && d->servers[slot] && d->servers[slot] != p)
		slot++;
	d->servers[slot] = p;
	if ((size_t)snprintf(conf, cap, "%s/unbound.conf", p->dir) >= cap)
		return -ENAMETOOLONG;
	return file_write(conf, buf_str(&text));
}

void dns_pod_gone(struct pod *p)
{
	struct dns *d = p->sandbox->dns;

	for (int i = 0; d && i < SERVERS_MAX; i++)
		if (d->servers[i] == p)
			d->servers[i] = NULL;
}

int dns_start(struct sandbox *s)
{
	char path[PATH_LEN];

	s->dns = calloc(1, sizeof(*s->dns));
	if (!s->dns)
		return -ENOMEM;
	s->dns->sandbox = s;
	uv_timer_init(&s->loop, &s->dns->timer);
	s->dns->timer.data = s->dns;
	snprintf(path, sizeof(path), "%s/dns", s->dir);
	return file_make_dir(path, 0755);
}

static void dns_closed(uv_handle_t *h)
{
	struct dns *d = h->data;

	for (int i = 0; i < DNS_ZONES; i++)
		buf_fini(&d->zones[i]);
	free(d);
}

void dns_stop(struct sandbox *s)
{
	if (!s->dns)
		return;
	uv_close((uv_handle_t *)&s->dns->timer, dns_closed);
	s->dns = NULL;
}
