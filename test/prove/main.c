/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prove: random clusters, policies and packets before the reference, the engine and the kernel. A cluster is
 * a seed: its first state, then changes one after the other; each state is a configuration, and gets its
 * share of packets. On the first difference the history is shrunk and printed with who says what, and the
 * status is
 * 1. `prove --seed N --replay` runs one cluster again.
 */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kept.h"
#include "results.h"
#include "shrink.h"

enum { JOBS_MAX = 16, BATCHES = 20, WITNESS_MISSING = 77, CONFIGS = 2000, PACKETS = 1000000 };

struct options {
	uint64_t seed, configs, packets;
	double seconds;
	unsigned jobs;
	bool replay, spoil, kernel, cluster_policies, staged, tap;
	const char *results;
};
struct work { /* of one job; shared with the parent */
	uint64_t clusters, configs, packets, changes;
	struct cover cover;
};

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void report(uint64_t seed, struct history *h, const struct witnesses *wit, const struct shot *s,
		   const char *first)
{
	AUTO_BUF text = {0}, why = {0}, packet = {0};
	fprintf(stderr, "\nprove: seed %llu, change %zu: a difference:\n%sprove: shrinking…\n",
		(unsigned long long)seed, h->batches.len - 1, first);
	shrink(h, wit, s, first);
	if (replay(h, wit, s, &why))
		buf_addz(&why, "(it is not there when the history runs again from the start)\n");
	history_print(&text, h);
	printf("%s", text.p);
	if (s) {
		struct lab l;
		AUTO_BUF none = {0};
		int e = lab_new(&l, &(struct witnesses){0});
		for (size_t i = 0; i < h->batches.len && !e; i++)
			e = lab_apply(&l, &h->batches.items[i], &none);
		if (!e)
			shot_print(&packet, &l, s);
		lab_free(&l);
		printf("# the packet: %s\n", packet.p);
	}
	printf("# %s# again: prove --seed %llu --replay\n", why.p, (unsigned long long)seed);
	fflush(stdout);
}

/* Some connections are open while the next change comes. */
static void kept(struct lab *l, struct generator *g, struct batch *b)
{
	for (int n = 0; l->kernels && n < NODES; n++)
		kernel_forget(l->kernels[n], true);
	kept_pick(l, g, b);
	kept_open(l, b);
}

/* One cluster. True: all agreed. */
static bool cluster(uint64_t seed, const struct options *o, const struct witnesses *wit, struct work *w,
		    double deadline)
{
	struct generator g;
	struct history h = {0};
	struct lab l;
	bool same = true;
	uint64_t share = o->packets / (o->configs ? o->configs : 1);
	generator_init(&g, seed);
	g.cluster_policies = o->cluster_policies;
	g.staged = o->staged;
	if (lab_new(&l, wit))
		must_have(NULL);
	for (int i = 0; i < BATCHES && same && now() < deadline; i++) {
		AUTO_BUF why = {0};
		struct batch b = {0};
		struct shot s;
		uint32_t changes = 1 + dice_throw(&g.dice, 4);
		if (!i)
			generate_cluster(&g, &b);
		while (i && changes--)
			generate_change(&g, &b);
		if (i)
			generate_answers(&g, &b);
		if (vec_push(&h.batches, b))
			must_have(NULL);
		int e = lab_apply(&l, &h.batches.items[h.batches.len - 1], &why);
		if (e) {
			same = false;
			buf_printf(&why, "\n%s\n", strerror(-e));
			report(seed, &h, wit, NULL, why.p);
		}
		/* packets have dice of their own: a history does not hang on how many are sent */
		const struct dice changing = g.dice;
		g.dice = (struct dice){seed * BATCHES + (uint64_t)i};
		for (uint64_t p = 0; p < share && same; p++) {
			if (!shot_pick(&l, &g, &s))
				break;
			same = shot_agreed(&l, &s, &w->cover, &why);
			w->packets++;
			if (!same)
				report(seed, &h, wit, &s, why.p);
		}
		g.dice = (struct dice){~(seed * BATCHES + (uint64_t)i)};
		if (same)
			kept(&l, &g, &h.batches.items[h.batches.len - 1]);
		g.dice = changing;
		w->configs++;
	}
	w->clusters++;
	w->cover.tries += l.tries;
	w->cover.went_on += l.went_on;
	w->cover.was_cut += l.cut;
	w->cover.inherited += l.inherited;
	w->changes += l.changes;
	w->cover.told += l.told;
	lab_free(&l);
	generator_fini(&g);
	history_fini(&h);
	return same;
}

