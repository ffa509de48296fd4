# SPDX-License-Identifier: MIT
"""good-limit = 2: a confirmed slot that boots again and again without mark-good is left. One machine, in order."""
import pytest

import record

LIMITED = "--config=/run/limited.conf"


@pytest.fixture(scope="module")
def machine(new_machine, variants):
    """Both slots good, X in A and Y in B, A preferred; nothing is counted yet."""
    machine = new_machine()
    ukis = {name: variants[name].uki.read_bytes() for name in "xy"}
    machine.disk.esp.write("EFI/slotboot/b/uki.efi", ukis["y"])
    machine.disk.write("slotboot-b", variants["y"].rootfs.read_bytes())
    state = record.Record(a=record.Slot(record.GOOD), b=record.Slot(record.GOOD))
    state.a.holds(ukis["x"])
    state.b.holds(ukis["y"])
    record.write(machine, state)
    machine.cold_boot()
    return machine


@pytest.fixture
def boots(machine, request, record_property):
    """Resets the machine once for each count, and checks that it comes to this slot, with that count."""
    def check(slot, *counts, words="it was the preferred slot"):
        for count in counts:
            entries = machine.firmware_entries()
            machine.reset()
            boot = machine.wait_boot()
            assert machine.firmware_entries() == entries + 1
            assert (boot.slot, boot.variant) == (slot, {"a": "x", "b": "y"}[slot])
            status = machine.status()
            assert (status["running"], status["slots"][slot]["good_boots"]) == (slot, count)
        assert words in status["why"]
        record_property("boot", (request.node.name.removeprefix("test_"), slot, len(counts), status["why"]))
        return status
    return check


def mark_good(machine):
    machine.check("sed '/^.slotboot.$/a good-limit = 2' /etc/slotboot/slotboot.conf >/run/limited.conf")
    machine.check(f"slotctl mark-good {LIMITED}")
    status = machine.status()
    assert (status["good_limit"], status["slots"][status["running"]]["good_boots"]) == (2, 0)


def test_without_the_limit_nothing_is_counted(machine, boots):
    assert machine.status()["running"] == "a"
    boots("a", 0)


def test_mark_good_begins_the_count_anew(machine, boots):
    mark_good(machine)
    boots("a", 1)
    assert "good-limit 2 boots without mark-good" in machine.check("slotctl status")
    mark_good(machine)


def test_good_slot_is_left_after_as_many_boots(machine, boots):
    boots("a", 1, 2)
    status = boots("b", 1, words="Slot a was passed over: it reached good-limit boots without mark-good. "
                                 "Slot b was started.")
    assert (status["preferred"], status["slots"]["a"]["status"], status["slots"]["a"]["reason"]) == (
        "b", "bad", "good-limit")


def test_other_slot_is_counted_too_and_then_the_last_resort_starts(machine, boots):
    boots("b", 2)
    # It is not counted any more.
    status = boots("b", 2, words="Slot b was passed over: it reached good-limit boots without mark-good. "
                                 "Slot b was started as the last resort.")
    assert [status["slots"][slot]["status"] for slot in "ab"] == ["bad", "bad"]


def test_mark_good_without_the_limit_ends_the_count(machine, boots):
    machine.check("slotctl mark-good")
    status = boots("b", 0)
    assert (status["good_limit"], status["slots"]["b"]["status"]) == (0, "good")
