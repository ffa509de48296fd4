# SPDX-License-Identifier: MIT
"""Kernels and inits that hang, and the hardware watchdog that ends it.

One machine for each kind of watchdog. Both run at once, since most of the time they wait, and go through the cases
in order. W is in both slots: the variant whose kernel has drivers for watchdogs. It loads them after some 5 s under
TCG; how long a boot takes on this host is measured first, and the timeouts leave room for several."""
from time import monotonic

import pytest

import images
import record
from machine import SLOW
from uki import with_hung_kernel, with_words

KINDS = {"i6300esb": (record.I6300ESB, "i6300ESB timer"), "itco": (record.ITCO, "iTCO_wdt")}
# An init without drivers, and one as process 1 of a machine whose timer runs through its driver.
HANGS = {"i6300esb": [b"testos.hang=early"], "itco": [b"testos.hang=late", b"iTCO_wdt.heartbeat=4"]}
HUNG = 5        # a timeout, in seconds


def furnish(machine, w, kind, timeout):
    """W good in slot A, W on trial and preferred in slot B, with the watchdog and its seconds in the record."""
    uki = w.uki.read_bytes()
    machine.disk.esp.write("EFI/slotboot/b/uki.efi", uki)
    machine.disk.write("slotboot-b", w.rootfs.read_bytes())
    state = record.Record(preferred=1, watchdog=KINDS[kind][0], watchdog_flags=record.ON_TRIAL, watchdog_s=timeout,
                          a=record.Slot(record.GOOD))
    state.a.holds(uki)
    state.b.holds(uki)
    state.b.try_again(3)
    record.write(machine, state)
    images.put_uki_bundle(machine, "hung.zip", with_hung_kernel(uki))
    images.put_uki_bundle(machine, "sick.zip", with_words(uki, *HANGS[kind]))


@pytest.fixture(scope="module")
def unarmed(new_machine):
    """By their watchdog, off; and how many seconds both at once take to boot."""
    w = images.build("w")
    made = {kind: new_machine(variant=w, watchdog=kind) for kind in KINDS}
    begin = monotonic()
    for machine in made.values():
        machine.start()
    for machine in made.values():
        machine.wait_boot()
    seconds = monotonic() - begin
    for machine in made.values():
        machine.power_cut()
    return made, seconds


@pytest.fixture(scope="module")
def healthy(unarmed):
    """Seconds that no healthy boot takes."""
    return int(max(30, 4 * unarmed[1]))


@pytest.fixture(scope="module")
def machines(unarmed, healthy):
    """By their watchdog; on."""
    made, w = unarmed[0], images.build("w")
    for kind, machine in made.items():
        furnish(machine, w, kind, healthy)
    for machine in made.values():
        machine.start()
    return made


@pytest.fixture
def enter(request, record_property):
    """Checks why the slot runs, and enters the boot in the table; the status."""
    def enter(kind, machine, entries, *words):
        status = machine.status()
        for part in words:
            assert part in status["why"]
        case = f"{request.node.name.removeprefix('test_')}[{kind}]"
        record_property("boot", (case, status["running"], entries, status["why"]))
        return status
    return enter


def is_ticking(machine, kind):
    """By the hardware's own registers, whatever its driver believes."""
    if kind == "i6300esb":      # WDT_ENABLE of the lock register, in the PCI configuration space
        byte = machine.check("cd $(dirname $(grep -l 0x25ab /sys/bus/pci/devices/*/device)) && "
                             "dd if=config bs=1 skip=104 count=1 2>/dev/null | hexdump -e '1/1 \"%d\"'")
        return bool(int(byte) & 2)
    # TCO_RLD, which counts in steps of 0.6 s. The halt bit cannot be read a byte at a time.
    byte = "dd if=/dev/port bs=1 skip=$((0x660)) count=1 2>/dev/null | hexdump -e '1/1 \"%d\"'"
    return machine.run(f"old=$({byte}); for i in 1 2 3 4 5 6 7 8 9; do usleep 200000; [ $({byte}) = $old ] || exit 9; "
                       "done")[0] == 9


