/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS answers as literals: text → the bytes of a message (RFC 1035). Its own code, apart from bpf/, and able
 * to write what no server should.
 */
#ifndef WEFT_TEST_BPF_DNS_H
#define WEFT_TEST_BPF_DNS_H

#include "packet.h"

#define DNS_COMPRESS 1 /* names that came before are pointers, in whole or from a label on */
#define DNS_REVERSE  2 /* the answers stand in the opposite order */

/*
 * records: "OWNER TTL TYPE DATA; …" with TYPE A, AAAA, CNAME or TXT. Returns the body, which the next call
 * overwrites. Where the message does not fit, it ends before the record that would not.
 */
struct body *dns_answer(const char *question, const char *records, int flags);

#endif
