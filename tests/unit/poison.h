/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bad media: pages of an image whose every access through a mapping is SIGBUS.
 * A program that is linked with --wrap=cdx_pmem_map has them in each mapping that
 * it makes from then on.
 */
#ifndef POISON_H
#define POISON_H

#include <stdbool.h>
#include <stdint.h>

/* The page that holds byte @address of the filesystem goes bad. */
void poison_page(uint64_t address);
/* All pages are good again, in mappings that are made from now on. */
void poison_heal(void);
/* Whether the kernel makes poison of its own (userfaultfd, Linux 6.6); else an
 * empty file is mapped over the pages, as if the image had been truncated. */
bool poison_is_real(void);

#endif