static int open_kernels(struct kernel_node **kernels, unsigned job)
{
	cpu_set_t cpus;
	CPU_ZERO(&cpus);
	CPU_SET(job % (unsigned)sysconf(_SC_NPROCESSORS_ONLN), &cpus);
	sched_setaffinity(0, sizeof(cpus),
			  &cpus); /* one ring at a time is read, so events keep their order */
	if (geteuid() || unshare(CLONE_NEWNET))
		return -EPERM;
	int e = kernel_interfaces(10000 + SLOT_FIRST, SLOTS);
	for (int n = 0; n < NODES && !e; n++)
		e = kernel_open(&kernels[n]);
	return e;
}

static int job(const struct options *o, unsigned number, struct work *w)
{
	struct kernel_node *kernels[NODES] = {0};
	double deadline = o->seconds ? now() + o->seconds : 1e300;
	int e = o->kernel ? open_kernels(kernels, number) : 0;
	if (e) {
		fprintf(stderr, "prove: the kernel cannot be asked: %s\n", strerror(-e));
		return e == -EPERM ? WITNESS_MISSING : 2;
	}
	const struct witnesses wit = {.kernels = o->kernel ? kernels : NULL, .spoil = o->spoil};
	bool same = true;
	uint64_t mine = o->replay ? BATCHES : o->configs / o->jobs + (number < o->configs % o->jobs);
	for (uint64_t i = number; same && w->configs < mine && now() < deadline; i += o->jobs)
		same = cluster(o->seed + i, o, &wit, w, deadline);
	for (int n = 0; n < NODES; n++) {
		if (kernels[n] && kernel_lost(kernels[n])) {
			fprintf(stderr, "prove: the kernel lost events\n");
			same = false;
		}
		kernel_close(&kernels[n]);
	}
	return same ? 0 : 1;
}

static void gather(struct figures *f, const struct options *o, const struct work *w, double began)
{
	*f = (struct figures){
	    .first_seed = o->seed, .jobs = o->jobs, .kernel = o->kernel, .seconds = now() - began};
	for (unsigned j = 0; j < o->jobs; j++) {
		f->clusters += w[j].clusters;
		f->configs += w[j].configs;
		f->packets += w[j].packets;
		f->changes += w[j].changes;
		cover_sum(&f->cover, &w[j].cover);
	}
}

/* Waits for the jobs and tells how far they are. The first status that is not 0. */
static int wait_all(const struct options *o, const pid_t *pids, const struct work *w, double began)
{
	int status = 0, left = (int)o->jobs;
	bool over[JOBS_MAX] = {0};
	for (double told = began; left;) {
		usleep(50000);
		for (unsigned j = 0; j < o->jobs; j++) {
			int s;
			if (over[j] || waitpid(pids[j], &s, WNOHANG) != pids[j])
				continue;
			over[j] = true;
			left--;
			if (!status)
				status = WIFEXITED(s) ? WEXITSTATUS(s) : 2;
			for (unsigned k = 0; status && k < o->jobs; k++)
				if (!over[k])
					kill(pids[k], SIGTERM);
		}
		if (now() - told < (isatty(2) ? 2 : 60))
			continue;
		struct figures f;
		gather(&f, o, w, began);
		told = now();
		fprintf(stderr,
			isatty(2) ? "\rprove: %llu configurations, %llu packets, %.0f s "
				  : "prove: %llu configurations, %llu packets, %.0f s\n",
			(unsigned long long)f.configs, (unsigned long long)f.packets, f.seconds);
	}
	return status;
}

