/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passwords: compared with a hash as crypt(5) has it, on a thread, for such a hash takes long on purpose. A
 * bound on how many are looked at, and on how often one address may be wrong. Knows no Users.
 */
#ifndef WEFT_HUB_PASSWORD_H
#define WEFT_HUB_PASSWORD_H

#include <uv.h>

#include "base/str.h"

enum {
	PASSWORD_MAX = 512,
	PASSWORD_HASH = 384,
	PASSWORD_WAITING = 16, /* at once; more are refused */
	PASSWORD_TRIES = 10,   /* of one address, wrong, in a minute */
};

struct passwords;
int passwords_new(struct passwords **out, uv_loop_t *loop);
/* When the loop has run to its end. */
void passwords_free(struct passwords **p);

/* Called on the loop. */
typedef void password_told(void *ctx, bool right);
/* hash empty: nobody has that name, which takes as long. false: too many wait, or this address was wrong too
 * often; told is not called then. */
bool password_check(struct passwords *p, struct str password, const char *hash, uint64_t address,
		    uint64_t now_s, password_told *told, void *ctx);

#endif
