/* SPDX-License-Identifier: Apache-2.0 */
/* DNS messages, questions joined with their answers, and names of addresses: what is told, once, and what is
 * counted. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/own.h"
#include "observe/asked.h"
#include "observe/domains.h"

struct message {
	uint8_t p[512];
	size_t n;
};

static void add(struct message *m, const void *p, size_t n)
{
	assert_true(m->n + n <= sizeof(m->p));
	memcpy(m->p + m->n, p, n);
	m->n += n;
}

static void add_name(struct message *m, const char *name)
{
	while (*name) {
		size_t n = strcspn(name, ".");
		uint8_t len = (uint8_t)n;

		add(m, &len, 1);
		add(m, name, n);
		name += n + (name[n] == '.');
	}
	add(m, "", 1);
}

static void add16(struct message *m, unsigned v)
{
	uint8_t b[] = {(uint8_t)(v >> 8), (uint8_t)v};

	add(m, b, 2);
}

/* flags: as on the wire; `answers`: records that the header promises. */
static struct message message(unsigned id, unsigned flags, const char *name, unsigned type, unsigned answers)
{
	struct message m = {};
	const unsigned head[] = {id, flags, 1, answers, 0, 0};

	for (size_t i = 0; i < ARRAY_LEN(head); i++)
		add16(&m, head[i]);
	add_name(&m, name);
	add16(&m, type);
	add16(&m, 1);
	return m;
}

static void add_record(struct message *m, const char *owner, unsigned type, const void *data, size_t n)
{
	if (owner)
		add_name(m, owner);
	else
		add16(m, 0xc00c); /* the question's name */
	add16(m, type);
	add16(m, 1);
	add16(m, 0);
	add16(m, 60);
	add16(m, (unsigned)n);
	add(m, data, n);
}

static void reads_names_and_addresses(void **state)
{
	struct message m = message(7, 0x8180, "WWW.Example.org", 1, 4), target = {};
	struct dns_message d;
	char text[ADDR_TEXT];

	(void)state;
	add_name(&target, "edge.cdn.test");
	add_record(&m, NULL, 5, target.p, target.n);
	add_record(&m, "other.test", 1, "\x0a\0\0\1", 4); /* of nobody who was asked for */
	add_record(&m, "EDGE.cdn.test", 1, "\xc6\x33\x64\x07", 4);
	add_record(&m, "edge.cdn.test", 28, "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7", 16);
	assert_int_equal(dns_message_read(m.p, m.n, &d), 0);
	assert_string_equal(d.name, "www.example.org");
	assert_int_equal(d.id, 7);
	assert_int_equal(d.type, 1);
	assert_true(d.answer);
	assert_int_equal(d.addresses_len, 2);
	addr_print(&d.addresses[0], text);
	assert_string_equal(text, "198.51.100.7");
	addr_print(&d.addresses[1], text);
	assert_string_equal(text, "2001:db8::7");
	/* cut: what stands before the cut */
	assert_int_equal(dns_message_read(m.p, m.n - 1, &d), 0);
	assert_int_equal(d.addresses_len, 1);
	/* an error has none */
	m.p[3] = 0x83;
	assert_int_equal(dns_message_read(m.p, m.n, &d), 0);
	assert_int_equal(d.code, 3);
	assert_int_equal(d.addresses_len, 0);
	m = message(1, 0x0100, "", 2, 0);
	assert_int_equal(dns_message_read(m.p, m.n, &d), 0);
	assert_string_equal(d.name, ".");
	m = message(1, 0x0100, "a b\\.\x01\xff", 1, 0);
	assert_int_equal(dns_message_read(m.p, m.n, &d), 0);
	assert_string_equal(d.name, "a\\032b\\092.\\001\\255");
}

static void refuses_what_is_none(void **state)
{
	struct message good = message(1, 0x0100, "a.test", 1, 0), m;
	struct dns_message d;

	(void)state;
	for (size_t n = 0; n < good.n; n++)
		assert_int_equal(dns_message_read(good.p, n, &d), -EINVAL);
	m = good;
	m.p[5] = 2; /* questions */
	assert_int_equal(dns_message_read(m.p, m.n, &d), -EINVAL);
	m = good;
	m.p[2] |= 0x28; /* an update */
	assert_int_equal(dns_message_read(m.p, m.n, &d), -EINVAL);
	m = good;
	m.p[12] = 0xc0; /* a pointer to itself */
	m.p[13] = 12;
	assert_int_equal(dns_message_read(m.p, m.n, &d), -EINVAL);
}

