/* SPDX-License-Identifier: Apache-2.0 */
/* Uid, gid, groups, bounding set, ambient set and no_new_privs, in the order in which the kernel lets them
 * go. */
#include "agent/privilege.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int keep(uint64_t mask)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	for (unsigned i = 0; i < 2; i++) {
		uint32_t word = (uint32_t)(mask >> (32 * i));

		data[i].effective = data[i].permitted = data[i].inheritable = word;
	}
	return syscall(SYS_capset, &head, data) ? -errno : 0;
}

int privilege_drop(uint64_t capabilities)
{
	int err;

	for (unsigned long cap = 0; cap < 64; cap++)
		if (!(capabilities >> cap & 1) && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 &&
		    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
			return -errno;
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) || setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		return -errno;
	err = keep(capabilities);
	if (err)
		return err;
	for (unsigned long cap = 0; cap < 64; cap++)
		if ((capabilities >> cap & 1) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0))
			return -errno;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;
}
