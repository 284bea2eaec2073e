/* SPDX-License-Identifier: Apache-2.0 */
/* See sight.h. */
#include "hub/sight.h"

static const struct identity hidden = {.kind = IDENTITY_UNKNOWN, .name = {.p = "hidden", .n = 6}};

static bool sees(const struct who *w, struct str ns)
{
	return access_level(w, ns) >= ACCESS_VIEW;
}

/* What is in a namespace: of that one. Nodes, the outside and addresses of nobody are no secret beside an end
 * that he may see. */
static void hide(const struct who *w, const struct identity **who, bool *any)
{
	const struct identity *is = *who;

	if (!is || !is->ns.n)
		return;
	if (sees(w, is->ns))
		*any = true;
	else
		*who = &hidden;
}

bool sight_record(const void *ctx, struct record *r)
{
	const struct who *w = ctx;
	bool any = false, called = false;

	if (sees(w, STR("*")))
		return true;
	hide(w, &r->from.who, &any);
	hide(w, &r->to.who, &any);
	hide(w, &r->service, &called);
	return any;
}

static void hide_end(const struct who *w, struct rollup_end *end, bool *any)
{
	if (!end->ns.n)
		return;
	if (sees(w, end->ns))
		*any = true;
	else
		*end = (struct rollup_end){.kind = IDENTITY_UNKNOWN, .what = hidden.name};
}

bool sight_key(const void *ctx, struct rollup_key *k)
{
	const struct who *w = ctx;
	bool any = false;

	if (sees(w, STR("*")))
		return true;
	hide_end(w, &k->from, &any);
	hide_end(w, &k->to, &any);
	if (k->service_ns.n && !sees(w, k->service_ns)) {
		k->service_ns = (struct str){0};
		k->service = hidden.name;
	}
	return any;
}
