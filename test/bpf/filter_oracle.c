/* SPDX-License-Identifier: Apache-2.0 */
/* libpcap as the oracle: see filter_oracle.h. */
#include "filter_oracle.h"

#include <dirent.h>
#include <pcap/pcap.h>
#include <stdio.h>

_Static_assert(sizeof(struct bpf_insn) == sizeof(struct filter_classic), "the same instruction");

bool oracle_classic(const struct filter_classic *c, uint32_t n, const uint8_t *p, uint32_t len)
{
	struct bpf_insn insns[4096];

	for (uint32_t i = 0; i < n && i < 4096; i++)
		insns[i] = (struct bpf_insn){.code = c[i].code, .jt = c[i].jt, .jf = c[i].jf, .k = c[i].k};
	return bpf_filter(insns, p, len, len);
}

bool oracle_captures(const char *folder,
		     void (*fn)(void *ctx, const char *file, const uint8_t *p, uint32_t caplen), void *ctx,
		     unsigned *files)
{
	DIR *dir = opendir(folder);

	if (!dir)
		return false;
	for (struct dirent *e; (e = readdir(dir));) {
		char path[4400], error[PCAP_ERRBUF_SIZE];
		struct pcap_pkthdr *h;
		const uint8_t *p;
		pcap_t *pcap;

		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		pcap = e->d_name[0] == '.' ? NULL : pcap_open_offline(path, error);
		if (!pcap)
			continue;
		if (pcap_datalink(pcap) == DLT_EN10MB) {
			++*files;
			while (pcap_next_ex(pcap, &h, &p) == 1)
				fn(ctx, e->d_name, p, h->caplen);
		}
		pcap_close(pcap);
	}
	closedir(dir);
	return true;
}
