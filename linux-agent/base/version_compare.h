/* SPDX-License-Identifier: MIT */
#pragma once

/* Compares versions as UAPI.10 (Version Format Specification) says: < 0, 0, > 0. */
int version_compare(const char *a, const char *b);
