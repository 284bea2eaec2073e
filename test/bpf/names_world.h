/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cluster of world.h with domain names in force: b and r are its DNS; a may reach that, and TCP 80 of
 * what has the name api.example.org or any name below example.net. Shared by the cases about names.
 */
#ifndef WEFT_TEST_BPF_NAMES_WORLD_H
#define WEFT_TEST_BPF_NAMES_WORLD_H

#include "cases.h"
#include "dns.h"

#define SET	 100u /* a's */
#define PORTS	 200u
#define RULE	 300u /* that names accept by */
#define RULE_DNS 301u
#define NAMES	 400u
#define NAME_API 501u /* api.example.org */
#define NAME_ANY 502u /* *.example.net */
#define NAME_OUT 503u /* other.example.org: a pattern of somebody else */

extern struct body answer; /* the last one made */

void names_in_force(void);
void put_pattern(const char *pattern, uint32_t class);
void put_match(uint32_t class, uint32_t rule);

/* Makes `answer`. records: as in dns_answer(), with @1 (WORLD), @2 (WORLD2), @3 (ROUTER) for type and address
 * in the family of the run. */
void say(const char *question, const char *records, int flags);
/* Hands a message of b's DNS to a, which has asked from port 1000. */
void feed(const struct body *b);

uint32_t now(void); /* monotonic seconds */
/* Seconds for which the address still has the name; 0: no longer, or never. */
uint32_t learned_for(const char *text, uint32_t name);
/* As if every name had been told so many seconds earlier. */
void age_names(uint32_t seconds);
void forget_names(void);

#endif
