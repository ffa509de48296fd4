# SPDX-License-Identifier: MIT
"""slotctl doctor on a machine: nothing is wrong with it; then one thing after the other is, in the variables that the
firmware keeps, and at last several at once, over a reset. One machine, in order."""
import base64
import io
import json
import struct
import zipfile

import pytest

from paths import LOADER
from varstore import GLOBAL, VarStore

EFIVARS = "/sys/firmware/efi/efivars"
REBOOT = "sh /etc/rc.shutdown; reboot -f"
# What firmware leaves of a path: a vendor's own device.
NOWHERE = bytes.fromhex("01041400e775e299a075374ba2e6c5385e6c00cb") + b"\x7f\xff\4\0"


@pytest.fixture(scope="module")
def machine(confirmed):
    return confirmed()


@pytest.fixture
def quirk(record_property):
    return lambda *cells: record_property("quirk", ["on OVMF: " + cells[0], *cells[1:]])


def doctor(machine):
    """Each finding by its id."""
    status, said = machine.run("slotctl doctor --json 2>/dev/null")
    found = {f["id"]: f for f in json.loads(said)["findings"]}
    assert status == (1 if any(f["level"] == "fault" for f in found.values()) else 0)
    return found


def put(machine, name, data):
    content = base64.b64encode(struct.pack("<I", 7) + data).decode()
    machine.check(f"echo {content} | base64 -d >/tmp/variable && cat /tmp/variable >{EFIVARS}/{name}-{GLOBAL}")


def entry(machine, label="slotboot"):
    """The name and the bytes of our entry of that label."""
    return next((name, variable.data) for (name, _), variable in VarStore(machine.vars).all().items()
                if name.startswith("Boot0") and variable.data[6:].startswith((label + "\0").encode("utf-16-le")))


def delete_order(machine):
    machine.check(f"rm {EFIVARS}/BootOrder-{GLOBAL}")


def delete_entry(machine):
    machine.check(f"rm {EFIVARS}/{entry(machine)[0]}-{GLOBAL}")


def change_path(machine):
    put(machine, entry(machine)[0], struct.pack("<IH", 1, len(NOWHERE)) + "slotboot\0".encode("utf-16-le") + NOWHERE)


def deactivate(machine):
    name, option = entry(machine)
    put(machine, name, struct.pack("<I", 0) + option[4:])


def change_options(machine):
    """The command line that the slot's own entry hands over."""
    name, option = entry(machine, "slotboot a")
    words = "slotboot.slot=a".encode("utf-16-le")
    assert words in option
    put(machine, name, option.replace(words, "slotboot.slot=b".encode("utf-16-le")))


def append(machine):
    name, option = entry(machine)
    put(machine, name, option + b"\0\0BO")


def damage_loader(machine):
    machine.check("cd /efi/EFI/slotboot && head -c 10000 slotbootx64.efi >/tmp/half && cat /tmp/half >slotbootx64.efi && sync")


# An entry that is gone is made anew with another number: that in BootOrder might be anybody's.
BREAKS = {"entry removed": (delete_entry, {"entry-missing", "order", "order-names-absent"}),
          "BootOrder deleted": (delete_order, {"order-missing"}),
          "path replaced by a device": (change_path, {"entry-differs"}),
          "entry made inactive": (deactivate, {"entry-inactive"}),
          "another command line in a slot's entry": (change_options, {"entry-differs"}),
          "bytes appended to the loader's entry": (append, set())}


def test_of_a_machine_that_is_well_nothing_is_told(machine):
    assert machine.check("slotctl doctor") == "nothing wrong was found\n"


@pytest.mark.parametrize("name", BREAKS)
def test_what_is_broken_is_found_and_repaired(machine, quirk, name):
    breaks, ids = BREAKS[name]
    breaks(machine)
    found = doctor(machine)
    before = VarStore(machine.vars).all()
    repaired = machine.check("slotctl doctor --repair")
    after = VarStore(machine.vars).all()
    written = sorted(key[0] for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    assert set(found) == ids and bool(written) == bool(ids)
    assert repaired.count("repaired ") == len(ids - {"order-names-absent"})
    assert set(doctor(machine)) == ids & {"order-names-absent"}
    quirk(name, f"doctor --repair wrote {', '.join(written) or 'nothing'}",
          "; ".join(f["what"] for f in found.values()) or "nothing wrong")


def test_what_is_broken_at_once_over_a_reset_is_repaired_and_the_loader_started_by_its_entry(machine, quirk):
    deactivate(machine)
    delete_order(machine)
    damage_loader(machine)
    # The firmware finds \EFI\BOOT by itself.
    assert machine.run_to_boot(REBOOT).slot == "a"
    found = doctor(machine)
    assert {"entry-inactive", "loader-damaged"} <= set(found) and {"order", "order-missing"} & set(found)
    archive = base64.b64decode(machine.check("slotctl report /tmp/report.zip >/dev/null && base64 /tmp/report.zip"))
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        told = {name: files.read(name) for name in files.namelist()}
    assert {f["id"] for f in json.loads(told["doctor.json"])} == set(found)
    assert b"/EFI/slotboot/slotbootx64.efi" in told["esp.txt"] and b"EDK II" in told["kernel.txt"]
    assert f"variables/{entry(machine)[0]}-{GLOBAL}" in told

    status, said = machine.run("slotctl doctor --repair")
    assert status == 1 and "the loader (/efi/EFI/slotboot/slotbootx64.efi) is damaged" in said
    assert set(doctor(machine)) == {"loader-damaged"}
    assert "slotctl mark-good" in found["loader-damaged"]["remedy"]
    machine.check("slotctl mark-good")
    assert machine.check("slotctl doctor") == "nothing wrong was found\n"
    assert machine.run_to_boot(REBOOT).slot == "a"
    current = base64.b64decode(machine.check(f"base64 {EFIVARS}/BootCurrent-{GLOBAL}"))
    assert entry(machine)[0] == "Boot%04X" % struct.unpack_from("<H", current, 4)
    assert machine.disk.esp.read("EFI/slotboot/slotbootx64.efi") == LOADER.read_bytes()
    assert machine.check("slotctl doctor") == "nothing wrong was found\n"
    quirk("entry inactive, BootOrder deleted, loader damaged, at a reset",
          "doctor --repair and mark-good mended them; the next boot was by the entry",
          "; ".join(f["what"] for f in found.values()))
