/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cases: which DNS messages are told, where and how much of them: what a pod of this node asks and is
 * answered, once each; each other one is counted. b serves DNS here, r on node-2, WORLD outside.
 */
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "cases.h"
#include "seam/asked.h"

enum { TOLD_MAX = 8 };
static struct {
	struct asked list[TOLD_MAX];
	size_t size[TOLD_MAX];
	unsigned n;
} told;

static int on_asked(void *ctx, void *data, size_t n)
{
	(void)ctx;
	if (told.n < TOLD_MAX) {
		memcpy(&told.list[told.n], data, n < sizeof(struct asked) ? n : sizeof(struct asked));
		told.size[told.n] = n;
	}
	told.n++;
	return 0;
}

static void take(void)
{
	struct ring_buffer *ring = ring_buffer__new(bpf_map__fd(world->maps.asked), on_asked, NULL, NULL);

	ring_buffer__consume(ring);
	ring_buffer__free(ring);
}

/* A question, its answer, and both as TCP carries them; and what does not stand in one segment. */
static struct body question, answered, long_answer, q_tcp, a_tcp, a_half, a_two;

static void framed(struct body *out, const struct body *b, unsigned says)
{
	out->len = (uint16_t)(b->len + 2);
	out->bytes[0] = (uint8_t)(says >> 8);
	out->bytes[1] = (uint8_t)says;
	memcpy(out->bytes + 2, b->bytes, b->len);
}

static void begin(void)
{
	static const uint8_t head[] = "\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x03www\x04test\0\0\x01\0\x01";

	take();
	memset(&told, 0, sizeof(told));
	question.len = sizeof(head) - 1;
	memcpy(question.bytes, head, question.len);
	answered = question;
	answered.bytes[2] |= 0x80;
	long_answer = answered;
	long_answer.len = ASKED_BYTES + 20;
	for (unsigned i = question.len; i < long_answer.len; i++)
		long_answer.bytes[i] = (uint8_t)i;
	framed(&q_tcp, &question, question.len);
	framed(&a_tcp, &answered, answered.len);
	framed(&a_half, &answered, answered.len + 1u);
	framed(&a_two, &answered, answered.len - 1u);
}

static int is_told(unsigned i, const char *asker, const char *server, int proto, uint32_t flags,
		   const struct body *b)
{
	size_t head = offsetof(struct asked, message), there = b->len < ASKED_BYTES ? b->len : ASKED_BYTES;
	const struct asked *a = &told.list[i];
	struct addr16 from = addr(here(asker)), to = addr(here(server));

	return must_be("asker", (uint64_t)!memcmp(&a->asker, &from, 16), 1) |
	       must_be("server", (uint64_t)!memcmp(&a->server, &to, 16), 1) |
	       must_be("asker's port", ntohs(a->asker_port), 40001) |
	       must_be("server's port", ntohs(a->server_port), 53) |
	       must_be("protocol", a->proto, (uint64_t)proto) | must_be("flags", a->flags, flags) |
	       must_be("length", a->len, b->len) | must_be("bytes there", told.size[i], head + there) |
	       must_be("the bytes", (uint64_t)!memcmp(a->message, b->bytes, there), 1) |
	       must_be("a time", a->at > 0, 1);
}

static int counted(uint64_t seen, uint64_t lost, uint64_t unread)
{
	take();
	return must_be("seen", read_counter(COUNTER_ASKED_SEEN), seen) |
	       must_be("told", read_counter(COUNTER_ASKED_TOLD), seen - lost - unread) |
	       must_be("in the ring", told.n, seen - lost - unread) |
	       must_be("lost", read_counter(COUNTER_ASKED_LOST), lost) |
	       must_be("not read", read_counter(COUNTER_ASKED_UNREAD), unread);
}

static int both_near(void)
{
	return counted(4, 0, 0) || is_told(0, A, B, IPPROTO_UDP, 0, &question) ||
	       is_told(1, A, B, IPPROTO_UDP, ASKED_ANSWER, &answered) ||
	       is_told(2, A, B, IPPROTO_UDP, 0, &question) ||
	       is_told(3, A, B, IPPROTO_UDP, ASKED_ANSWER, &answered);
}

static int both_away(void)
{
	return counted(3, 0, 0) || is_told(0, A, WORLD, IPPROTO_UDP, 0, &question) ||
	       is_told(1, A, WORLD, IPPROTO_UDP, ASKED_ANSWER, &answered) ||
	       is_told(2, A, WORLD, IPPROTO_UDP, 0, &question);
}

static int with_the_node(void)
{
	return counted(2, 0, 0) || is_told(0, A, N1, IPPROTO_UDP, 0, &question) ||
	       is_told(1, A, N1, IPPROTO_UDP, ASKED_ANSWER, &answered);
}

static int none(void)
{
	return counted(0, 0, 0);
}

