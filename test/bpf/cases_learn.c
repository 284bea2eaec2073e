/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cases: what many answers teach, for how long, and what broken ones do not: the kernel agrees with the plain
 * reader of dns_plain.h. The cluster is that of names_world.h.
 */
#include "dns_plain.h"
#include "names_world.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WEEK 604800u

/* The clock of the programs may be a tick behind. */
static int lasts(const char *what, uint32_t ttl)
{
	uint32_t left = learned_for(here(WORLD), NAME_API);

	if (left >= ttl && left <= ttl + 1)
		return 0;
	return must_be(what, left, ttl + 1);
}

static void told(const char *records)
{
	say("api.example.org", records, DNS_COMPRESS);
	feed(&answer);
}

static int times_are_right(void)
{
	int bad = 0;

	told("api.example.org 0 @1");
	bad |= lasts("seconds of a TTL of 0", LEARNED_MIN);
	told("api.example.org 60 @1");
	bad |= lasts("seconds, when told again for longer", 60);
	told("api.example.org 10 @1");
	bad |= lasts("seconds, when told again for less", 60);
	forget_names();
	told("api.example.org 20 CNAME c.test; c.test 7200 @1");
	bad |= lasts("seconds of a chain", 20);
	forget_names();
	told("api.example.org 2147483647 @1");
	bad |= lasts("seconds of the longest TTL", WEEK);
	forget_names();
	told("api.example.org 2147483648 @1");
	bad |= lasts("seconds of a negative TTL (RFC 2181, 8)", LEARNED_MIN);
	return bad;
}

/* `count` addresses of api.example.org from 198.18.`block`.1 on, or the like of the family. */
static void say_many(int block, int count)
{
	static char text[32768];
	char *to = text;

	for (int i = 1; i <= count; i++)
		to += sprintf(to,
			      run_v6 ? "api.example.org 60 AAAA 2001:db8:18:%d::%d;"
				     : "api.example.org 60 A 198.18.%d.%d;",
			      block, i);
	to[-1] = 0;
	answer = *dns_answer("api.example.org", text, DNS_COMPRESS);
}

static int a_full_packet_is_learned(void)
{
	unsigned told;

	say_many(0, 120);
	told = (unsigned)answer.bytes[6] << 8 | answer.bytes[7];
	feed(&answer);
	return must_be("addresses that fit", told, run_v6 ? 48 : 85) |
	       must_be("learned addresses", map_size(world->maps.learned), told);
}

static int hundreds_are_kept(void)
{
	char text[64];
	int bad = 0;

	for (int block = 0; block < 8; block++) {
		say_many(block, 40);
		feed(&answer);
	}
	for (int i = 1; i <= 40; i++) {
		snprintf(text, sizeof(text), run_v6 ? "2001:db8:18:%d::%d" : "198.18.%d.%d", i % 8, i);
		bad |= must_be(text, learned_for(text, NAME_API) > 0, 1);
	}
	return bad | must_be("learned addresses", map_size(world->maps.learned), 320);
}

static int the_clusters_own_are_not_learned(void)
{
	static const char *const own[] = {A, R, N1, N2, GONE, GONE2, VIP, VIP2, LINK, GROUP, NEAR};
	char text[128];

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		snprintf(text, sizeof(text), "api.example.org 60 %s %s", run_v6 ? "AAAA" : "A", here(own[i]));
		answer = *dns_answer("api.example.org", text, DNS_COMPRESS);
		feed(&answer);
	}
	return must_be("learned addresses", map_size(world->maps.learned), 1) |
	       must_be("of them in the nodes' network", learned_for(here(NEAR), NAME_API) > 0, 1);
}

/* Name i of ten lasts 100 + i seconds. */
static void say_one_of_ten(unsigned i)
{
	char name[64], record[128];

	snprintf(name, sizeof(name), "n%u.example.org", i);
	put_pattern(name, 600 + i);
	snprintf(record, sizeof(record), "%s %u @1", name, 100 + i);
	say(name, record, 0);
	feed(&answer);
}

static int slots_are_few(void)
{
	int bad = 0;

	for (unsigned i = 0; i < LEARNED_SLOTS; i++)
		say_one_of_ten(i);
	bad |= must_be("lost", read_counter(COUNTER_NAMES_LOST), 0);
	for (unsigned i = 0; i < LEARNED_SLOTS; i++)
		bad |= must_be("a name that has a slot", learned_for(here(WORLD), 600 + i) > 0, 1);
	say_one_of_ten(8);
	bad |= must_be("lost", read_counter(COUNTER_NAMES_LOST), 1) |
	       must_be("the name that ends first", learned_for(here(WORLD), 600), 0) |
	       must_be("the new name", learned_for(here(WORLD), 608) > 0, 1) |
	       must_be("the next to end", learned_for(here(WORLD), 601) > 0, 1);
	age_names(200);
	say_one_of_ten(9);
	return bad | must_be("lost", read_counter(COUNTER_NAMES_LOST), 1) |
	       must_be("a name beside ended ones", learned_for(here(WORLD), 609) > 0, 1) |
	       must_be("addresses", map_size(world->maps.learned), 1);
}

