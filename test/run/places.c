/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs for a place alone and their accounts, on a host without a cluster; and where they cannot be had or
 * replaced: the kernel takes no other filter at the interface, refuses what is made for one place, or the
 * pattern as a whole. Then the common programs serve the place, or nothing does, and nobody gets what objects
 * no longer say.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "observe/kernel.h"
#include "test/run/applier_play.h"
#include "test/run/tap_play.h"

enum { SPARE_IN = 900, SPARE_OUT, CPUS_MAX = 64 };

struct world {
	struct tap_plain plain;
	struct tapper *tapper;
	uint32_t epoch;
	int gen, end;
	char said[512]; /* of the last epoch */
};

/* Port 4000 at src0 goes straight to tool0 in these ways, and to weft-copier if `copier`. 0 or -errno. */
static int put_epoch(struct world *x, uint32_t direct, bool copier)
{
	AUTO_BUF bytes = {0}, why = {0};
	struct taps taps;
	struct wanted w;
	int err;

	want(&w, ++x->epoch);
	w.t.places_n = w.t.outlets_n = 1;
	w.places[0].take[TAP_IN] = copier;
	w.places[0].direct[0].take[TAP_IN] = direct;
	taps_encode(&bytes, &w.t);
	if (taps_decode(&taps, bytes.p, bytes.n, &why))
		die("decode");
	err = tapper_apply(x->tapper, &taps, &why);
	snprintf(x->said, sizeof(x->said), "%.*s", (int)strcspn(why.n ? why.p : "", "\n"),
		 why.n ? why.p : "");
	if (err)
		taps_fini(&taps);
	return err;
}

/* --- what is logged --------------------------------------------------------------------------------- */

static int log_fd, stderr_fd;

static void log_begin(void)
{
	log_fd = memfd_create("log", MFD_CLOEXEC);
	stderr_fd = dup(STDERR_FILENO);
	if (log_fd < 0 || stderr_fd < 0 || dup2(log_fd, STDERR_FILENO) < 0)
		die("stderr");
}

/* How many lines of the log have these words. */
static unsigned log_end(const char *words)
{
	static char text[65536];
	ssize_t n = pread(log_fd, text, sizeof(text) - 1, 0);
	unsigned found = 0;

	dup2(stderr_fd, STDERR_FILENO);
	close(stderr_fd);
	close(log_fd);
	text[n < 0 ? 0 : n] = '\0';
	fputs(text, stderr);
	for (const char *p = text; (p = strstr(p, words)); p += strlen(words))
		found++;
	return found;
}

/* --- filters that cannot be put --------------------------------------------------------------------- */

/* The common programs by numbers that can be taken away: then the kernel refuses to put them anywhere. */
static void spare(const struct world *x, bool there)
{
	close(SPARE_IN);
	close(SPARE_OUT);
	if (there && (fcntl(x->plain.kernel.in, F_DUPFD_CLOEXEC, SPARE_IN) != SPARE_IN ||
		      fcntl(x->plain.kernel.out, F_DUPFD_CLOEXEC, SPARE_OUT) != SPARE_OUT))
		die("F_DUPFD");
}

static void test_not_replaced(struct world *x)
{
	spare(x, true);
	CHECK(!put_epoch(x, 1, false) && !x->said[0] && serves("weft_place_in") && taken(x->gen, x->end, 11),
	      "a place whose copies go straight to a tool has a program of its own (%s)", x->said);
	spare(x, false);
	log_begin();

	int err = put_epoch(x, 0, true);
	unsigned lines = log_end("src0: its programs cannot be replaced");

	CHECK(!err && strstr(x->said, "interface src0 cannot be tapped"),
	      "BR12 the next epoch cannot put the common program: told (%d: %s)", err, x->said);
	CHECK(lines == 1, "and logged once, with the interface's name (%u)", lines);
	send_frame(x->gen, PORT_TAKEN, 13);
	CHECK(!serves("weft_place_in") && !next_tag(x->end, 200),
	      "its own program, which would copy as the epoch before said, is not left there");
	spare(x, true);
	err = put_epoch(x, 1, true);
	CHECK(!err && !x->said[0] && serves("weft_tap_in") && taken(x->gen, x->end, 15),
	      "with the next epoch all is well again (%d: %s)", err, x->said);
}

