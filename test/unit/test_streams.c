/* SPDX-License-Identifier: Apache-2.0 */
/* The wire of exec and port-forward without a socket: the dictionary of SPDY's headers, its frames, those of
 * WebSocket, and the ends of streams that are closed on one side only. And sockets on the loop: back-pressure
 * that ends, and what a side sent before it closed. */
#include <sys/socket.h>
#include <unistd.h>

#include "manifest.h"
#include "serve/duplex.h"
#include "serve/spdy.h"
#include "serve/spdy_dictionary.h"
#include "serve/ws.h"

#define BYTES(text) ((struct str){(text), sizeof(text) - 1})

/* draft-mbelshe-httpbis-spdy-00, section 2.6.10.1: zlib's number of the dictionary is in each first block. */
static void the_dictionary_is_the_protocols(void **state)
{
	(void)state;
	static const char *const pairs[] = {"streamtype", "error", "port", "80", "requestid", "0", NULL};
	struct spdy s;
	AUTO_BUF b = {0};

	assert_int_equal(
	    adler32(adler32(0, NULL, 0), (const Bytef *)spdy_dictionary, sizeof(spdy_dictionary) - 1),
	    0xe3c6a7c2);
	assert_int_equal(spdy_init(&s), 0);
	spdy_headers(&s, &b, SPDY_SYN_STREAM, 1, 0, pairs);
	assert_memory_equal(b.p, "\x80\x03\0\1\0", 5);
	/* Behind the frame's head, two streams and a priority, zlib's head (RFC 1950) with FDICT. */
	assert_int_equal((b.p[18] & 0x0f), 8);
	assert_true(b.p[19] & 0x20);
	assert_memory_equal(b.p + 20, "\xe3\xc6\xa7\xc2", 4);
	spdy_fini(&s);
}

/* What another implementation packed (zlib at level 9): streamtype error, port 80, requestid 0. */
static void headers_of_a_client(void **state)
{
	(void)state;
	static const char syn[] =
	    "\x80\x03\x00\x01\x01\x00\x00\x3c\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x78\xf9\xe3\xc6\xa7\xc2"
	    "\x02\x25\x3a\x70\x3a\x2b\x29\x4a\x4d\xcc\x85\x16\x25\xac\xa9\xa0\x80\x86\x14\xcb\x45\xa0\x24\xcc"
	    "\x64\x61\x00\x24\x39\x8b\x20\x91\x98\x09\x4a\xdc\x8c\x06\x00\x00\x00\x00\xff\xff";
	char copy[sizeof(syn)];
	struct spdy s;

	for (size_t cut = 0; cut < sizeof(syn); cut++) {
		char *p = copy;
		size_t n = cut, rest = sizeof(syn) - 1 - cut;
		enum spdy_event e;
		memcpy(copy, syn, sizeof(syn));
		assert_int_equal(spdy_init(&s), 0);
		e = spdy_feed(&s, &p, &n);
		if (e == SPDY_MORE)
			e = spdy_feed(&s, &p, &rest);
		assert_int_equal(e, SPDY_CONTROL);
		assert_int_equal(s.type, SPDY_SYN_STREAM);
		assert_int_equal(s.stream, 3);
		assert_true(s.fin);
		assert_int_equal(s.headers_len, 3);
		assert_true(str_eqz(spdy_header(&s, "streamtype"), "error"));
		assert_true(str_eqz(spdy_header(&s, "port"), "80"));
		assert_true(str_eqz(spdy_header(&s, "requestid"), "0"));
		assert_int_equal(spdy_header(&s, "none").n, 0);
		spdy_fini(&s);
	}
}

static enum spdy_event feed(struct spdy *s, struct str bytes)
{
	static char copy[65536];
	char *p = copy;
	size_t n = bytes.n;
	memcpy(copy, bytes.p, n);
	return spdy_feed(s, &p, &n);
}

