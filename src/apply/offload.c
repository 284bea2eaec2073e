/* SPDX-License-Identifier: Apache-2.0 */
/* Features of links by ethtool: see offload.h. */
#include "apply/offload.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/own.h"

enum { FEATURES_MAX = OFFLOAD_BLOCKS * 32 };

struct features {
	struct ethtool_gfeatures head;
	struct ethtool_get_features_block blocks[OFFLOAD_BLOCKS];
};
struct wanted {
	struct ethtool_sfeatures head;
	struct ethtool_set_features_block blocks[OFFLOAD_BLOCKS];
};
struct names {
	struct ethtool_gstrings head;
	char name[FEATURES_MAX][ETH_GSTRING_LEN];
};
struct count {
	struct ethtool_sset_info head;
	uint32_t n;
};

static int call(int fd, const char *name, void *data)
{
	struct ifreq r = {.ifr_data = data};

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	return ioctl(fd, SIOCETHTOOL, &r) < 0 ? -errno : 0;
}

static int take_names(int fd, const char *link, struct names *out)
{
	struct count c = {.head = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1u << ETH_SS_FEATURES}};
	int err = call(fd, link, &c);

	if (err)
		return err;
	if (!c.head.sset_mask || c.n > FEATURES_MAX)
		return -EOPNOTSUPP;
	out->head =
	    (struct ethtool_gstrings){.cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_FEATURES, .len = c.n};
	return call(fd, link, out);
}

static int set(int fd, const char *link, const struct offload *which, bool on)
{
	struct wanted w = {.head = {.cmd = ETHTOOL_SFEATURES, .size = which->blocks}};

	for (unsigned i = 0; i < OFFLOAD_BLOCKS; i++) {
		w.blocks[i].valid = which->bits[i];
		w.blocks[i].requested = on ? which->bits[i] : 0;
	}
	return call(fd, link, &w);
}

/* Those that are on and `mine`. */
static int find(int fd, const char *link, bool (*mine)(const char *feature), struct offload *out)
{
	struct features f = {.head = {.cmd = ETHTOOL_GFEATURES, .size = OFFLOAD_BLOCKS}};
	AUTO_MEM struct names *names = calloc(1, sizeof(*names));
	int err = fd < 0 ? -errno : names ? take_names(fd, link, names) : -ENOMEM;

	*out = (struct offload){0};
	if (!err)
		err = call(fd, link, &f);
	if (!err)
		out->blocks = (names->head.len + 31) / 32;
	for (uint32_t i = 0; !err && i < names->head.len; i++) {
		uint32_t bit = 1u << i % 32;

		names->name[i][ETH_GSTRING_LEN - 1] = '\0';
		if (f.blocks[i / 32].active & bit && mine(names->name[i]))
			out->bits[i / 32] |= bit;
	}
	return err;
}

static bool starts(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

static bool is_virtio_strange(const char *feature)
{
	if (!starts(feature, "tx-"))
		return false;
	if (strstr(feature, "segmentation"))
		return strcmp(feature, "tx-tcp-segmentation") && strcmp(feature, "tx-tcp6-segmentation") &&
		       strcmp(feature, "tx-tcp-ecn-segmentation") &&
		       strcmp(feature, "tx-generic-segmentation");
	return !strcmp(feature, "tx-gso-list") || !strcmp(feature, "tx-gso-partial") ||
	       !strcmp(feature, "tx-checksum-sctp") || !strcmp(feature, "tx-checksum-fcoe-crc");
}

static bool is_unfinished(const char *feature)
{
	return starts(feature, "tx-") && (strstr(feature, "segmentation") || starts(feature, "tx-checksum") ||
					  starts(feature, "tx-gso-"));
}

static bool is_tag(const char *feature)
{
	return !strcmp(feature, "rx-vlan-hw-parse") || !strcmp(feature, "rx-vlan-stag-hw-parse");
}

static bool is_beside(const char *feature)
{
	return is_unfinished(feature) || !strcmp(feature, "tx-vlan-hw-insert") ||
	       !strcmp(feature, "tx-vlan-stag-hw-insert");
}

static int ask(const char *name, bool (*mine)(const char *feature), struct offload *out)
{
	AUTO_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return find(fd, name, mine, out);
}

int offload_virtio(const char *name)
{
	struct offload strange;
	int err = ask(name, is_virtio_strange, &strange);

	return err ? err : offload_set(name, &strange, false);
}

int offload_unfinished(const char *name, struct offload *out)
{
	return ask(name, is_unfinished, out);
}

int offload_tags(const char *name, struct offload *in)
{
	return ask(name, is_tag, in);
}

int offload_beside(const char *name, struct offload *out)
{
	return ask(name, is_beside, out);
}

int offload_set(const char *name, const struct offload *which, bool on)
{
	AUTO_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return set(fd, name, which, on);
}
