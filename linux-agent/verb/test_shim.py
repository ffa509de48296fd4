# SPDX-License-Identifier: MIT
"""slotctl against files, on a machine that starts by shim (shim = shimx64.efi, in slotboot.conf): its boot entries, a new
loader behind it, what doctor says, and what dbx may hold. That shim does so is in ovmf-test/test_shim.py; provision in
test_provision.py."""
import shutil

import pytest
import siglist
from drymachine import LOADER
from test_doctor import doctor
from test_keys import boot, doctors, rotating, states, update, words  # noqa: F401 (fixtures)
from test_loader import HOME, TRIAL, Firmware, loader_of, new, told, version_of  # noqa: F401 (fixture)
from test_quirks import entries, label
from test_signatures import VOLATILE, built, enforcing, keys, pack, put, sign  # noqa: F401 (fixtures)

SHIM, COPY, BEHIND = "EFI/slotboot/shimx64.efi", "EFI/BOOT/BOOTX64.EFI", "EFI/BOOT/grubx64.efi"


def backslashes(name):
    return "\\" + name.replace("/", "\\")


def shim_of(path):
    """Any EFI program that is not the loader."""
    path.write_bytes(loader_of("0.1").replace(b"slotboot,1,slotboot", b"shim,4,UEFI shim,1,"))
    return path


class ByShim(Firmware):
    """Starts shim, which starts what the entry's optional data names, or what is beside it."""

    def entries(self):
        found = {}
        for number, option in ((int(name[4:], 16), option) for name, option in entries(self.machine).items()):
            text = option.decode("utf-16le", "ignore") + (b"\0" + option).decode("utf-16le", "ignore")
            name = next((n for n in (TRIAL, HOME) if backslashes(n) in text), None)
            found[number] = name if backslashes(SHIM) in text else None
        return found

    def leads_to(self):
        return super().leads_to()[:-1] + [BEHIND]


