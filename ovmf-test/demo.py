# SPDX-License-Identifier: MIT
"""make demo: the main job on a machine of its own, told in a few lines with times.

X runs in slot A and installs Y into B; Y is marked good and installs Z into A; Z runs. Once through
the firmware, once by kexec. Then `slotctl status` as the guest prints it."""
import shutil
import sys
import time

import disk
import images
from accel import accelerator
from httpd import HttpServer
from machine import Machine, MachineError
from paths import LOADER, SLOTCTL, WORK


def tell(text, since=None):
    seconds = f"{time.monotonic() - since:6.1f} s" if since else " " * 8
    print(f"{seconds}  {text}", flush=True)


def story(activate, variants, server):
    """One machine's life, from an empty variable store."""
    directory = WORK / "run" / f"demo-{activate}"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    machine = Machine(directory, disk.make(directory / "disk.img", variants["x"]))
    print(f"\nUpdates by {activate}, on a fresh disk with X in slot A:", flush=True)
    try:
        since = time.monotonic()
        boot = machine.cold_boot()
        running(boot, "cold boot", since)
        mark_good(machine)
        for name in ("y", "z"):
            since = time.monotonic()
            command = f"slotctl install {server.url(name + '.zip')} --activate={activate}"
            target = "b" if boot.slot == "a" else "a"
            tell(f"{boot.variant.upper()}# {command}")
            boot = machine.run_to_boot(command)
            if (boot.variant, boot.slot) != (name, target):
                raise MachineError(f"expected {name} in slot {target}, got {boot}")
            running(boot, f"installed into {target.upper()} and started by {activate}", since)
            mark_good(machine)
        entries = machine.firmware_entries()
        tell(f"the firmware was entered {entries} {'time' if entries == 1 else 'times'} in all")
        status = machine.check("slotctl status")
        machine.shutdown()
        return status
    finally:
        machine.power_cut()
        machine.disk.path.unlink(missing_ok=True)


def running(boot, how, since):
    tell(f"{boot.variant.upper()} (version {images.VERSIONS[boot.variant]}) runs in slot {boot.slot.upper()}: {how}",
         since)


def mark_good(machine):
    since = time.monotonic()
    machine.check("slotctl mark-good")
    tell("slotctl mark-good", since)


def main():
    for path in (SLOTCTL, LOADER):
        if not path.exists():
            sys.exit(f"demo: {path} is missing: run make first")
    since = time.monotonic()
    variants = {name: images.build(name) for name in images.VERSIONS}
    bundles = [images.bundle(variants[name]) for name in ("y", "z")]
    tell("images X, Y and Z, bundles of Y and Z", since)
    server = HttpServer(WORK / "httpd-demo", bundles[0].parent).start()
    slow = "" if accelerator() == "kvm" else " (no KVM here: everything is emulated)"
    tell(f"nginx serves the bundles; OVMF boots in QEMU with {accelerator()}{slow}")
    for activate in ("reboot", "kexec"):
        status = story(activate, variants, server)
    print("\nslotctl status, inside the guest after the last kexec:\n")
    print("\n".join("  " + line for line in status.rstrip().split("\n")))


if __name__ == "__main__":
    try:
        main()
    except MachineError as error:
        sys.exit(f"demo: {error}")
