# SPDX-License-Identifier: MIT
"""make demo-debian: a Debian 12 from our packages and an empty disk to a bad update that it undoes by itself, in a few
lines with times. The commands are those of test_debian.py, which checks what is only told here."""
import shutil
import sys
import time

import debian
from accel import accelerator
from demo import show, tell
from httpd import HttpServer
from machine import Machine, MachineError
from paths import LOADER, SLOTCTL, WORK, work_alone

BROKEN = "mkdir -p /var/lib/faults && echo 'echo the pump is dry; exit 1' >/var/lib/faults/health-3 && sync"


def confirmed(machine, boot, since, how):
    """Tells of this boot, and of the system's own health check; the machine is known to be well."""
    tell(f"version {boot.variant} runs in slot {boot.slot.upper()}: {how}", since)
    since = time.monotonic()
    status, said = machine.run("systemctl is-system-running --wait")
    if status:
        raise MachineError(f"version {boot.variant} is {said}{machine.run('systemctl --failed')[1]}")
    state = machine.status()["slots"][boot.slot]["status"]
    until = ", until the firmware has started it" if state == "trial" else ""
    tell(f"its health check has passed: slot {boot.slot} is {state}{until}", since)


def update(machine, url, activate):
    """Install a bundle; the boot that it ends in."""
    command = f"slotctl install {url} --activate={activate}"
    tell(f"# {command}")
    since = time.monotonic()
    boot = machine.run_to_boot(command)
    return boot, since


def story(machine, url):
    since = time.monotonic()
    confirmed(machine, machine.cold_boot(), since, "the first boot, with the file system for /var")
    confirmed(machine, *update(machine, url("update-2.zip"), "reboot"), "installed, and through the firmware")
    tell("(for version 3 the health check is told to fail)")
    machine.check(BROKEN)
    boot, since = update(machine, url("update-3.zip"), "reboot")
    tell(f"version {boot.variant} runs in slot {boot.slot.upper()}: installed, and through the firmware", since)
    since = time.monotonic()
    confirmed(machine, machine.wait_boot(), since, "nobody has done anything")
    status = machine.check("slotctl status")
    tell("(the cause is gone)")
    machine.check("rm /var/lib/faults/health-3")
    confirmed(machine, *update(machine, url("update-3.zip"), "kexec"), "installed, and without the firmware")
    machine.shutdown("systemctl poweroff")
    return status


def timed(what, make, *arguments):
    since = time.monotonic()
    made = make(*arguments)
    tell(what, since)
    return made


def main():
    for path in (SLOTCTL, LOADER):
        if not path.exists():
            sys.exit(f"demo-debian: {path} is missing: run make first")
    lock = work_alone()
    system = debian.system(12)
    timed("packages slotctl and slotboot", system.repository)
    timed("root of Debian 12 with them, by mmdebstrap", system.base)
    first, *_ = timed("images, UKIs and signed bundles of versions 1, 2 and 3",
                      lambda: [system.release(version) for version in "123"])
    directory = WORK / "run" / "demo-debian"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    timed("slotctl provision: a disk with version 1 in slot A", debian.provision, directory / "disk.img", first)
    emulated = accelerator() != "kvm"
    # Emulated, a boot goes by instructions: systemd's deadlines do not pass because the host is slow.
    machine = Machine(directory, directory / "disk.img", guest_time="waits" if emulated else None)
    server = HttpServer(WORK / "httpd-demo-debian", system.place).start()
    tell("OVMF boots it in QEMU" + (" (no KVM here: everything is emulated)" if emulated else ""))
    try:
        status = story(machine, server.url)
    finally:
        machine.power_cut()
        machine.disk.path.unlink(missing_ok=True)
    show("slotctl status, after the update that was undone", status)
    lock.close()


if __name__ == "__main__":
    try:
        main()
    except MachineError as error:
        sys.exit(f"demo-debian: {error}")