@pytest.fixture
def shimmed(machine, tmp_path):
    """Loader 0.1 in both places, and shim; the system is confirmed."""
    firmware = ByShim(machine)
    for name in (HOME, BEHIND, SHIM, COPY):
        firmware.file(name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(shim_of(tmp_path / "shim.efi"), firmware.file(name))
    for name in (HOME, BEHIND):
        firmware.file(name).write_bytes(loader_of("0.1"))
    machine.configure("shim = shimx64.efi\n")
    machine.check("mark-good")
    assert firmware.boot() == HOME
    machine.check("mark-good")
    assert doctor(machine) == (0, {})
    return firmware


def test_each_entry_goes_by_shim_with_the_file_as_its_first_word(shimmed):
    made = {label(option): option for option in entries(shimmed.machine).values() if label(option).startswith("slotboot")}
    assert set(made) >= {"slotboot", "slotboot a"}
    for option in made.values():
        assert backslashes(SHIM).encode("utf-16le") in option
    assert made["slotboot"].endswith((backslashes(HOME) + "\0").encode("utf-16le"))
    assert (backslashes("EFI/slotboot/a/uki.efi") + " slotboot.slot=a").encode("utf-16le") in made["slotboot a"]


def test_entries_that_were_made_without_shim_are_remade_under_their_numbers(machine, tmp_path):
    for name in (HOME, SHIM, COPY, BEHIND):
        (machine.top / "esp" / name).parent.mkdir(exist_ok=True)
        (machine.top / "esp" / name).write_bytes(loader_of("0.1"))
    machine.check("mark-good")
    numbers = {name: label(option) for name, option in entries(machine).items()}
    machine.configure("shim = shimx64.efi\n")
    assert set(doctor(machine)[1]) == {"entry-differs"}
    machine.check("mark-good")
    assert {name: label(option) for name, option in entries(machine).items()} == numbers
    assert doctor(machine) == (0, {})


def test_a_new_loader_is_tried_behind_shim_and_kept(shimmed, new):  # noqa: F811
    machine = shimmed.machine
    assert "version 0.2 will be tried" in machine.check("loader", "install", new)
    assert shimmed.boot() == TRIAL
    assert "version 0.2 has started this machine, and is kept" in machine.check("mark-good")
    assert told(machine) == ("0.2", True, None, None)
    assert [version_of(shimmed.file(name).read_bytes()) for name in (HOME, BEHIND, COPY)] == ["0.2", "0.2", None]
    assert shimmed.boot() == HOME
    assert doctor(machine) == (0, {})


def test_a_new_loader_that_shim_refuses_is_dropped(shimmed, new):  # noqa: F811
    shimmed.machine.check("loader", "install", new)
    shimmed.broken = ("0.2",)
    assert shimmed.boot() == HOME
    assert "dropped" in shimmed.machine.check("mark-good")
    assert told(shimmed.machine)[:3] == ("0.1", True, None)


@pytest.mark.parametrize("place, content, name", [
    (SHIM, None, "shim-missing"), (SHIM, b"MZ", "shim-damaged"), (COPY, None, "shim-copy-missing"),
    (COPY, b"", "shim-copy-damaged"), (BEHIND, None, "fallback-missing")])
def test_what_is_missing_is_named(shimmed, place, content, name):
    shimmed.file(place).unlink()
    if content is not None:
        shimmed.file(place).write_bytes(content)
    status, found = doctor(shimmed.machine)
    assert status == 1 and found[name]["remedy"]


def test_for_a_shim_that_is_not_there_no_entry_is_made(shimmed):
    """What starts the machine now stays as it is."""
    before = entries(shimmed.machine)
    shimmed.machine.configure("shim = shim.efi\n")
    assert "no boot entry is written, since shim = shim.efi" in shimmed.machine.check("mark-good")
    assert entries(shimmed.machine) == before
    assert "entries" in doctor(shimmed.machine)[1]


def test_shim_is_judged_by_the_firmwares_lists_and_a_dbx_that_would_refuse_it_waits(shimmed, rotating, built, sign, pack,  # noqa: F811
                                                                                  update, keys, tmp_path):  # noqa: F811
    """db has theirs alone; the owner's key, ours, is shim's to know."""
    ours, theirs = (siglist.of_certificate(keys[who][2]) for who in ("ours", "theirs"))
    put(rotating, "db", theirs)
    put(rotating, "MokListRT", ours + siglist.of_images((rotating.top / "esp/EFI/slotboot/a/uki.efi").read_bytes()),
        siglist.SHIM, VOLATILE)
    (tmp_path / "shim-1.efi").write_bytes(shimmed.file(SHIM).read_bytes())
    (tmp_path / "loader.efi").write_bytes(loader_of("0.1"))
    for place in (HOME, BEHIND):
        shutil.copy(sign(tmp_path / "loader.efi"), shimmed.file(place))
    _, found = doctor(rotating)
    assert set(found) == {"shim-refused", "shim-copy-refused"} and "it is not signed" in found["shim-refused"]["cause"]
    for place in (SHIM, COPY):
        shutil.copy(sign(tmp_path / "shim-1.efi", "theirs"), shimmed.file(place))
    assert doctor(rotating) == (0, {})

    stranger = siglist.of_images(built().read_bytes())
    rotating.check("install", pack(sign(built()), f"--efi-auth=dbx={update('dbx', theirs)}",
                                   f"--efi-auth=dbx={update('dbx', ours)}", f"--efi-auth=dbx={update('dbx', stranger)}"),
                   "--activate=none")
    rotating.set_variable("LoaderEntrySelected", LOADER, "slotboot-b.efi\0".encode("utf-16le"))
    assert "has dbx-3 of slot b's bundle now" in boot(rotating, "b")
    assert states(rotating) == [("dbx-1", "waiting", "shim"), ("dbx-2", "waiting", "slot-b"), ("dbx-3", "applied", "none")]
    assert "shimx64.efi: it is signed by CN=theirs" in words(rotating, "dbx-1")
    assert [f[:2] for f in doctors(rotating)] == [("key-waits", "fault")] * 2
    assert "a shim that the firmware goes on to start" in doctors(rotating)[0][3]
