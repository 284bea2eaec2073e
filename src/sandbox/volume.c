/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Volumes of own programs: which files of ConfigMaps, Secrets, the pod's own fields and empty folders lie
 * where. They are as they are at the container's start; weft-box makes the files, in memory, so that no
 * Secret stands on a disk. Nothing of the machine can be mounted but read-only. Called by program.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/own.h"
#include "sandbox/files.h"
#include "sandbox/program.h"

int base64_decode(const char *text, struct buf *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned bits = 0, have = 0;

	for (; *text && *text != '='; text++) {
		const char *at = strchr(digits, *text);

		if (*text == '\n' || *text == '\r')
			continue;
		if (!at)
			return -EINVAL;
		bits = bits << 6 | (unsigned)(at - digits);
		have += 6;
		if (have >= 8) {
			have -= 8;
			buf_addc(out, (char)(bits >> have & 255));
		}
	}
	return out->failed ? -ENOMEM : 0;
}

const json_t *volume_object(const struct pod *p, bool secret, const char *name)
{
	char key[600];

	snprintf(key, sizeof(key), "%s/%s", p->ns, name);
	return mirror_get(secret ? &p->sandbox->secrets : &p->sandbox->configs, key);
}

int volume_key(const struct pod *p, bool secret, const char *name, const char *key, struct buf *out)
{
	const json_t *object = volume_object(p, secret, name);
	const json_t *plain = json_at(object, secret ? "stringData" : "data", key, NULL);
	const json_t *coded = json_at(object, secret ? "data" : "binaryData", key, NULL);

	if (json_is_string(plain)) {
		buf_add(out, json_string_value(plain), json_string_length(plain));
		return out->failed ? -ENOMEM : 0;
	}
	return json_is_string(coded) ? base64_decode(json_string_value(coded), out) : -ENOENT;
}

struct making {
	const struct container *c;
	json_t *files;
	int mode;
	char **lacks;
};

