/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads each program of Weft's BPF object alone, so that a refusal names its program and shows the verifier's
 * own last lines. Prints TAP, with the number of instructions that the verifier walked. Attaches nothing,
 * pins nothing. Called by test/qemu/inside-kernel61.sh on the oldest kernel that Weft supports; it runs
 * anywhere as root.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion" /* generated */
#include "weft.skel.h"
#pragma GCC diagnostic pop

#define LOG_SIZE (16u << 20)

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level, (void)format, (void)args;
	return 0;
}

/* The last lines of a text, as TAP comments. */
static void print_tail(const char *text, int lines)
{
	const char *at = text + strlen(text);
	char line[512];

	while (at > text && lines >= 0) {
		at--;
		if (*at == '\n')
			lines--;
	}
	while (*at != '\0') {
		size_t len = strcspn(at, "\n");

		snprintf(line, sizeof(line), "%.*s", (int)(len < 400 ? len : 400), at);
		if (len)
			printf("# %s\n", line);
		at += len + (at[len] == '\n');
	}
}

/* One TAP point for the program number `want`; 0 when it loads. */
static int load_one(int want, char *log)
{
	struct bpf_prog_info info;
	struct bpf_program *prog, *one = NULL;
	struct weft *w = weft__open();
	uint32_t len = sizeof(info);
	int i = 0, error;

	if (!w)
		return -errno;
	bpf_object__for_each_program(prog, w->obj)
	{
		bpf_program__set_autoload(prog, i == want);
		if (i++ == want)
			one = prog;
	}
	bpf_program__set_log_level(one, 1);
	bpf_program__set_log_buf(one, log, LOG_SIZE);
	log[0] = '\0';
	error = weft__load(w);
	memset(&info, 0, sizeof(info));
	if (error) {
		print_tail(log, 25);
		printf("not ok %d - %s: %s\n", want + 1, bpf_program__name(one), strerror(-error));
	} else if (bpf_obj_get_info_by_fd(bpf_program__fd(one), &info, &len) < 0) {
		error = -errno;
		printf("not ok %d - %s: loaded, but its facts cannot be read\n", want + 1,
		       bpf_program__name(one));
	} else {
		printf("ok %d - %s (%u instructions walked)\n", want + 1, bpf_program__name(one),
		       info.verified_insns);
	}
	weft__destroy(w);
	return error;
}

int main(void)
{
	char *log = malloc(LOG_SIZE);
	struct weft *w;
	struct bpf_program *prog;
	int count = 0, bad = 0;

	if (!log)
		return 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	libbpf_set_print(quiet);
	w = weft__open();
	if (!w) {
		printf("1..1\nnot ok 1 - the object cannot be opened: %s\n", strerror(errno));
		free(log);
		return 1;
	}
	bpf_object__for_each_program(prog, w->obj) count++;
	weft__destroy(w);
	printf("1..%d\n", count);
	for (int i = 0; i < count; i++)
		bad += load_one(i, log) != 0;
	free(log);
	return bad ? 1 : 0;
}
