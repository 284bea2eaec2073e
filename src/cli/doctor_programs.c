/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probes of the machine's programs and room: the private programs of Weft, unbound, space for runtime files.
 * Called by doctor.c.
 */
#include "base/own.h"
#include "cli/doctor.h"
#include "cli/libexec.h"

#include <errno.h>
#include <stdio.h>
#include <sys/statvfs.h>

enum { ROOM_NEEDED_MIB = 64 };

enum finding doctor_unbound(struct buf *found)
{
	static const char *const paths[] = {"/usr/sbin/unbound", "/usr/local/sbin/unbound",
					    "/usr/bin/unbound"};

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		if (access(paths[i], X_OK))
			continue;
		buf_addz(found, paths[i]);
		return FOUND_OK;
	}
	buf_addz(found, "no unbound program");
	return FOUND_MISSING;
}

enum finding doctor_programs(struct buf *found)
{
	static const char *const programs[] = {"weft-hub",	   "weft-agent",    "weft-planner",
					       "weft-applier",	   "weft-observer", "weft-standin",
					       "weft-standin-tls", "weft-box"};
	bool all = true;

	for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
		AUTO_BUF path = {0};
		if (libexec_program(&path, programs[i]))
			continue;
		buf_printf(found, "%s%s", all ? "without " : ", ", programs[i]);
		all = false;
	}
	if (all)
		libexec_find(found);
	return all ? FOUND_OK : FOUND_MISSING;
}

enum finding doctor_kubectl(struct buf *found)
{
	struct str rest = str_of(getenv("PATH"));

	while (rest.n) {
		AUTO_BUF path = {0};
		buf_adds(&path, str_cut(&rest, ':'));
		buf_addz(&path, "/kubectl");
		if (path.failed || access(path.p, X_OK))
			continue;
		buf_addz(found, path.p);
		return FOUND_OK;
	}
	buf_addz(found, "not in PATH");
	return FOUND_MISSING;
}

enum finding doctor_room(struct buf *found)
{
	struct statvfs v;

	if (statvfs("/run", &v)) {
		buf_printf(found, "/run: %s", strerror(errno));
		return FOUND_MISSING;
	}
	unsigned long long mib = (unsigned long long)v.f_bavail * v.f_frsize >> 20;
	buf_printf(found, "%llu MiB free in /run", mib);
	return mib >= ROOM_NEEDED_MIB ? FOUND_OK : FOUND_MISSING;
}
