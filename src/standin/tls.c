/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS for ports of HTTPS probes: a certificate that signs itself, made at the first connection. Part of
 * weft-standin-tls alone, so that other stand-ins stay small. Called by conn.c through server.h.
 */
#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "standin/server.h"

enum { DAYS = 3650, SECONDS_OF_DAY = 86400 };

struct tls {
	gnutls_session_t session;
	bool open; /* the handshake is over */
};

static gnutls_certificate_credentials_t own;

static int sign(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key)
{
	static const unsigned char serial[] = {1};
	static const char name[] = "stand-in";
	time_t now = time(NULL);
	int r = gnutls_x509_crt_set_version(crt, 3);

	if (r >= 0)
		r = gnutls_x509_crt_set_serial(crt, serial, sizeof(serial));
	if (r >= 0)
		r = gnutls_x509_crt_set_activation_time(crt, now - SECONDS_OF_DAY);
	if (r >= 0)
		r = gnutls_x509_crt_set_expiration_time(crt, now + (time_t)DAYS * SECONDS_OF_DAY);
	if (r >= 0)
		r = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
						  sizeof(name) - 1);
	if (r >= 0)
		r = gnutls_x509_crt_set_key(crt, key);
	return r < 0 ? r : gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0);
}

static int make_own(void)
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
		r = sign(crt, key);
	if (r >= 0)
		r = gnutls_certificate_allocate_credentials(&own);
	if (r >= 0)
		r = gnutls_certificate_set_x509_key(own, &crt, 1, key);
	if (crt)
		gnutls_x509_crt_deinit(crt);
	if (key)
		gnutls_x509_privkey_deinit(key);
	return r;
}

static struct tls *tls_open(int fd)
{
	struct tls *t = calloc(1, sizeof(*t));
	int r = own ? 0 : make_own();

	if (r < 0)
		log_error("TLS: %s", gnutls_strerror(r));
	if (!t || r < 0 || gnutls_init(&t->session, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0) {
		free(t);
		return NULL;
	}
	gnutls_set_default_priority(t->session);
	gnutls_credentials_set(t->session, GNUTLS_CRD_CERTIFICATE, own);
	gnutls_transport_set_int(t->session, fd);
	return t;
}

static ssize_t failed(ssize_t r)
{
	errno = r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED ? EAGAIN : EPROTO;
	return -1;
}

/* Small flights: what the handshake sends fits into a fresh socket's buffer, so waiting to read is enough. */
static ssize_t tls_recv(struct tls *t, void *data, size_t cap)
{
	ssize_t n;

	if (!t->open) {
		int r = gnutls_handshake(t->session);

		if (r < 0)
			return failed(gnutls_error_is_fatal(r) ? r : GNUTLS_E_AGAIN);
		t->open = true;
	}
	n = gnutls_record_recv(t->session, data, cap);
	if (n == GNUTLS_E_PREMATURE_TERMINATION)
		return 0;
	return n < 0 ? failed(gnutls_error_is_fatal((int)n) ? n : GNUTLS_E_AGAIN) : n;
}

static ssize_t tls_send(struct tls *t, const void *data, size_t n)
{
	ssize_t r = gnutls_record_send(t->session, data, n);

	return r < 0 ? failed(r) : r;
}

static void tls_close(struct tls *t)
{
	if (t->open)
		gnutls_bye(t->session, GNUTLS_SHUT_WR);
	gnutls_deinit(t->session);
	free(t);
}

const struct tls_part *tls_part(void)
{
	static const struct tls_part part = {tls_open, tls_recv, tls_send, tls_close};

	return &part;
}
