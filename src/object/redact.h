/* SPDX-License-Identifier: Apache-2.0 */
/* Hiding what a Secret holds, for everything that a person or a log sees. Private to object/. */
#ifndef WEFT_OBJECT_REDACT_H
#define WEFT_OBJECT_REDACT_H

#include "base/str.h"

/* Appends the members of the JSON object `opaque` without its braces; those of data and stringData keep their
 * names, and their values become "<redacted>". */
void redact_secret(struct buf *b, struct str opaque);

#endif
