/* SPDX-License-Identifier: Apache-2.0 */
/* Packets as lines, as JSON or as pcapng: see capture.h. Dissects nothing itself: src/filter does. */
#include "cli/capture.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/when.h"
#include "filter/dissect.h"
#include "object/object.h"

int capture_show_row(struct capture_show *s, const char *each, int64_t keep)
{
	enum { BYTES_MIN = 64 << 10 };
	uint64_t bytes = 0;
	int64_t ns = 0;

	s->row.keep = (uint32_t)keep;
	if (!when_span(each, &ns)) {
		s->row.max_time = (uint64_t)ns;
	} else if (!quantity_number(str_of(each), &bytes) && bytes >= BYTES_MIN) {
		s->row.max_bytes = bytes;
	} else {
		cli_error("as 100M, 64Mi or 1G, at least 64Ki; or as 60s, 5m, 1h",
			  "--rotate is a size or a time, not \"%s\"", each);
		return -1;
	}
	return 0;
}

int capture_show_open(struct capture_show *s, const struct pcapng_section *section)
{
	int r = 0;

	if (s->form != CAPTURE_PCAPNG)
		return 0;
	if (!strcmp(s->path, "-"))
		r = pcapng_file_attach(&s->file, STDOUT_FILENO, section, NULL);
	else
		r = pcapng_file_open(&s->file, s->path, section, &s->row);
	if (r)
		cli_error(r == -ELOOP ? "name the file that it leads to" : NULL, "%s: %s", s->path,
			  strerror(-r));
	s->failed = r;
	return r ? -1 : 0;
}

/* What a file said: whoever reads a pipe may go when it wants to. */
static int settle(struct capture_show *s, int r)
{
	if (r == -EPIPE)
		s->gone = true;
	else if (r && !s->failed) {
		s->failed = true;
		cli_error(r == -ENOSPC ? "the file is whole up to there" : NULL, "%s: %s", s->path,
			  strerror(-r));
	}
	return r ? -1 : 0;
}

/* Texts are of whoever captured: nothing in them may steer a terminal. */
static void make_plain(char *p)
{
	for (; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 127)
			*p = '?';
}

static void add_plain(struct buf *b, const char *before, struct str s)
{
	buf_addz(b, before);
	size_t at = b->n;

	buf_adds(b, s);
	if (!b->failed && b->p)
		make_plain(b->p + at);
}

/* --- names -----------------------------------------------------------------------------------------------
 */

static int keep_names(struct capture_show *s, const struct pcapng_name *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		void *old = NULL;
		char *text = strndup(names[i].name.p, names[i].name.n);

		if (!text ||
		    hash_set(&s->names, (struct str){(const char *)names[i].addr.b, 16}, text, &old)) {
			free(text);
			return -1;
		}
		make_plain(text);
		free(old);
	}
	return 0;
}

static const char *name_of(const struct capture_show *s, const struct addr *a)
{
	return hash_get(&s->names, (struct str){(const char *)a->b, 16});
}

/* --- lines -----------------------------------------------------------------------------------------------
 */

static const char *protocol(uint8_t proto, char number[16])
{
	switch (proto) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_SCTP:
		return "sctp";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "icmp6";
	default:
		snprintf(number, 16, "ip-proto-%u", proto);
		return number;
	}
}

static void end_text(struct buf *b, const struct capture_show *s, const struct addr *a, bool ports,
		     uint16_t port)
{
	const char *name = name_of(s, a);
	char text[ADDR_TEXT];

	addr_print(a, text);
	if (name)
		buf_addz(b, name);
	else if (ports && !addr_is4(a))
		buf_printf(b, "[%s]", text);
	else
		buf_addz(b, text);
	if (ports)
		buf_printf(b, ":%u", port);
}

static void mac_text(struct buf *b, uint64_t mac)
{
	for (int i = 40; i >= 0; i -= 8)
		buf_printf(b, "%02x%s", (unsigned)(mac >> i) & 0xff, i ? ":" : "");
}

static void flags_text(struct buf *b, uint8_t flags)
{
	static const char letters[] = "FSRPAUEC";

	for (unsigned i = 0; i < 8; i++)
		if (flags & 1u << i)
			buf_addc(b, letters[i] == 'A' ? '.' : letters[i]);
}