/* Elements that ended long ago; returns how many there was room for. */
static uint32_t fill(uint32_t most)
{
	struct learned_value v = {.slot = {{.name = NAME_OUT, .until = now() - 60}}};
	struct addr16 key = addr("2001:db8:ffff::");
	uint32_t n = 0;

	for (; n < most; n++) {
		key.w[3] = htonl(n);
		if (bpf_map_update_elem(bpf_map__fd(world->maps.learned), &key, &v, BPF_NOEXIST))
			break;
	}
	return n;
}

static int no_room_is_counted(void)
{
	uint32_t room = bpf_map__max_entries(world->maps.learned);

	if (must_be("room", fill(room + 1), room))
		return 1;
	told("api.example.org 60 @1");
	return must_be("lost", read_counter(COUNTER_NAMES_LOST), 1) |
	       must_be("answers handed on", read_counter(COUNTER_POD_TO_POD), 2);
}

static int ended_ones_go(void)
{
	uint64_t removed;
	int bad;

	told("api.example.org 60 @1");
	age_names(70);
	bad = must_be("removed as soon as ended", (uint64_t)world_gc(0), 0);
	age_names(3600);
	bad |= must_be("removed an hour later", (uint64_t)world_gc(0), 1);
	bad |= must_be("elements of a crowd", fill(20000), 20000);
	feed(&answer);
	/* one more where the one that holds is met early */
	removed = (uint64_t)world_gc(0);
	if (removed != 20000 - 16384)
		bad |= must_be("removed of a crowd", removed, 20000 - 16383);
	bad |= must_be("left", map_size(world->maps.learned), 20001 - removed);
	return bad | must_be("the one that holds", learned_for(here(WORLD), NAME_API) > 0, 1);
}

static uint32_t class_of_name(const char *name)
{
	const char *below = strstr(name, ".example.net");

	if (!strcmp(name, "api.example.org"))
		return NAME_API;
	if (!strcmp(name, "other.example.org"))
		return NAME_OUT;
	return below && !below[12] ? NAME_ANY : 0;
}

static int in_block(const uint8_t *a, const char *block, unsigned bits)
{
	struct addr16 b = addr(block);

	for (unsigned i = 0; i < bits; i++)
		if ((a[i / 8] ^ b.b[i / 8]) & 0x80 >> i % 8)
			return 0;
	return 1;
}

/* Is it an address that may be learned at all? */
static int may_be_learned(const uint8_t *a)
{
	struct address_value v;

	return bpf_map_lookup_elem(bpf_map__fd(world->maps.address), a, &v) &&
	       !in_block(a, "224.0.0.0", 100) && !in_block(a, "255.255.255.255", 128) &&
	       !in_block(a, "169.254.0.0", 112) && !in_block(a, "10.1.0.0", 112) &&
	       !in_block(a, "10.2.0.0", 112) && !in_block(a, "10.96.0.0", 112) &&
	       !in_block(a, "fe80::", 10) && !in_block(a, "ff00::", 8) && !in_block(a, "fd00:1::", 32) &&
	       !in_block(a, "fd00:2::", 32) && !in_block(a, "fd00:96::", 112);
}

/* How long the plain reader gives an address, at most; -1: it does not. */
static int64_t plain_ttl(const struct plain *p, const uint8_t *a)
{
	int64_t most = -1;

	for (size_t i = 0; i < p->count; i++)
		if (!memcmp(p->found[i].addr, a, 16) && p->found[i].ttl > most)
			most = p->found[i].ttl;
	return most >= 0 && most < LEARNED_MIN ? LEARNED_MIN : most;
}

/* What the kernel learns of a message is what the plain reader finds in it. Returns nonzero when not. */
static int agrees(const struct body *b)
{
	static struct plain plain;
	int fd = bpf_map__fd(world->maps.learned), bad = 0;
	uint32_t class, expected = 0, learned = 0;
	struct learned_value v;
	struct addr16 key;

	forget_names();
	feed(b);
	dns_plain(b->bytes, b->len, &plain);
	class = class_of_name(plain.name);
	for (size_t i = 0; class && i < plain.count; i++) {
		int again = 0;

		for (size_t j = 0; j < i; j++)
			again |= !memcmp(plain.found[i].addr, plain.found[j].addr, 16);
		expected += !again && may_be_learned(plain.found[i].addr);
	}
	for (int more = !bpf_map_get_next_key(fd, NULL, &key); more;
	     more = !bpf_map_get_next_key(fd, &key, &key)) {
		int64_t ttl = class ? plain_ttl(&plain, key.b) : -1, left;

		if (bpf_map_lookup_elem(fd, &key, &v))
			continue;
		left = (int32_t)(v.slot[0].until - now());
		bad |= ttl < 0 || !may_be_learned(key.b) || v.slot[0].name != class || v.slot[1].name;
		bad |= !plain.odd && (left < ttl - 1 || left > ttl + 1);
		learned++;
	}
	bad |= plain.odd ? learned > expected : learned != expected;
	if (bad)
		printf("# learned %u, the plain reader finds %u of \"%s\"\n", learned, expected, plain.name);
	return bad;
}