static void frames_of_spdy(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		struct str bytes;
		enum spdy_event event;
		uint32_t stream;
		bool fin;
		const char *data; /* or the problem */
	} cases[] = {
	    {"data", BYTES("\0\0\0\5\0\0\0\2hi"), SPDY_DATA, 5, false, "hi"},
	    {"the last data", BYTES("\0\0\0\5\1\0\0\2hi"), SPDY_DATA, 5, true, "hi"},
	    {"an end without data", BYTES("\0\0\0\5\1\0\0\0"), SPDY_DATA, 5, true, ""},
	    {"a ping", BYTES("\x80\3\0\6\0\0\0\4\0\0\0\7"), SPDY_CONTROL, 7, false, NULL},
	    {"a reset", BYTES("\x80\3\0\3\0\0\0\x8\0\0\0\5\0\0\0\5"), SPDY_CONTROL, 5, false, NULL},
	    {"a version that is none", BYTES("\x80\2\0\6\0\0\0\4\0\0\0\7"), SPDY_BAD, 0, false, ""},
	    {"headers that are none", BYTES("\x80\3\0\1\0\0\0\xc\0\0\0\1\0\0\0\0\0\0zz"), SPDY_BAD, 0, false,
	     ""},
	    {"a control frame that is too long", BYTES("\x80\3\0\1\0\xff\xff\xff\0\0\0\1"), SPDY_BAD, 0,
	     false, ""},
	    {"a reset that is too short", BYTES("\x80\3\0\3\0\0\0\4\0\0\0\5"), SPDY_BAD, 0, false, ""},
	    {"less than a frame's head", BYTES("\0\0\0\5\0\0\0"), SPDY_MORE, 0, false, NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct spdy s;
		assert_int_equal(spdy_init(&s), 0);
		enum spdy_event e = feed(&s, cases[i].bytes);
		if (e != cases[i].event || (e == SPDY_BAD && !s.problem))
			fail_msg("%s: event %d", cases[i].what, e);
		if (e == SPDY_DATA)
			assert_true(str_eqz((struct str){s.data, s.len}, cases[i].data));
		if (e == SPDY_DATA || e == SPDY_CONTROL) {
			assert_int_equal(s.stream, cases[i].stream);
			assert_int_equal(s.fin, cases[i].fin);
		}
		spdy_fini(&s);
	}
}

/* One side of a stream ends, the other goes on: both ways through the encoder. */
static void half_closed(void **state)
{
	(void)state;
	struct spdy s;
	AUTO_BUF b = {0};

	spdy_data(&b, 3, SPDY_FIN, (struct str){0});
	spdy_data(&b, 5, 0, BYTES("more"));
	assert_int_equal(spdy_init(&s), 0);
	char *p = b.p;
	size_t n = b.n;
	assert_int_equal(spdy_feed(&s, &p, &n), SPDY_DATA);
	assert_true(s.fin && s.stream == 3 && !s.len);
	assert_int_equal(spdy_feed(&s, &p, &n), SPDY_DATA);
	assert_true(!s.fin && s.stream == 5 && s.len == 4);
	assert_int_equal(spdy_feed(&s, &p, &n), SPDY_MORE);
	spdy_fini(&s);
}