static void headers_text(struct buf *b, const struct capture_show *s, const struct dissected *d)
{
	char number[16];

	if (d->has & HAS_VLAN)
		buf_printf(b, "vlan %u ", d->vlan & 0xfffu);
	if (d->has & HAS_IP) {
		buf_printf(b, "%s ", protocol(d->proto, number));
		end_text(b, s, &d->src, d->has & HAS_PORTS, d->sport);
		buf_addz(b, " > ");
		end_text(b, s, &d->dst, d->has & HAS_PORTS, d->dport);
		if (d->has & HAS_TCP) {
			buf_addz(b, " [");
			flags_text(b, d->tcp_flags);
			buf_addc(b, ']');
		} else if (d->has & HAS_ICMP) {
			buf_printf(b, " type %u code %u", d->icmp_type, d->icmp_code);
		}
		if (d->has & HAS_FRAGMENT)
			buf_addz(b, " fragment");
		return;
	}
	if (d->has & HAS_ETHERTYPE)
		buf_printf(b, d->has & HAS_ARP ? "arp " : "ethertype 0x%04x ", d->ethertype);
	if (d->has & HAS_ETH) {
		mac_text(b, d->smac);
		buf_addz(b, " > ");
		mac_text(b, d->dmac);
	}
}

static bool is_dropped(const struct pcapng_packet *p)
{
	for (unsigned i = 0; i < p->comments_n; i++)
		if (str_starts(p->comments[i], STR("dropped")))
			return true;
	return false;
}

static void print_line(const struct capture_show *s, const struct pcapng_packet *p, const struct dissected *d)
{
	static const char *const ways[] = {"", " in", " out"};
	AUTO_BUF b = {0};
	char at[WHEN_TEXT];
	bool dropped = is_dropped(p);

	when_text((int64_t)p->time, false, at);
	buf_printf(&b, "%s.%06u %s%s%s%s  ", at, (unsigned)(p->time % 1000000000 / 1000),
		   output_style(STYLE_DIM), s->interfaces.items[p->interface].name, ways[p->direction],
		   output_style(STYLE_PLAIN));
	buf_addz(&b, output_style(dropped ? STYLE_RED : STYLE_PLAIN));
	headers_text(&b, s, d);
	buf_printf(&b, " %u bytes", p->len);
	for (unsigned i = 0; i < p->comments_n; i++)
		add_plain(&b, i ? "; " : "  ", p->comments[i]);
	buf_addz(&b, output_style(STYLE_PLAIN));
	if (p->has_dropped && p->dropped)
		buf_printf(&b, "  (%" PRIu64 " lost before it)", p->dropped);
	puts(b.p ? b.p : "");
}

static json_t *end_json(const struct capture_show *s, const struct addr *a, bool ports, uint16_t port)
{
	const char *name = name_of(s, a);
	char text[ADDR_TEXT];
	json_t *v;

	addr_print(a, text);
	v = json_pack("{s:s}", "ip", text);
	if (ports)
		json_object_set_new(v, "port", json_integer(port));
	if (name)
		json_object_set_new(v, "name", json_string(name));
	return v;
}

static void print_json(const struct capture_show *s, const struct pcapng_packet *p, const struct dissected *d)
{
	const char *name = s->interfaces.items[p->interface].name, *slash = strchr(name, '/');
	AUTO_JSON v =
	    json_pack("{s:I,s:s%,s:s,s:I,s:I}", "time", (json_int_t)p->time, "node", name,
		      slash ? (size_t)(slash - name) : strlen(name), "place", slash ? slash + 1 : name,
		      "length", (json_int_t)p->len, "captured", (json_int_t)p->caplen);
	char number[16];

	if (p->direction)
		json_object_set_new(v, "direction", json_string(p->direction == PCAPNG_IN ? "in" : "out"));
	if (d->has & HAS_VLAN)
		json_object_set_new(v, "vlan", json_integer(d->vlan & 0xfff));
	if (d->has & HAS_ETHERTYPE)
		json_object_set_new(v, "ethertype", json_integer(d->ethertype));
	if (d->has & HAS_IP) {
		json_object_set_new(v, "protocol", json_string(protocol(d->proto, number)));
		json_object_set_new(v, "from", end_json(s, &d->src, d->has & HAS_PORTS, d->sport));
		json_object_set_new(v, "to", end_json(s, &d->dst, d->has & HAS_PORTS, d->dport));
	}
	if (d->has & HAS_TCP) {
		AUTO_BUF flags = {0};

		flags_text(&flags, d->tcp_flags);
		json_object_set_new(v, "flags", json_string(flags.p ? flags.p : ""));
	}
	if (p->comments_n) {
		json_t *all = json_array();

		for (unsigned i = 0; i < p->comments_n; i++)
			json_array_append_new(all, json_stringn(p->comments[i].p, p->comments[i].n));
		json_object_set_new(v, "comments", all);
	}
	if (p->has_dropped && p->dropped)
		json_object_set_new(v, "lostBefore", json_integer((json_int_t)p->dropped));
	AUTO_MEM char *text = json_dumps(v, JSON_COMPACT);

	if (text)
		puts(text);
}

/* --- blocks ----------------------------------------------------------------------------------------------
 */

enum { COMMENTS_MAX = 8 };

/* One comment more: by which rule it passed, or not. */
static void add_rule(struct capture_show *s, struct pcapng_packet *p, const struct dissected *d,
		     struct str comments[COMMENTS_MAX])
{
	const char *text = NULL;

