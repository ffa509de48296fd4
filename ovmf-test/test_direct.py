# SPDX-License-Identifier: MIT
"""A machine that slotctl provision has made without the loader: BootNext tries a slot, BootOrder keeps it. One machine, in
order; at last it gets the loader, and loses it again."""
import struct

import pytest

import disk
import pki
from conftest import arrivals
from paths import LOADER, SLOTCTL, run
from uki import section
from varstore import GLOBAL, VarStore

REBOOT = "sh /etc/rc.shutdown; reboot -f"
arrive, go = arrivals("activation = direct")
EITHER = "either the firmware did not start it, or it was started and failed"


@pytest.fixture(scope="module")
def machine(new_machine, bundles, tmp_path_factory):
    """The variables are made on the host, and put into the firmware's store before its first boot."""
    machine, place = new_machine(), tmp_path_factory.mktemp("direct")
    machine.disk.path.unlink()
    (place / "slotboot.conf").write_text(f"[slotboot]\nkeyring = {pki.identities()['signer'].cert}\nactivation = direct\n")
    (place / "vars").mkdir()
    run("env", f"EFIVARFS_PATH={place}/vars/", SLOTCTL, "provision", machine.disk.path, f"--bundle={bundles['x.zip']}",
        f"--config={place / 'slotboot.conf'}", "--boot-entries", *disk.SIZES)
    for path in sorted((place / "vars").iterdir()):
        name, guid = path.name.split("-", 1)
        VarStore(machine.vars).set(name, path.read_bytes()[4:], guid)
    assert not machine.disk.esp.exists("EFI/BOOT") and order(machine) == ("a", "")
    assert arrive(machine, machine.cold_boot()) == ("x", "a")
    status = machine.status()
    assert (status["loader"], status["slots"]["a"]["status"], status["slots"]["b"]["status"]) == (None, "trial", "empty")
    assert "It is on trial, and this is its one try." in status["why"]
    machine.check("slotctl mark-good")
    return machine


def order(machine):
    """What BootOrder begins with, as long as it is slotboot's; and what BootNext names."""
    store = VarStore(machine.vars).all()
    names = []
    for variable in ("BootOrder", "BootNext"):
        data = store[variable, GLOBAL].data if (variable, GLOBAL) in store else b""
        entries = [store[f"Boot{n:04X}", GLOBAL].data for n, in struct.iter_unpack("<H", data)]
        leads = {"a": "\\slotboot\\a\\uki.efi", "b": "\\slotboot\\b\\uki.efi", "loader": "\\slotboot\\slotbootx64.efi"}
        names.append("".join(next((slot + " " for slot, path in leads.items() if path.encode("utf-16-le") in entry), "")
                             for entry in entries).strip())
    return tuple(names)


def test_x_to_y_to_z_by_bootnext_and_bootorder(machine, install):
    assert order(machine) == ("a", "")
    assert go(machine, install("y.zip", "reboot")) == ("y", "b")
    status = machine.status()
    assert (status["running"], status["loader"], status["activation"]) == ("b", None, "direct")
    assert (status["slots"]["b"]["status"], status["slots"]["b"]["tries_left"]) == ("trial", 0)
    assert "It is on trial, and this is its one try." in status["why"]
    assert order(machine) == ("a b", "")
    machine.check("slotctl mark-good")
    assert order(machine) == ("b a", "")
    assert go(machine, install("z.zip", "reboot")) == ("z", "a")
    machine.check("slotctl mark-good")
    assert order(machine) == ("a b", "")
    status = machine.status()
    assert [status["slots"][slot]["status"] for slot in "ab"] == ["good", "good"]
    assert [status["slots"][slot]["version"] for slot in "ab"] == ["3", "2"]
    assert machine.firmware_entries() == 3
    assert "slotboot" not in machine.check("ls /efi/EFI/slotboot").replace("slotboot.conf", "")


def test_a_steady_boot_and_mark_good_write_nothing(machine):
    assert go(machine, REBOOT) == ("z", "a")
    before = VarStore(machine.vars).all()
    machine.check("slotctl mark-good")
    assert VarStore(machine.vars).all() == before


def spoil_trial(machine, install, spoil):
    """Y in slot B, on trial, with its UKI spoiled once the machine is off; it is on again."""
    machine.check(f"{install('y.zip', 'none', '--allow-downgrade')} && slotctl mark-active b")
    machine.shutdown()
    assert order(machine) == ("a b", "b")
    name = "EFI/slotboot/b/uki.efi"
    machine.disk.esp.write(name, spoil(machine.disk.esp.read(name)))
    machine.start()


def is_left(machine):
    status = machine.status()
    assert (status["running"], status["preferred"]) == ("a", "a")
    assert (status["slots"]["b"]["status"], status["slots"]["b"]["reason"]) == ("bad", "tries")
    machine.check("slotctl mark-good")
    assert order(machine) == ("a b", "")
    assert machine.status()["why"] == status["why"]
    return status["why"]


def without_initrd(uki):
    """Zeros, which the kernel skips. Its command line would not do: the entry brings one."""
    _, at, size = section(uki, b".initrd")
    return uki[:at] + bytes(size) + uki[at + size:]


def test_a_trial_that_panics_comes_back_on_the_old_slot_by_itself(machine, install):
    spoil_trial(machine, install, without_initrd)
    machine.wait_for("Kernel panic - not syncing: .*Unable to mount root fs")
    assert arrive(machine, machine.wait_boot()) == ("z", "a")
    assert machine.firmware_entries() == 2
    assert EITHER in is_left(machine)


def test_a_trial_that_the_firmware_does_not_load_is_passed_over_in_the_same_boot(machine, install):
    spoil_trial(machine, install, lambda uki: uki[:len(uki) // 2])
    assert arrive(machine, machine.wait_boot()) == ("z", "a")
    assert machine.firmware_entries() == 1
    assert EITHER in is_left(machine)


def test_rollback_and_the_way_back(machine, install):
    assert go(machine, install("y.zip", "reboot", "--allow-downgrade")) == ("y", "b")
    machine.check("slotctl mark-good")
    assert go(machine, "slotctl rollback --activate=reboot") == ("z", "a")
    assert order(machine) == ("a b", "") and machine.status()["slots"]["b"]["status"] == "good"


def test_a_loader_takes_over_and_is_done_without_again(machine):
    machine.shutdown()
    machine.disk.esp.write("new.efi", LOADER.read_bytes())
    assert machine.cold_boot().slot == "a"
    assert "the next boot starts it" in machine.check("slotctl loader install /efi/new.efi")
    assert machine.run_to_boot(REBOOT).slot == "a"
    status = machine.status()
    assert (status["activation"], status["why"]) == ("loader", "Slot a was started: it was the preferred slot.")
    assert status["loader"].startswith("slotboot ")
    machine.check("slotctl mark-good")
    assert order(machine) == ("loader a b", "")
    assert go(machine, REBOOT) == ("z", "a")        # by the loader, although it is to be direct now
    machine.check("slotctl mark-good && rm /efi/EFI/slotboot/slotbootx64.efi")
    assert order(machine) == ("a b", "")
    assert go(machine, REBOOT) == ("z", "a")
    assert machine.status()["loader"] is None
