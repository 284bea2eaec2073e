/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of src/sandbox: the DNS zones, the client of the API against a hub of ours, and, where cgroups may be
 * made, children that are ended as soon as they are born. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "sandbox/cgroup.h"
#include "sandbox/dns.h"
#include "sandbox/spawn.h"

static void add(struct hash *h, const char *key, const char *text)
{
	json_t *o = json_loads(text, 0, NULL);

	assert_non_null(o);
	assert_int_equal(hash_set(h, str_of(key), o, NULL), 0);
}

static void drop(struct hash *h)
{
	HASH_EACH (h, slot)
		json_decref(slot->value);
	hash_fini(h);
}

static void has(const struct buf *b, const char *line)
{
	AUTO_BUF want = {0};

	buf_printf(&want, "\n%s\n", line);
	if (!memmem(b->p, b->n, want.p, want.n))
		fail_msg("no line \"%s\" in\n%s", line, b->p);
}

static void lacks(const struct buf *b, const char *text)
{
	if (memmem(b->p, b->n, text, strlen(text)))
		fail_msg("\"%s\" is in\n%s", text, b->p);
}

static void test_zones(void **state)
{
	struct hash services = {0}, slices = {0}, pods = {0};
	const struct sandbox_host hosts[] = {{.name = "api.example.org", .to = "198.51.100.1", .ttl = 6},
					     {.name = "api.example.org", .to = "2001:db8:51::1", .ttl = 6},
					     {.name = "*.example.com", .to = "api.example.org", .ttl = 30}};
	struct dns_view view = {.services = &services,
				.slices = &slices,
				.pods = &pods,
				.hosts = hosts,
				.hosts_len = ARRAY_LEN(hosts)};
	struct buf z[DNS_ZONES] = {0};

	(void)state;
	add(&services, "shop/cart",
	    "{\"metadata\":{\"namespace\":\"shop\",\"name\":\"cart\"},\"spec\":{\"clusterIP\":\"10.96.0.7\","
	    "\"clusterIPs\":["
	    "\"10.96.0.7\",\"fd57:e7f7:0:96::7\"],\"ports\":[{\"name\":\"grpc\",\"port\":7070},{\"port\":1}]}"
	    "}");
	add(&services, "shop/db",
	    "{\"metadata\":{\"namespace\":\"shop\",\"name\":\"db\"},\"spec\":{\"clusterIP\":\"None\","
	    "\"clusterIPs\":[\"None\"]}}");
	add(&services, "shop/out",
	    "{\"metadata\":{\"namespace\":\"shop\",\"name\":\"out\"},\"spec\":{\"type\":\"ExternalName\","
	    "\"externalName\":"
	    "\"api.example.com\"}}");
	add(&slices, "shop/db-1",
	    "{\"metadata\":{\"namespace\":\"shop\",\"labels\":{\"kubernetes.io/"
	    "service-name\":\"db\"}},\"ports\":[{\"name\":"
	    "\"sql\",\"port\":5432,\"protocol\":\"TCP\"}],\"endpoints\":[{\"addresses\":[\"10.244.0.5\"],"
	    "\"hostname\":"
	    "\"db-0\"},{\"addresses\":[\"10.244.1.6\"],\"conditions\":{\"ready\":true}},{\"addresses\":[\"10."
	    "244.1.9\"],"
	    "\"conditions\":{\"ready\":false}}]}");
	add(&slices, "shop/cart-1",
	    "{\"metadata\":{\"namespace\":\"shop\",\"labels\":{\"kubernetes.io/"
	    "service-name\":\"cart\"}},\"endpoints\":[{"
	    "\"addresses\":[\"10.244.0.77\"]}]}");
	add(&pods, "shop/web",
	    "{\"metadata\":{\"namespace\":\"shop\",\"name\":\"web\"},\"status\":{\"podIPs\":[{\"ip\":\"10."
	    "244.0.5\"},{\"ip\":"
	    "\"fd57::5\"}]}}");
	dns_zone_text(&view, 9, z);
	has(&z[0], "cart.shop.svc.cluster.local. A 10.96.0.7");
	has(&z[0], "cart.shop.svc.cluster.local. AAAA fd57:e7f7:0:96::7");
	has(&z[0], "_grpc._tcp.cart.shop.svc.cluster.local. SRV 0 100 7070 cart.shop.svc.cluster.local.");
	has(&z[0], "db.shop.svc.cluster.local. A 10.244.0.5");
	has(&z[0], "db.shop.svc.cluster.local. A 10.244.1.6");
	has(&z[0], "db-0.db.shop.svc.cluster.local. A 10.244.0.5");
	has(&z[0], "10-244-1-6.db.shop.svc.cluster.local. A 10.244.1.6");
	has(&z[0], "_sql._tcp.db.shop.svc.cluster.local. SRV 0 100 5432 db-0.db.shop.svc.cluster.local.");
	has(&z[0], "out.shop.svc.cluster.local. CNAME api.example.com.");
	has(&z[0], "10-244-0-5.shop.pod.cluster.local. A 10.244.0.5");
	has(&z[0], "fd57--5.shop.pod.cluster.local. AAAA fd57::5");
	lacks(&z[0], "10.244.1.9");
	lacks(&z[0], "10.244.0.77");
	has(&z[1], "7.0.96.10.in-addr.arpa. PTR cart.shop.svc.cluster.local.");
	has(&z[1], "5.0.244.10.in-addr.arpa. PTR db-0.db.shop.svc.cluster.local.");
	has(&z[2], "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.0.0.0.7.f.7.e.7.5.d.f.ip6.arpa. PTR "
		   "cart.shop.svc.cluster.local.");
	has(&z[3], "localhost. A 127.0.0.1");
	has(&z[3], "api.example.org. 6 A 198.51.100.1");
	has(&z[3], "api.example.org. 6 AAAA 2001:db8:51::1");
	has(&z[3], "*.example.com. 30 CNAME api.example.org.");
	lacks(&z[3], "cart");
	for (int i = 0; i < DNS_ZONES; i++)
		buf_fini(&z[i]);
	drop(&services);
	drop(&slices);
	drop(&pods);
}

