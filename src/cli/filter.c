/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft filter`: a filter's forms, where it can run and why not, and its matches in a capture file, in user
 * space and in the kernel. Needs no cluster; --kernel needs root.
 */
#include "cli/filter.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>

#include "apply/filter.h"
#include "base/own.h"
#include "cli/command.h"
#include "cli/output.h"

static const char *const uses[] = {"records", "packets", "kernel"};

struct answer {
	struct filter *filter;
	struct buf form, other, other_why, why[3];
	bool has_other, can[3];
	int program; /* loaded; -1 */
	uint32_t insns, walked;
	bool counted;
	struct filter_count count;
};

static void answer_fini(struct answer *a)
{
	if (a->filter)
		filter_unref(&a->filter);
	buf_fini(&a->form);
	buf_fini(&a->other);
	buf_fini(&a->other_why);
	for (size_t i = 0; i < ARRAY_LEN(a->why); i++)
		buf_fini(&a->why[i]);
	own_fd(&a->program);
}

static int read_filter(struct answer *a, const char *text)
{
	AUTO(remarks_fini) struct remarks remarks = {};
	int r = filter_parse(&a->filter, str_of(text), (struct pos){}, &remarks);

	if (r) {
		remarks_print(stderr, &remarks, *output_style(STYLE_BOLD) && isatty(STDERR_FILENO));
		if (r != -EINVAL)
			cli_error(NULL, "%s", strerror(-r));
		return EXIT_FAILED;
	}
	filter_print(a->filter, &a->form);
	a->has_other = !filter_print_other(a->filter, &a->other, &a->other_why);
	if (a->has_other && !a->other.n)
		buf_addz(&a->other, filter_is_pcap(a->filter) ? "true" : "len >= 0");
	for (size_t i = 0; i < ARRAY_LEN(uses); i++)
		a->can[i] = !filter_uses(a->filter, (enum filter_use)i, &a->why[i]);
	if (a->can[FILTER_KERNEL]) {
		struct filter_program p = {};

		a->can[FILTER_KERNEL] = !filter_program(a->filter, &p, &a->why[FILTER_KERNEL]);
		filter_program_fini(&p);
	}
	return EXIT_OK;
}

static int into_kernel(struct answer *a)
{
	struct filter_program p = {};
	struct filter_code code = {};
	AUTO_BUF why = {};
	int r = filter_program(a->filter, &p, &why);
	struct filter_form form = {p.steps, p.classic, p.n};

	if (!r)
		r = filter_translate(&code, &form, 1, &why);
	if (!r) {
		a->insns = (uint32_t)code.insns.len;
		r = a->program = filter_load(&code, BPF_PROG_TYPE_SCHED_CLS, &a->walked, &why);
	}
	filter_code_fini(&code);
	filter_program_fini(&p);
	if (r >= 0)
		return EXIT_OK;
	cli_error(r == -EPERM ? "run it as root" : NULL, "not in the kernel: %s",
		  why.n ? why.p : strerror(-r));
	return EXIT_FAILED;
}

static int count(struct answer *a, const char *path)
{
	int r = filter_count(&a->count, a->filter, a->program, path);

	if (r == -EINVAL && *a->count.error) {
		cli_error("a capture in pcap or pcapng form, as tcpdump -w writes it", "%s: %s", path,
			  a->count.error);
		return EXIT_FAILED;
	}
	if (r) {
		cli_error(NULL, "the kernel does not run the program: %s", strerror(-r));
		return EXIT_FAILED;
	}
	a->counted = true;
	if (a->count.broken) {
		cli_error("counted is what stands before", "%s: %s", path, a->count.error);
		return EXIT_FAILED;
	}
	return a->count.differ ? EXIT_FAILED : EXIT_OK;
}

static json_t *as_json(const struct answer *a)
{
	json_t *o = json_object(), *runs = json_object();

	json_object_set_new(o, "syntax", json_string(filter_is_pcap(a->filter) ? "pcap" : "native"));
	json_object_set_new(o, "filter", json_string(a->form.p));
	if (a->has_other)
		json_object_set_new(o, "other", json_string(a->other.p));
	else
		json_object_set_new(o, "noOther", json_string(a->other_why.p));
	for (size_t i = 0; i < ARRAY_LEN(uses); i++) {
		json_t *use = json_object();

		json_object_set_new(use, "can", json_boolean(a->can[i]));
		if (!a->can[i])
			json_object_set_new(use, "why", json_string(a->why[i].p));
		json_object_set_new(runs, uses[i], use);
	}
	json_object_set_new(o, "runs", runs);
	json_object_set_new(o, "fragments",
			    json_string(filter_asks_first_fragment(a->filter) ? "first only" : "all"));
	if (a->program >= 0)
		json_object_set_new(o, "program",
				    json_pack("{s:I,s:I}", "instructions", (json_int_t)a->insns, "walked",
					      (json_int_t)a->walked));
	if (a->counted) {
		const struct filter_count *c = &a->count;
		json_t *n = json_pack("{s:I,s:I,s:I}", "packets", (json_int_t)c->packets, "matches",
				      (json_int_t)c->matches, "cut", (json_int_t)c->cut);

		if (a->program >= 0)
			json_object_set_new(n, "kernel",
					    json_pack("{s:I,s:I,s:I,s:I}", "judged", (json_int_t)c->judged,
						      "matches", (json_int_t)c->in_kernel, "differ",
						      (json_int_t)c->differ, "leftOut",
						      (json_int_t)c->left_out));
		json_object_set_new(o, "capture", n);
	}
	return o;
}

static void print_count(const struct answer *a, const char *path)
{
	const struct filter_count *c = &a->count;

	printf("%-9s%" PRIu64 " of %" PRIu64 " packets of %s", "matches", c->matches, c->packets, path);
	if (c->cut)
		printf(" (%" PRIu64 " captured in part)", c->cut);
	putchar('\n');
	if (a->program < 0)
		return;
	printf("%-9s%" PRIu64 " of %" PRIu64 " frames match in the kernel", "", c->in_kernel, c->judged);
	if (c->left_out)
		printf("; %" PRIu64 " left out: no Ethernet, or of no size that it runs", c->left_out);
	if (c->differ)
		printf("\n%-9s%s%" PRIu64 " judged otherwise than here%s, packet %" PRIu64 " the first", "",
		       output_style(STYLE_RED), c->differ, output_style(STYLE_PLAIN), c->first);
	putchar('\n');
}

static void print_lines(const struct answer *a, const char *path)
{
	static const char *const places[] = {"records", "packets", "packets in the kernel"};

	printf("%-9s%s\n", filter_is_pcap(a->filter) ? "pcap" : "native", a->form.p);
	if (a->has_other)
		printf("%-9s%s\n", filter_is_pcap(a->filter) ? "native" : "pcap", a->other.p);
	else
		printf("%-9sno %s form: %s\n", "", filter_is_pcap(a->filter) ? "native" : "pcap",
		       a->other_why.p);
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		printf("%-9s%s%s\n", i ? "" : "runs",
		       a->can[i] ? "over " : "not: ", a->can[i] ? places[i] : a->why[i].p);
	if (a->can[FILTER_PACKETS] && filter_asks_first_fragment(a->filter))
		printf("%-9sfragments are not tracked: a later one has no ports, flags and types\n", "");
	if (a->program >= 0)
		printf("%-9sloaded: %u instructions, of which the kernel walked %u to accept it\n", "",
		       a->insns, a->walked);
	if (a->counted)
		print_count(a, path);
}

static int print_other(const struct answer *a)
{
	if (!a->has_other) {
		cli_error(NULL, "it has no %s form: %s", filter_is_pcap(a->filter) ? "native" : "pcap",
			  a->other_why.p);
		return EXIT_FAILED;
	}
	puts(a->other.p);
	return EXIT_OK;
}

int cmd_filter(const struct options_filter *o)
{
	AUTO(answer_fini) struct answer a = {.program = -1};
	int r = read_filter(&a, o->args[0]), counted = EXIT_OK;

	if (r)
		return r;
	if (o->other && (o->pcap || o->kernel || o->output)) {
		cli_error(NULL, "--other stands alone");
		return EXIT_USAGE;
	}
	if (o->other)
		return print_other(&a);
	if (o->kernel && (r = into_kernel(&a)))
		return r;
	if (o->pcap)
		counted = count(&a, o->pcap);
	if (o->pcap && !a.counted)
		return counted;
	if (o->output) {
		AUTO_JSON j = as_json(&a);

		json_dumpf(j, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		print_lines(&a, o->pcap);
	}
	return counted;
}
