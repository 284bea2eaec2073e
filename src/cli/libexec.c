/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the private programs beside this one, installed or in a build tree. Starts none. Used by up, test,
 * doctor.
 */
#include "cli/libexec.h"

#include <stdlib.h>
#include <unistd.h>

/* The folder of this program, with a slash at its end. */
static bool own_folder(char *out, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", out, size - 1);

	if (n <= 0)
		return false;
	out[n] = 0;
	char *slash = strrchr(out, '/');
	if (!slash)
		return false;
	slash[1] = 0;
	return true;
}

/* bin/weft beside libexec/weft/; build/src/cli/weft below build/libexec/weft/. */
static const char *const places[] = {"../libexec/weft", "../../libexec/weft"};

bool libexec_find(struct buf *out)
{
	const char *said = getenv("WEFT_LIBEXEC");
	char own[512];

	if (said && *said) {
		buf_addz(out, said);
		return true;
	}
	if (!own_folder(own, sizeof(own)))
		return false;
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		AUTO_BUF path = {0};
		buf_printf(&path, "%s%s/weft-hub", own, places[i]);
		char *real = path.failed || access(path.p, X_OK) ? NULL : realpath(path.p, NULL);
		if (!real)
			continue;
		free(real);
		buf_clear(&path);
		buf_printf(&path, "%s%s", own, places[i]);
		real = realpath(path.p, NULL);
		buf_addz(out, real ? real : path.p);
		free(real);
		return true;
	}
	buf_printf(out, "%s%s", own, places[0]);
	return false;
}

bool libexec_program(struct buf *out, const char *name)
{
	libexec_find(out);
	buf_printf(out, "/%s", name);
	return !out->failed && !access(out->p, X_OK);
}
