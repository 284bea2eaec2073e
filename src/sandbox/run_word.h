/* SPDX-License-Identifier: Apache-2.0 */
/* What `weft run` and `weft up --run` said: which containers are played by which command. program_ask.c. */
#ifndef WEFT_SANDBOX_RUN_WORD_H
#define WEFT_SANDBOX_RUN_WORD_H

#include "sandbox/pod.h"

/* "[NS/]POD-OR-WORKLOAD[:CONTAINER]=COMMAND"; an empty command: the stand-in again. 0, or -errno and *error
 * (static) says what is wrong. */
int run_word_add(struct sandbox *s, const char *text, const char **error);
void run_word_drop_last(struct sandbox *s);
/* Starts the containers that the last word names afresh; their number. */
unsigned run_word_apply(struct sandbox *s);
/* A remark for each word that no pod of the cluster answers to, with what there is. */
void run_words_check(struct sandbox *s);
void run_words_free(struct sandbox *s);

#endif