static const struct {
	const char *question, *records;
} samples[] = {
    {"api.example.org", "api.example.org 60 CNAME cdn.example.com; cdn.example.com 60 CNAME e7.edge.test; "
			"e7.edge.test 60 @1; e7.edge.test 60 @2; e7.edge.test 60 @3"},
    {"other.example.org",
     "other.example.org 9 TXT x; other.example.org 9 @2; other.example.org 300 A 203.0.113.9"},
    {"a.example.net",
     "a.example.net 70 A 203.0.113.8; a.example.net 70 AAAA 2001:db8:18::8; b.example.net 1 @1"},
};
#define SAMPLES (sizeof(samples) / sizeof(samples[0]))

/* Each message, cut behind each of its bytes. */
static int cut_answers_agree(void)
{
	struct body whole;

	for (size_t i = 0; i < SAMPLES * 2; i++) {
		say(samples[i / 2].question, samples[i / 2].records, i & 1 ? DNS_COMPRESS : 0);
		whole = answer;
		for (uint16_t n = 0; n <= whole.len; n++) {
			answer = whole;
			answer.len = n;
			if (agrees(&answer)) {
				printf("# message %zu, cut behind %u bytes\n", i, n);
				return 1;
			}
		}
	}
	return must_be("learned from the last one", map_size(world->maps.learned), 2);
}

/* Bytes changed at random, and pieces moved. */
static void damage(struct body *b, unsigned *seed)
{
	int times = 1 + rand_r(seed) % 4;

	while (times--) {
		size_t at = (size_t)rand_r(seed) % b->len;

		switch (rand_r(seed) % 4) {
		case 0:
			b->bytes[at] ^= (uint8_t)(1 << rand_r(seed) % 8);
			break;
		case 1:
			b->bytes[at] = (uint8_t)rand_r(seed);
			break;
		case 2: /* a pointer to somewhere in front */
			b->bytes[at] = 0xc0;
			if (at + 1 < b->len)
				b->bytes[at + 1] = (uint8_t)((size_t)rand_r(seed) % (at + 1));
			break;
		default:
			b->bytes[at] = b->bytes[(size_t)rand_r(seed) % b->len];
		}
	}
	if (rand_r(seed) % 8 == 0)
		b->len = (uint16_t)(1 + rand_r(seed) % b->len);
}

static int damaged_answers_agree(void)
{
	unsigned first = now(), seed = first;
	unsigned taught = 0;

	for (int i = 0; i < 6000; i++) {
		size_t n = (size_t)rand_r(&seed) % SAMPLES;

		say(samples[n].question, samples[n].records, rand_r(&seed) & DNS_COMPRESS);
		damage(&answer, &seed);
		if (agrees(&answer)) {
			printf("# message %d of seed %u:", i, first);
			for (uint16_t k = 0; k < answer.len; k++)
				printf(" %02x", answer.bytes[k]);
			printf("\n");
			return 1;
		}
		taught += map_size(world->maps.learned) > 0;
	}
	/* else the damage is such that nothing was compared */
	return must_be("messages that still taught something", taught > 1000, 1) |
	       must_be("messages that taught nothing", taught < 5900, 1);
}

#define ASK                                                                                                  \
	{                                                                                                    \
		FROM_A, {UDP, A, B, 1000, 53}, POD                                                           \
	} /* so that what b sends is an answer */
#define CHECKED(name, check)                                                                                 \
	{                                                                                                    \
		name, BOTH, names_in_force, {ASK}, check                                                     \
	}

const struct bpf_case learn_cases[] = {
    CHECKED("CN16 times: at least LEARNED_MIN, the least of a chain, the later of two", times_are_right),
    CHECKED("CN17 one answer as large as a packet", a_full_packet_is_learned),
    CHECKED("CN17 more than a hundred addresses of one name are kept", hundreds_are_kept),
    CHECKED("CN14 addresses of the cluster are never learned", the_clusters_own_are_not_learned),
    CHECKED("CN14 malformed: answers that end anywhere", cut_answers_agree),
    CHECKED("CN14 malformed: answers with any damage", damaged_answers_agree),
    CHECKED("CN17 eight names for one address, then the one that ends first goes", slots_are_few),
    CHECKED("CN17 a full table loses no packet, and counts", no_room_is_counted),
    CHECKED("CN16 ended names go, later or when it is crowded", ended_ones_go),
    {NULL},
};
