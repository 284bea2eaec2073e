/* SPDX-License-Identifier: Apache-2.0 */
/* See door.h. */
#include "serve/door.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <strings.h>

enum { HOST_MAX = 260 };

/* The host without its port, which a tunnel may have changed. False: it is none. */
static bool host_name(const char *host, char out[HOST_MAX])
{
	size_t n = strlen(host);
	const char *bracket = *host == '[' ? strchr(host, ']') : NULL;
	const char *colon = strchr(bracket ? bracket : host, ':');
	size_t len = colon ? (size_t)(colon - host) : n;

	if (!n || n >= HOST_MAX || !len || (*host == '[' && (!bracket || bracket[1] != (colon ? ':' : 0))))
		return false;
	for (const char *p = colon ? colon + 1 : ""; *p; p++)
		if (!isdigit((unsigned char)*p))
			return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)host[i];
		if (!isalnum(c) && !strchr(bracket ? "[]:.%" : "-._", c))
			return false;
		out[i] = (char)tolower(c);
	}
	out[len] = 0;
	return true;
}

static bool is_address(char *name)
{
	unsigned char bytes[16];
	size_t n = strlen(name);

	if (*name != '[')
		return inet_pton(AF_INET, name, bytes) == 1;
	name[n - 1] = 0;
	bool six = inet_pton(AF_INET6, name + 1, bytes) == 1;
	name[n - 1] = ']';
	return six;
}

static bool host_is_ours(const struct door *d, const char *host)
{
	char name[HOST_MAX];

	if (!host_name(host, name))
		return false;
	VEC_EACH (&d->names, ours)
		if (!strcmp(*ours, name))
			return true;
	return d->addresses && is_address(name);
}

static bool origin_is_ours(const struct door *d, const struct door_knock *k)
{
	char ours[HOST_MAX + 16];

	snprintf(ours, sizeof(ours), "%s://%s", d->tls ? "https" : "http", k->host);
	return !strcasecmp(k->origin, ours);
}

bool door_reads(const char *method)
{
	return !strcmp(method, "GET") || !strcmp(method, "HEAD");
}

/* Compares all of it, whatever differs. */
static bool same_word(const char *a, const char *b)
{
	size_t n = strlen(b);
	unsigned differ = strlen(a) != n;

	for (size_t i = 0; !differ && i < n; i++)
		differ |= (unsigned char)(a[i] ^ b[i]);
	return n && !differ;
}

enum door_verdict door_check(const struct door *d, const struct door_knock *k)
{
	bool reads = door_reads(k->method);
	bool navigates = k->entrance && reads && !strcmp(k->mode, "navigate");

	if (!host_is_ours(d, k->host))
		return DOOR_HOST;
	if (*k->origin && !origin_is_ours(d, k))
		return DOOR_ORIGIN;
	if (*k->site && strcmp(k->site, "same-origin") != 0 && strcmp(k->site, "none") != 0 && !navigates)
		return DOOR_ORIGIN;
	/* A browser says one of them with each write. */
	if (!reads && !*k->origin && !*k->site)
		return DOOR_ORIGIN;
	if (!reads && k->token && !same_word(k->csrf, k->token))
		return DOOR_CSRF;
	return DOOR_OPEN;
}

const char *door_why(enum door_verdict v)
{
	switch (v) {
	case DOOR_OPEN:
		break;
	case DOOR_HOST:
		return "this name is none of the page's: open it by the address that weft ui prints";
	case DOOR_ORIGIN:
		return "the request comes from another site, or does not say from where: a write needs the "
		       "Origin of this page";
	case DOOR_CSRF:
		return "the header Weft-Csrf is missing or not this session's: read it from /page/me";
	}
	return "";
}

struct str cookie_get(struct str header, const char *name)
{
	struct str found = {0};
	unsigned n = 0;

	while (header.n) {
		struct str value = str_trim(str_cut(&header, ';'));
		struct str key = str_cut(&value, '=');

		if (!str_eqz(key, name))
			continue;
		found = value;
		n++;
	}
	return n == 1 ? found : (struct str){0};
}
