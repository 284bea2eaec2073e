/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of outputs, the names of losses, and the simplest kind: what is discarded. See output.h. */
#include "copier/output.h"

#include <errno.h>

#include "base/own.h"

const char *output_loss_name(enum output_loss l)
{
	static const char *const names[] = {
#define OUTPUT_LOSS(id, name, sentence) name,
#include "tables/output.def"
#undef OUTPUT_LOSS
	};
	return names[l];
}

const char *output_loss_sentence(enum output_loss l)
{
	static const char *const sentences[] = {
#define OUTPUT_LOSS(id, name, sentence) sentence,
#include "tables/output.def"
#undef OUTPUT_LOSS
	};
	return sentences[l];
}

const struct output_ops *output_kind(enum broker_way way)
{
	switch (way) {
	case BROKER_TO_INTERFACE:
	case BROKER_TO_POD:
		return &output_wire;
	case BROKER_TO_VXLAN:
	case BROKER_TO_GRE:
	case BROKER_TO_ERSPAN:
		return &output_tunnel;
	case BROKER_TO_FILE:
		return &output_file;
	case BROKER_TO_RING:
		return &output_ring;
	case BROKER_TO_IPFIX:
		return &output_ipfix;
	case BROKER_TO_STREAM:
		return &output_stream;
	case BROKER_TO_DISCARD:
		break;
	}
	return &output_discard;
}

struct discard {
	struct output o;
	struct output_counts n;
};

static int discard_open(struct output **out, const struct output_config *c, struct buf *why)
{
	struct discard *d = calloc(1, sizeof(*d));

	(void)why;
	if (!d)
		return -ENOMEM;
	d->o = (struct output){&output_discard, c->host};
	*out = &d->o;
	return 0;
}

static void discard_give(struct output *o, const struct chain_packet *p, const struct seen *s)
{
	struct discard *d = CONTAINER_OF(o, struct discard, o);

	(void)s;
	d->n.sent++;
	d->n.sent_bytes += p->caplen;
}

static void discard_counts(const struct output *o, struct output_counts *out)
{
	*out = ((const struct discard *)(const void *)o)->n;
}

static bool discard_finish(struct output *o, bool last)
{
	(void)o;
	(void)last;
	return true;
}

static void discard_free(struct output **o)
{
	free(CONTAINER_OF(*o, struct discard, o));
	*o = NULL;
}

const struct output_ops output_discard = {.name = "discard",
					  .open = discard_open,
					  .give = discard_give,
					  .counts = discard_counts,
					  .finish = discard_finish,
					  .free = discard_free,
					  .refused = LOST_MEMORY};
