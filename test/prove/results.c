/* SPDX-License-Identifier: Apache-2.0 */
/* Figures as text. The section in a file stands between two marks, so that others can write what is around
 * it. */
#include "results.h"

#include <errno.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <time.h>

static const char begins[] = "<!-- make prove: begin -->\n", ends[] = "<!-- make prove: end -->\n";

static void sum(struct buf *b, const struct figures *f)
{
	buf_printf(b,
		   "%llu configurations of %llu clusters (seeds from %llu), %llu packets, %llu rows changed, "
		   "in %.0f s "
		   "(%.0f packets/s, %u at a time)",
		   (unsigned long long)f->configs, (unsigned long long)f->clusters,
		   (unsigned long long)f->first_seed, (unsigned long long)f->packets,
		   (unsigned long long)f->changes, f->seconds,
		   (double)f->packets / (f->seconds ? f->seconds : 1), f->jobs);
}

void figures_print(struct buf *b, const struct figures *f)
{
	sum(b, f);
	buf_addz(b, "\n");
	cover_print(b, &f->cover);
}

static void section(struct buf *b, const struct figures *f)
{
	struct utsname u;
	char day[32] = "";
	time_t now = time(NULL);
	struct tm tm;
	if (gmtime_r(&now, &tm))
		strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	buf_addz(b, begins);
	buf_addz(b, "## Proof: reference, engine and kernel agree\n\n`make prove`: random clusters that "
		    "change step by "
		    "step, random packets; the reference model, the rows as the engine reads them and ");
	buf_addz(
	    b,
	    f->kernel
		? "the kernel's own programs (with `weft_ask`) must agree on each verdict, its rule and its "
		  "cause, and on what staged policies would say.\n\n"
		: "nothing else were compared: the kernel was left out.\n\n");
	sum(b, f);
	buf_printf(b, ": **%s**.", f->agreed ? "no difference" : "a difference");
	if (!uname(&u))
		buf_printf(b, " Linux %s, %s.", u.release, day);
	buf_addz(b, "\n\n```\n");
	cover_print(b, &f->cover);
	buf_addz(b, "```\n");
	buf_addz(b, ends);
}

static int read_all(const char *path, struct buf *b)
{
	char part[4096];
	size_t n;
	FILE *file = fopen(path, "r");
	if (!file)
		return errno == ENOENT ? 0 : -errno;
	while ((n = fread(part, 1, sizeof(part), file)))
		buf_add(b, part, n);
	fclose(file);
	return 0;
}

int figures_write(const char *path, const struct figures *f)
{
	AUTO_BUF was = {0}, text = {0};
	int e = read_all(path, &was);
	if (e)
		return e;
	char *from = was.n ? strstr(was.p, begins) : NULL, *to = from ? strstr(from, ends) : NULL;
	if (from && to) {
		buf_add(&text, was.p, (size_t)(from - was.p));
		section(&text, f);
		buf_addz(&text, to + sizeof(ends) - 1);
	} else {
		buf_adds(&text, buf_str(&was));
		buf_addz(&text, was.n ? "\n" : "");
		section(&text, f);
	}
	FILE *file = fopen(path, "w");
	if (!file)
		return -errno;
	e = fwrite(text.p, 1, text.n, file) == text.n ? 0 : -EIO;
	return fclose(file) ? -errno : e;
}
