/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of a store: what is right by the letter and most likely not what was meant. Each finding has a
 * position and the name of its check (tables/checks.def).
 */
#ifndef WEFT_REASON_CHECK_H
#define WEFT_REASON_CHECK_H

#include "base/remark.h"
#include "reason/engine.h"

enum check {
#define CHECK(id, ...) CHECK_##id,
#include "tables/checks.def"
#undef CHECK
	CHECK_COUNT
};
struct check_desc {
	const char *name;
	enum remark_level level;
	const char *sentence, *advice;
};
extern const struct check_desc check_table[CHECK_COUNT];

struct finding {
	enum check check;
	struct remark remark; /* owned */
};
struct findings {
	VEC(struct finding) list;
	bool failed; /* out of memory */
};

/* hint NULL: the check's advice. */
void finding_add(struct findings *f, enum check check, struct pos at, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* Takes remarks over as findings: errors as `manifest`, others as `manifest_remark`, but for those at the
 * place of a finding that is there. */
void findings_take(struct findings *f, struct remarks *rs);
void findings_sort(struct findings *f);
void findings_fini(struct findings *f);

/* All checks over an expanded store. 0, -ENOMEM, -E2BIG with a remark. */
int check_store(const struct store *s, const struct engine_options *opt, struct findings *out,
		struct remarks *rs);

#endif
