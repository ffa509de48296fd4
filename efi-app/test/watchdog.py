# SPDX-License-Identifier: MIT
"""Cases: images that hang, and the watchdogs of QEMU's machines: an i6300ESB as a PCI
device, and, of q35 alone, the ICH9's TCO timer and the same timer through an ACPI WDAT.
A reset by a watchdog is one only while the same QEMU runs: what it leaves in the hardware."""
import os
import struct
import subprocess

import wdat
from boot import Boot, read
from common import EFI, ERROR, SHOW, aa64_only, case, long_case, machine, x64_only
from emulated import ARCH
from machine import DEADLINE, shown
from states import (ARMED, ATTEMPT_FAILED, ATTEMPT_STARTED, BY_WATCHDOG, FAILED, NOT_ARMED, NOT_FOUND, OFF, OTHERWISE,
                    SKIPPED, UNKNOWN, record, slot)

from record import BAD, FCH, GOOD, GWDT, I6300ESB, ITCO, ON_GOOD, ON_TRIAL, RETURNED, TRIAL, WATCHDOG, WDAT

HANGS = os.path.join(EFI, "test", "hangs.efi")
REASON = "slot b: the hardware watchdog reset the machine before mark-good"
# Time by instructions, so that a busy host does not make a watchdog bite too early.
CLOCK = ("-icount", "shift=6" + ARCH.IDLE)
I6300ESB_ON = (*CLOCK, "-device", "i6300esb")
ITCO_ON = (*CLOCK, "-global", "ICH9-LPC.noreboot=off")


def trial(folder, image, watchdog, tries=1):
    """a good, b on trial"""
    b = slot(TRIAL, tries, uki=read(image))
    return machine(folder, record(slot(GOOD), b, preferred=1, watchdog=watchdog), b=image)


def wdat_on(m, entries=wdat.TCO):
    """The machine's arguments for a table with these entries."""
    path = m.at("wdat.bin")
    with open(path, "wb") as f:
        f.write(wdat.table(entries))
    return (*ITCO_ON, "-acpitable", f"file={path}")


def stall(m, seconds):
    m.seed(("TestStall", struct.pack("<I", round(seconds * 1_000_000))))


def reset_and_told_apart(folder, kind, *hardware):
    """Three tries: a hang, an ordinary reset, a hang. Each of the four boots is told
    of its own reset, and nothing of the ones before."""
    m = trial(folder, HANGS, (kind, ON_TRIAL, 1), tries=3)
    boot = Boot(m, *(hardware or wdat_on(m)), resets=True)
    boot.started("a")
    boot.steps((1, SKIPPED, WATCHDOG))
    boot.says(REASON + "; starting slot a")
    assert boot.record.status == [GOOD, BAD] and boot.record.reason[1] == WATCHDOG
    assert boot.record.preferred == 0
    assert boot.record.events() == [
        (1, ATTEMPT_STARTED, 0), (1, ATTEMPT_FAILED, WATCHDOG), (1, ATTEMPT_STARTED, 0),
        (1, ATTEMPT_STARTED, 0), (1, ATTEMPT_FAILED, WATCHDOG)], boot.record.events()
    assert boot.trace.reset == BY_WATCHDOG and boot.trace.watchdog == OFF, vars(boot.trace)


@long_case
def a_trial_that_hangs_is_reset_by_the_i6300esb(folder):
    reset_and_told_apart(folder, I6300ESB, *I6300ESB_ON)


@x64_only(long_case)
def a_trial_that_hangs_is_reset_by_the_ich9(folder):
    reset_and_told_apart(folder, ITCO, *ITCO_ON)


@x64_only(long_case)
def a_trial_that_hangs_is_reset_through_the_wdat(folder):
    """The table's access to memory clears the chipset's bit that forbids it."""
    reset_and_told_apart(folder, WDAT)


