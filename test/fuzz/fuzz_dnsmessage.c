/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a DNS message: read within their end; of an answer that the plain reader takes, the same name
 * and addresses. */
#include <stdio.h>
#include <stdlib.h>

#include "observe/dnsmessage.h"

#include "../bpf/dns_plain.h"

static void fail(const char *what)
{
	fprintf(stderr, "fuzz_dnsmessage: %s\n", what);
	abort();
}

/* Text that both readers write alike. */
static bool is_plain(const char *name)
{
	for (; *name; name++)
		if (*name <= ' ' || *name >= 0x7f || *name == '\\' || *name == '"')
			return false;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct plain plain;
	static struct dns_message m;
	uint8_t *copy = malloc(size ? size : 1);
	int r;

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	r = dns_message_read(copy, size, &m);
	free(copy);
	if (!r && (!m.name[0] || strlen(m.name) >= DNS_TEXT))
		fail("a name that is none");
	dns_plain(data, size, &plain);
	if (!plain.name[0])
		return 0;
	if (r)
		fail("only the plain reader takes it");
	if (is_plain(plain.name) && strlen(plain.name) < DNS_TEXT - 4 && strcmp(plain.name, m.name))
		fail("another name");
	if (plain.odd)
		return 0;
	if (m.addresses_len != (plain.count < DNS_ADDRESSES ? plain.count : DNS_ADDRESSES))
		fail("more or fewer addresses");
	for (unsigned i = 0; i < m.addresses_len; i++)
		if (memcmp(m.addresses[i].b, plain.found[i].addr, 16))
			fail("another address");
	return 0;
}
