/* SPDX-License-Identifier: Apache-2.0 */
/* The options of weft-agent, weft-planner, weft-applier and weft-observer, by table. Ends the process on a
 * mistake. */
#include "agent/options.h"

#include <errno.h>
#include <stdio.h>

#include "base/own.h"
#include "seam/config.h"

enum option_type { TEXT, MODE, PREFIX, ENTRIES, FLAG, NUMBER };
struct option {
	const char *name, *arg, *sentence;
	enum option_type type;
	size_t offset;
};
#define AT(member) offsetof(struct agent_options, member)
static const struct option table[] = {
    {"--name", "NAME", "name of the cluster", TEXT, AT(name)},
    {"--node", "NODE", "name of this node", TEXT, AT(node)},
    {"--hub", "SOCKET", "the hub's Unix socket", TEXT, AT(hub)},
    {"--run", "DIR", "folder for agent.sock and observer.sock", TEXT, AT(run)},
    {"--files", "DIR", "folder for capture files of tools; files in that of --run", TEXT, AT(files)},
    {"--bpf", "DIR", "folder on a bpffs for the pins", TEXT, AT(bpf)},
    {"--cgroup", "DIR", "cgroup2 folder that holds the pods' processes", TEXT, AT(cgroup)},
    {"--uplink", "IF", "interface to the other nodes", TEXT, AT(uplink)},
    {"--libexec", "DIR", "folder of the private programs", TEXT, AT(libexec)},
    {"--mode", "vxlan|routes", "how pods of different nodes meet", MODE, AT(mode)},
    {"--services4", "CIDR", "range of IPv4 Service addresses", PREFIX, AT(services4)},
    {"--services6", "CIDR", "range of IPv6 Service addresses", PREFIX, AT(services6)},
    {"--entries", "MAP=N,…", "room of BPF maps that are made anew; may be repeated", ENTRIES, AT(entries)},
    {"--strict", NULL, "cut open connections that policies no longer allow, of every pod", FLAG, AT(strict)},
    {"--no-external-ips", NULL, "externalIPs of Services are not served", FLAG, AT(no_external_ips)},
    {"--fast-probes", "N", "divide delays and periods of probes by N, 1 to 1000", NUMBER, AT(faster)},
    {"--clean", NULL, "at the end remove everything that was made", FLAG, AT(clean)},
};

static void help(const char *program, const char *sentence)
{
	printf("%s: %s\n\n", program, sentence);
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		printf("  %s %-*s  %s\n", table[i].name, (int)(24 - strlen(table[i].name)),
		       table[i].arg ? table[i].arg : "", table[i].sentence);
	exit(0);
}

static void wrong(const char *program, const char *option, const char *value, const char *hint)
{
	fprintf(stderr, "%s: %s%s%s: %s\n", program, option, value ? " " : "", value ? value : "", hint);
	exit(2);
}

static int set_entries(struct agent_options *o, const char *value)
{
	struct str list = str_of(value);

	do {
		struct str s = str_cut(&list, ','), name = str_cut(&s, '=');
		unsigned m = 0;
		int64_t n;

		while (m < PLAN_MAP_COUNT && !str_eqz(name, plan_map_name(m)))
			m++;
		if (m == PLAN_MAP_COUNT || str_to_i64(s, 1, 1 << 28, &n))
			return -EINVAL;
		o->entries[m] = (uint32_t)n;
	} while (list.n);
	return 0;
}

static const char *set(struct agent_options *o, const struct option *opt, const char *value)
{
	char *at = (char *)o + opt->offset;
	int64_t n;

	switch (opt->type) {
	case TEXT:
		memcpy(at, &value, sizeof(value));
		return NULL;
	case FLAG:
		*at = 1;
		return NULL;
	case NUMBER:
		if (str_to_i64(str_of(value), 1, 1000, &n))
			return "give a number from 1 to 1000";
		*(unsigned *)(void *)at = (unsigned)n;
		return NULL;
	case MODE:
		o->mode = strcmp(value, "routes") ? MODE_VXLAN : MODE_ROUTES;
		return strcmp(value, "routes") && strcmp(value, "vxlan") ? "give vxlan or routes" : NULL;
	case PREFIX:
		return prefix_parse(str_of(value), (struct prefix *)(void *)at)
			   ? "give a range such as 10.96.0.0/16"
			   : NULL;
	default:
		return set_entries(o, value)
			   ? "give names of BPF maps with numbers, such as policy=200000,port=4000"
			   : NULL;
	}
}

void options_parse(struct agent_options *o, int argc, char **argv, const char *sentence)
{
	*o = (struct agent_options){.mode = MODE_VXLAN};
	for (int i = 1; i < argc; i++) {
		const struct option *opt = NULL;
		const char *bad, *value = NULL;

		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			help(argv[0], sentence);
		for (size_t k = 0; k < ARRAY_LEN(table); k++)
			if (!strcmp(argv[i], table[k].name))
				opt = &table[k];
		if (!opt)
			wrong(argv[0], argv[i], NULL, "unknown option; --help lists them");
		if (opt->arg) {
			value = argv[++i];
			if (!value)
				wrong(argv[0], opt->name, NULL, "it needs a value; --help lists the options");
		}
		bad = set(o, opt, value);
		if (bad)
			wrong(argv[0], opt->name, value, bad);
	}
}