def disarmed(folder, kind, seconds, *hardware):
    """b comes back with an error; a stays longer than the watchdog would let it."""
    m = trial(folder, ERROR, (kind, ON_TRIAL, 1), tries=3)
    stall(m, seconds)
    boot = Boot(m, *(hardware or wdat_on(m)))
    boot.started("a")
    boot.steps((1, FAILED, RETURNED))
    assert boot.trace.watchdog == OFF


@case
def an_i6300esb_is_off_after_an_image_came_back(folder):
    disarmed(folder, I6300ESB, 2.5, *I6300ESB_ON)


@x64_only(case)
def an_ich9_is_off_after_an_image_came_back(folder):
    disarmed(folder, ITCO, 6, *ITCO_ON)


@x64_only(case)
def a_wdat_is_off_after_an_image_came_back(folder):
    disarmed(folder, WDAT, 6)


@x64_only(case)
def a_trial_starts_with_the_watchdog_armed_and_says_so(folder):
    m = trial(folder, SHOW, (ITCO, ON_TRIAL, 60))
    boot = Boot(m, *ITCO_ON)
    boot.started("b")
    boot.silent()
    assert boot.trace.watchdog == ARMED and boot.trace.reset == OTHERWISE


@case
def a_watchdog_that_is_not_there_stops_nothing(folder):
    for kind in (I6300ESB, WDAT, GWDT, FCH):
        boot = Boot(trial(folder, SHOW, (kind, ON_TRIAL, 1)))
        boot.started("b")
        boot.silent()
        assert boot.trace.watchdog == NOT_FOUND and boot.trace.reset == UNKNOWN


@x64_only(case)
def a_watchdog_that_does_not_start_is_reported(folder):
    m = trial(folder, SHOW, (WDAT, ON_TRIAL, 1))
    entries = {k: v for k, v in wdat.TCO.items() if k != wdat.SET_RUNNING}
    boot = Boot(m, *wdat_on(m, entries))
    boot.started("b")
    assert boot.trace.watchdog == NOT_ARMED and boot.trace.reset == OTHERWISE


@case
def a_good_slot_is_not_watched_unless_asked(folder):
    for flags in (ON_TRIAL, ON_TRIAL | ON_GOOD):
        state = record(slot(GOOD), slot(GOOD), watchdog=(I6300ESB, flags, 1))
        m = machine(folder, state, mirror=(state, state))
        stall(m, 2.5)
        log = m.run(*I6300ESB_ON)
        if flags & ON_GOOD:
            assert "end" not in shown(log), "it was not reset"
            continue
        assert "end" in shown(log) and "SlotTrace" not in shown(log), "not a plain boot"


@aa64_only(case)
def registers_are_told_from_memory_and_from_nothing(folder):
    """What the generic watchdog's table names is not touched unless it is mapped as a device."""
    assert shown(machine(folder, a=os.path.join(EFI, "test", "mapped.efi")).run())["mapped"] == b"\1\0\0"


@aa64_only(case)
def the_generic_watchdog_resets_when_it_was_told_and_not_when_it_is_off(folder):
    """gwdt_bare.c on sbsa-ref; its sixth dot is that of 2.75 s."""
    os.makedirs(folder, exist_ok=True)
    flash, serial = os.path.join(folder, "flash.bin"), os.path.join(folder, "serial.log")
    with open(flash, "wb") as f:
        f.write(read(os.path.join(EFI, "test", "gwdt_bare.bin")))
        f.truncate(256 << 20)       # as large as the machine's
    subprocess.run(["qemu-system-aarch64", "-nodefaults", "-no-user-config", "-machine", "sbsa-ref", "-smp", "1",
                    "-display", "none", "-accel", "tcg,thread=single", "-icount", "shift=10,sleep=off",
                    "-no-reboot", "-serial", f"file:{serial}",
                    "-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={flash}"],
                   timeout=DEADLINE, check=True, stdin=subprocess.DEVNULL)
    said = read(serial).decode()
    assert said == "off\n......", said
