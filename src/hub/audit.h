/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Audit: who logged in, what was changed or refused, who looked at packets, when, with which filter, and how
 * much they got: one JSON object a line in a file that only grows, up to a bound; then it becomes the old
 * one. Lines are on the way to the disk when a call returns.
 */
#ifndef WEFT_HUB_AUDIT_H
#define WEFT_HUB_AUDIT_H

#include "base/str.h"

enum { AUDIT_BYTES_MAX = 16 << 20 }; /* of DIR/audit.log; before it, as much in DIR/audit.log.1 */

struct audit;
/* Opens or makes both in the folder, owned by that uid (and gid) where root calls. To be called before
 * privileges go. 0 or -errno (told). */
int audit_open(struct audit **out, const char *dir, unsigned owner);
void audit_close(struct audit **a);

struct audit_line {
	const char *what; /* "capture-start", "capture-end", "download-start", "download-end", "refused",
			   * "change", "undo",
			   * "create", "update", "delete", "login-link", "login", "login-refused", "logout" */
	struct str user, object, capture, tool, node, filter, why; /* those that are empty are left out */
	struct str change, name;				   /* of a change: its number and name */
	bool counted;
	uint64_t packets, bytes, dropped; /* where counted */
};
/* Told once in the log when it cannot be written. */
void audit_write(struct audit *a, const struct audit_line *l);
/* The newest whole lines, the oldest of them first, at most so many bytes; appended to b. 0 or -errno. */
int audit_tail(const struct audit *a, size_t most, struct buf *b);

#endif