static void long_names_are_cut_to_be_seen(void **state)
{
	struct message m = {};
	struct dns_message d;
	char label[64];

	(void)state;
	memset(label, 1, 60);
	label[60] = 0;
	m = message(1, 0x0100, label, 1, 0);
	assert_int_equal(dns_message_read(m.p, m.n, &d), 0);
	assert_true(strlen(d.name) < DNS_TEXT);
	m = message(1, 0x0100, "", 1, 0);
	m.n = 12;
	for (int i = 0; i < 2; i++) {
		add(&m, "\x3c", 1);
		add(&m, label, 60);
	}
	add(&m, "\0\0\1\0\1", 5);
	assert_int_equal(dns_message_read(m.p, m.n, &d), 0);
	assert_true(strlen(d.name) < DNS_TEXT);
	assert_string_equal(d.name + strlen(d.name) - 3, "…");
}

/* --- questions and answers ------------------------------------------------------------------------- */

static char told[4096];

static void on_told(void *ctx, const struct asked_told *t)
{
	size_t n = strlen(told);

	(void)ctx;
	snprintf(told + n, sizeof(told) - n, "%s/%u=%u x%u %uus; ", t->name, t->type, t->code, t->packets,
		 t->code == DNS_NO_ANSWER ? 0 : (unsigned)(t->answer_ns / 1000));
}

static struct asked_ends ends(uint16_t port)
{
	struct asked_ends e = {.asker_port = port, .server_port = 53, .proto = 17};

	addr_parse(STR("10.0.0.1"), &e.asker);
	addr_parse(STR("10.0.0.2"), &e.server);
	return e;
}

static void say(struct asked_list *list, uint16_t port, const struct message *m, bool answer, uint64_t at)
{
	struct asked_ends e = ends(port);

	asked_take(list, &e, answer, at, m->p, m->n, (uint32_t)m->n);
}

static void each_question_is_told_once(void **state)
{
	struct message a = message(1, 0x0100, "a.test", 1, 0), aaaa = message(1, 0x0100, "a.test", 28, 0),
		       b = message(2, 0x0100, "b.test", 1, 0), a_no = message(1, 0x8183, "A.test", 1, 0),
		       aaaa_yes = message(1, 0x8180, "a.test", 28, 0);
	struct asked_list *list;

	(void)state;
	told[0] = 0;
	assert_int_equal(asked_new(&list, on_told, NULL), 0);
	say(list, 1000, &a, false, 1000000);
	say(list, 1000, &aaaa, false, 2000000);
	say(list, 1001, &a, false, 3000000); /* from another port: another question */
	say(list, 1000, &b, false, 4000000);
	say(list, 1000, &a, false, 5000000); /* again */
	say(list, 1000, &aaaa_yes, true, 5000000);
	say(list, 1000, &a_no, true, 9000000);
	assert_string_equal(told, "a.test/28=0 x1 3000us; a.test/1=3 x2 8000us; ");
	say(list, 1000, &a_no, true, 9000000); /* nobody waits for it now */
	say(list, 1000, &a, true, 9000000);    /* a question that goes the wrong way */
	told[0] = 0;
	asked_tick(list, 3000000 + ASKED_WAIT_NS - 1);
	assert_string_equal(told, "");
	asked_tick(list, 3000000 + ASKED_WAIT_NS);
	assert_string_equal(told, "a.test/1=255 x1 0us; ");
	struct asked_counts n = asked_counts(list);

	assert_int_equal(n.questions, 4);
	assert_int_equal(n.again, 1);
	assert_int_equal(n.answered, 2);
	assert_int_equal(n.unanswered, 1);
	assert_int_equal(n.unasked, 1);
	assert_int_equal(n.odd, 1);
	assert_int_equal(n.waiting, 1);
	assert_int_equal(n.questions, n.answered + n.unanswered + n.no_room + n.waiting);
	asked_free(&list);
}