/* RFC 6455, section 5.7: its examples. */
static void frames_of_websocket(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		bool client;
		struct str bytes;
		enum ws_event event;
		const char *data;
	} cases[] = {
	    {"masked", false, BYTES("\x82\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), WS_DATA, "Hello"},
	    {"not masked, from a server", true, BYTES("\x82\x05Hello"), WS_DATA, "Hello"},
	    {"not masked, from a client", false, BYTES("\x82\x05Hello"), WS_BAD, NULL},
	    {"masked, from a server", true, BYTES("\x82\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), WS_BAD,
	     NULL},
	    {"a ping", false, BYTES("\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), WS_CONTROL, "Hello"},
	    {"a ping in pieces", false, BYTES("\x09\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), WS_BAD, NULL},
	    {"a text", false, BYTES("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), WS_BAD, NULL},
	    {"a piece of nothing", true, BYTES("\x80\x02lo"), WS_BAD, NULL},
	    {"a reserved bit", true, BYTES("\xc2\x02lo"), WS_BAD, NULL},
	    {"a length beyond 63 bits", true, BYTES("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"), WS_BAD,
	     NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ws_in w = {.client = cases[i].client};
		char copy[64], *p = copy;
		size_t n = cases[i].bytes.n;
		memcpy(copy, cases[i].bytes.p, n);
		enum ws_event e = ws_feed(&w, &p, &n);
		if (e != cases[i].event || (e == WS_BAD && !w.problem))
			fail_msg("%s: event %d", cases[i].what, e);
		if (cases[i].data && !str_eqz((struct str){w.data, w.len}, cases[i].data))
			fail_msg("%s: %.*s", cases[i].what, (int)w.len, w.data);
	}
	char accept[WS_ACCEPT_SIZE];
	assert_int_equal(ws_accept("dGhlIHNhbXBsZSBub25jZQ==", accept), 0);
	assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	assert_int_not_equal(ws_accept("dGhlIHNhbXBsZSBub25jZ", accept), 0);
}

struct line {
	struct duplex d;
	uv_loop_t loop;
	int far;
	size_t got;
	bool drained, ended, freed;
};

static void on_data(struct duplex *d, char *p, size_t n)
{
	CONTAINER_OF(d, struct line, d)->got += n;
	(void)p;
}

static void on_ended(struct duplex *d)
{
	CONTAINER_OF(d, struct line, d)->ended = true;
}

static void on_drained(struct duplex *d)
{
	CONTAINER_OF(d, struct line, d)->drained = true;
}

static void on_freed(struct duplex *d)
{
	CONTAINER_OF(d, struct line, d)->freed = true;
}

static void line_open(struct line *l)
{
	static const struct duplex_ops ops = {on_data, on_ended, on_drained};
	int pair[2];

	*l = (struct line){0};
	assert_int_equal(uv_loop_init(&l->loop), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	l->far = pair[1];
	assert_int_equal(duplex_init(&l->d, &l->loop, pair[0], &ops), 0);
}

static void line_close(struct line *l)
{
	duplex_close(&l->d, on_freed);
	while (!l->freed)
		uv_run(&l->loop, UV_RUN_ONCE);
	close(l->d.fd);
	if (l->far >= 0)
		close(l->far);
	assert_int_equal(uv_loop_close(&l->loop), 0);
}

static void take_all(void *far)
{
	static char bytes[1 << 20];
	size_t left = 2 << 20;

	while (left)
		left -= (size_t)recv(*(int *)far, bytes, sizeof(bytes), 0);
}

/* Whoever holds back waits for drained(): it comes also where a later flush, not the loop, sent the rest. */
static void back_pressure_ends(void **state)
{
	(void)state;
	static char bytes[2 << 20];
	struct line l;
	uv_thread_t reader;

	line_open(&l);
	buf_add(&l.d.out, bytes, sizeof(bytes));
	duplex_flush(&l.d);
	assert_true(duplex_pending(&l.d) > DUPLEX_HIGH);
	assert_int_equal(uv_thread_create(&reader, take_all, &l.far), 0);
	while (duplex_pending(&l.d))
		duplex_flush(&l.d);
	uv_thread_join(&reader);
	uv_run(&l.loop, UV_RUN_NOWAIT);
	assert_true(l.drained);
	line_close(&l);
}

/* A side that closes with something unread resets the socket; what it sent before is read to its end. */
static void a_reset_loses_nothing(void **state)
{
	(void)state;
	static char bytes[150000];
	struct line l;

	line_open(&l);
	buf_add(&l.d.out, "unread", 6);
	duplex_flush(&l.d);
	assert_int_equal(send(l.far, bytes, sizeof(bytes), 0), sizeof(bytes));
	close(l.far);
	l.far = -1;
	for (int i = 0; i < 100 && !l.ended; i++)
		uv_run(&l.loop, UV_RUN_ONCE);
	assert_true(l.ended);
	assert_int_equal(l.got, sizeof(bytes));
	line_close(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_dictionary_is_the_protocols),
	    cmocka_unit_test(headers_of_a_client),
	    cmocka_unit_test(frames_of_spdy),
	    cmocka_unit_test(half_closed),
	    cmocka_unit_test(frames_of_websocket),
	    cmocka_unit_test(back_pressure_ends),
	    cmocka_unit_test(a_reset_loses_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
