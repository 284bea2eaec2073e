/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the reference pages that derive from tables/: `docs maps|drops|counters|kinds|checks|filters` prints
 * one page as Markdown. Holds no facts of its own. Built and called by tools/gen/all; a lint test holds the
 * pages against it.
 */
#include <stdio.h>
#include <string.h>

static void header(const char *title, const char *table, const char *text)
{
	printf("<!-- Made from %s by tools/gen/all; do not edit. -->\n# %s\n\n%s\n\n", table, title, text);
}

static void print_maps(void)
{
	header("BPF maps", "tables/maps.def",
	       "Each node pins these below `/run/weft/NAME/bpf/NODE/`; `weft maps` shows how full they are. "
	       "Written by: "
	       "PLAN is\nrows of the plan, which are read back; KERNEL is the programs; BOTH is both. "
	       "Capacity is what a "
	       "map is made with when\nthe plan asks for no more.");
	printf(
	    "| map | type | key | value | capacity | written by | holds |\n|---|---|---|---|---|---|---|\n");
#define BPF_MAP(id, type, key, value, entries, flags, writer, sentence)                                      \
	printf("| `%s` | %s | `%s` | `%s` | %s | %s | %s |\n", #id, #type, #key, #value, #entries, #writer,  \
	       sentence);
#include "tables/maps.def"
#undef BPF_MAP
}

static void print_drops(void)
{
	header("Drop reasons", "tables/drops.def",
	       "Why a packet was not passed on, as `weft drops` shows it. Numbers are for ever; a reason "
	       "that goes "
	       "leaves a gap.");
	printf("| number | reason | what it means, and what to do |\n|---|---|---|\n");
#define DROP(id, number, text, advice) printf("| %d | `%s` | %s |\n", number, text, advice);
#include "tables/drops.def"
#undef DROP
	printf(
	    "\n## The kernel's own\n\n"
	    "What the kernel's stack drops of a pod's packets, in the pod's namespace or at its interface, "
	    "stands under "
	    "the\nkernel's own reason, `kernel:NAME`; `reason == kernel` finds all of them. Which there are, "
	    "the running "
	    "kernel says;\nthese are the ones that people meet. What lies in a socket that is closed "
	    "(`QUEUE_PURGE`) had arrived and is none. How they are counted: doc/accounting.md.\n\n"
	    "| reason | what it means, and what to do |\n|---|---|\n");
#define KERNEL_DROP(name, advice) printf("| `kernel:%s` | %s |\n", name, advice);
#include "tables/kernel_drops.def"
#undef KERNEL_DROP
}

static const char *shape_word(const char *shape)
{
	static const char *const words[][2] = {{"STR", "text"},		  {"INT", "number"},
					       {"BOOL", "true or false"}, {"TIME", "time"},
					       {"MAP", "map of text"},	  {"STRS", "list of text"},
					       {"OPAQUE", "any"},	  {"INTSTR", "number or text"}};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strcmp(shape, words[i][0]))
			return words[i][1];
	return shape;
}

/* One row of a struct's table; a field that leads to another struct links to it. */
static void field(const char *shape, const char *type, const char *json, const char *flags,
		  const char *sentence)
{
	printf("| `%s` | ", json);
	if (!strcmp(shape, "ONE"))
		printf("[%s](#%s)", type, type);
	else if (!strcmp(shape, "MANY"))
		printf("list of [%s](#%s)", type, type);
	else
		printf("%s", shape_word(shape));
	printf(" | %s | %s", strstr(flags, "REQ") ? "yes" : "", sentence);
	if (strstr(flags, "ENUM")) {
		printf(" One of ");
		for (const char *p = type; *p; p++)
			if (*p == '|')
				printf(", ");
			else if (*p != '"')
				putchar(*p);
		putchar('.');
	}
	printf(" |\n");
}

