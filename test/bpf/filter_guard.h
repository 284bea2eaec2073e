/* SPDX-License-Identifier: Apache-2.0 */
/* What the applier refuses as a filter, each with its reason. A test of test/bpf/filter.c. */
#ifndef WEFT_TEST_BPF_FILTER_GUARD_H
#define WEFT_TEST_BPF_FILTER_GUARD_H

void br76_the_guard(void **state);

#endif
