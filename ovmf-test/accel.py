# SPDX-License-Identifier: MIT
"""Whether QEMU gets KVM here. /dev/kvm may exist and not work, or work for a few instructions
only, so the firmware itself is started with it, up to its first words on the console."""
import functools
import os
import selectors
import subprocess
import time

from paths import ARCH, DIE_WITH_US, FIRMWARE


def _firmware_speaks(accel, deadline=300):
    """Start the firmware without a disk; True once it announces a boot option."""
    probe = subprocess.Popen(
        [*DIE_WITH_US, ARCH.qemu, "-accel", accel, "-cpu", "host" if accel == "kvm" else ARCH.cpu,
         "-machine", ARCH.machine, "-m", "128", "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio",
         "-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={FIRMWARE / ARCH.firmware}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    console, end = b"", time.monotonic() + deadline
    selector = selectors.DefaultSelector()
    selector.register(probe.stdout, selectors.EVENT_READ)
    selector.register(probe.stderr, selectors.EVENT_READ)
    try:
        while (left := end - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                chunk = os.read(key.fd, 65536)
                # An emulation failure stops the machine, with a dump of its registers here.
                if not chunk or (key.fileobj is probe.stderr and b"KVM" in chunk):
                    return False
                console += chunk if key.fileobj is probe.stdout else b""
                if b"BdsDxe" in console:
                    return True
        return False
    finally:
        selector.close()
        probe.kill()
        probe.communicate()


@functools.cache
def accelerator():
    """'kvm' or 'tcg'; SLOTBOOT_ACCEL decides if set."""
    asked = os.environ.get("SLOTBOOT_ACCEL")
    if asked and asked not in ("kvm", "tcg"):
        raise RuntimeError(f"SLOTBOOT_ACCEL={asked}: it is kvm or tcg")
    if asked:
        return asked
    return "kvm" if os.access("/dev/kvm", os.R_OK | os.W_OK) and _firmware_speaks("kvm") else "tcg"
