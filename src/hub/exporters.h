/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exporters as metrics: each tells its numbers about once a second, the newest is kept. One that has told
 * nothing lately is down, and its numbers are left out: they are unknown. On the hub's loop.
 */
#ifndef WEFT_HUB_EXPORTERS_H
#define WEFT_HUB_EXPORTERS_H

#include "serve/api.h"

struct exporters;
int exporters_new(struct exporters **out); /* 0 or -ENOMEM */
void exporters_free(struct exporters **x);
/* {"to":…,"filter":…,"records":n,"messages":n,"bytes":n,"waiting":n,"standing":b,"lost":{CAUSE:n,…}}. Returns
 * and errors as of api_ops.internal. */
int exporters_take(struct exporters *x, struct str body, struct buf *answer, struct api_error *e);
void exporters_print(const struct exporters *x, struct buf *out);

#endif
