/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS answers as the kernel's programs read them: bpf/lib/dns.h, compiled for user space, tells what a plain
 * reader tells, and never reads outside the message.
 */
#define WEFT_BPF_TYPES_H /* in place of bpf/types.h */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seam/addr.h"

#define ALWAYS_INLINE static inline
#define bpf_htonl     htonl

/* Callbacks have the type of their own context in bpf/, as the verifier does not look at it. */
#define bpf_loop(n, step, ctx, flags)                                                                        \
	({                                                                                                   \
		long done_ = 0;                                                                              \
		for (__u32 i_ = 0; i_ < (__u32)(n); i_++) {                                                  \
			done_++;                                                                             \
			if (step(i_, ctx))                                                                   \
				break;                                                                       \
		}                                                                                            \
		done_;                                                                                       \
	})

#include "bpf/lib/dns.h"

#include "../bpf/dns_plain.h"

/* The text of a key of BPF map name. */
static void key_text(const struct name_key *k, char *text)
{
	size_t n = strlen((const char *)k->text);

	for (size_t i = 0; i < n; i++)
		text[i] = (char)k->text[n - 1 - i];
	text[n] = 0;
}

static void fail(const char *what)
{
	fprintf(stderr, "fuzz_dns: %s\n", what);
	abort();
}

static void compare(struct dns *d, const struct plain *p)
{
	enum dns_record is = DNS_OTHER;
	size_t n = 0;

	for (unsigned i = 0; i < DNS_RECORDS && d->answers && is != DNS_END; i++) {
		d->answers--;
		is = dns_next(d);
		if (is != DNS_ADDRESS)
			continue;
		while (p->odd && n < p->count &&
		       (memcmp(p->found[n].addr, d->addr.b, 16) || p->found[n].ttl != d->addr_ttl))
			n++;
		if (n == p->count)
			fail("an address that the plain reader does not find");
		if (memcmp(p->found[n].addr, d->addr.b, 16) || p->found[n].ttl != d->addr_ttl)
			fail("another address or time");
		n++;
	}
	if (!p->odd && n != p->count)
		fail("an address is missing");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct plain plain;
	struct dns *d = calloc(1, sizeof(*d));
	char text[NAME_BYTES];
	int good;

	if (!d)
		return 0;
	if (size > DNS_MAX)
		size = DNS_MAX;
	memset(d, 0xaa, sizeof(*d)); /* what the message before left */
	memcpy(d->msg, data, size);
	d->len = (__u32)(size < DNS_QUESTION ? size : DNS_QUESTION);
	dns_plain(data, size, &plain);
	good = !dns_question(d);
	if (good != (plain.name[0] != 0))
		fail("only one reader takes the question");
	if (good) {
		d->len = (__u32)size;
		key_text(&d->key, text);
		if (strcmp(text, plain.name) || d->key.prefixlen != NAME_BYTES * 8)
			fail("another name");
		compare(d, &plain);
	}
	free(d);
	return 0;
}
