/* SPDX-License-Identifier: MIT */
/* Numbers from text that people wrote. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Decimal digits and nothing else, from min to max. */
bool number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret_number);
