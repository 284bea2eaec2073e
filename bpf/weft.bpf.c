/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The one object that the loader knows: all programs and BPF maps of a node. Each program is in the file
 * named after it; what they share is in lib/.
 */
#include "bpf/types.h"

#include "bpf/announce.c"
#include "bpf/ask.c"
#include "bpf/connect.c"
#include "bpf/edit.c"
#include "bpf/from_pod.c"
#include "bpf/gc.c"
#include "bpf/kernel_drop.c"
#include "bpf/tap.c"
#include "bpf/to_pod.c"
#include "bpf/tunnel.c"
#include "bpf/uplink.c"

char weft_license[] SEC("license") = "Dual BSD/GPL";
