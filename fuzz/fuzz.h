/* SPDX-License-Identifier: MIT */
/*
 * What every fuzz target includes. libFuzzer calls LLVMFuzzerTestOneInput() (make
 * fuzz); so does fuzz/replay.c, with each of the target's seeds (make unit).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A target sets it where it took an input for good, as it must each of its seeds: a
 * seed that is refused at the door is none. */
__attribute__((weak)) bool fuzz_taken;
