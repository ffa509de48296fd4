/* SPDX-License-Identifier: MIT */
/* Time since power-on from the processor's own counter, which costs no call to
 * the firmware. One file per architecture, ticks_ARCH.c. */
#pragma once

#include "loader.h"

uint64_t ticks_read(void);

/* Ticks in a second; 0 where that cannot be known cheaply, or where the counter
 * need not have started with the machine. */
uint64_t ticks_per_second(struct loader *l);