static int run(const struct options *o)
{
	double began = now();
	struct figures f;
	AUTO_BUF text = {0};
	pid_t pids[JOBS_MAX];
	struct work *w =
	    mmap(NULL, sizeof(*w) * JOBS_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (w == MAP_FAILED)
		return 2;
	for (unsigned j = 0; j < o->jobs; j++) {
		pids[j] = fork();
		if (!pids[j])
			exit(job(o, j, &w[j]));
		if (pids[j] < 0)
			return 2;
	}
	int status = wait_all(o, pids, w, began);
	gather(&f, o, w, began);
	f.agreed = !status;
	figures_print(&text, &f);
	if (o->tap && status == WITNESS_MISSING) {
		printf("1..0 # SKIP needs root and eBPF\n");
		return 0;
	}
	fprintf(o->tap ? stdout : stderr, "%s", o->tap ? "" : "\n");
	if (o->tap) {
		struct str rest = buf_str(&text);
		while (rest.n)
			printf("# " STR_FMT "\n", STR_ARG(str_cut(&rest, '\n')));
		if (o->spoil)
			printf("%sok 1 - one element less in the kernel is found\n1..1\n",
			       status == 1 ? "" : "not ");
		else
			printf("%sok 1 - reference, engine and kernel agree\n1..1\n", status ? "not " : "");
	} else {
		printf("%s%s\n", text.p, status ? "a difference" : "all agreed");
	}
	if (o->tap && o->spoil)
		return status == 1 ? 0 : 1;
	if (o->results && !status && figures_write(o->results, &f)) {
		fprintf(stderr, "prove: cannot write %s\n", o->results);
		return 2;
	}
	return status;
}

static const char usage[] =
    "prove [--seed N] [--configs N] [--packets N] [--seconds N] [--jobs N] [--replay] [--no-kernel]\n"
    "      [--no-cluster-policies] [--no-staged] [--results FILE] [--spoil] [--tap]\n";

int main(int argc, char **argv)
{
	static const struct option options[] = {{"seed", 1, NULL, 's'},
						{"configs", 1, NULL, 'c'},
						{"packets", 1, NULL, 'p'},
						{"seconds", 1, NULL, 't'},
						{"jobs", 1, NULL, 'j'},
						{"replay", 0, NULL, 'r'},
						{"no-kernel", 0, NULL, 'k'},
						{"no-cluster-policies", 0, NULL, 'n'},
						{"no-staged", 0, NULL, 'g'},
						{"results", 1, NULL, 'w'},
						{"spoil", 0, NULL, 'x'},
						{"tap", 0, NULL, 'T'},
						{0}};
	struct options o = {.seed = 1,
			    .configs = CONFIGS,
			    .packets = PACKETS,
			    .jobs = (unsigned)sysconf(_SC_NPROCESSORS_ONLN),
			    .kernel = true,
			    .cluster_policies = true,
			    .staged = true};
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (c) {
		case 's':
			o.seed = strtoull(optarg, NULL, 0);
			break;
		case 'c':
			o.configs = strtoull(optarg, NULL, 0);
			break;
		case 'p':
			o.packets = strtoull(optarg, NULL, 0);
			break;
		case 't':
			o.seconds = strtod(optarg, NULL);
			break;
		case 'j':
			o.jobs = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case 'r':
			o.replay = true;
			break;
		case 'k':
			o.kernel = false;
			break;
		case 'n':
			o.cluster_policies = false;
			break;
		case 'g':
			o.staged = false;
			break;
		case 'w':
			o.results = optarg;
			break;
		case 'x':
			o.spoil = true;
			break;
		case 'T':
			o.tap = true;
			break;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind < argc || !o.configs) {
		fputs(usage, stderr);
		return 2;
	}
	if (o.replay && o.packets == PACKETS && o.configs == CONFIGS)
		o.packets = 3000 * o.configs;
	if (o.replay || !o.jobs || o.jobs > JOBS_MAX)
		o.jobs = 1;
	return run(&o);
}
