/* SPDX-License-Identifier: Apache-2.0 */
/* Faults on command, for `weft fault` and for scenes' steps. */
#ifndef WEFT_CLI_FAULT_H
#define WEFT_CLI_FAULT_H

struct options_fault;
/* One of the exit statuses; told. */
int fault_run(const struct options_fault *o, const char *cluster);

#endif
