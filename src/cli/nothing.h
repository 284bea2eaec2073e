/* SPDX-License-Identifier: Apache-2.0 */
/* An answer without a record names its reason; for `weft flows`, `weft top`, `weft drops` and `weft history`.
 */
#ifndef WEFT_CLI_NOTHING_H
#define WEFT_CLI_NOTHING_H

#include <jansson.h>
#include <stdbool.h>

/* Tells on stderr why the hub found no flow: nobody told any, none is of that time, or the filter matches
 * none of them; then see below. what: "records"; filter may be NULL; timed: a time was asked for. */
void nothing_of_flows(const char *cluster, const json_t *answer, const char *what, const char *filter,
		      bool timed);
/* Tells which names of the filter nobody has now, with what was most likely meant. */
void nothing_has_name(const char *cluster, const char *filter);

#endif
