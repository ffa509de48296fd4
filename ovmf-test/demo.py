# SPDX-License-Identifier: MIT
"""make demo: the main job on a machine of its own, told in a few lines with times.

X runs in slot A and installs Y into B; Y is marked good and installs Z into A; Z runs. Once through
the firmware, once by kexec where Debian's kernel can. Then `slotctl status` as the guest prints it."""
import shutil
import sys
import time

import disk
import images
from accel import accelerator
from httpd import HttpServer
from machine import BOOT, Machine, MachineError
from paths import ARCH, LOADER, SLOTCTL, WORK, work_alone


def tell(text, since=None, until=None):
    seconds = f"{(until or time.monotonic()) - since:6.1f} s" if since else " " * 8
    print(f"{seconds}  {text}", flush=True)


def story(activate, variants, bundles, server):
    """One machine's life, from an empty variable store."""
    directory = WORK / "run" / f"demo-{activate}"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    machine = Machine(directory, disk.make(directory / "disk.img", variants["x"], bundles["x"]))
    print(f"\nUpdates by {activate}, on a fresh disk with X in slot A:", flush=True)
    try:
        since = time.monotonic()
        boot = machine.cold_boot()
        running(boot, "cold boot", since)
        mark_good(machine)
        for name in ("y", "z"):
            boot = update(machine, boot, server.url(name + ".zip"), activate)
            if boot.variant != name:
                raise MachineError(f"expected {name}, got {boot}")
            mark_good(machine)
        entries = machine.firmware_entries()
        tell(f"the firmware was entered {entries} {'time' if entries == 1 else 'times'} in all")
        status = machine.check("slotctl status")
        machine.shutdown()
        return status
    finally:
        machine.power_cut()
        machine.disk.path.unlink(missing_ok=True)


def update(machine, boot, url, activate):
    """Install a bundle and come up in it; tells what took how long."""
    command = f"slotctl install {url} --activate={activate}"
    tell(f"{boot.variant.upper()}# {command}")
    since = time.monotonic()
    # Its words go to the kernel's log, and so to the console, whole and at once.
    machine.start_command(command + ' 2>&1 | while read -r line; do echo "<2>slotctl says: $line" >/dev/kmsg; done')
    # Its last words before the next TESTOS line are those of the jump, whatever they are.
    while (said := machine.wait_for(r"slotctl says: ([^\r\n]*)\r?\n|(?=TESTOS )", BOOT)[1]) is not None:
        if said.startswith("slotctl: "):
            raise MachineError(said)
        jump = time.monotonic()
    tell(f"installed into slot {'B' if boot.slot == 'a' else 'A'}", since, jump)
    boot = machine.wait_boot()
    running(boot, {"reboot": "through the firmware", "kexec": "without the firmware"}[activate], jump)
    return boot


def running(boot, how, since):
    tell(f"{boot.variant.upper()} (version {images.VERSIONS[boot.variant]}) runs in slot {boot.slot.upper()}: {how}",
         since)


def mark_good(machine):
    since = time.monotonic()
    machine.check("slotctl mark-good")
    tell("slotctl mark-good", since)


def show(title, status):
    print(f"\n{title}:\n")
    print("\n".join("  " + line for line in status.rstrip().split("\n")))


def main():
    for path in (SLOTCTL, LOADER):
        if not path.exists():
            sys.exit(f"demo: {path} is missing: run make first")
    lock = work_alone()
    since = time.monotonic()
    variants = {name: images.build(name) for name in images.VERSIONS}
    bundles = {name: images.bundle(variants[name]) for name in variants}
    tell("images and signed bundles of X, Y and Z", since)
    server = HttpServer(WORK / "httpd-demo", bundles["y"].parent).start()
    slow = "" if accelerator() == "kvm" else " (no KVM here: everything is emulated)"
    tell(f"nginx serves the bundles; the firmware boots in QEMU with {accelerator()}{slow}")
    for activate in ("reboot", *(["kexec"] if ARCH.kexec else [])):
        status = story(activate, variants, bundles, server)
    show(f"slotctl status, inside the guest after the last {activate}", status)
    lock.close()


if __name__ == "__main__":
    try:
        main()
    except MachineError as error:
        sys.exit(f"demo: {error}")
