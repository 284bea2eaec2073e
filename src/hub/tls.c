/* SPDX-License-Identifier: Apache-2.0 */
/* Makes and reads certificates by GnuTLS. Listens to nothing. See tls.h. */
#include "hub/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "base/log.h"
#include "base/own.h"

enum { DAYS = 3650, BACKDATE_SECONDS = 30 * 86400 };
enum role { ROLE_CA, ROLE_SERVER, ROLE_CLIENT, ROLE_PAGE };
static const char *const role_names[] = {"ca", "server", "client", "page"};

struct names { /* further ones that a server's certificate is for: hosts and addresses */
	char *const *items;
	size_t n;
};

static int read_file(int dir_fd, const char *name, struct buf *out)
{
	char text[4096];
	ssize_t n;
	AUTO_FD int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	while ((n = read(fd, text, sizeof(text))) > 0)
		buf_add(out, text, (size_t)n);
	return n < 0 || out->failed ? -EIO : 0;
}

static int write_file(int dir_fd, const char *name, const struct buf *text)
{
	AUTO_FD int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || write(fd, text->p, text->n) != (ssize_t)text->n)
		return errno ? -errno : -EIO;
	return 0;
}

static int each_file(struct tls_files *t, int dir_fd, int (*fn)(int, const char *, struct buf *))
{
	struct tls_identity *ids[] = {&t->ca, &t->server, &t->client};
	for (size_t i = 0; i < 3; i++) {
		char name[32];
		snprintf(name, sizeof(name), "%s.key", role_names[i]);
		int r = fn(dir_fd, name, &ids[i]->key);
		snprintf(name, sizeof(name), "%s.crt", role_names[i]);
		if (!r)
			r = fn(dir_fd, name, &ids[i]->cert);
		if (r)
			return r;
	}
	return 0;
}

static int write_one(int dir_fd, const char *name, struct buf *text)
{
	return write_file(dir_fd, name, text);
}

static int export(struct tls_identity *id, gnutls_x509_privkey_t key, gnutls_x509_crt_t crt)
{
	gnutls_datum_t d;
	int r = gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &d);
	if (r < 0)
		return r;
	buf_add(&id->key, d.data, d.size);
	gnutls_free(d.data);
	r = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &d);
	if (r < 0)
		return r;
	buf_add(&id->cert, d.data, d.size);
	gnutls_free(d.data);
	return id->key.failed || id->cert.failed ? GNUTLS_E_MEMORY_ERROR : 0;
}

/* An address without its brackets, or a name. */
static int set_name(gnutls_x509_crt_t crt, const char *name)
{
	unsigned char bytes[16];
	char plain[64];
	size_t n = strlen(name);
	if (*name == '[' && n < sizeof(plain))
		snprintf(plain, sizeof(plain), "%.*s", (int)n - 2, name + 1);
	else
		snprintf(plain, sizeof(plain), "%s", n < sizeof(plain) ? name : "");
	if (inet_pton(AF_INET, plain, bytes) == 1)
		return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, bytes, 4,
							    GNUTLS_FSAN_APPEND);
	if (inet_pton(AF_INET6, plain, bytes) == 1)
		return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, bytes, 16,
							    GNUTLS_FSAN_APPEND);
	return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, name, (unsigned)n,
						    GNUTLS_FSAN_APPEND);
}

static int set_names(gnutls_x509_crt_t crt, const struct names *more)
{
	struct in_addr four;
	static const char *const dns[] = {"localhost", "kubernetes", "kubernetes.default.svc"};
	int r = 0;
	for (size_t i = 0; i < 3 && r >= 0; i++)
		r = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, dns[i],
							 (unsigned)strlen(dns[i]),
							 i ? GNUTLS_FSAN_APPEND : GNUTLS_FSAN_SET);
	inet_pton(AF_INET, "127.0.0.1", &four);
	if (r >= 0)
		r = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, &four, sizeof(four),
							 GNUTLS_FSAN_APPEND);
	for (size_t i = 0; i < more->n && r >= 0; i++)
		r = set_name(crt, more->items[i]);
	return r;
}

