/* SPDX-License-Identifier: Apache-2.0 */
/* Drops from root to nobody. Called once, by main.c, when all that needs root is open. */
#include "hub/privilege.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int set_caps(unsigned first_word)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{.effective = first_word, .permitted = first_word}};
	return syscall(SYS_capset, &head, data) ? -errno : 0;
}

int privilege_drop(bool keep_reading)
{
	unsigned caps = keep_reading ? 1u << CAP_DAC_READ_SEARCH : 0;
	if (geteuid() == 0) {
		if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) || setgroups(0, NULL) ||
		    setresgid(NOBODY_ID, NOBODY_ID, NOBODY_ID) || setresuid(NOBODY_ID, NOBODY_ID, NOBODY_ID))
			return -errno;
		int r = set_caps(caps);
		if (r)
			return r;
	}
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;
}

int privilege_pen(void)
{
	int r = geteuid() ? 0
			  : set_caps(1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH | 1u << CAP_CHOWN |
				     1u << CAP_FOWNER | 1u << CAP_LEASE);
	if (r)
		return r;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;
}

bool privilege_nobody_reads(const char *path)
{
	struct stat st;
	if (geteuid() != 0)
		return true;
	int was_gid = setfsgid(NOBODY_ID), was_uid = setfsuid(NOBODY_ID);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	/* A folder that can be listed but not entered hides its files. */
	bool ok = fd >= 0 && !fstat(fd, &st) &&
		  (!S_ISDIR(st.st_mode) || !faccessat(fd, ".", R_OK, 0) || errno == ENOENT);
	if (ok && S_ISDIR(st.st_mode))
		ok = fstatat(fd, ".", &st, 0) == 0;
	if (fd >= 0)
		close(fd);
	setfsuid((unsigned)was_uid);
	setfsgid((unsigned)was_gid);
	return ok;
}
