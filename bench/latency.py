#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""From one system to the next, by kexec and through the firmware: guest instructions from the jump to the new
system's first shell, counted by QEMU (-icount shift=0: one instruction is one nanosecond of guest time).

OVMF takes a second; what server firmware takes, in minutes, comes on top of the firmware's figure.

Usage: latency.py [--rounds N]"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
os.environ["SLOTBOOT_ACCEL"] = "tcg"    # only emulation counts instructions
sys.path.append(str(HERE.parent / "ovmf-test"))
import disk  # noqa: E402
import images  # noqa: E402
from machine import Machine  # noqa: E402
from paths import WORK, work_alone  # noqa: E402

SLOW = 900      # seconds: counting takes several times as long as plain emulation


class CountingMachine(Machine):
    def _arguments(self, numbers):
        return [*super()._arguments(numbers), "-icount", "shift=0"]


def leave(machine, command):
    """Guest instructions from just before the command to the next system's command server."""
    # The ESP keeps the first reading across the jump: a file there is flushed before it.
    machine.start_command(f"/efi/tsc >/efi/tsc.before; sync; {command}")
    machine.wait_boot(SLOW)
    after = int(machine.check("/efi/tsc", SLOW))
    return after - int(machine.check("cat /efi/tsc.before", SLOW))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    lock = work_alone()
    directory = WORK / "run" / "latency"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    variant = images.build("x")
    machine = CountingMachine(directory, disk.make(directory / "disk.img", variant, images.bundle(variant)))
    subprocess.run(["cc", "-O2", "-static", "-o", directory / "tsc", HERE / "tsc.c"], check=True)
    machine.disk.esp.write("tsc", (directory / "tsc").read_bytes())
    try:
        machine.cold_boot(SLOW)
        machine.check("slotctl mark-good", SLOW)
        figures = {"kexec": [], "firmware": []}
        for _ in range(options.rounds):
            machine.check("slotctl kexec load a", SLOW)
            figures["kexec"].append(leave(machine, "slotctl kexec exec"))
            figures["firmware"].append(leave(machine, "sh /etc/rc.shutdown; reboot -f"))
    finally:
        machine.power_cut()
        machine.disk.path.unlink(missing_ok=True)
    for name, each in figures.items():
        print(f"  {name:9} {statistics.median(each) / 1e9:6.2f} billion guest instructions "
              f"({min(each) / 1e9:.2f} to {max(each) / 1e9:.2f})")
    ratio = statistics.median(figures["firmware"]) / statistics.median(figures["kexec"])
    print(f"  through OVMF takes {ratio:.2f} times what kexec takes, median of {options.rounds}")
    lock.close()


if __name__ == "__main__":
    main()
