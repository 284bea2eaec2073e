/* SPDX-License-Identifier: Apache-2.0 */
/* The page's files, which tools/embed puts into the program: empty where it was built without them. */
#ifndef WEFT_HUB_BUNDLE_H
#define WEFT_HUB_BUNDLE_H

#include <stddef.h>

struct asset {
	const char *path, *type, *etag; /* path: "/index.html"; etag with its quotes */
	const unsigned char *gzip;
	size_t gzip_len, len;
};
extern const struct asset bundle[];
extern const size_t bundle_len;

#endif
