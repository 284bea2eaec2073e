/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The syntax of names, labels and ports that Kubernetes objects must follow. Each function returns NULL when
 * the text is right, else one sentence (static) of what the rule is. For validation here and for option
 * parsing elsewhere.
 */
#ifndef WEFT_OBJECT_SYNTAX_H
#define WEFT_OBJECT_SYNTAX_H

#include "base/str.h"

const char *syntax_dns_label(struct str s);	 /* RFC 1123 label, 63 bytes */
const char *syntax_dns_label_1035(struct str s); /* starts with a letter: names of Services */
const char *syntax_dns_subdomain(struct str s);	 /* RFC 1123 labels with dots, 253 bytes */
const char *syntax_port_name(struct str s);	 /* IANA service name, RFC 6335 section 5.1 */
const char *syntax_label_key(struct str s);	 /* [prefix/]name */
const char *syntax_label_value(struct str s);	 /* may be empty */
const char *syntax_quantity(struct str s);	 /* 250m, 1Gi, 2e3 */
const char *
syntax_domain_pattern(struct str s); /* example.org, *.example.org, with or without a dot at the end */
const char *syntax_env_name(struct str s);

#endif
