/* SPDX-License-Identifier: Apache-2.0 */
/* Reasons: see reason.h. Names met by a process, in the order of their numbers. */
#include "filter/reason.h"

#include <stdio.h>

#include "base/own.h"

static const char prefix[] = "kernel:";
static char met[REASON_KERNEL_MAX][sizeof(prefix) + REASON_NAME_MAX];
static unsigned met_len;

static struct str behind_prefix(unsigned i)
{
	return str_of(met[i] + sizeof(prefix) - 1);
}

static bool is_name(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'A' && s.p[i] <= 'Z') || (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '_'))
			return false;
	return s.n && s.n <= REASON_NAME_MAX;
}

uint16_t reason_of_kernel(struct str name, bool asked)
{
	for (unsigned i = 0; i < met_len; i++)
		if (str_eq(name, behind_prefix(i)))
			return (uint16_t)(REASON_KERNEL + 1 + i);
	if (!is_name(name) || met_len >= (asked ? REASON_KERNEL_MAX / 2 : REASON_KERNEL_MAX))
		return REASON_KERNEL;
	snprintf(met[met_len], sizeof(met[0]), "%s" STR_FMT, prefix, STR_ARG(name));
	return (uint16_t)(REASON_KERNEL + 1 + met_len++);
}

const char *reason_name(uint16_t reason)
{
	static const char *const own[] = {
#define DROP(id, number, text, advice) [number] = text,
#include "tables/drops.def"
#undef DROP
	};

	if (reason < ARRAY_LEN(own))
		return own[reason];
	if (reason == REASON_KERNEL)
		return "kernel";
	return reason > REASON_KERNEL && reason <= REASON_KERNEL + met_len ? met[reason - REASON_KERNEL - 1]
									   : NULL;
}

struct str reason_kernel_name(uint16_t reason)
{
	return reason > REASON_KERNEL && reason_name(reason) ? behind_prefix(reason - REASON_KERNEL - 1u)
							     : (struct str){};
}
