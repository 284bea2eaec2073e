/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft doctor`: the table of checks, and its printing. The probes stand in doctor_*.c. Also asked by `weft
 * test`, to skip what cannot run here.
 */
#include "cli/doctor.h"

#include "base/own.h"
#include "cli/command.h"
#include "cli/output.h"

#include <stdio.h>

struct check {
	const char *name;
	bool needed; /* without it `weft up` cannot work */
	doctor_probe *probe;
	const char *advice;
};

static const struct check checks[] = {
    {"privileges", true, doctor_privileges,
     "run as root, or give CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON to the container"},
    {"kernel", true, doctor_kernel, "Linux 6.1 (Debian 12's own) is the oldest that works"},
    {"btf", true, doctor_btf, "a kernel built with CONFIG_DEBUG_INFO_BTF; Debian's are"},
    {"bpf-maps", true, doctor_bpf_map, "the bpf() system call must be allowed (seccomp profile, CAP_BPF)"},
    {"bpf-tc", true, doctor_bpf_tc, "CONFIG_NET_CLS_BPF, and CAP_NET_ADMIN with CAP_BPF"},
    {"bpf-cgroup", true, doctor_bpf_cgroup, "CONFIG_CGROUP_BPF, and CAP_NET_ADMIN with CAP_BPF"},
    {"kernel-drops", false, doctor_kernel_drops,
     "CAP_PERFMON and tracepoint kfree_skb; without them what the kernel's own stack drops is unknown"},
    {"bpffs", true, doctor_bpffs, "mounting a bpf file system must be allowed (CAP_SYS_ADMIN)"},
    {"cgroup2", true, doctor_cgroup2,
     "mount it: mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified"},
    {"namespaces", true, doctor_netns, "CONFIG_NET_NS and CAP_SYS_ADMIN"},
    {"veth", true, doctor_veth, "modprobe veth"},
    {"bridge", true, doctor_bridge, "modprobe bridge"},
    {"vxlan", false, doctor_vxlan, "modprobe vxlan; without it use --mode routes"},
    {"clsact", true, doctor_clsact, "modprobe sch_ingress cls_bpf"},
    {"ipv6", false, doctor_ipv6, "without IPv6 pods get IPv4 only; boot without ipv6.disable=1"},
    {"proc-sys", true, doctor_proc_sys, "/proc/sys must be writable (docker run --privileged)"},
    {"memlock", false, doctor_memlock, "ulimit -l unlimited"},
    {"unbound", true, doctor_unbound, "apt-get install --no-install-recommends unbound"},
    {"programs", true, doctor_programs, "build them all (make all), or set WEFT_LIBEXEC to their folder"},
    {"kubectl", false, doctor_kubectl, "only for those who like it: 1.29 or later; weft get does without"},
    {"room", true, doctor_room, "make room: 64 MiB are needed in /run"},
    {"leftovers", false, doctor_leftovers, "weft doctor --fix removes them; --dry-run only says what"},
    {"clusters", false, doctor_clusters,
     "weft why FROM TO and weft maps say more; doc/when-things-go-wrong.md"},
};

static const char *word(enum finding f, bool needed)
{
	switch (f) {
	case FOUND_OK:
		return "ok";
	case FOUND_MISSING:
		return needed ? "missing" : "absent";
	case FOUND_UNKNOWN:
		return "unknown";
	case FOUND_LEFT:
		return "left";
	case FOUND_TROUBLE:
		return "trouble";
	}
	return "";
}

static enum style style(enum finding f, bool needed)
{
	if (f == FOUND_OK)
		return STYLE_GREEN;
	return f == FOUND_MISSING && needed ? STYLE_RED : STYLE_YELLOW;
}

int cmd_doctor(const struct options_doctor *o)
{
	static const char *const headings[] = {"CHECK", "STATE", "FOUND", NULL};
	AUTO_JSON list = json_array();
	AUTO_TABLE t = {0};
	AUTO_BUF todo = {0};
	int missing = 0;

	if ((o->dry_run || o->name) && !o->fix) {
		cli_error("weft doctor --fix --dry-run", "--%s goes with --fix",
			  o->name ? "name" : "dry-run");
		return EXIT_USAGE;
	}
	if (o->fix)
		return doctor_fix(o->dry_run, o->name);
	table_init(&t, headings);
	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		const struct check *c = &checks[i];
		AUTO_BUF found = {0};
		enum finding f = c->probe(&found);
		const char *advice = f == FOUND_OK ? "" : c->advice;

		if (f != FOUND_OK)
			buf_printf(&todo, "  %-10s  %s\n", c->name, advice);
		missing += f != FOUND_OK && c->needed;
		table_cell(&t, c->name);
		table_cell_styled(&t, style(f, c->needed), word(f, c->needed));
		table_cell(&t, found.p);
		json_array_append_new(list, json_pack("{s:s,s:s,s:b,s:s,s:s}", "check", c->name, "state",
						      word(f, c->needed), "needed", c->needed, "found",
						      found.p ? found.p : "", "advice", advice));
	}
	if (o->output) {
		AUTO_JSON v = json_pack("{s:b,s:O}", "ready", !missing, "checks", list);
		output_value(v, o->output);
	} else {
		table_print(&t);
		if (todo.n)
			printf("\nWhat to do\n%s", todo.p);
		if (missing)
			printf("\n%d of what `weft up` needs is missing or could not be tried. `weft plan`, "
			       "`weft get "
			       "-f` and `weft reach --offline` work all the same.\n",
			       missing);
		else
			printf("\nThis machine can run Weft.\n");
	}
	return missing ? EXIT_FAILED : EXIT_OK;
}

bool doctor_can_run(struct buf *why)
{
	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		AUTO_BUF found = {0};
		if (!checks[i].needed || checks[i].probe(&found) == FOUND_OK)
			continue;
		buf_printf(why, "%s: %s", checks[i].name, found.p ? found.p : "missing");
		return false;
	}
	return true;
}
