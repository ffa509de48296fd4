# SPDX-License-Identifier: MIT
"""A machine that has never seen slotboot's state, then its first confirmed boots. One machine, in order."""
import pytest

from record import SIZE
from varstore import BS, GLOBAL, NV, RT, VarStore


@pytest.fixture(scope="module")
def machine(new_machine):
    machine = new_machine()
    machine.first = machine.cold_boot()
    return machine


def test_no_state_at_all_boots_slot_a(machine):
    assert (machine.first.variant, machine.first.slot) == ("x", "a")
    status = machine.status()
    assert status["running"] == "a"
    # The loader has stored what it knows, so that an A that hangs would hand over to B.
    assert (status["state"]["source"], status["state"]["provisional"]) == ("variable", True)


def test_the_root_is_the_slot_under_verity(machine):
    mounts = machine.check("cat /proc/mounts")
    assert "/dev/mapper/root / erofs ro" in mounts
    slaves = machine.check("cat /sys/block/dm-0/slaves/*/uevent")
    assert "PARTNAME=slotboot-a" in slaves


def test_loader_describes_the_boot_to_bootctl(machine):
    names = machine.check("ls /sys/firmware/efi/efivars")
    # The two times are left out where, as in this machine, the counter's speed cannot be known;
    # LoaderFeatures is, because slotboot has none of those that are defined.
    for name in ("LoaderInfo", "LoaderImageIdentifier", "LoaderDevicePartUUID", "LoaderEntrySelected"):
        assert f"{name}-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f" in names
    assert machine.status()["loader"].startswith("slotboot ")


def test_mark_good_creates_the_record(machine):
    machine.check("slotctl mark-good")
    record = VarStore(machine.vars).get("SlotState")
    assert len(record.data) == SIZE
    assert record.attributes == NV | BS | RT
    status = machine.status()
    assert (status["state"]["source"], status["state"]["provisional"]) == ("variable", False)
    assert (status["preferred"], status["slots"]["a"]["status"]) == ("a", "good")
    assert status["slots"]["b"]["status"] == "empty"


def test_steady_boot_of_a_good_slot_writes_nothing(machine):
    machine.shutdown()
    before = machine.snapshot()
    boot = machine.cold_boot()
    machine.shutdown()
    assert (boot.variant, boot.slot) == ("x", "a")
    # Partitions byte for byte; our variables, Boot#### and BootOrder with their attributes.
    assert machine.snapshot() == before


def test_steady_boot_is_silent(machine):
    assert "slotboot:" not in machine.console()


def test_lost_variable_is_made_up_for_by_the_mirror(machine):
    store = VarStore(machine.vars)
    assert store.delete("SlotState")
    machine.cold_boot()
    assert machine.status()["state"]["source"] == "mirror"
    assert ("BootOrder", GLOBAL) in store.all()