	if (p->comments_n < COMMENTS_MAX)
		text = capture_rules_of(s->rules, s->interfaces.items[p->interface].name, name_of(s, &d->src),
					name_of(s, &d->dst), d, is_dropped(p), p->time);
	if (!text)
		return;
	for (unsigned i = 0; i < p->comments_n; i++)
		comments[i] = p->comments[i];
	comments[p->comments_n++] = str_of(text);
	p->comments = comments;
}

static int show_packet(struct capture_show *s, const struct pcapng_packet *p)
{
	struct filter_packet f = {
	    .p = p->p, .caplen = p->caplen, .len = p->len, .link = s->interfaces.items[p->interface].link};
	struct str comments[COMMENTS_MAX];
	struct pcapng_packet with = *p;
	struct dissected d = {0};

	if (s->full || (s->filter && !filter_packet(s->filter, &f)))
		return 0;
	s->packets++;
	s->bytes += p->caplen;
	s->interfaces.items[p->interface].packets++;
	if (p->has_dropped)
		s->interfaces.items[p->interface].missing += p->dropped;
	s->full = s->limit && s->packets == s->limit;
	if (s->rules || s->form != CAPTURE_PCAPNG)
		dissect(&d, &f);
	if (s->rules)
		add_rule(s, &with, &d, comments);
	if (s->form == CAPTURE_PCAPNG)
		return settle(s, pcapng_file_packet(s->file, &with));
	if (s->form == CAPTURE_JSON)
		print_json(s, &with, &d);
	else
		print_line(s, &with, &d);
	return 0;
}

static int show_interface(struct capture_show *s, const struct pcapng_interface *i, struct str comment)
{
	struct pcapng_interface with = *i;
	struct capture_interface new = {.name = strndup(i->name.p ? i->name.p : "", i->name.n),
					.link = i->link};
	uint32_t number;

	if (new.name)
		make_plain(new.name);
	if (!new.name || vec_push(&s->interfaces, new)) {
		free(new.name);
		return -1;
	}
	if (!with.comment.n)
		with.comment = comment;
	return s->file ? settle(s, pcapng_file_interface(s->file, &with, &number)) : 0;
}

int capture_show_block(struct capture_show *s, const struct pcapng_block *b, struct str comment)
{
	struct capture_interface *i;

	switch (b->kind) {
	case PCAPNG_SECTION:
		break;
	case PCAPNG_INTERFACE:
		return show_interface(s, &b->interface, comment);
	case PCAPNG_PACKET:
		return show_packet(s, &b->packet);
	case PCAPNG_NAMES:
		if (keep_names(s, b->names, b->names_n))
			return -1;
		return s->file ? settle(s, pcapng_file_names(s->file, b->names, b->names_n)) : 0;
	case PCAPNG_STATISTICS:
		i = &s->interfaces.items[b->statistics.interface];
		i->last = b->statistics;
		i->last.comment = (struct str){0};
		i->counted = true;
		break;
	}
	return 0;
}

int capture_show_flush(struct capture_show *s)
{
	/* It may be long until there is something to write, and nodes would copy for nobody. */
	if (s->file && pcapng_file_left(s->file))
		return settle(s, -EPIPE);
	if (s->file)
		return settle(s, pcapng_file_flush(s->file));
	if (s->form != CAPTURE_PCAPNG && (fflush(stdout) || ferror(stdout)))
		s->gone = true;
	return s->gone ? -1 : 0;
}

int capture_show_close(struct capture_show *s)
{
	for (uint32_t i = 0; s->file && i < s->interfaces.len; i++) {
		struct capture_interface *one = &s->interfaces.items[i];

		one->last.interface = i;
		one->last.has_delivered = true;
		one->last.delivered = one->packets;
		if (one->counted && settle(s, pcapng_file_statistics(s->file, &one->last)))
			break;
	}
	if (s->file)
		settle(s, pcapng_file_close(&s->file, NULL));
	return s->failed ? -1 : 0;
}

void capture_show_lost(const struct capture_show *s, const char *node, uint64_t *slow, uint64_t *room)
{
	size_t n = node ? strlen(node) : 0;

	*slow = *room = 0;
	VEC_EACH (&s->interfaces, i)
		if (!node || (!strncmp(i->name, node, n) && i->name[n] == '/')) {
			*slow += i->last.os_dropped > i->missing ? i->last.os_dropped : i->missing;
			*room += i->last.dropped;
		}
}

void capture_show_fini(struct capture_show *s)
{
	if (s->file)
		pcapng_file_close(&s->file, NULL);
	HASH_EACH (&s->names, slot)
		free(slot->value);
	hash_fini(&s->names);
	VEC_EACH (&s->interfaces, i)
		free(i->name);
	vec_free(&s->interfaces);
}
