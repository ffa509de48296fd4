# SPDX-License-Identifier: MIT
"""The main job through the firmware. One machine, in order."""
import pytest

from paths import LOADER
from varstore import GLOBAL, VarStore


@pytest.fixture(scope="module")
def machine(confirmed):
    return confirmed()


def test_x_to_y_to_z_by_reboot(machine, install):
    boot = machine.run_to_boot(install("y.zip", "reboot"))
    assert (boot.variant, boot.slot) == ("y", "b")
    assert machine.status()["slots"]["b"]["status"] == "trial"
    machine.check("slotctl mark-good")
    boot = machine.run_to_boot(install("z.zip", "reboot"))
    assert (boot.variant, boot.slot) == ("z", "a")
    machine.check("slotctl mark-good")
    status = machine.status()
    assert (status["running"], status["preferred"]) == ("a", "a")
    assert [status["slots"][slot]["status"] for slot in "ab"] == ["good", "good"]
    assert [status["slots"][slot]["version"] for slot in "ab"] == ["3", "2"]
    # This kernel drives none.
    assert (status["watchdog"]["hardware"], status["watchdog"]["this_boot"]) == ("none", "off")
    assert "watchdog   none\n" in machine.check("slotctl status")
    assert machine.firmware_entries() == 3


def test_the_loader_is_first_in_boot_order_and_the_firmwares_entries_keep_theirs(machine):
    store = VarStore(machine.vars).all()
    order = store["BootOrder", GLOBAL].data
    numbers = [int.from_bytes(order[i:i + 2], "little") for i in range(0, len(order), 2)]
    entries = [store[f"Boot{number:04X}", GLOBAL].data.lower() for number in numbers]
    assert LOADER.name.encode("utf-16-le") in entries[0]
    direct = [f"\\{slot}\\uki.efi".encode("utf-16-le") for slot in "ab"]
    assert [any(path in entry for path in direct) for entry in entries[1:4]] == [True, True, False]
    # The firmware made its own in this order at the first boot; ours came later and have other numbers.
    foreign = [number for number, entry in zip(numbers, entries) if "slotboot".encode("utf-16-le") not in entry]
    assert foreign == sorted(foreign)


def test_rollback_returns_to_the_previous_slot(machine):
    boot = machine.run_to_boot("slotctl rollback --activate=reboot")
    assert (boot.variant, boot.slot) == ("y", "b")
