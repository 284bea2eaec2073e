/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patches of an object in the four forms, sets of fields, label selectors, and objects in protobuf: the first
 * byte chooses. Nothing may be read or written beyond its place, and what was merged must print.
 */
#include "object/decode.h"
#include "serve/fieldset.h"
#include "serve/patch.h"

static const char base[] =
    "{\"apiVersion\":\"apps/"
    "v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"a\",\"labels\":{\"a\":\"b\"},"
    "\"finalizers\":[\"x/"
    "y\"]},\"spec\":{\"selector\":{\"matchLabels\":{\"a\":\"b\"}},\"template\":{\"spec\":{"
    "\"containers\":[{\"name\":\"c\",\"ports\":[{\"containerPort\":80}],\"env\":[{\"name\":\"A\"}]}],"
    "\"volumes\":["
    "{\"name\":\"v\"}]}}}}";

static void apply(const struct object *o, struct str body)
{
	AUTO_BUF text = {0};
	object_print_json(&text, o, PRINT_PLAIN);
	json_t *live = json_loadb(text.p, text.n, 0, NULL), *config = json_loadb(body.p, body.n, 0, NULL);
	json_t *set = fieldset_read(config), *now = json_deep_copy(live);
	json_t *of = json_is_object(config) ? fieldset_of(config, o->desc, NULL) : NULL;
	if (json_is_object(config))
		fieldset_merge(now, config, o->desc);
	if (set && of)
		fieldset_prune(now, set, of, o->desc);
	json_t *a = json_object(), *b = json_object();
	fieldset_compare(live, now, o->desc, a, b);
	fieldset_add(a, b);
	fieldset_drop(a, of);
	AUTO_BUF paths = {0};
	fieldset_print(&paths, a);
	json_t *all[] = {live, config, set, now, of, a, b};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		json_decref(all[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct object *o;
	struct remarks rs = {0};
	struct arena arena = {0};
	struct label_selector *sel = NULL;
	const char *why = NULL;
	AUTO_BUF out = {0};
	AUTO_BUF text = {0};
	if (!o)
		decode_json_object(STR(base), NULL, NULL, &o, &rs);
	remarks_fini(&rs);
	if (!size || size > 4096 || !o)
		return 0;
	struct str body = {(const char *)data + 1, size - 1};
	switch (*data % 6) {
	case 0:
		patch_merge(o, body, &out, &why);
		break;
	case 1:
		patch_strategic(o, body, &out, &why);
		break;
	case 2:
		patch_json(o, body, &out, &why);
		break;
	case 3:
		apply(o, body);
		break;
	case 4:
		if (!selector_parse(&arena, body, &sel, &why))
			selector_print(&out, sel);
		arena_fini(&arena);
		break;
	default:
		decode_proto_json(body, &out, &text);
		break;
	}
	return 0;
}
