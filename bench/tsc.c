/* SPDX-License-Identifier: MIT */
/* Prints the time stamp counter: with QEMU's -icount shift=0 the number of guest
 * instructions since the machine was switched on, resets and kexecs included. */
#include <stdio.h>
#include <x86intrin.h>

int main(void)
{
	return printf("%llu\n", (unsigned long long)__rdtsc()) < 0;
}
