/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `weft test` has found, and its forms: lines for people, TAP and GitHub's annotations as they come
 * (test_report.c), JSON, JUnit (junit.c) and SARIF (sarif.c) at the end. Plays nothing.
 */
#ifndef WEFT_CLI_TEST_REPORT_H
#define WEFT_CLI_TEST_REPORT_H

#include <jansson.h>

#include "cli/scene.h"

enum test_outcome { TEST_PASSED, TEST_FAILED, TEST_TROUBLE, TEST_SKIPPED };

/* One scene in one set-up. */
struct test_result {
	enum test_outcome outcome;
	char *path, *title; /* owned; title is the path where the page could not be read */
	char setup[48];	    /* "model", "2 nodes, vxlan", "page" */
	char *text;	    /* the page's; owned, or NULL */
	char *skip;	    /* why it was skipped; owned, or NULL */
	struct buf why;	    /* as scene_why_add() writes it */
	uint64_t ms;
};
struct test_results {
	VEC(struct test_result) list;
	size_t count[TEST_SKIPPED + 1];
};
void test_results_fini(struct test_results *t);

/* The newest result, as lines, TAP ("tap") or with annotations of GitHub Actions ("github"). */
void test_report_one(const struct test_results *t, const char *form);
void test_report_end(const struct test_results *t, const char *form);
json_t *test_report_json(const struct test_results *t);

/* JUnit XML: a testsuite for each page, a testcase for each set-up. */
void junit_print(struct buf *b, const struct test_results *t);
/* As SARIF 2.1.0: a result for each thing that does not hold. */
json_t *sarif_of_tests(const struct test_results *t);

#endif
