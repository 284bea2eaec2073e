/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls that are left to the unprivileged programs once they run. What is not allowed fails with
 * EPERM.
 */
#ifndef WEFT_AGENT_SYSCALLS_H
#define WEFT_AGENT_SYSCALLS_H

/* 0 or -errno. */
int seccomp_planner(void);
int seccomp_observer(void); /* may also open sockets, for probes, and read BPF maps by descriptor */

#endif
