/* SPDX-License-Identifier: Apache-2.0 */
/* Source files by reference count, and the printing of positions. See pos.h. */
#include "base/pos.h"

#include <errno.h>
#include <stdlib.h>

#include "base/own.h"

int file_new(struct file **out, const char *name, const char *text, size_t len)
{
	struct file *f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->refs = 1;
	f->name = strdup(name);
	if (text) {
		f->text = malloc(len + 1);
		if (f->text) {
			if (len)
				memcpy(f->text, text, len);
			f->text[len] = '\0';
			f->len = len;
		}
	}
	if (!f->name || (text && !f->text)) {
		file_unref(&f);
		return -ENOMEM;
	}
	*out = f;
	return 0;
}

struct file *file_ref(struct file *f)
{
	if (f)
		f->refs++;
	return f;
}

void file_unref(struct file **fp)
{
	struct file *f = TAKE(*fp);
	if (!f || --f->refs)
		return;
	free(f->name);
	free(f->commit);
	free(f->text);
	free(f);
}

void pos_print(struct buf *b, struct pos p)
{
	if (!p.file)
		return;
	buf_addz(b, p.file->name);
	if (p.line)
		buf_printf(b, ":%u:%u", p.line, p.col);
	if (p.file->commit)
		buf_printf(b, "@%.12s", p.file->commit);
}
