/* SPDX-License-Identifier: Apache-2.0 */
/* Exporters that run with the cluster (weft up --export): `weft export --follow`, each with a state. */
#ifndef WEFT_SANDBOX_EXPORTER_H
#define WEFT_SANDBOX_EXPORTER_H

struct sandbox;
/* 0 or -errno. One that cannot be started is tried again, as one that dies. */
int exporters_start(struct sandbox *s);
void exporters_stop(struct sandbox *s);

#endif
