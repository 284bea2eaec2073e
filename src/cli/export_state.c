/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The place, numbers and losses of an exporter: see export.h. A file is mapped, so that each store is kept
 * when the process is killed between two instructions; one exporter at a time has it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/own.h"
#include "cli/export.h"

static const char magic[8] = {'w', 'e', 'f', 't', 'e', 'x', 'p', '1'};

const char *export_loss_name(enum export_loss l)
{
	static const char *const names[] = {"behind", "disk", "restart", "refused", "unsure"};

	return names[l];
}

/* An open state file keeps its lock until the process ends. */
static int open_file(const char *path, bool *fresh)
{
	AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		cli_error(NULL, "--state %s: %s", path, strerror(errno));
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		cli_error("give each exporter a file of its own", "--state %s: another exporter has it",
			  path);
		return -1;
	}
	*fresh = !st.st_size;
	if (st.st_size && st.st_size != sizeof(struct export_state)) {
		cli_error("name another file", "--state %s: this is no exporter's state", path);
		return -1;
	}
	/* its room is taken now: a mapping of a full disk would end the process */
	if (*fresh && (errno = posix_fallocate(fd, 0, sizeof(struct export_state)))) {
		cli_error(NULL, "--state %s: %s", path, strerror(errno));
		if (ftruncate(fd, 0))
			unlink(path);
		return -1;
	}
	return TAKE_FD(fd);
}

static bool is_of(const struct export_state *s, const char *path, uint64_t what)
{
	if (memcmp(s->magic, magic, sizeof(magic)) || s->nodes_len > EXPORT_NODES_MAX ||
	    s->phase > PHASE_SENT) {
		cli_error("name another file", "--state %s: this is no exporter's state", path);
		return false;
	}
	if (s->what == what)
		return true;
	cli_error("name another file, or remove it to begin anew",
		  "--state %s: it is of an exporter with another collector, filter or form", path);
	return false;
}

struct export_state *export_state_open(const char *path, uint64_t what)
{
	int flags = path ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, fd = -1;
	struct export_state *s;
	bool fresh = true;

	if (path && (fd = open_file(path, &fresh)) < 0)
		return NULL;
	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, flags, fd, 0);
	if (s == MAP_FAILED) {
		cli_error(NULL, "the exporter's state: %s", strerror(errno));
		return NULL;
	}
	/* an empty magic: it was killed while it made the file */
	if (fresh || !s->magic[0]) {
		s->what = what;
		memcpy(s->magic, magic, sizeof(magic));
	} else if (!is_of(s, path, what)) {
		export_state_close(&s);
	}
	return s;
}

void export_state_close(struct export_state **s)
{
	if (*s)
		munmap(*s, sizeof(**s));
	*s = NULL;
}

struct export_node *export_state_node(struct export_state *s, const char *name, bool make)
{
	struct export_node *n = NULL;

	for (uint32_t i = 0; i < s->nodes_len; i++)
		if (!strcmp(s->nodes[i].name, name))
			return &s->nodes[i];
	if (!make || strlen(name) >= sizeof(n->name))
		return NULL;
	for (uint32_t i = 0; i < s->nodes_len && !n; i++)
		if (!s->nodes[i].present && !s->nodes[i].pending) /* of a node that is gone */
			n = &s->nodes[i];
	if (s->nodes_len < EXPORT_NODES_MAX)
		n = &s->nodes[s->nodes_len];
	if (!n)
		return NULL;
	*n = (struct export_node){.present = 1};
	memcpy(n->name, name, strlen(name));
	if (n == &s->nodes[s->nodes_len])
		s->nodes_len++;
	return n;
}

uint64_t export_lost(const struct export_state *s)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < LOSSES; i++)
		sum += s->lost[i];
	return sum;
}