/* A hub that sends each answer in pieces of the given size, closing after each. */
struct fake {
	uv_loop_t loop;
	uv_pipe_t server;
	char path[64];
	size_t piece;
	unsigned lists, watches;
	struct api api;
	struct mirror mirror;
	char seen[512];
};

struct answer {
	uv_pipe_t pipe;
	uv_write_t write;
	struct fake *fake;
	char text[2048], in[2048];
	size_t sent, len;
};

static void answer_closed(uv_handle_t *h)
{
	free(h);
}

static void answer_more(uv_write_t *w, int status)
{
	struct answer *a = w->data;
	size_t left = a->len - a->sent, n = left < a->fake->piece ? left : a->fake->piece;
	uv_buf_t b = uv_buf_init(a->text + a->sent, (unsigned)n);

	if (status < 0 || !n) {
		uv_close((uv_handle_t *)&a->pipe, answer_closed);
		return;
	}
	a->sent += n;
	uv_write(&a->write, (uv_stream_t *)&a->pipe, &b, 1, answer_more);
}

static void chunk(struct answer *a, const char *text)
{
	a->len += (size_t)sprintf(a->text + a->len, "%zx\r\n%s\r\n", strlen(text), text);
}

#define POD(name, extra)                                                                                     \
	"{\"metadata\":{\"namespace\":\"n\",\"name\":\"" name "\",\"resourceVersion\":\"5\"}" extra "}"

