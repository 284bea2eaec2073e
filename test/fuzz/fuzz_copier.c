/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What weft-copier is told, one CONFIG up to each NUL byte, and copies between them: any bytes are refused
 * with a sentence, and then nothing has changed, or taken; its account is JSON at every moment, and each tool
 * port's sum matches. No socket is opened, and no file: this node has no folder for them.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/own.h"
#include "copier/copier.h"

int socket(int domain, int type, int protocol);
int socket(int domain, int type, int protocol)
{
	(void)domain;
	(void)type;
	(void)protocol;
	errno = EPERM;
	return -1;
}

static int take_frame(void *ctx, uint32_t outlet, const uint8_t *frame, uint32_t n)
{
	(void)ctx;
	(void)frame;
	if (!outlet || outlet > OUTLETS_MAX || n < 14)
		abort();
	return outlet % 3 ? 0 : -EAGAIN;
}

static json_int_t get(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static void check_account(struct copier *c)
{
	AUTO_BUF text = {0};
	AUTO_BUF metrics = {0};
	json_t *a, *item, *loss;
	const char *key;
	size_t i;

	account_print(c, &text);
	metrics_print(c, &metrics);
	a = json_loadb(text.p, text.n, 0, NULL);
	if (!a)
		abort();
	json_array_foreach (json_object_get(a, "tools"), i, item) {
		json_int_t out = get(item, "sent") + get(item, "inFlight");

		json_object_foreach (json_object_get(item, "losses"), key, loss)
			out += json_integer_value(loss);
		if (get(item, "due") + get(item, "added") != out)
			abort();
	}
	json_decref(a);
}

static void feed(struct copier *c, uint64_t time)
{
	uint8_t bytes[64] = {[12] = 0x08, [14] = 0x45, [17] = 50, [22] = 64, [23] = 17};
	struct packet_seen s = {.packet = {.p = bytes,
					   .link = CHAIN_LINK_ETHERNET,
					   .caplen = sizeof(bytes),
					   .len = sizeof(bytes),
					   .time = time}};

	for (uint32_t point = 0; point < 4; point++) {
		s.mark = point | (c->epochs[0] ? c->epochs[0]->number % TAP_EPOCHS : 0) << TAP_EPOCH_SHIFT |
			 (point & 1 ? TAP_MARK_OUT : 0);
		feed_packet(c, &s);
	}
}

static void tell(struct copier *c, struct str json)
{
	const struct epoch *before = c->epochs[0];
	AUTO_BUF why = {0};
	int r = config_apply(c, json, &why);

	if (r && (!why.n || c->epochs[0] != before))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct copier c = {.host = {.send = take_frame, .loop = &c.loop}};
	struct str rest = {(const char *)data, size};
	uint64_t ms = 1;

	/* A ring has as many bytes as it is told to: the one that it has by itself will do. */
	if (memmem(data, size, "size", 4))
		return 0;
	if (uv_loop_init(&c.loop))
		abort();
	for (int i = 0; rest.n && i < 4; i++, ms += 2000) {
		tell(&c, str_cut(&rest, '\0'));
		feed(&c, ms * 1000000);
		sinks_flush(&c);
		sinks_tick(&c, ms);
		epochs_tick(&c, ms);
		epochs_health(&c);
		check_account(&c);
	}
	copier_fini(&c, 0);
	uv_run(&c.loop, UV_RUN_DEFAULT);
	if (uv_loop_close(&c.loop))
		abort();
	return 0;
}
