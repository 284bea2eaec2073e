/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes JSONPath templates, as `weft get -o jsonpath=` takes them, on one value that has all shapes. What is
 * wrong is told and prints no memory; what is right ends.
 */
#include <stdlib.h>

#include "base/own.h"
#include "cli/jsonpath.h"
#include "cli/output.h"

static const char value[] =
    "{\"kind\":\"List\",\"items\":[{\"a\":{\"b\":[1,2,{\"c\":\"x\"}]},\"n\":-1.5,\"t\":true,\"z\":null},"
    "{\"a\":{\"b\":[]},\"n\":2,\"name\":\"y\"},\"text\",[[[\"deep\"]]]],\"a.b\":\"dotted\"}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_MEM char *template = size < 512 ? strndup((const char *)data, size) : NULL;
	AUTO_JSON root = json_loads(value, 0, NULL);
	AUTO_JSON found = json_array();
	AUTO_BUF out = {0};
	AUTO_BUF error = {0};
	AUTO_BUF second = {0};

	if (!template)
		return 0;
	if (jsonpath_print(&out, template, root, &error) && !error.n)
		abort();
	if (jsonpath_find(found, template, root, &second) && !second.n)
		abort();
	return 0;
}