static void what_finds_no_room_is_counted(void **state)
{
	struct message m = message(1, 0x0100, "a.test", 1, 0);
	struct asked_list *list;

	(void)state;
	told[0] = 0;
	assert_int_equal(asked_new(&list, on_told, NULL), 0);
	for (unsigned i = 0; i < ASKED_WAITING_MAX + 100; i++) {
		m.p[0] = (uint8_t)(i >> 8);
		m.p[1] = (uint8_t)i;
		say(list, (uint16_t)(i >> 16), &m, false, i);
	}
	assert_int_equal(asked_counts(list).waiting, ASKED_WAITING_MAX);
	assert_int_equal(asked_counts(list).no_room, 100);
	asked_tick(list, UINT64_MAX);
	assert_int_equal(asked_counts(list).waiting, 0);
	asked_free(&list);
}

/* --- names ----------------------------------------------------------------------------------------- */

static struct addr addr(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(str_of(text), &a), 0);
	return a;
}

static void is_named(const struct domains *d, const char *asker, const char *address, uint64_t at,
		     const char *want)
{
	struct addr who = addr(asker), a = addr(address);
	struct str name = domains_at(d, &who, &a, at);

	assert_int_equal(name.n, strlen(want));
	assert_memory_equal(name.p ? name.p : "", want, name.n);
}

static void learn(struct domains *d, const char *asker, const char *address, const char *name, uint64_t at)
{
	struct addr who = addr(asker), a = addr(address);

	domains_learn(d, &who, &a, str_of(name), at);
}

static void br15_a_name_is_that_of_the_caller_and_the_time(void **state)
{
	struct domains *d;

	(void)state;
	assert_int_equal(domains_new(&d, 100), 0);
	learn(d, "10.0.0.1", "198.51.100.1", "www.test", 100);
	learn(d, "10.0.0.1", "198.51.100.1", "www.test", 150);
	learn(d, "10.0.0.2", "198.51.100.1", "cdn.test", 200);
	is_named(d, "10.0.0.1", "198.51.100.1", 99, "");
	is_named(d, "10.0.0.1", "198.51.100.1", 100, "www.test");
	is_named(d, "10.0.0.1", "198.51.100.1", 300, "www.test");
	is_named(d, "10.0.0.2", "198.51.100.1", 150, "www.test"); /* its node's, at that time */
	is_named(d, "10.0.0.2", "198.51.100.1", 300, "cdn.test");
	is_named(d, "10.0.0.3", "198.51.100.1", 300, "cdn.test");
	is_named(d, "10.0.0.1", "198.51.100.2", 300, "");
	for (unsigned i = 0; i < DOMAINS_NAMES; i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%u.test", i);
		learn(d, "10.0.0.1", "198.51.100.1", name, 400 + i);
	}
	is_named(d, "10.0.0.1", "198.51.100.1", 401, "n1.test");
	is_named(d, "10.0.0.1", "198.51.100.1", 300, ""); /* forgotten: unknown, not another one */
	domains_free(&d);
}

static void the_oldest_names_make_room(void **state)
{
	struct domains *d;
	char text[32];

	(void)state;
	assert_int_equal(domains_new(&d, 20), 0);
	for (unsigned i = 0; i < 30; i++) {
		snprintf(text, sizeof(text), "198.51.100.%u", i);
		learn(d, "10.0.0.1", "192.0.2.1", "kept.test", 10 + i); /* told again and again */
		learn(d, "10.0.0.1", text, "a.test", 10 + i);
	}
	assert_int_equal(domains_size(d).addresses, 20);
	assert_int_equal(domains_size(d).made_room, 62 - 20);
	is_named(d, "10.0.0.1", "192.0.2.1", 100, "kept.test");
	is_named(d, "10.0.0.1", "198.51.100.29", 100, "a.test");
	is_named(d, "10.0.0.1", "198.51.100.0", 100, "");
	domains_free(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_names_and_addresses),
	    cmocka_unit_test(refuses_what_is_none),
	    cmocka_unit_test(long_names_are_cut_to_be_seen),
	    cmocka_unit_test(each_question_is_told_once),
	    cmocka_unit_test(what_finds_no_room_is_counted),
	    cmocka_unit_test(br15_a_name_is_that_of_the_caller_and_the_time),
	    cmocka_unit_test(the_oldest_names_make_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