static int set_use(gnutls_x509_crt_t crt, enum role role, const struct names *more)
{
	bool server = role == ROLE_SERVER || role == ROLE_PAGE;
	int r = gnutls_x509_crt_set_basic_constraints(crt, role == ROLE_CA, role == ROLE_CA ? 0 : -1);
	if (r >= 0)
		r = gnutls_x509_crt_set_key_usage(crt, role == ROLE_CA ? GNUTLS_KEY_KEY_CERT_SIGN
								       : GNUTLS_KEY_DIGITAL_SIGNATURE);
	if (r >= 0 && server)
		r = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
	if (r >= 0 && role == ROLE_CLIENT)
		r = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_CLIENT, 0);
	return r < 0 || !server ? r : set_names(crt, more);
}

static int fill_cert(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, enum role role, const char *name,
		     const struct names *more)
{
	AUTO_BUF cn = {0};
	unsigned char serial[16], id[20];
	size_t id_len = sizeof(id);
	time_t now = time(NULL);
	buf_printf(&cn, "weft %s %s", name, role_names[role]);
	int r = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial));
	serial[0] = (unsigned char)((serial[0] & 0x7f) | 1); /* positive, of full length */
	if (r >= 0)
		r = gnutls_x509_crt_set_version(crt, 3);
	if (r >= 0)
		r = gnutls_x509_crt_set_serial(crt, serial, sizeof(serial));
	if (r >= 0)
		r = gnutls_x509_crt_set_activation_time(crt, now - BACKDATE_SECONDS);
	if (r >= 0)
		r = gnutls_x509_crt_set_expiration_time(crt, now + DAYS * 86400L);
	if (r >= 0)
		r = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, cn.p ? cn.p : "weft",
						  (unsigned)cn.n);
	if (r >= 0)
		r = gnutls_x509_crt_set_key(crt, key);
	if (r >= 0)
		r = gnutls_x509_crt_get_key_id(crt, 0, id, &id_len);
	if (r >= 0)
		r = gnutls_x509_crt_set_subject_key_id(crt, id, id_len);
	return r < 0 ? r : set_use(crt, role, more);
}

struct signer {
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
};

/* Makes one identity, signed by `by`, or by itself when that is empty; it then becomes `by`. */
static int make(struct tls_identity *id, struct signer *by, enum role role, const char *name,
		const struct names *more)
{
	gnutls_x509_privkey_t key = NULL;
	gnutls_x509_crt_t crt = NULL;
	int r = gnutls_x509_privkey_init(&key);
	if (r >= 0)
		r = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
						 GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	if (r >= 0)
		r = gnutls_x509_crt_init(&crt);
	if (r >= 0)
		r = fill_cert(crt, key, role, name, more);
	if (r >= 0)
		r = gnutls_x509_crt_sign2(crt, by->crt ? by->crt : crt, by->key ? by->key : key,
					  GNUTLS_DIG_SHA256, 0);
	if (r >= 0)
		r = export(id, key, crt);
	if (r >= 0 && role == ROLE_CA) {
		*by = (struct signer){key, crt};
		return r;
	}
	gnutls_x509_privkey_deinit(key);
	gnutls_x509_crt_deinit(crt);
	return r;
}

int tls_get(struct tls_files *out, int dir_fd, const char *name)
{
	struct signer ca = {0};
	const struct names none = {0};
	if (!each_file(out, dir_fd, read_file))
		return 0;
	tls_fini(out);
	int r = make(&out->ca, &ca, ROLE_CA, name, &none);
	if (r >= 0)
		r = make(&out->server, &ca, ROLE_SERVER, name, &none);
	if (r >= 0)
		r = make(&out->client, &ca, ROLE_CLIENT, name, &none);
	gnutls_x509_privkey_deinit(ca.key);
	gnutls_x509_crt_deinit(ca.crt);
	if (r < 0) {
		log_error("certificates: %s", gnutls_strerror(r));
		return -EIO;
	}
	r = each_file(out, dir_fd, write_one);
	if (r)
		log_error("certificates cannot be kept: %s", strerror(-r));
	return r;
}

