/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What load.c is made of: BPF maps by their pins (pin.c) and programs (programs.c). Private to these three
 * files.
 */
#ifndef WEFT_APPLY_PIN_H
#define WEFT_APPLY_PIN_H

#include "apply/load.h"

/* "<folder of the pins>/<what><name>". */
void pin_path(const struct kernel *k, const char *what, const char *name, char out[320]);
/* Adds the sentence and the error's words to `why`, returns err. */
int pin_say(struct buf *why, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Takes the pinned BPF maps and rings over, makes what is missing, and makes anew, with its elements, a
 * planned one that is to have another size. 0 or -errno. */
int pin_open(struct kernel *k, const struct kernel_options *o, struct buf *why);
/* Puts each CPU's ring into the array of rings; waits for the kernel. */
int pin_rings(const struct kernel *k, struct buf *why);
/* Pins what was made: 0 or -errno. */
int pin_keep(struct kernel *k, struct buf *why);

/* Takes the programs of this very build over where they are pinned and no BPF map was made anew; else has the
 * kernel verify them. Before pin_keep(). */
int programs_open(struct kernel *k, struct buf *why);
int programs_keep(struct kernel *k, struct buf *why);
/* Pins of programs: of other builds, or all. */
void programs_unpin(const struct kernel *k, bool all);

#endif
