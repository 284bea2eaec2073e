/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft version`: what this program is and what it runs on. Asks the running system, not the build, for the
 * kernel.
 */
#include "cli/command.h"
#include "cli/output.h"

#include <stdio.h>
#include <sys/utsname.h>

int cmd_version(const struct options_version *o)
{
	struct utsname u;

	if (uname(&u)) {
		cli_error(NULL, "cannot ask for the kernel's version");
		return EXIT_FAILED;
	}
	if (o->output) {
		AUTO_JSON v = json_pack("{s:s,s:s,s:s}", "version", WEFT_VERSION, "kernel", u.release,
					"machine", u.machine);
		output_value(v, o->output);
		return EXIT_OK;
	}
	printf("weft %s\nLinux %s %s\n", WEFT_VERSION, u.release, u.machine);
	return EXIT_OK;
}
