/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The running kernel's numbers of enum skb_drop_reason → reasons (filter/reason.h), by the names in its BTF.
 * A number without a name is REASON_KERNEL.
 */
#ifndef WEFT_OBSERVE_KERNEL_REASON_H
#define WEFT_OBSERVE_KERNEL_REASON_H

#include <stdint.h>

/* Reads the names; where they cannot be read that is logged, and no number has one. Before seccomp. */
void kernel_reasons_read(void);
uint16_t kernel_reason(uint16_t number);

#endif
