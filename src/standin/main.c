/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft-standin: plays one container of a pod. `serve` runs it, `init` plays an init container, `probe` tries
 * targets once for `weft reach`. Needs no privileges. Started by the sandbox.
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "standin/programs.h"

static void on_signal(int sig)
{
	(void)sig;
	_exit(0);
}

static int usage(void)
{
	fputs("usage: weft-standin serve --spec FILE|-     run a container: serve its ports, make its calls\n"
	      "       weft-standin init --spec FILE|-      run an init container: call each place until it "
	      "answered\n"
	      "       weft-standin probe --targets FILE|-  try targets (JSON lines) once, print results as "
	      "JSON lines\n",
	      stderr);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	struct sigaction ends = {.sa_handler = on_signal};
	struct spec spec;
	char name[128];
	int status;

	if (argc == 4 && !strcmp(argv[1], "probe") && !strcmp(argv[2], "--targets"))
		return standin_probe(argv[3]);
	if (argc != 4 || strcmp(argv[2], "--spec") || (strcmp(argv[1], "serve") && strcmp(argv[1], "init")))
		return usage();
	sigaction(SIGTERM, &ends, NULL);
	sigaction(SIGINT, &ends, NULL);
	if (spec_read(&spec, argv[3]))
		return 1;
	snprintf(name, sizeof(name), "%.40s/%.40s/%.40s", spec.ns, spec.pod, spec.container);
	log_open(name);
	server_tls = tls_part();
	status = strcmp(argv[1], "init") ? standin_serve(&spec, argv[3]) : standin_init(&spec);
	fflush(NULL);
	_exit(status); /* what lives as long as the process is not taken apart */
}
