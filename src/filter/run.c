/* SPDX-License-Identifier: Apache-2.0 */
/* A filter over many records: see filter.h. Holds what its tests said of each end, a byte each. */
#include <stdlib.h>

#include "base/own.h"
#include "filter/match.h"

enum { MEMORY_MAX = 64 << 20 };

struct filter_run {
	const struct filter *filter; /* borrowed */
	struct memo memo;
};

struct filter_run *filter_run_new(const struct filter *f, uint32_t ends)
{
	struct filter_run *run = calloc(1, sizeof(*run));

	if (!run)
		return NULL;
	run->filter = f;
	if (f->numbered && ends > MEMORY_MAX / f->numbered)
		ends = MEMORY_MAX / f->numbered;
	run->memo.ends = ends;
	/* Untouched pages cost nothing. */
	run->memo.known = f->numbered && ends ? calloc(f->numbered, ends) : NULL;
	if (f->numbered && ends && !run->memo.known)
		filter_run_free(&run);
	return run;
}

void filter_run_free(struct filter_run **run)
{
	if (!*run)
		return;
	free((*run)->memo.known);
	free(TAKE(*run));
}

bool filter_run_record(struct filter_run *run, const struct record *r, uint32_t from, uint32_t to,
		       uint32_t via)
{
	struct subject s = {.record = r, .memo = &run->memo};

	run->memo.from = from;
	run->memo.to = to;
	run->memo.via = via;
	return run->filter->root && node_match(run->filter->root, &s);
}
