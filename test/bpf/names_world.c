/* SPDX-License-Identifier: Apache-2.0 */
/* The little cluster with names in force; see names_world.h. */
#include "names_world.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct body answer;

static void put(const struct bpf_map *map, const void *key, const void *value)
{
	if (bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY)) {
		printf("Bail out! cannot write to %s\n", bpf_map__name(map));
		exit(1);
	}
}

void put_pattern(const char *pattern, uint32_t class)
{
	struct name_key key = {0};
	struct name_value value = {.name = class};
	int wild = pattern[0] == '*';
	size_t n;

	pattern += wild ? 2 : 0;
	n = strlen(pattern);
	for (size_t i = 0; i < n; i++)
		key.text[i] = (uint8_t)pattern[n - 1 - i];
	key.text[n] = wild ? '.' : 0;
	key.prefixlen = (uint32_t)(n + 1) * 8;
	put(world->maps.name, &key, &value);
}

void put_match(uint32_t class, uint32_t rule)
{
	struct name_match_key key = {.names = NAMES, .name = class};
	struct name_match_value value = {.rule = rule};

	put(world->maps.name_match, &key, &value);
}

void names_in_force(void)
{
	struct config_value *c = config_now();

	c->flags |= CONFIG_NAMES;
	config_put(c);
	set_address(here(B), CLASS_B, 0, ADDRESS_POD | ADDRESS_DNS);
	set_address(here(R), CLASS_R, 2, ADDRESS_POD | ADDRESS_DNS);
	set_pod("a", 0, SET);
	set_policy(SET, CLASS_B, PORTSET_ALL, RULE_DNS);
	set_policy(SET, CLASS_R, PORTSET_ALL, RULE_DNS);
	set_policy(SET, CLASS_WORLD, PORTS, 0);
	set_names(PORTS, PORT_LEN(16), IPPROTO_TCP, 80, RULE_NONE, NAMES);
	put_pattern("api.example.org", NAME_API);
	put_pattern("*.example.net", NAME_ANY);
	put_pattern("other.example.org", NAME_OUT);
	put_match(NAME_API, RULE);
	put_match(NAME_ANY, RULE);
}

/* The answer to `question`: records as in dns_answer(), with @1, @2, @3. */
void say(const char *question, const char *records, int flags)
{
	static const char *const places[] = {WORLD, WORLD2, ROUTER};
	char text[1024], *to = text;

	for (; *records && to < text + sizeof(text) - 64; records++) {
		if (records[0] == '@' && records[1] >= '1' && records[1] <= '3') {
			to += sprintf(to, "%s %s", run_v6 ? "AAAA" : "A", here(places[records[1] - '1']));
			records++;
		} else {
			*to++ = *records;
		}
	}
	*to = 0;
	answer = *dns_answer(question, text, flags);
}

uint32_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint32_t)t.tv_sec;
}

static int learned_of(const char *text, struct learned_value *v)
{
	struct addr16 key = addr(text);

	memset(v, 0, sizeof(*v));
	return bpf_map_lookup_elem(bpf_map__fd(world->maps.learned), &key, v);
}

/* Seconds for which the address still has the name; 0: no longer, or never. */
uint32_t learned_for(const char *text, uint32_t name)
{
	struct learned_value v;

	learned_of(text, &v);
	for (int i = 0; i < LEARNED_SLOTS; i++)
		if (v.slot[i].name == name && (int32_t)(v.slot[i].until - now()) > 0)
			return v.slot[i].until - now();
	return 0;
}

/* As if every name had been told so many seconds earlier. */
void age_names(uint32_t seconds)
{
	static struct addr16 keys[4096];
	int fd = bpf_map__fd(world->maps.learned);
	size_t n = map_keys(world->maps.learned, keys, sizeof(keys[0]), sizeof(keys) / sizeof(keys[0]));
	struct learned_value v;

	for (size_t k = 0; k < n; k++) {
		if (bpf_map_lookup_elem(fd, &keys[k], &v))
			continue;
		for (int i = 0; i < LEARNED_SLOTS; i++)
			v.slot[i].until -= v.slot[i].name ? seconds : 0;
		bpf_map_update_elem(fd, &keys[k], &v, BPF_EXIST);
	}
}

/* Hands a message of b's DNS to a, which has asked. */
void feed(const struct body *b)
{
	struct spec s = {UDP, here(B), here(A), 53, 1000, .body = b};
	uint8_t frame[PACKET_MAX];
	struct run r;

	world_run(world->progs.weft_from_pod, IF_B, frame, packet_build(&s, frame), 0, 1, &r);
}

void forget_names(void)
{
	int fd = bpf_map__fd(world->maps.learned);
	struct addr16 key;

	while (!bpf_map_get_next_key(fd, NULL, &key))
		bpf_map_delete_elem(fd, &key);
}