static void test_no_hook(struct world *x)
{
	put_epoch(x, 1, false);
	CHECK(serves("weft_place_in") && said("tc qdisc del dev src0 clsact"),
	      "somebody takes its hooks away");
	log_begin();

	int err = put_epoch(x, TAP_ALWAYS, false);
	unsigned lines = log_end("src0 has no program of its own");

	CHECK(!err && strstr(x->said, "interface src0 cannot be tapped") && lines == 1,
	      "another program cannot be put there: told and logged (%u; %s)", lines, x->said);
	CHECK(!put_epoch(x, 1, false) && !x->said[0] && serves("weft_place_in") && taken(x->gen, x->end, 21),
	      "the next epoch brings hooks and program back (%s)", x->said);
}

/* --- accounts --------------------------------------------------------------------------------------- */

/* Packets that src0's account has seen: in BPF map tapped_slot, in BPF map tapped. */
static void seen(const struct world *x, uint64_t *slot, uint64_t *rest)
{
	struct tapped_key key = {.ifindex = if_nametoindex("src0"), .take = TAP_IN};
	uint32_t number = tapper_slot(x->tapper, key.ifindex);
	struct tapped_slot s[CPUS_MAX] = {0};
	struct tapped_value v[CPUS_MAX] = {0};

	*slot = *rest = 0;
	if (number && bpf_map_lookup_elem(x->plain.tapped_slot, &number, s))
		die("tapped_slot");
	bpf_map_lookup_elem(x->plain.tapped, &key, v);
	for (int i = 0; i < CPUS_MAX; i++) {
		*slot += s[i].ifindex == key.ifindex ? s[i].take[TAP_IN].seen : 0;
		*rest += v[i].seen;
	}
}

/* Elements of interfaces that are gone are nobody else's. */
static void give_all_away(const struct world *x)
{
	struct tapped_slot s[CPUS_MAX];

	memset(s, 0, sizeof(s));
	for (int i = 0; i < CPUS_MAX; i++)
		s[i].ifindex = 999999;
	for (uint32_t i = 1; i < TAPPED_SLOTS; i++)
		if (bpf_map_update_elem(x->plain.tapped_slot, &i, s, BPF_ANY))
			die("tapped_slot");
}

static void start(struct world *x)
{
	struct tap_kernel k = x->plain.kernel;
	AUTO_BUF why = {0};

	k.in = SPARE_IN;
	k.out = SPARE_OUT;
	spare(x, true);
	if (tapper_new(&x->tapper, &k, &why))
		die(why.n ? why.p : "tapper");
}

static void add_seen(void *ctx, const struct tapped_key *k, const struct tapped_value *v)
{
	uint64_t *sum = ctx;

	if (k->ifindex == if_nametoindex("src0") && k->take == TAP_IN)
		*sum += v->seen;
}

/* As an observer reads both. */
static uint64_t observed(const struct world *x)
{
	int fds[14];
	struct observed *o = NULL;
	uint64_t sum = 0;

	for (int i = 0; i < 14; i++)
		fds[i] = dup(i == 13 ? x->plain.tapped_slot : x->plain.tapped);
	if (observed_new(&o, fds, 14) || observed_tapped(o, add_seen, &sum))
		die("observed");
	observed_free(&o);
	return sum;
}

