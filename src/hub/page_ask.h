/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions of the page: the hub runs the command that answers them at a shell, as a child without
 * privileges, and hands on what it prints. A few at a time, each with a time and a size that it may take. On
 * the hub's loop.
 */
#ifndef WEFT_HUB_PAGE_ASK_H
#define WEFT_HUB_PAGE_ASK_H

#include <jansson.h>

#include "hub/page.h"

struct page_asks;
/* Before privileges go: finds the program `weft`. -1: it is not where it belongs (told). */
int page_ask_program(void);
/* Takes the program over. 0 or -ENOMEM. */
int page_asks_new(struct page_asks **out, struct hub *h, int program);
void page_asks_stop(struct page_asks *a); /* ends the children; then the loop runs to its end, then: */
void page_asks_free(struct page_asks **a);
/* POST /page/ask/NAME */
page_handler page_ask;

/* page_ask_words.c: a question as words of a command line. */
struct ask_words {
	struct arena arena;
	VEC(char *) list; /* in the arena; ends with NULL */
	struct buf over;  /* manifests that are laid over, from the standard input; empty: none */
};
/* of: the cluster's name and files. 0, or e says why it is none. */
int ask_words(struct ask_words *out, const char *name, const json_t *q, const struct who *who,
	      const struct hub_options *of, struct api_error *e);
void ask_words_fini(struct ask_words *w);

#endif
