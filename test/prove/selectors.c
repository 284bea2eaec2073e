/* SPDX-License-Identifier: Apache-2.0 */
/* Labels, selectors, prefixes and ports, over small alphabets. */
#include "generate.h"

struct alphabet {
	const char *key, *values[3];
};
static const struct alphabet of_pods[] = {
    {"app", {"web", "db", "fe"}}, {"tier", {"1", "2", ""}}, {"k8s-app", {"kube-dns", "x", "y"}}};
static const struct alphabet of_spaces[] = {
    {"team", {"red", "blue", "green"}}, {"env", {"dev", "prod", ""}}, {"extra", {"1", "2", "3"}}};

static const struct alphabet *letter(struct generator *g, bool space)
{
	uint32_t which = dice_throw(&g->dice, 7); /* the first is the most frequent */
	which = which < 4 ? 0 : which < 6 ? 1 : 2;
	return space ? &of_spaces[which] : &of_pods[which];
}

void generate_labels(struct generator *g, struct buf *b, bool space, bool dns)
{
	const struct alphabet *all = space ? of_spaces : of_pods;
	bool some = dns;
	buf_addz(b, dns ? "{\"k8s-app\":\"kube-dns\"" : "{");
	for (int i = 0; i < (dns ? 2 : 3); i++) {
		if (!dice_in(&g->dice, i == 0 ? 92 : i == 1 ? 60 : 15))
			continue;
		buf_printf(b, "%s\"%s\":\"%s\"", some ? "," : "", all[i].key,
			   DICE_PICK(&g->dice, all[i].values));
		some = true;
	}
	buf_addc(b, '}');
}

static void requirement(struct generator *g, struct buf *b, bool space)
{
	static const char *const ops[] = {"In", "In", "NotIn", "NotIn", "Exists", "DoesNotExist"};
	const struct alphabet *a = letter(g, space);
	uint32_t op = dice_throw(&g->dice, 6);
	buf_printf(b, "{\"key\":\"%s\",\"operator\":\"%s\"", a->key, ops[op]);
	if (op < 4) {
		uint32_t first = dice_throw(&g->dice, 3);
		buf_printf(b, ",\"values\":[\"%s\"", a->values[first]);
		if (dice_in(&g->dice, 40))
			buf_printf(b, ",\"%s\"", a->values[(first + 1) % 3]);
		buf_addc(b, ']');
	}
	buf_addc(b, '}');
}

void generate_selector(struct generator *g, struct buf *b, bool space)
{
	uint32_t form = dice_throw(&g->dice, 100);
	const struct alphabet *a = letter(g, space);
	if (form < 30) {
		buf_addz(b, "{}");
		return;
	}
	if (space && form < 42) { /* NP18 */
		buf_printf(b, "{\"matchLabels\":{\"kubernetes.io/metadata.name\":\"%s\"}}",
			   space_name(dice_throw(&g->dice, SPACES)));
		return;
	}
	buf_addc(b, '{');
	if (form < 75)
		buf_printf(b, "\"matchLabels\":{\"%s\":\"%s\"}", a->key, DICE_PICK(&g->dice, a->values));
	if (form >= 65) {
		buf_printf(b, "%s\"matchExpressions\":[", form < 75 ? "," : "");
		requirement(g, b, space);
		if (dice_in(&g->dice, 25)) {
			buf_addc(b, ',');
			requirement(g, b, space);
		}
		buf_addc(b, ']');
	}
	buf_addc(b, '}');
}

/* Lengths where blocks tell pods, nodes and ranges apart, and any other. */
static uint8_t some_length(struct generator *g, bool v4, uint8_t above)
{
	static const uint8_t fours[] = {0, 8, 16, 20, 24, 25, 27, 28, 29, 30, 31, 32};
	static const uint8_t sixes[] = {0, 16, 32, 48, 49, 64, 80, 96, 122, 124, 126, 127, 128};
	for (;;) {
		uint8_t len = (uint8_t)(v4 ? 96 + (dice_in(&g->dice, 70) ? DICE_PICK(&g->dice, fours)
									 : dice_throw(&g->dice, 33))
					   : (dice_in(&g->dice, 70) ? DICE_PICK(&g->dice, sixes)
								    : dice_throw(&g->dice, 129)));
		if (len > above || !above)
			return len;
	}
}

static void print_prefix(struct buf *b, const struct prefix *p)
{
	char text[PREFIX_TEXT];
	prefix_print(p, text);
	buf_printf(b, "\"%s\"", text);
}

void generate_prefix(struct generator *g, struct buf *b, struct prefix *out)
{
	struct prefix p = {.addr = g->known.items[dice_throw(&g->dice, (uint32_t)g->known.len)]};
	p.len = some_length(g, addr_is4(&p.addr), 0);
	*out = p;
	prefix_mask(&out->addr, p.len);
	/* now and then with bits behind the prefix, which are ignored */
	print_prefix(b, dice_in(&g->dice, 8) ? &p : out);
}

/* A smaller range inside, around a known address where there is one. */
static bool exception(struct generator *g, const struct prefix *p, bool v4, struct prefix *out)
{
	for (int i = 0; i < 40; i++) {
		const struct addr *a = &g->known.items[dice_throw(&g->dice, (uint32_t)g->known.len)];
		if (addr_is4(a) != v4 || !prefix_has(p, a))
			continue;
		out->addr = *a;
		out->len = some_length(g, v4, p->len ? p->len : 1);
		prefix_mask(&out->addr, out->len);
		return true;
	}
	return false;
}

void generate_block(struct generator *g, struct buf *b)
{
	struct prefix p, hole;
	buf_addz(b, "{\"cidr\":");
	generate_prefix(g, b, &p);
	bool v4 = p.len >= 96 && addr_is4(&p.addr);
	uint32_t holes = p.len < 128 ? dice_throw(&g->dice, 4) : 0, n = 0;
	for (uint32_t i = 0; i < holes; i++) {
		if (!exception(g, &p, v4, &hole))
			continue;
		buf_addz(b, n++ ? "," : ",\"except\":[");
		print_prefix(b, &hole);
	}
	buf_addz(b, n ? "]}" : "}");
}

uint16_t generate_port(struct generator *g)
{
	return g->ports.items[dice_throw(&g->dice, (uint32_t)g->ports.len)];
}