static void test_accounts(struct world *x)
{
	uint64_t slot, rest, before;

	seen(x, &before, &rest);
	put_epoch(x, 1, false);
	taken(x->gen, x->end, 51);
	seen(x, &slot, &rest);
	CHECK(serves("weft_place_in") && slot == before + 2 && !rest && observed(x) == slot,
	      "an interface's account is in its element (%llu, %llu)", (unsigned long long)slot,
	      (unsigned long long)rest);
	tapper_free(&x->tapper);
	start(x);
	put_epoch(x, 1, true);
	taken(x->gen, x->end, 53);
	seen(x, &slot, &rest);
	CHECK(serves("weft_tap_in") && slot == before + 4 && !rest,
	      "the next process and the common program go on with it (%llu, %llu)", (unsigned long long)slot,
	      (unsigned long long)rest);
	give_all_away(x);
	tapper_free(&x->tapper);
	start(x);
	put_epoch(x, 1, false);
	taken(x->gen, x->end, 55);
	seen(x, &slot, &rest);
	CHECK(serves("weft_place_in") && !slot && rest == 2,
	      "when all elements are others', it is in BPF map tapped, in its own program (%llu, %llu)",
	      (unsigned long long)slot, (unsigned long long)rest);
	put_epoch(x, 1, true);
	taken(x->gen, x->end, 57);
	seen(x, &slot, &rest);
	CHECK(serves("weft_tap_in") && !slot && rest == 4 && observed(x) == 4, "and in the common one (%llu)",
	      (unsigned long long)rest);
}

/* --- programs that the kernel refuses --------------------------------------------------------------- */

/* From now on no BPF map can be sealed, as the constants of a place and of the pattern must be. */
static void refuse_places(void)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bpf, 0, 3),
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, BPF_MAP_FREEZE, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {sizeof(code) / sizeof(code[0]), code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0))
		die("seccomp");
}

static void test_refused(struct world *x)
{
	refuse_places();
	log_begin();

	bool served = !put_epoch(x, TAP_ALWAYS, false) && !x->said[0] && serves("weft_tap_in");

	send_frame(x->gen, PORT_LEFT, 31);
	CHECK(served && next_tag(x->end, WAIT_MS) == 31,
	      "the kernel refuses a place's program: the common one does the same (%s)", x->said);
	for (unsigned i = 0; i < 3; i++)
		put_epoch(x, TAP_ALWAYS, false);

	unsigned lines = log_end("src0 has no program of its own");

	CHECK(lines == 1, "it is tried and told once, not with each epoch that asks for the same (%u)",
	      lines);
	log_begin();
	served = !put_epoch(x, 1, false) && serves("weft_tap_in") && taken(x->gen, x->end, 33);
	lines = log_end("src0 has no program of its own");
	CHECK(served && lines == 1, "one that asks for something else is tried, and told (%u)", lines);
}

/* As a process does that starts on a kernel that refuses the pattern. */
static void test_no_pattern(struct world *x)
{
	bool served;
	unsigned lines;

	tapper_free(&x->tapper);
	start(x);
	log_begin();
	served = !put_epoch(x, TAP_ALWAYS, false) && !x->said[0] && serves("weft_tap_in") &&
		 !put_epoch(x, 1, false) && serves("weft_tap_in") && taken(x->gen, x->end, 41);
	lines = log_end("places have no programs of their own");
	CHECK(served, "the kernel refuses the pattern: the common programs serve all places (%s)", x->said);
	CHECK(lines == 1, "that is told once (%u)", lines);
}

int main(int argc, char **argv)
{
	struct world x = {0};
	AUTO_BUF why = {0};

	if (!play_begin(argc, argv, "places"))
		return 0;
	tap_links();
	if (tap_plain_open(&x.plain, TAP_XDP_OFF, &why))
		die(why.n ? why.p : "tap_plain_open");
	x.gen = packets_of("gen0");
	x.end = packets_of("end0");
	start(&x);
	test_not_replaced(&x);
	test_no_hook(&x);
	test_accounts(&x);
	test_refused(&x);
	test_no_pattern(&x);
	tapper_clean(x.tapper);
	tapper_free(&x.tapper);
	tap_plain_close(&x.plain);
	CHECK(!said("tc filter show dev src0 ingress | grep -q weft"), "nothing is left");
	close(x.gen);
	close(x.end);
	return play_end();
}
