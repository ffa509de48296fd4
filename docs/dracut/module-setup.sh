#!/bin/bash
# SPDX-License-Identifier: MIT
# dracut.modules(7): puts into an initramfs what opens a root under dm-verity, where /etc/slotboot/verity is there
# (docs/GUIDE.md, "A root under dm-verity"). What looks for the slot is the script for initramfs-tools.
# shellcheck disable=SC2154 # moddir and dracutsysrootdir are dracut's

script=/usr/share/initramfs-tools/scripts/local-top/slotboot-verity

check() {
	[[ -e $dracutsysrootdir/etc/slotboot/verity && -e $dracutsysrootdir$script ]] || return 255
	require_binaries veritysetup
}

depends() {
	echo dm rootfs-block
}

installkernel() {
	instmods dm_verity sha256_generic efivarfs
}

install() {
	inst_multiple veritysetup cat dd modprobe mount umount
	inst_simple "$script" /usr/bin/slotboot-verity
	inst_simple "$moddir/functions" /scripts/functions
	inst_hook initqueue/settled 50 "$moddir/settled.sh"
}
