/* SPDX-License-Identifier: Apache-2.0 */
/* Giving up root. */
#ifndef WEFT_HUB_PRIVILEGE_H
#define WEFT_HUB_PRIVILEGE_H

#include <stdbool.h>

enum { NOBODY_ID = 65534 };

/* As root: becomes uid and gid 65534 without capabilities, for good. keep_reading keeps the one that reads
 * files of others. Does nothing when not root. 0 or -errno. */
int privilege_drop(bool keep_reading);
/* Whether that user may read the path (a file, or a folder to look into). */
bool privilege_nobody_reads(const char *path);

/* For the process that writes manifests: what it takes to give a file in anyone's folder its mode and owner,
 * and nothing else. 0 or -errno. */
int privilege_pen(void);

#endif
