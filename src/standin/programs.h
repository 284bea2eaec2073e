/* SPDX-License-Identifier: Apache-2.0 */
/* The three parts that weft-standin plays, one function each; each returns the exit status. */
#ifndef WEFT_STANDIN_PROGRAMS_H
#define WEFT_STANDIN_PROGRAMS_H

#include "standin/server.h"

enum { EXIT_USAGE = 2 };

/* Serves the spec's ports and makes its calls until a signal ends it. On SIGHUP the file is read again, and
 * calls that are new in it start; path NULL: never. */
int standin_serve(const struct spec *spec, const char *path);
/* Calls each place of the spec until it answered once: 0, or 1 with the reason on stderr. */
int standin_init(const struct spec *spec);
/* Reads JSON lines of targets from the file ("-": stdin), tries all in parallel, prints one JSON line for
 * each. */
int standin_probe(const char *path);

/* Starts those calls of spec (which must live on) that are not made already: 0 or -ENOMEM. */
int caller_start(struct server *s, const struct spec *spec);

#endif