static bool lack(struct making *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool lack(struct making *m, const char *fmt, ...)
{
	va_list ap;

	own_mem(m->lacks);
	va_start(ap, fmt);
	if (vasprintf(m->lacks, fmt, ap) < 0)
		*m->lacks = NULL;
	va_end(ap);
	return false;
}

static bool plain_path(const char *path)
{
	return *path && *path != '/' && strcmp(path, "..") != 0 && strncmp(path, "../", 3) != 0 &&
	       !strstr(path, "/../") && !str_ends(str_of(path), STR("/.."));
}

/* Bytes as text of hexadecimal digits: JSON has no other way for all of them. */
static bool add_file(struct making *m, const char *path, const struct buf *bytes, const json_t *mode)
{
	AUTO_BUF hex = {0};

	if (!plain_path(path))
		return lack(m, "\"%s\" is no path inside a volume", path);
	for (size_t i = 0; i < bytes->n; i++)
		buf_printf(&hex, "%02x", (unsigned char)bytes->p[i]);
	if (hex.failed)
		return lack(m, "out of memory");
	json_array_append_new(m->files,
			      json_pack("{sssssi}", "path", path, "hex", hex.n ? hex.p : "", "mode",
					json_is_integer(mode) ? (int)json_integer_value(mode) : m->mode));
	return true;
}

static bool add_keys(struct making *m, bool secret, const char *name, const json_t *source)
{
	const json_t *items = json_object_get(source, "items"), *o, *v;
	const json_t *object = volume_object(m->c->pod, secret, name);
	bool optional = json_is_true(json_object_get(source, "optional"));
	static const char *const maps[] = {"data", "binaryData", "stringData"};
	const char *key;
	size_t i;

	if (!object)
		return optional || lack(m, "%s \"%s\" not found", secret ? "secret" : "configmap", name);
	json_array_foreach (items, i, o) {
		AUTO_BUF bytes = {0};

		key = json_text(json_object_get(o, "key"));
		if (!volume_key(m->c->pod, secret, name, key, &bytes)) {
			if (!add_file(m, json_text(json_object_get(o, "path")), &bytes,
				      json_object_get(o, "mode")))
				return false;
		} else if (!optional) {
			return lack(m, "%s \"%s\" has no key %s", secret ? "secret" : "configmap", name, key);
		}
	}
	for (size_t k = 0; !items && k < ARRAY_LEN(maps); k++)
		json_object_foreach ((json_t *)(uintptr_t)json_object_get(object, maps[k]), key, v) {
			AUTO_BUF bytes = {0};

			if (!volume_key(m->c->pod, secret, name, key, &bytes) &&
			    !add_file(m, key, &bytes, NULL))
				return false;
		}
	return true;
}

static bool add_fields(struct making *m, const json_t *source)
{
	const json_t *o;
	size_t i;

	json_array_foreach (json_object_get(source, "items"), i, o) {
		const json_t *resource = json_object_get(o, "resourceFieldRef");
		const char *field = json_text(json_at(o, "fieldRef", "fieldPath", NULL));
		AUTO_BUF bytes = {0};

		if (resource ? !environ_resource(m->c, resource, &bytes)
			     : !environ_field(m->c->pod, field, &bytes))
			return lack(m, "no such field: %s", resource ? "resourceFieldRef" : field);
		if (!add_file(m, json_text(json_object_get(o, "path")), &bytes, json_object_get(o, "mode")))
			return false;
	}
	return true;
}

static bool add_projected(struct making *m, const json_t *source)
{
	const json_t *o;
	size_t i;

	json_array_foreach (json_object_get(source, "sources"), i, o) {
		const json_t *config = json_object_get(o, "configMap"),
			     *secret = json_object_get(o, "secret");
		const json_t *fields = json_object_get(o, "downwardAPI");

		if (config && !add_keys(m, false, json_text(json_object_get(config, "name")), config))
			return false;
		if (secret && !add_keys(m, true, json_text(json_object_get(secret, "name")), secret))
			return false;
		if (fields && !add_fields(m, fields))
			return false;
	}
	return true;
}

static const json_t *volume_named(const struct pod *p, const char *name)
{
	const json_t *o;
	size_t i;

	json_array_foreach (json_at(p->spec, "spec", "volumes", NULL), i, o)
		if (!strcmp(json_text(json_object_get(o, "name")), name))
			return o;
	return NULL;
}

/* A folder of the pod's own, shared by its containers, gone with it. */
static bool empty_folder(struct making *m, const char *volume, char path[600])
{
	snprintf(path, 600, "%s/volumes/%s", m->c->pod->dir, volume);
	if (!plain_path(volume) || strchr(volume, '/'))
		return lack(m, "\"%s\" is no name of a volume", volume);
	int r = file_make_dir(path, 0755);

	r = r || !chmod(path, 01777) ? r : -errno;
	return !r || lack(m, "volume %s: %s", volume, strerror(-r));
}

static bool add_mount(struct making *m, json_t *out, const json_t *mount)
{
	const char *name = json_text(json_object_get(mount, "name"));
	const char *path = json_text(json_object_get(mount, "mountPath"));
	const json_t *v = volume_named(m->c->pod, name), *source;
	bool read_only = json_is_true(json_object_get(mount, "readOnly"));
	char folder[600] = "";
	const char *from = folder;

	if (!v)
		return lack(m, "volumeMounts names %s, which is no volume of the pod", name);
	if (*path != '/' || strstr(path, "/../"))
		return lack(m, "mountPath \"%s\" is no absolute path", path);
	m->files = json_array();
	m->mode = 0644;
	static const char *const kinds[] = {"configMap", "secret", "downwardAPI", "projected"};
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (json_is_integer(json_at(v, kinds[i], "defaultMode", NULL)))
			m->mode = (int)json_integer_value(json_at(v, kinds[i], "defaultMode", NULL));
	bool ok = true, made = true;
	if ((source = json_object_get(v, "configMap")))
		ok = add_keys(m, false, json_text(json_object_get(source, "name")), source);
	else if ((source = json_object_get(v, "secret")))
		ok = add_keys(m, true, json_text(json_object_get(source, "secretName")), source);
	else if ((source = json_object_get(v, "downwardAPI")))
		ok = add_fields(m, source);
	else if ((source = json_object_get(v, "projected")))
		ok = add_projected(m, source);
	else
		made = false;
	if (!made && (source = json_object_get(v, "hostPath"))) {
		from = json_text(json_object_get(source, "path"));
		read_only = true;
	} else if (!made) {
		/* Storage that is claimed is played by an empty folder too. */
		ok = empty_folder(m, name, folder);
	}
	json_t *o =
	    json_pack("{sssssbssso}", "path", path, "from", made ? "" : from, "readOnly", read_only || made,
		      "subPath", json_text(json_object_get(mount, "subPath")), "files", m->files);
	m->files = NULL;
	json_array_append_new(out, o);
	return ok && o;
}

json_t *volumes_of(const struct container *c, char **lacks)
{
	struct making m = {.c = c, .lacks = lacks};
	json_t *out = json_array();
	const json_t *o;
	size_t i;

	json_array_foreach (json_object_get(c->spec, "volumeMounts"), i, o)
		if (!add_mount(&m, out, o)) {
			json_decref(out);
			return NULL;
		}
	return out;
}