static int whole_segments(void)
{
	take();
	return must_be("seen", read_counter(COUNTER_ASKED_SEEN), 4) |
		   must_be("not read", read_counter(COUNTER_ASKED_UNREAD), 2) | must_be("told", told.n, 2) ||
	       is_told(0, A, B, IPPROTO_TCP, 0, &question) ||
	       is_told(1, A, B, IPPROTO_TCP, ASKED_ANSWER, &answered);
}

static int long_ones_are_cut(void)
{
	return counted(2, 0, 0) || is_told(1, A, B, IPPROTO_UDP, ASKED_ANSWER, &long_answer);
}

static int too_short(void)
{
	return counted(1, 0, 1);
}

static void refuse(void)
{
	begin();
	set_pod("a", 0, 77);
}

static int full_ring(void)
{
	struct spec s = {UDP, here(A), here(B), 40001, 53};
	uint8_t frame[PACKET_MAX];
	uint64_t lost;
	struct run r;

	s.body = &long_answer;
	world_run(world->progs.weft_from_pod, IF_A, frame, packet_build(&s, frame), 0, 2000, &r);
	lost = read_counter(COUNTER_ASKED_LOST);
	take();
	return must_be("some found no room", lost > 0 && lost < 2000, 1) |
	       must_be("told and lost are all", read_counter(COUNTER_ASKED_TOLD) + lost, 2000) |
	       must_be("in the ring", told.n, 2000 - lost);
}

#define ASK(server, how)                                                                                     \
	{                                                                                                    \
		FROM_A, {UDP, A, server, 40001, 53, .body = &question}, how                                  \
	}
#define ANSWER(body_)                                                                                        \
	{                                                                                                    \
		FROM_B, {UDP, B, A, 53, 40001, .body = &(body_)}, POD                                        \
	}
#define SEGMENT(body_)                                                                                       \
	{                                                                                                    \
		FROM_A, {TCP, A, B, 40001, 53, ACK, .body = &(body_)}, POD                                   \
	}
#define REPLY(body_)                                                                                         \
	{                                                                                                    \
		FROM_B, {TCP, B, A, 53, 40001, ACK, .body = &(body_)}, POD                                   \
	}

const struct bpf_case asked_cases[] = {
    {"a DNS question and its answer are told once, over a known connection too",
     BOTH,
     begin,
     {ASK(B, POD), ANSWER(answered), ASK(B, POD), ANSWER(answered)},
     both_near},
    {"what is asked of a server outside is told under the pod's own ends",
     BOTH,
     begin,
     {{FROM_A,
       {UDP, A, WORLD, 40001, 53, .body = &question},
       OUT,
       .out = {UDP, N1, WORLD, 40001, 53, .body = &question}},
      {UPLINK,
       {UDP, WORLD, N1, 53, 40001, .body = &answered},
       POD,
       .out = {UDP, WORLD, A, 53, 40001, .body = &answered}},
      {FROM_A,
       {UDP, A, WORLD, 40001, 53, .body = &question},
       OUT,
       .out = {UDP, N1, WORLD, 40001, 53, .body = &question}}},
     both_away},
    {"an answer of the node's own server is told",
     BOTH,
     begin,
     {ASK(N1, STACK), {TO_A, {UDP, N1, A, 53, 40001, .body = &answered}, STACK}},
     with_the_node},
    {"what others ask of a pod here is told by their node",
     BOTH,
     begin,
     {{UPLINK, {UDP, WORLD, B, 40001, 53, .body = &question}, POD},
      {FROM_B, {UDP, B, WORLD, 53, 40001, .body = &answered}, OUT}},
     none},
    {"other ports are not looked at, nor what stands behind a first fragment",
     BOTH,
     begin,
     {{FROM_A, {UDP, A, B, 40001, 5353, .body = &question}, POD},
      {FROM_A, {UDP, A, B, 53, 40001, .body = &question}, POD},
      {FROM_A, {UDP, A, B, 40002, 80, .body = &question}, POD}},
     none},
    {"what policy refuses was not asked",
     BOTH,
     refuse,
     {{FROM_A, {UDP, A, B, 40001, 53, .body = &question}, DROPPED, DROP_POLICY_EGRESS, IF_A, 77}},
     none},
    {"over TCP what stands whole in one segment is told, other data is counted, acknowledgements are nothing",
     BOTH,
     begin,
     {{FROM_A, {TCP, A, B, 40001, 53, SYN}, POD},
      {FROM_B, {TCP, B, A, 53, 40001, SYNACK}, POD},
      {FROM_A, {TCP, A, B, 40001, 53, ACK}, POD},
      SEGMENT(q_tcp),
      REPLY(a_half),
      REPLY(a_two),
      REPLY(a_tcp)},
     whole_segments},
    {"of a long message the first bytes are told, with its length",
     BOTH,
     begin,
     {ASK(B, POD), ANSWER(long_answer)},
     long_ones_are_cut},
    {"what is too short for a message is counted",
     BOTH,
     begin,
     {{FROM_A, {UDP, A, B, 40001, 53, .payload = 11}, POD}},
     too_short},
    {"DNS messages that find no room are lost by number", BOTH, begin, {{0}}, full_ring},
    {NULL},
};
