/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The probes of `weft doctor`. Each tries for real, changes nothing that stays, and appends to `found` what
 * it saw.
 */
#ifndef WEFT_CLI_DOCTOR_H
#define WEFT_CLI_DOCTOR_H

#include "base/str.h"

enum finding {
	FOUND_OK,
	FOUND_MISSING,
	FOUND_UNKNOWN, /* could not be tried here, e.g. without root */
	FOUND_LEFT,    /* something of a cluster that is gone */
	FOUND_TROUBLE, /* of a cluster that runs */
};

typedef enum finding doctor_probe(struct buf *found);

doctor_probe doctor_privileges, doctor_kernel, doctor_btf, doctor_bpf_map, doctor_bpf_tc, doctor_bpf_cgroup,
    doctor_kernel_drops, doctor_bpffs, doctor_cgroup2, doctor_proc_sys, doctor_ipv6, doctor_memlock;
/* In a network namespace of their own, in a child process. */
doctor_probe doctor_netns, doctor_veth, doctor_bridge, doctor_vxlan, doctor_clsact;
doctor_probe doctor_unbound, doctor_programs, doctor_kubectl, doctor_room, doctor_leftovers, doctor_clusters;

/* `weft doctor --fix`: removes what clusters left whose process is gone, and says what it removed (dry: would
 * remove) and what it left alone. `only`: that cluster, or NULL. An exit status. */
int doctor_fix(bool dry, const char *only);

/* Whether everything that `weft up` needs is here; else the first thing missing is appended to `why`. */
bool doctor_can_run(struct buf *why);

#endif
