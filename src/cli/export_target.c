/* SPDX-License-Identifier: Apache-2.0 */
/* Where an exporter sends to, read from what a person wrote: see export.h. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "cli/export.h"
#include "cli/output.h"
#include "filter/filter.h"

static const char hint[] =
    "like udp://collector.example:4739, tcp://[::1]:4739, unix:/run/reader.sock, file:/var/log/flows.json, -";

static const struct {
	const char *prefix;
	enum export_kind kind;
} forms[] = {{"udp://", EXPORT_UDP}, {"tcp://", EXPORT_TCP}, {"unix:", EXPORT_UNIX}, {"file:", EXPORT_FILE}};

static bool parse_host(struct export_target *t, const char *text)
{
	struct str host = str_of(text), port;
	const char *colon = strrchr(text, ':');
	int64_t number;

	if (!colon)
		return false;
	host.n = (size_t)(colon - text);
	port = str_of(colon + 1);
	if (host.n > 1 && host.p[0] == '[' && host.p[host.n - 1] == ']') {
		host.p++;
		host.n -= 2;
	} else if (memchr(host.p, ':', host.n)) {
		return false; /* an IPv6 address needs its brackets */
	}
	if (!host.n || host.n >= sizeof(t->host) || port.n >= sizeof(t->port) ||
	    str_to_i64(port, 1, 65535, &number))
		return false;
	memcpy(t->host, host.p, host.n);
	t->host[host.n] = 0;
	memcpy(t->port, port.p, port.n + 1);
	return true;
}

bool export_target_parse(struct export_target *t, const char *text)
{
	const char *rest = text;

	*t = (struct export_target){.kind = EXPORT_UDP};
	if (!strcmp(text, "-")) {
		t->kind = EXPORT_STDOUT;
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(forms); i++)
		if (str_starts(str_of(text), str_of(forms[i].prefix))) {
			t->kind = forms[i].kind;
			rest = text + strlen(forms[i].prefix);
		}
	if (t->kind == EXPORT_UNIX || t->kind == EXPORT_FILE) {
		t->path = rest;
		if (*rest && strlen(rest) < (t->kind == EXPORT_UNIX ? 108 : 4000))
			return true;
		cli_error(hint, "--to %s: the path is %s", text, *rest ? "too long" : "missing");
		return false;
	}
	if (parse_host(t, rest))
		return true;
	cli_error(hint, "--to %s: no host with a port from 1 to 65535", text);
	return false;
}

bool export_filter_check(const char *text)
{
	AUTO(remarks_fini) struct remarks remarks = {};
	struct filter *f = NULL;
	AUTO_BUF why = {};
	bool good;
	int r = filter_parse(&f, str_of(text), (struct pos){}, &remarks);

	if (r) {
		remarks_print(stderr, &remarks, *output_style(STYLE_BOLD) && isatty(STDERR_FILENO));
		return false;
	}
	good = !filter_uses(f, FILTER_RECORDS, &why);
	if (!good)
		cli_error("see doc/filters.md", "%s", why.p ? why.p : "out of memory");
	filter_unref(&f);
	return good;
}
