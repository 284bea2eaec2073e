/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the kernel's drop reasons: see kernel_reason.h. */
#include "observe/kernel_reason.h"

#include <bpf/btf.h>
#include <malloc.h>

#include "base/log.h"
#include "base/own.h"
#include "filter/reason.h"

enum { NUMBERS = 512 };
static uint16_t reasons[NUMBERS];

void kernel_reasons_read(void)
{
	static const struct str prefix = STR("SKB_DROP_REASON_");
	struct btf *btf = btf__load_vmlinux_btf();
	int id = btf ? btf__find_by_name_kind(btf, "skb_drop_reason", BTF_KIND_ENUM) : -1;
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;

	if (!t)
		log_warn("the kernel's BTF has no names of drop reasons");
	for (unsigned i = 0; t && i < btf_vlen(t); i++) {
		const struct btf_enum *e = btf_enum(t) + i;
		struct str name = str_of(btf__str_by_offset(btf, e->name_off));

		if (e->val < 0 || e->val >= NUMBERS || !str_starts(name, prefix))
			continue;
		name.p += prefix.n;
		name.n -= prefix.n;
		reasons[e->val] = reason_of_kernel(name, false);
	}
	btf__free(btf);
	malloc_trim(0);
}

uint16_t kernel_reason(uint16_t number)
{
	return number < NUMBERS && reasons[number] ? reasons[number] : REASON_KERNEL;
}
