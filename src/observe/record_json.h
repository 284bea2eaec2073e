/* SPDX-License-Identifier: Apache-2.0 */
/* A record as people and programs read it: one JSON object, the same in the API, `weft flows -o json` and
 * exporters. */
#ifndef WEFT_OBSERVE_RECORD_JSON_H
#define WEFT_OBSERVE_RECORD_JSON_H

#include "filter/record.h"

/* Appends {"record":"flow",…}; what is not known is left out. Times are RFC 3339 in UTC with nanoseconds. */
void record_json(struct buf *b, const struct record *r);
void record_time(int64_t ns, char out[31]);
const char *record_verdict(const struct record *r); /* "forwarded" */
const char *record_state(const struct record *r);   /* "open" */
const char *record_kind(const struct record *r);    /* "flow" */
const char *record_reason(uint16_t reason);	    /* "policy-ingress"; "": none */
/* "TCP", or the number. */
void record_protocol(uint8_t proto, char out[8]);

#endif
