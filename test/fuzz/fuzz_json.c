/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a JSON file, and as one object of the API with positions. */
#include "roundtrip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct remarks rs = {0};
	struct file *f;
	struct object *o = NULL;
	if (file_new(&f, "f", (const char *)data, size))
		return 0;
	struct decoder_options opt = {.sink = roundtrip, .remarks = &rs};
	decode_json(f, &opt);
	if (!decode_json_object((struct str){.p = (const char *)data, .n = size}, NULL, NULL, &o, &rs))
		roundtrip(NULL, o);
	AUTO_ARENA a = {0};
	struct label_selector *s;
	const char *why;
	if (!selector_parse(&a, (struct str){.p = (const char *)data, .n = size}, &s, &why)) {
		AUTO_BUF text = {0}, again = {0};
		buf_addz(&text, "");
		buf_addz(&again, "");
		selector_print(&text, s);
		must(!selector_parse(&a, buf_str(&text), &s, &why), "selector is not read back", &text, NULL);
		selector_print(&again, s);
		must(str_eq(buf_str(&text), buf_str(&again)), "selector differs", &text, &again);
	}
	file_unref(&f);
	remarks_fini(&rs);
	return 0;
}