def test_healthy_trial_is_confirmed_and_not_reset(machines, healthy, enter):
    for kind, machine in machines.items():
        driver = KINDS[kind][1]
        assert machine.wait_boot().slot == "b"
        status = enter(kind, machine, 1, "Slot b was started: it was the preferred slot, on trial (2 of 3 tries left).")
        assert status["watchdog"] == {"hardware": kind, "timeout": healthy, "trial": True, "good": False,
                                      "driver": driver, "this_boot": "armed", "last_reset": "other"}
        # One driver stops what it finds running, the other lets the kernel feed it.
        assert is_ticking(machine, kind) == (kind == "itco")
        assert f"watchdog: {driver} is stopped" in machine.check("slotctl mark-good")
        assert not is_ticking(machine, kind)
    for machine in machines.values():
        machine.check(f"until [ $(cut -d. -f1 /proc/uptime) -gt {healthy} ]; do usleep 100000; done", 60 + healthy)
        assert (machine.watchdog_resets(), machine.firmware_entries()) == (0, 1)


def end_in_the_old_slot(machines, seconds, install, entries, then="true"):
    """Have each install into A what hangs, with this timeout, and be back in B by the watchdog."""
    before = {kind: (machine.watchdog_resets(), machine.firmware_entries()) for kind, machine in machines.items()}
    command = (f"sed '/^.slotboot.$/a watchdog-timeout = {seconds}' /etc/slotboot/slotboot.conf >/run/short.conf && "
               f"slotctl install {install} --allow-downgrade --config=/run/short.conf && {then}")
    numbers = {kind: machine.start_command(command) for kind, machine in machines.items()}
    for kind, machine in machines.items():
        assert machine.wait_command_boot(numbers[kind], 180 * SLOW).slot == "b"
        resets, firmware = before[kind]
        assert (machine.watchdog_resets(), machine.firmware_entries()) == (resets + 1, firmware + entries)


def test_kexec_into_a_kernel_that_hangs(machines, enter):
    end_in_the_old_slot(machines, HUNG, "/efi/hung.zip --activate=kexec", 1)
    for kind, machine in machines.items():
        status = enter(kind, machine, 1, "Slot a was passed over: the hardware watchdog reset the machine before "
                       "mark-good. Slot b was started.")
        assert (status["preferred"], status["slots"]["a"]["reason"]) == ("b", "watchdog")
        assert (status["watchdog"]["hardware"], status["watchdog"]["timeout"]) == (kind, HUNG)


def test_kexec_exec_into_a_trial_that_hangs(machines, enter):
    end_in_the_old_slot(machines, HUNG, "/efi/hung.zip --activate=none", 1,
                        "slotctl kexec exec a --config=/run/short.conf")
    for kind, machine in machines.items():
        status = enter(kind, machine, 1, "Slot b was started: it was the preferred slot.")
        assert (status["preferred"], status["slots"]["a"]["status"]) == ("b", "trial")


def test_trial_kernel_hangs_before_init(machines, enter):
    end_in_the_old_slot(machines, HUNG, "/efi/hung.zip --activate=reboot --tries=1", 2)
    for kind, machine in machines.items():
        status = enter(kind, machine, 2, "Slot a was passed over: the hardware watchdog reset the machine before "
                       "mark-good. Slot b was started.")
        assert (status["preferred"], status["slots"]["a"]["reason"]) == ("b", "watchdog")
        assert status["watchdog"]["last_reset"] == "watchdog"


def test_trial_init_hangs(machines, unarmed, enter):
    end_in_the_old_slot(machines, int(max(10, 2.5 * unarmed[1])), "/efi/sick.zip --activate=reboot --tries=1", 2)
    for kind, machine in machines.items():
        assert machine.console().count("TESTOS-INITRD hangs") == 1
        status = enter(kind, machine, 2, "Slot a was passed over: the hardware watchdog reset the machine before "
                       "mark-good. Slot b was started.")
        assert (status["preferred"], status["slots"]["a"]["reason"]) == ("b", "watchdog")
