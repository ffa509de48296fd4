# SPDX-License-Identifier: MIT
"""What differs between the architectures of test machines. Which one it is, the loader in
BUILD/efi says, the program's first argument."""
import os
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
UNPACKED = os.path.join(TOP, "build/ovmf-test")     # packages of other Debians: ovmf-test/install-deps
# Debian 13's where it could be had: it starts in half the time.
NEWER = os.path.join(UNPACKED, "debian13/root/usr/share/OVMF")
OVMF = os.environ.get("OVMF") or (NEWER if os.path.exists(NEWER) else "/usr/share/OVMF")


class X64:
    NAME = "x64"
    QEMU = ("qemu-system-x86_64", "-machine", "q35,i8042=off,sata=off")
    FIRMWARE = f"{OVMF}/OVMF_CODE_4M.fd"
    VARIABLES = f"{OVMF}/OVMF_VARS_4M.fd"
    # With Secure Boot once there are keys; its variables are behind SMM.
    SECURE_QEMU = ("qemu-system-x86_64", "-machine", "q35,smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on",
                   "-global", "ICH9-LPC.disable_s3=1")
    SECURE_FIRMWARE = f"{OVMF}/OVMF_CODE_4M.secboot.fd"
    # Where the loader knows how fast its counter runs, and whether it does so in a virtual machine.
    CLOCK_KNOWN, CLOCK_IN_VM = ("-cpu", "qemu64,-hypervisor"), False
    IDLE = ",sleep=off"     # a guest's time that runs on at once while it waits
    DEBUG_CONSOLE = ("-global", "isa-debugcon.iobase=0x402", "-debugcon")       # where test/tick.h tells the time
    PEERS = "/usr/lib/systemd/boot/efi"


class Aa64:
    NAME = "aa64"
    QEMU = ("qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a57")
    FIRMWARE = "/usr/share/AAVMF/AAVMF_CODE.fd"
    SECURE_QEMU, SECURE_FIRMWARE = QEMU, FIRMWARE
    # AAVMF_VARS.fd is zeros, a store only after a first boot. This one is, and machine.py empties it.
    VARIABLES = "/usr/share/AAVMF/AAVMF_VARS.snakeoil.fd"
    CLOCK_KNOWN, CLOCK_IN_VM = (), True
    IDLE = ""               # with the other, AAVMF waits for ever after a reset by a watchdog
    DEBUG_CONSOLE = ()      # there is none: it is the serial port
    PEERS = os.path.join(TOP, "build/aarch64/ovmf-test/programs/root/usr/lib/systemd/boot/efi")


ARCH = Aa64 if os.path.exists(os.path.join(sys.argv[1], "slotbootaa64.efi")) else X64
FALLBACK_PATH = f"/EFI/BOOT/BOOT{ARCH.NAME.upper()}.EFI"
