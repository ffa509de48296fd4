/* SPDX-License-Identifier: MIT */
/* raw-kexec KERNEL INITRD COMMAND-LINE [stay]: a jump that slotctl knows nothing of; "stay" only loads. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int kernel = argc >= 4 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	int initrd = argc >= 4 ? open(argv[2], O_RDONLY | O_CLOEXEC) : -1;

	if (kernel < 0 || initrd < 0 ||
	    syscall(SYS_kexec_file_load, kernel, initrd, strlen(argv[3]) + 1, argv[3], 0UL) < 0) {
		perror("raw-kexec");
		return 1;
	}
	if (argc > 4)
		return 0;
	sync();
	reboot(RB_KEXEC);
	perror("raw-kexec");
	return 1;
}