static void answer_asked(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	static const char list1[] =
	    "{\"metadata\":{\"resourceVersion\":\"4\"},\"items\":[" POD("a", "") "," POD("b", "") "]}";
	static const char list2[] = "{\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[" POD("b", "") "]}";
	struct answer *a = (struct answer *)s;
	struct fake *f = a->fake;

	if (n <= 0 || !memmem(b->base, (size_t)n, "\r\n\r\n", 4))
		return;
	uv_read_stop(s);
	if (memmem(b->base, (size_t)n, "watch=true", 10)) {
		f->watches++;
		a->len = (size_t)sprintf(a->text, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
		if (f->watches == 1) {
			assert_non_null(memmem(b->base, (size_t)n, "resourceVersion=4 ", 18));
			chunk(a,
			      "{\"type\":\"MODIFIED\",\"object\":" POD("a", ",\"x\":1") "}\n{\"type\":\"ADD");
			chunk(a, "ED\",\"object\":" POD("c", "") "}\n");
			chunk(a, "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"8\"}"
				 "}}\n");
			strcpy(a->text + a->len, "0\r\n\r\n");
			a->len += 5;
		} else if (f->watches == 2) {
			assert_non_null(memmem(b->base, (size_t)n, "resourceVersion=8 ", 18));
			chunk(a, "{\"type\":\"ERROR\",\"object\":{\"code\":410}}\n");
		} else {
			uv_stop(&f->loop);
		}
	} else {
		f->lists++;
		a->len =
		    (size_t)sprintf(a->text, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
				    strlen(f->lists == 1 ? list1 : list2), f->lists == 1 ? list1 : list2);
	}
	a->write.data = a;
	answer_more(&a->write, 0);
}

static void answer_alloc(uv_handle_t *h, size_t want, uv_buf_t *b)
{
	struct answer *a = (struct answer *)h;

	(void)want;
	*b = uv_buf_init(a->in, sizeof(a->in));
}

static void answer_new(uv_stream_t *server, int status)
{
	struct answer *a = calloc(1, sizeof(*a));

	assert_int_equal(status, 0);
	a->fake = server->data;
	uv_pipe_init(&a->fake->loop, &a->pipe, 0);
	uv_accept(server, (uv_stream_t *)&a->pipe);
	uv_read_start((uv_stream_t *)&a->pipe, answer_alloc, answer_asked);
}

static void note_change(struct mirror *m, const char *key, json_t *was, json_t *now)
{
	struct fake *f = m->ctx;

	snprintf(f->seen + strlen(f->seen), sizeof(f->seen) - strlen(f->seen), "%s%s ",
		 !was  ? "+"
		 : now ? "~"
		       : "-",
		 key);
}

static void close_any(uv_handle_t *h, void *ctx)
{
	struct fake *f = ctx;

	if (!uv_is_closing(h))
		uv_close(h,
			 h->type == UV_NAMED_PIPE && h != (uv_handle_t *)&f->server ? answer_closed : NULL);
}

/* List, watch, the watch's end, going on from its version, 410, the new list's difference. */
static void mirror_over(size_t piece)
{
	AUTO_MEM struct fake *f = calloc(1, sizeof(*f));

	f->piece = piece;
	uv_loop_init(&f->loop);
	snprintf(f->path, sizeof(f->path), "/tmp/weft-test-sandbox-%d.sock", getpid());
	unlink(f->path);
	uv_pipe_init(&f->loop, &f->server, 0);
	f->server.data = f;
	assert_int_equal(uv_pipe_bind(&f->server, f->path), 0);
	uv_listen((uv_stream_t *)&f->server, 8, answer_new);
	api_init(&f->api, &f->loop, f->path);
	mirror_start(&f->mirror, &f->api, "/api/v1/pods", note_change, NULL, f);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_string_equal(f->seen, "+n/a +n/b ~n/a +n/c -n/c -n/a ");
	assert_int_equal(f->lists, 2);
	api_fini(&f->api);
	mirror_stop(&f->mirror);
	uv_walk(&f->loop, close_any, f);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	unlink(f->path);
}

static void test_mirror(void **state)
{
	(void)state;
	mirror_over(4096);
}

static void test_mirror_in_small_pieces(void **state)
{
	(void)state;
	mirror_over(1);
	mirror_over(7);
}

static void on_told(uv_signal_t *s, int sig)
{
	(void)sig;
	*(int *)s->data += 1;
}

static void on_ended(struct child *c, int status)
{
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	*(bool *)c->owner = true;
}

/* A signal that reaches a child before it has handlers of its own must not come to its parent. */
static void test_a_child_is_ended_alone(void **state)
{
	char path[320], name[64], *argv[] = {"sleep", "10", NULL};
	struct spawn s = {.program = "/bin/sleep",
			  .argv = argv,
			  .cgroup = path,
			  .netns = -1,
			  .mntns = -1,
			  .in = -1,
			  .out = -1,
			  .err = -1};
	uv_signal_t signals;
	uv_loop_t loop;
	int told = 0;

	(void)state;
	snprintf(name, sizeof(name), "t-spawn-%d", (int)getpid());
	if (cgroup_path(name, path, sizeof(path)) || cgroup_make(path))
		skip();
	assert_int_equal(uv_loop_init(&loop), 0);
	uv_signal_init(&loop, &signals);
	signals.data = &told;
	uv_signal_start(&signals, on_told, SIGTERM);
	for (int i = 0; i < 300; i++) {
		bool ended = false;
		struct child c = {.owner = &ended, .ended = on_ended};

		assert_int_equal(child_start(&c, &loop, &s), 0);
		child_signal(&c, SIGTERM);
		while (!ended)
			uv_run(&loop, UV_RUN_ONCE);
	}
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(told, 0);
	uv_close((uv_handle_t *)&signals, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	assert_int_equal(cgroup_remove(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_zones),
	    cmocka_unit_test(test_mirror),
	    cmocka_unit_test(test_mirror_in_small_pieces),
	    cmocka_unit_test(test_a_child_is_ended_alone),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
