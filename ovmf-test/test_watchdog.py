# SPDX-License-Identifier: MIT
"""Kernels and inits that hang, and the hardware watchdog that ends it.

One machine for each kind of watchdog goes through the cases in order, in time that its own instructions make: what
a busy host delays the watchdog does not see, and a machine that hangs is reset without a wait (guest/initrd-init has
why it must be kept busy else). W is in both slots: the variant whose kernel has drivers for watchdogs."""
import pytest

import images
import record
from uki import with_hung_kernel, with_words

KINDS = {"i6300esb": (record.I6300ESB, "i6300ESB timer"), "itco": (record.ITCO, "iTCO_wdt")}
# An init without drivers, and one as process 1 of a machine whose timer runs through its driver.
HANGS = {"i6300esb": [b"testos.hang=early"], "itco": [b"testos.hang=late", b"iTCO_wdt.heartbeat=4"]}
# Seconds of the guest's: several boots, and what slotctl does between arming and a jump, many times over.
TIMEOUT, HUNG = 600, 60


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
    images.put_uki_bundle(machine, "hung.zip", with_hung_kernel(uki), w)
    images.put_uki_bundle(machine, "sick.zip", with_words(uki, *HANGS[kind]), w)


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def machine(new_machine, one_at_a_time, kind):
    with one_at_a_time():
        w = images.build("w")
    machine = new_machine(variant=w, watchdog=kind, guest_time="leaps")
    furnish(machine, w, kind, TIMEOUT)
    return machine.start()


@pytest.fixture
def enter(request, record_property, kind, machine):
    """Checks why the slot runs, and enters the boot in the table; the status."""
    def enter(entries, *words):
        status = machine.status()
        for part in words:
            assert part in status["why"]
        record_property("boot", (request.node.name.removeprefix("test_"), status["running"], entries, status["why"]))
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


def let_time_run(machine, seconds):
    """The guest's clock runs on by this much, for nothing keeps it busy in the meantime."""
    machine.check(f"kill -STOP $(cat /dev/busy-loop) && sleep {seconds} && kill -CONT $(cat /dev/busy-loop)")


def test_healthy_trial_is_confirmed_and_not_reset(machine, kind, enter):
    driver = KINDS[kind][1]
    assert machine.wait_boot().slot == "b"
    status = enter(1, "Slot b was started: it was the preferred slot, on trial (2 of 3 tries left).")
    assert status["watchdog"] == {"hardware": kind, "timeout": TIMEOUT, "trial": True, "good": False,
                                  "driver": driver, "this_boot": "armed", "last_reset": "other"}
    # One driver stops what it finds running, the other lets the kernel feed it.
    assert is_ticking(machine, kind) == (kind == "itco")
    assert f"watchdog: {driver} is stopped" in machine.check("slotctl mark-good")
    assert not is_ticking(machine, kind)
    let_time_run(machine, 2 * TIMEOUT)
    assert (machine.watchdog_resets(), machine.firmware_entries()) == (0, 1)


def end_in_the_old_slot(machine, seconds, install, entries, then="true"):
    """Have an install into A what hangs, with this timeout, and be back in B by the watchdog."""
    resets, firmware = machine.watchdog_resets(), machine.firmware_entries()
    command = (f"sed '/^.slotboot.$/a watchdog-timeout = {seconds}' /etc/slotboot/slotboot.conf >/run/short.conf && "
               f"slotctl install {install} --allow-downgrade --config=/run/short.conf && {then}")
    assert machine.run_to_boot(command).slot == "b"
    assert (machine.watchdog_resets(), machine.firmware_entries()) == (resets + 1, firmware + entries)


PASSED_OVER = "Slot a was passed over: the hardware watchdog reset the machine before mark-good. Slot b was started."


def test_kexec_into_a_kernel_that_hangs(machine, kind, enter):
    end_in_the_old_slot(machine, HUNG, "/efi/hung.zip --activate=kexec", 1)
    status = enter(1, PASSED_OVER)
    assert (status["preferred"], status["slots"]["a"]["reason"]) == ("b", "watchdog")
    assert (status["watchdog"]["hardware"], status["watchdog"]["timeout"]) == (kind, HUNG)


def test_kexec_exec_into_a_trial_that_hangs(machine, enter):
    end_in_the_old_slot(machine, HUNG, "/efi/hung.zip --activate=none", 1,
                        "slotctl kexec exec a --config=/run/short.conf")
    status = enter(1, "Slot b was started: it was the preferred slot.")
    assert (status["preferred"], status["slots"]["a"]["status"]) == ("b", "trial")


def test_trial_kernel_hangs_before_init(machine, enter):
    end_in_the_old_slot(machine, HUNG, "/efi/hung.zip --activate=reboot --tries=1", 2)
    status = enter(2, PASSED_OVER)
    assert (status["preferred"], status["slots"]["a"]["reason"]) == ("b", "watchdog")
    assert status["watchdog"]["last_reset"] == "watchdog"


def test_trial_init_hangs(machine, enter):
    end_in_the_old_slot(machine, TIMEOUT, "/efi/sick.zip --activate=reboot --tries=1", 2)
    assert machine.console().count("TESTOS-INITRD hangs") == 1
    status = enter(2, PASSED_OVER)
    assert (status["preferred"], status["slots"]["a"]["reason"]) == ("b", "watchdog")
