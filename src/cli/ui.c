/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft ui`: asks the hub for a link that logs in once, prints it, and has the desktop open it, as the user
 * who sits before it and never as root.
 */
#include "cli/ui.h"

#include "base/own.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/output.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/wait.h>

int ui_link(const char *cluster, const char *user, struct buf *url)
{
	char path[CLUSTER_PATH];
	AUTO_BUF answer = {0};
	AUTO_JSON body = user ? json_pack("{s:s}", "user", user) : NULL;
	AUTO_MEM char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

	cluster_path(path, cluster, "hub.sock");
	long code =
	    http_request(path, "POST", "/apis/weft.network/internal/login", NULL, str_of(text), &answer);
	if (code != 200) {
		if (code > 0)
			http_tell(code, buf_str(&answer));
		return -1;
	}
	AUTO_JSON v = json_loadb(answer.p, answer.n, 0, NULL);
	const char *found = json_string_value(json_object_get(v, "url"));
	buf_addz(url, found ? found : "");
	return found && !url->failed ? 0 : -1;
}

/* Who sat down and typed sudo; without one, root has no desktop. */
static bool become_user(void)
{
	const char *id = getenv("SUDO_UID");
	int64_t uid;

	if (geteuid())
		return true;
	if (!id || str_to_i64(str_of(id), 1, INT32_MAX, &uid))
		return false;
	const struct passwd *pw = getpwuid((uid_t)uid);
	return pw && !initgroups(pw->pw_name, pw->pw_gid) && !setgid(pw->pw_gid) && !setuid(pw->pw_uid) &&
	       !setenv("HOME", pw->pw_dir, 1);
}

/* Whether a desktop took it. The opener goes on by itself. */
static bool open_there(const char *url)
{
	int status = 0;

	if (!getenv("DISPLAY") && !getenv("WAYLAND_DISPLAY"))
		return false;
	pid_t pid = fork();
	if (!pid) {
		if (!become_user() || !freopen("/dev/null", "w", stdout) ||
		    !freopen("/dev/null", "w", stderr))
			_exit(1);
		execlp("xdg-open", "xdg-open", url, NULL);
		_exit(1);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && !WEXITSTATUS(status);
}

int cmd_ui(const struct options_ui *o)
{
	const char *cluster = cluster_name(o->name);
	AUTO_BUF url = {0};

	if (!cluster)
		return EXIT_USAGE;
	if (!cluster_need(cluster) || ui_link(cluster, o->user, &url))
		return EXIT_FAILED;
	if (o->output) {
		AUTO_JSON v = json_pack("{s:s}", "url", url.p);
		output_value(v, o->output);
		return EXIT_OK;
	}
	printf("%s\n", url.p);
	fflush(stdout);
	if (!o->print)
		open_there(url.p);
	return EXIT_OK;
}