static void print_kinds(void)
{
	header("Kinds", "tables/kinds.def and tables/fields.def",
	       "The kinds of objects that Weft knows, then every struct that appears in them. \"Kept, not "
	       "interpreted\" "
	       "means: accepted,\nstored, given back, without effect. Other kinds are skipped with a remark; "
	       "unknown "
	       "fields are remarks,\nand errors in the `spec` of a kind of Weft's own.");
	printf("| kind | API | names | scope | what it is |\n|---|---|---|---|---|\n");
#define KIND(id, Kind, group, version, plural, singular, shorts, scope, categories, role, sentence)          \
	printf("| %s%s%s | `%s%s%s` | %s%s%s | %s | %s |\n", strcmp(#role, "TYPED") ? "" : "[", #Kind,       \
	       strcmp(#role, "TYPED") ? "" : "](#" #id ")", group, *group ? "/" : "", version, plural,       \
	       *shorts ? ", " : "", shorts, strcmp(#scope, "CLUSTER") ? "namespaced" : "cluster", sentence);
#include "tables/kinds.def"
#undef KIND
#define STRUCT_BEGIN(id)				  printf("\n## %s\n\n| field | is | required | sentence |\n|---|---|---|---|\n", #id);
#define FIELD(shape, type, member, json, flags, sentence) field(#shape, #type, json, #flags, sentence);
#define STRUCT_END(id)
#include "tables/fields.def"
}

static void print_counters(void)
{
	header("Counters", "tables/counters.def",
	       "What each node counts, per CPU, since its programs were loaded.");
	printf("| counter | what it counts |\n|---|---|\n");
#define COUNTER(id, sentence) printf("| `%s` | %s |\n", #id, sentence);
#include "tables/counters.def"
#undef COUNTER
}

static void print_checks(void)
{
	header("Checks", "tables/checks.def",
	       "What `weft check` looks for, by name, as its remarks and its SARIF log have it; `--ignore "
	       "NAMES` leaves "
	       "checks out.\nErrors end with status 1, warnings with `--strict` too, hints never. Whether a "
	       "rule is "
	       "redundant or never asked is\nfound exactly: over all pods, nodes and addresses outside, as "
	       "the compiled "
	       "policies tell them apart, and all protocols\nand ports.");
	printf("| check | level | what it says | what to do |\n|---|---|---|---|\n");
#define CHECK(id, name, level, sentence, advice)                                                             \
	printf("| `%s` | %s | %s | %s |\n", name, #level, sentence, advice);
#include "tables/checks.def"
#undef CHECK
}

static const char *type_word(const char *type)
{
	static const char *const words[][2] = {
	    {"FLAG", "true or not"},	 {"NUMBER", "number"},	  {"SIZE", "number, also 10k, 1.5M, 2Gi"},
	    {"MICROSECONDS", "time"},	 {"NANOSECONDS", "time"}, {"ADDRESS", "address, prefix, range"},
	    {"MAC", "Ethernet address"}, {"TEXT", "name"},	  {"LABEL", "text"},
	    {"RULE", "number"},		 {"TCPFLAGS", "flags"}};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strcmp(type, words[i][0]))
			return words[i][1];
	return "word or number";
}

/* "R | P | K" as "RPK". */
static const char *uses_word(const char *uses)
{
	static char out[4];
	size_t n = 0;

	for (; *uses; uses++)
		if (strchr("RPK", *uses))
			out[n++] = *uses;
	out[n] = 0;
	return out;
}

static void print_filters(void)
{
	header(
	    "Filters", "tables/filter.def",
	    "One language for flows, drops, captures, maps and alerts:\n\n"
	    "    tcp && port in {80, 443, 8000-8100} && src.pod.label[\"app\"] == \"web\" && !(dst.ip == "
	    "10.0.0.0/8)\n\n"
	    "- `&&`, `||`, `!`, brackets; `==`, `!=`, `<`, `<=`, `>`, `>=`, `in {…}` with single values and "
	    "ranges; `~` for\n  names with `*` and `?`; `true`, `false`; `has(FIELD)` asks whether there is "
	    "one.\n"
	    "- A field with sides is written `src.FIELD`, `dst.FIELD`, or `FIELD` for either end.\n"
	    "- A field that a record or packet does not have makes its comparison false. `!=` is the "
	    "opposite of `==`:\n  `port != 80` says that neither port is 80.\n"
	    "- Packets are read through up to four VLAN tags and IPv6 extension headers. A later fragment "
	    "has addresses and\n  no ports: fragments are not tracked, and `weft filter` says so of a filter "
	    "that this concerns.\n"
	    "- `pcap:'tcp port 443 and net 10.0.0.0/8'` is a pcap expression and means what libpcap says; "
	    "bare text that the\n  syntax above refuses is tried as one. Names of hosts are not looked up.\n"
	    "- Each DNS question of a pod is a record of kind `dns` with the ends of its flow: `dns.name == "
	    "\"api.example.org\"`,\n"
	    "  `dns.code == NXDOMAIN`, `dns.time > 20ms`. It is part of that flow, so `weft flows` shows it "
	    "only to a filter with a\n"
	    "  `dns.…` field or `record`. What is not read: doc/accounting.md.\n"
	    "- `domain` is the name by which the pod at the other end, else some pod of its node, was told "
	    "the address, the last\n"
	    "  one before the connection began. What a node has forgotten, or was asked elsewhere, is not "
	    "there.\n"
	    "- Judged over: R records of flows and drops, P packets, K packets in the kernel. `weft filter` "
	    "says where a filter\n"
	    "  can run, and which term cannot and why; nothing is approximated. pcap expressions run in the "
	    "kernel, but not\n"
	    "  `protochain`. There a frame that was merged (GRO, GSO) is as long as it was merged, for "
	    "`len`, too.\n"
	    "- What flows know of TCP is seen in the segments as they pass a node. `tcp.rtt` is from one end "
	    "to the "
	    "other and\n"
	    "  back, the sum of `there` and `back`: from this node's hook to an end and back, from a segment "
	    "(the "
	    "handshake's too)\n"
	    "  to its acknowledgement, one at a time, smoothed over eight; none of a segment that was sent "
	    "again. An "
	    "end that delays\n"
	    "  its acknowledgements adds that delay. A retransmit is a segment whose sequence numbers passed "
	    "before "
	    "or were passed\n"
	    "  over: behind the sender's node one that was overtaken counts too. Merged segments count each, "
	    "a "
	    "keep-alive not; one\n"
	    "  byte sent again alone looks like one. What a node cannot see has no value, not 0: where "
	    "answers go "
	    "straight from a\n"
	    "  backend's node to the client, that of the responder, sums and times.");
	printf("| field | sides | type | over | what it is |\n|---|---|---|---|---|\n");
#define SIDED "yes"
#define PLAIN ""
#define FILTER_FIELD(id, path, sides, type, uses, sentence)                                                  \
	printf("| `%s` | %s | %s | %s | %s |\n", path, sides, type_word(#type), uses_word(#uses), sentence);
#define FILTER_ALIAS(path, of)
#include "tables/filter.def"
#undef FILTER_FIELD
#undef FILTER_ALIAS
	printf("\nOther names: ");
#define FILTER_FIELD(id, path, sides, type, uses, sentence)
#define FILTER_ALIAS(path, of) printf("%s`%s` is `%s`", others++ ? ", " : "", path, of);
	unsigned others = 0;
#include "tables/filter.def"
#undef FILTER_FIELD
#undef FILTER_ALIAS
#undef SIDED
#undef PLAIN
	printf(
	    ".\n\n"
	    "`service` is the Service whose own address, node port or balancer's address was called. Most "
	    "calls "
	    "are translated\nbefore their first packet, so that they look like calls that go straight to the "
	    "pod: of those it is the one Service that\nhas an endpoint at the address and port that was "
	    "called, whichever way the caller took; probes of the pod's node,\ntoo (`&& src.kind != node` "
	    "leaves them out). Where several Services have that endpoint, there is none.\n");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*print)(void);
	} pages[] = {{"maps", print_maps},	   {"drops", print_drops},   {"kinds", print_kinds},
		     {"counters", print_counters}, {"checks", print_checks}, {"filters", print_filters}};

	for (size_t i = 0; argc == 2 && i < sizeof(pages) / sizeof(*pages); i++)
		if (!strcmp(argv[1], pages[i].name)) {
			pages[i].print();
			return 0;
		}
	fprintf(stderr, "usage: docs maps|drops|kinds|counters|checks|filters\n");
	return 2;
}
