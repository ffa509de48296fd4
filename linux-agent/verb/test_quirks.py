# SPDX-License-Identifier: MIT
"""slotctl against files: firmware that undoes at each reset what was written. The writes have an end."""
import struct

import pytest
from drymachine import GLOBAL, OURS, load_option
from test_schema import check

# What firmware leaves of a path: a vendor's own device, or a file that might be somebody's.
NOWHERE = bytes.fromhex("01041400e775e299a075374ba2e6c5385e6c00cb") + b"\x7f\xff\4\0"
SOMEWHERE = struct.pack("<2BH", 4, 4, 8) + "x\0".encode("utf-16le") + b"\x7f\xff\4\0"


class Firmware:
    """A reset: another boot_id, and what the firmware does to the variables."""

    def __init__(self, machine, undo):
        self.machine, self.undo, self.boots = machine, undo, 0

    def reset(self, undo=True):
        self.boots += 1
        boot_id = self.machine.top / "sysroot/proc/sys/kernel/random/boot_id"
        boot_id.parent.mkdir(exist_ok=True)
        boot_id.write_text(f"00000000-0000-4000-8000-{self.boots:012}\n")
        if undo and self.undo:
            self.undo(self.machine)

    def variables(self):
        return {p.name: p.read_bytes() for p in (self.machine.top / "vars").iterdir()}

    def writes(self, *argv):
        """The variables that the verb changes."""
        before = self.variables()
        self.machine.check(*argv)
        after = self.variables()
        return sorted(name.split("-")[0] for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def entries(machine):
    return {p.name[:8]: p.read_bytes()[4:] for p in sorted((machine.top / "vars").glob(f"Boot0*-{GLOBAL}"))}


def label(option):
    return option[6:].decode("utf-16le", "replace").split("\0")[0]


def put_order_back(machine):
    machine.set_variable("BootOrder", GLOBAL, struct.pack("<H", 0))


def replace_path(path):
    def replace(machine):
        for name, option in entries(machine).items():
            if label(option) == "slotboot":
                machine.set_variable(name, GLOBAL, load_option("slotboot", path))
    return replace


def add_options(machine):
    for name, option in entries(machine).items():
        if label(option) == "slotboot a":
            machine.set_variable(name, GLOBAL, option + b"BO")


def remove_entry(machine):
    for name, option in entries(machine).items():
        if label(option) == "slotboot":
            (machine.top / f"vars/{name}-{GLOBAL}").unlink()


def copy_entry(machine):
    for option in entries(machine).values():
        if label(option) == "slotboot":
            machine.set_variable("Boot0040", GLOBAL, option)


def make_inactive(machine):
    for name, option in entries(machine).items():
        if label(option) == "slotboot":
            machine.set_variable(name, GLOBAL, struct.pack("<I", 0) + option[4:])


QUIRKS = [("order", put_order_back, "BootOrder"), ("loader", replace_path(NOWHERE), "boot entry of the loader"),
          ("loader", replace_path(SOMEWHERE), "boot entry of the loader"),
          ("loader", remove_entry, "boot entry of the loader"), ("loader", make_inactive, "boot entry of the loader"),
          ("duplicates", copy_entry, "removal of duplicate boot entries")]


def enter(quirk, name, written, said):
    """A row, of what mark-good has written at each boot."""
    names = ", ".join(sorted(set(sum(written, []))))
    quirk(f"{name}, at each reset", f"mark-good wrote {names} in {sum(map(bool, written))} of {len(written)} boots", said)


def line_of(text, words):
    """Of what a verb has printed the line with these words, without the word in front."""
    return next(line for line in text.splitlines() if words in line).split(maxsplit=1)[1]


@pytest.mark.parametrize("thing, undo, words", QUIRKS, ids=["BootOrder put back", "path replaced by a device",
                         "path replaced by a file", "entry removed", "entry made inactive", "entry copied"])
def test_after_three_undone_writes_slotctl_stops_and_says_so(machine, request, quirk, thing, undo, words):
    firmware = Firmware(machine, undo)
    firmware.reset(undo=False)
    undo(machine)
    written = [firmware.writes("mark-good")]
    for _ in range(8):
        firmware.reset()
        written.append(firmware.writes("mark-good"))
    # The fourth time an entry that is given up may still have to leave BootOrder.
    assert all(written[:3]) and not any(written[4:])
    assert thing == "loader" or not written[3]
    told = machine.status()
    check("status", told)
    assert [(q["thing"], q["given_up"]) for q in told["quirks"] if q["given_up"]] == [(thing, True)]
    undone = f"has undone 3 writes of the {words}".replace("the BootOrder", "BootOrder")
    enter(quirk, request.node.callspec.id, written, line_of(machine.check("status"), undone))
    # Firmware that is mended, and forgiven.
    remove_entry(machine)
    (machine.top / "esp/EFI/slotboot/quirks.json").unlink()
    firmware.writes("mark-good")
    firmware.reset(undo=False)
    assert firmware.writes("mark-good") == []
    assert machine.status()["quirks"] == []


def test_a_firmware_that_keeps_what_it_is_told_has_no_quirk(machine, create):
    firmware = Firmware(machine, None)
    firmware.reset()
    machine.check("mark-good")
    machine.check("install", create(), "--activate=none")
    for _ in range(5):
        firmware.reset()
        assert firmware.writes("mark-good") == []
    assert machine.status()["quirks"] == []


def test_what_is_found_as_it_should_be_is_forgotten(machine):
    firmware = Firmware(machine, put_order_back)
    firmware.reset()
    for _ in range(2):
        firmware.writes("mark-good")
        firmware.reset()
    machine.check("mark-good")
    assert machine.status()["quirks"] == [{"thing": "order", "undone": 2, "given_up": False}]
    firmware.reset(undo=False)
    machine.check("mark-good")
    assert machine.status()["quirks"] == []


def test_a_kexec_resets_nothing_and_is_not_counted(machine):
    firmware = Firmware(machine, None)
    firmware.reset()
    machine.boot_by("kexec", "a")
    for _ in range(6):
        put_order_back(machine)
        assert "BootOrder" in firmware.writes("mark-good")
        firmware.reset()
    assert machine.status()["quirks"] == []


def test_bytes_added_to_a_direct_entry_are_taken_away_three_times(machine, quirk):
    """A stub would take them for its command line, where the UKI's has no slot to fill in."""
    uki = machine.top / "esp/EFI/slotboot/a/uki.efi"
    uki.write_bytes(uki.read_bytes().replace(b"slotboot.slot={slot}", b"slotboot.slot=a     "))
    firmware = Firmware(machine, add_options)
    written = []
    machine.check("mark-good")
    for _ in range(7):
        firmware.reset()
        written.append(firmware.writes("mark-good"))
    assert list(map(bool, written)) == [True] * 3 + [False] * 4
    assert [q["thing"] for q in machine.status()["quirks"]] == ["a"]
    enter(quirk, "bytes added to a slot's entry", written, line_of(machine.check("status"), "has undone 3 writes"))


def test_a_slot_record_that_the_firmware_does_not_keep_is_named_and_lived_with(machine, quirk):
    """As where variables that are set while Linux runs are gone after the reset."""
    kept = (machine.top / f"vars/SlotState-{OURS}").read_bytes()
    firmware = Firmware(machine, lambda m: (m.top / f"vars/SlotState-{OURS}").write_bytes(kept))
    machine.check("mark-bad", "a")
    for boots in range(1, 6):
        firmware.reset()
        machine.check("mark-good")
        machine.check("mark-bad", "a")
        told = machine.status()
        check("status", told)
        assert told["quirks"] == [{"thing": "record", "undone": min(boots, 3), "given_up": False}]
        assert told["slots"]["a"]["status"] == "bad"
    quirk("SlotState not kept over a reset", "kept the record in its mirror, which counted at each of 5 boots",
          line_of(machine.check("status"), "has not kept the variable SlotState over the last resets (3)"))
    firmware.reset(undo=False)
    machine.check("mark-good")
    assert machine.status()["quirks"] == []
