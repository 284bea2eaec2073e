/* SPDX-License-Identifier: Apache-2.0 */
/* Exporters that run with the cluster: see exporter.h. Called by run.c. */
#include "sandbox/exporter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "sandbox/cluster.h"

/* "TO[ FILTER]" */
static void add_words(struct daemon *d, const char *text)
{
	const char *space = strchr(text, ' ');

	daemon_arg(d, "--to");
	daemon_arg(d, "%.*s", (int)(space ? (size_t)(space - text) : strlen(text)), text);
	if (!space)
		return;
	daemon_arg(d, "--");
	daemon_arg(d, "%s", space + 1);
}

static int start_one(struct sandbox *s, size_t i)
{
	struct daemon *d = &s->exporters[i];
	char what[64], log[64];
	int r;

	snprintf(what, sizeof(what), "exporter %zu", i + 1);
	snprintf(log, sizeof(log), "export-%zu.log", i + 1);
	r = daemon_open(d, s, what, s->opt->weft, log);
	if (r)
		return r;
	s->exporters_len = i + 1;
	daemon_arg(d, "export");
	daemon_arg(d, "--follow");
	daemon_arg(d, "--name");
	daemon_arg(d, "%s", s->opt->name);
	daemon_arg(d, "--state");
	daemon_arg(d, "%s/export-%zu.state", s->dir, i + 1);
	add_words(d, s->opt->exports[i]);
	return daemon_start(d);
}

int exporters_start(struct sandbox *s)
{
	int r = 0;

	if (!s->opt->exports_len)
		return 0;
	s->exporters = calloc(s->opt->exports_len, sizeof(*s->exporters));
	if (!s->exporters)
		return -ENOMEM;
	for (size_t i = 0; !r && i < s->opt->exports_len; i++)
		r = start_one(s, i);
	return r;
}

void exporters_stop(struct sandbox *s)
{
	for (size_t i = 0; i < s->exporters_len; i++)
		daemon_close(&s->exporters[i]);
}
