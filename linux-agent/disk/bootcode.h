/* SPDX-License-Identifier: MIT */
/*
 * What a BIOS runs of a disk that boots by UEFI: the boot code of the protective MBR. It is loaded at
 * 0000:7C00, prints a sentence and stops.
 */
#pragma once

#include <stdint.h>

static const uint8_t bootcode[] = {
	0xfa,				/*        cli                                       */
	0x31, 0xc0,			/*        xor   ax, ax                              */
	0x8e, 0xd8,			/*        mov   ds, ax                              */
	0x8e, 0xd0,			/*        mov   ss, ax                              */
	0xbc, 0x00, 0x7c,		/*        mov   sp, 7c00h                           */
	0xfb,				/*        sti                                       */
	0xfc,				/*        cld                                       */
	0xbe, 0x20, 0x7c,		/*        mov   si, 7c20h: the text below           */
	0xac,				/* next:  lodsb                                     */
	0x84, 0xc0,			/*        test  al, al                              */
	0x74, 0x09,			/*        jz    stop                                */
	0xb4, 0x0e,			/*        mov   ah, 0eh: write a character          */
	0xbb, 0x07, 0x00,		/*        mov   bx, 7: page 0, grey                 */
	0xcd, 0x10,			/*        int   10h                                 */
	0xeb, 0xf2,			/*        jmp   next                                */
	0xf4,				/* stop:  hlt                                       */
	0xeb, 0xfd,			/*        jmp   stop                                */
	/* at 20h */
	't', 'h', 'i', 's', ' ', 'd', 'i', 's', 'k', ' ', 'b', 'o', 'o', 't', 's', ' ', 'b', 'y', ' ',
	'U', 'E', 'F', 'I', '\r', '\n', 0,
};

_Static_assert(sizeof bootcode <= 440, "the disk's signature is behind it");