/* Whether the certificate is for all of them, and of this authority. */
static bool still_good(const struct tls_identity *id, const struct signer *ca, const struct names *names)
{
	gnutls_datum_t pem = {(unsigned char *)id->cert.p, (unsigned)id->cert.n};
	gnutls_x509_crt_t crt = NULL;
	unsigned status = 1;
	bool good = id->cert.n && !gnutls_x509_crt_init(&crt) &&
		    !gnutls_x509_crt_import(crt, &pem, GNUTLS_X509_FMT_PEM) &&
		    !gnutls_x509_crt_verify(crt, &ca->crt, 1, 0, &status) && !status;
	for (size_t i = 0; good && i < names->n; i++) {
		char plain[256];
		size_t n = strlen(names->items[i]), cut = *names->items[i] == '[';
		snprintf(plain, sizeof(plain), "%.*s", (int)(n - 2 * cut), names->items[i] + cut);
		good = gnutls_x509_crt_check_hostname(crt, plain);
	}
	gnutls_x509_crt_deinit(crt);
	return good;
}

static int read_signer(struct signer *by, const struct tls_identity *ca)
{
	gnutls_datum_t key = {(unsigned char *)ca->key.p, (unsigned)ca->key.n},
		       crt = {(unsigned char *)ca->cert.p, (unsigned)ca->cert.n};
	int r = gnutls_x509_privkey_init(&by->key);
	if (r >= 0)
		r = gnutls_x509_privkey_import(by->key, &key, GNUTLS_X509_FMT_PEM);
	if (r >= 0)
		r = gnutls_x509_crt_init(&by->crt);
	return r < 0 ? r : gnutls_x509_crt_import(by->crt, &crt, GNUTLS_X509_FMT_PEM);
}

int tls_page(struct tls_identity *out, const struct tls_files *t, int dir_fd, const char *name,
	     char *const *names, size_t n)
{
	const struct names all = {names, n};
	struct signer ca = {0};
	int r = read_signer(&ca, &t->ca);
	bool kept = r >= 0 && !read_file(dir_fd, "page.key", &out->key) &&
		    !read_file(dir_fd, "page.crt", &out->cert) && still_good(out, &ca, &all);
	if (!kept)
		tls_identity_fini(out);
	if (r >= 0 && !kept)
		r = make(out, &ca, ROLE_PAGE, name, &all);
	gnutls_x509_privkey_deinit(ca.key);
	gnutls_x509_crt_deinit(ca.crt);
	if (r < 0) {
		log_error("the page's certificate: %s", gnutls_strerror(r));
		return -EIO;
	}
	if (!kept &&
	    (write_file(dir_fd, "page.key", &out->key) || write_file(dir_fd, "page.crt", &out->cert)))
		log_warn("the page's certificate cannot be kept: browsers will ask again after a restart");
	return 0;
}

void tls_identity_fini(struct tls_identity *id)
{
	if (id->key.p)
		explicit_bzero(id->key.p, id->key.n);
	buf_fini(&id->key);
	buf_fini(&id->cert);
}

void tls_fini(struct tls_files *t)
{
	struct tls_identity *ids[] = {&t->ca, &t->server, &t->client};
	for (size_t i = 0; i < 3; i++)
		tls_identity_fini(ids[i]);
}

static void add_base64(struct buf *b, const struct buf *pem)
{
	gnutls_datum_t in = {(unsigned char *)pem->p, (unsigned)pem->n}, out = {0};
	if (gnutls_base64_encode2(&in, &out) < 0) {
		b->failed = true;
		return;
	}
	buf_add(b, out.data, out.size);
	gnutls_free(out.data);
}

void tls_kubeconfig(struct buf *b, const struct tls_files *t, const char *name, unsigned port)
{
	buf_printf(b,
		   "apiVersion: v1\nkind: Config\ncurrent-context: weft-%s\n"
		   "clusters:\n- name: weft-%s\n  cluster:\n    server: https://127.0.0.1:%u\n"
		   "    certificate-authority-data: ",
		   name, name, port);
	add_base64(b, &t->ca.cert);
	buf_printf(b,
		   "\ncontexts:\n- name: weft-%s\n  context:\n    cluster: weft-%s\n    user: weft-%s\n"
		   "    namespace: default\nusers:\n- name: weft-%s\n  user:\n    client-certificate-data: ",
		   name, name, name, name);
	add_base64(b, &t->client.cert);
	buf_addz(b, "\n    client-key-data: ");
	add_base64(b, &t->client.key);
	buf_addz(b, "\n");
}
